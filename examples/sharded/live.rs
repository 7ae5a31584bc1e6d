//! What happens, while it happens: a table on a terminal that refreshes itself, else a line every 5 seconds.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::unix::board::{Board, Running, State};
use crate::unix::report::now;

/// Between two drawings, and between two lines.
const DRAWING: Duration = Duration::from_secs(1);
const LINES: Duration = Duration::from_secs(5);

/// Begins at the top left of an empty screen.
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
/// The rest of a line, and of the screen, as the last drawing left them.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Shows the board until it is dropped.
pub struct Live(JoinHandle<()>);

// === impl Live ===

impl Live {
    pub fn start(board: Arc<Board>) -> Self {
        let begin = now();
        Self(tokio::spawn(async move {
            let in_place = io::stderr().is_terminal();
            let mut ticks = interval(if in_place { DRAWING } else { LINES });
            if in_place {
                eprint!("{CLEAR}");
            }
            loop {
                ticks.tick().await;
                let seconds = now().saturating_sub(begin) / 1_000_000;
                let text = {
                    let state = board.lock();
                    if in_place { table(&state, seconds) } else { line(&state, seconds) }
                };
                // On standard error, separate from the result.
                let _closed = match in_place {
                    true => redraw(&text),
                    false => writeln!(io::stderr(), "{text}"),
                };
            }
        }))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn redraw(text: &str) -> io::Result<()> {
    let text = text.replace('\n', &format!("{CLEAR_LINE}\n"));
    let mut err = io::stderr().lock();
    write!(err, "{HOME}{text}{CLEAR_LINE}\n{CLEAR_BELOW}")?;
    err.flush()
}

fn line(state: &State, seconds: u64) -> String {
    format!(
        "{seconds:>4} s: {}; {:.0} reconciles/s; {} hand-overs; {:.1} % without a replica",
        state.states(),
        state.rates(),
        state.handovers,
        state.missing() * 100.0
    )
}

fn table(state: &State, seconds: u64) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["replica", "state", "ranges", "part", "objects", "reconciles/s", "memory"]);
    for replica in &state.replicas {
        let runs = !matches!(replica.state, Running::Killed | Running::Stopped);
        let shown = |text: String| if runs { text } else { String::new() };
        table.add_row([
            replica.name.clone(),
            replica.state.to_string(),
            shown(replica.held.iter().len().to_string()),
            shown(format!("{:.1} %", replica.held.fraction() * 100.0)),
            shown(replica.usage.objects.to_string()),
            shown(format!("{:.0}", replica.rate)),
            shown(replica.usage.rss.map_or_else(|| "-".to_owned(), mib)),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let faults: String =
        state.faults.iter().rev().take(5).rev().map(|(_, what)| format!("\n  {what}")).collect();
    format!("{table}\n{}{faults}", line(state, seconds))
}

/// `12.3 MiB`.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A bar for the creation of so many objects, which is drawn on a terminal only.
pub fn bar(objects: u32) -> ProgressBar {
    let bar = ProgressBar::new(objects.into());
    if let Ok(style) = ProgressStyle::with_template("creating objects {bar:30} {pos} of {len}") {
        bar.set_style(style);
    }
    bar
}
