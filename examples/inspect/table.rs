//! Draws the objects of each kind as `kubectl get` shows them, and the stats of all informers below.

use std::io::{self, Write as _};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use k8s_openapi::jiff::Timestamp;
use kube_informer::{Obj, View};

use crate::inspected::{Inspected, Row};

/// Begins at the top left.
const HOME: &str = "\x1b[H";
/// The rest of a line, and of the screen, as the last drawing left them.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Draws over what was drawn before, without clearing it first, which would flicker.
///
/// # Errors
///
/// When standard output is closed.
pub fn redraw(inspected: &[Inspected], rows: usize) -> io::Result<()> {
    let text = text(inspected, rows).replace('\n', &format!("{CLEAR_LINE}\n"));
    let mut out = io::stdout().lock();
    write!(out, "{HOME}{text}{CLEAR_BELOW}")?;
    out.flush()
}

/// Draws below what was drawn before.
///
/// # Errors
///
/// When standard output is closed.
pub fn print(inspected: &[Inspected], rows: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text(inspected, rows))?;
    out.flush()
}

fn text(inspected: &[Inspected], rows: usize) -> String {
    let mut text = String::new();
    for one in inspected {
        text += &one.kind.name;
        text.push('\n');
        // The stats are of about the same moment, but only a snapshot is of one moment.
        text += &one.objects.read(|view| objects(view, one, rows));
        text.push('\n');
    }
    for one in inspected {
        text += &format!("{:?}\n", one.objects);
        let status = one.objects.status();
        if let Some(error) = status.last_error.filter(|_| status.stale_since.is_some()) {
            text += &format!("  last error: {error}\n");
        }
    }
    text
}

fn objects(view: &View<Row>, one: &Inspected, rows: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let namespace = one.kind.namespaced.then_some("NAMESPACE");
    table.set_header(namespace.into_iter().chain(["NAME", "AGE"]));
    let now = Timestamp::now();
    let objects = view.by_index(&one.in_order, &());
    let more = objects.len().saturating_sub(rows);
    for object in objects.take(rows) {
        let key = Obj::key(object);
        let age = object.created.map_or_else(|| "?".to_owned(), |created| age(created, now));
        let namespace = one.kind.namespaced.then(|| key.namespace().to_owned());
        table.add_row(namespace.into_iter().chain([key.name().to_owned(), age]));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    match more {
        0 => {}
        more => text += &format!(" and {more} more\n"),
    }
    text
}

/// `12s`, `5m`, `3h`, `2d`.
fn age(created: Timestamp, now: Timestamp) -> String {
    // A clock may be behind the server's.
    match now.duration_since(created).as_secs().max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_kubectl_shows_them() {
        let now = Timestamp::now();
        for (seconds, text) in
            [(-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
        {
            let created = Timestamp::from_second(now.as_second() - seconds).unwrap();
            assert_eq!(age(created, now), text);
        }
    }
}
