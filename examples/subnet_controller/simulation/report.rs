//! The result as text: a table of both modes, one sentence, and the errors.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};

use super::measured::{Measured, ratio};
use crate::cli::Mode;

/// A line of the table.
struct Row {
    name: &'static str,
    value: fn(&Measured) -> f64,
    print: fn(f64) -> String,
}

const ROWS: [Row; 10] = [
    Row { name: "reconciles / s", value: Measured::reconciles_per_second, print: thousands },
    Row { name: "API reads / reconcile", value: Measured::reads_per_reconcile, print: fraction },
    Row { name: "API writes / reconcile", value: Measured::writes_per_reconcile, print: fraction },
    Row {
        name: "reconcile without a write, mean",
        value: |m| m.without_write().as_secs_f64(),
        print: seconds,
    },
    Row { name: "handler time getting NADs", value: Measured::handler_share, print: percent },
    Row {
        name: "controller CPU getting NADs (1)",
        value: |measured| measured.cpu_share().unwrap_or(f64::NAN),
        print: percent,
    },
    Row { name: "queue depth, median", value: |measured| measured.median_depth() as f64, print: thousands },
    Row { name: "queue depth, max", value: |measured| measured.deepest as f64, print: thousands },
    Row { name: "change to status, p50 (2)", value: |m| m.latency_at(0.5).as_secs_f64(), print: seconds },
    Row { name: "change to status, p99 (2)", value: |m| m.latency_at(0.99).as_secs_f64(), print: seconds },
];

const NOTES: &str = "\
(1) The CPU time of one look-up, times the number of look-ups in the run, divided by the CPU time of the
    controller's threads in the run. The first is measured after the run, while nothing else runs. The threads of
    the API server and of the changes do not count.
(2) From the change inside the server until the response to the status patch, or, if there is nothing to write,
    until the end of the reconcile that saw the change. Changes reconciled while the queue drains are included.";

/// The table, with the notes it needs.
pub fn table(runs: &[Measured]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let both = pair(runs);
    let mut header = vec![String::new()];
    header.extend(runs.iter().map(|run| run.mode.to_string()));
    header.extend(both.map(|_| "direct / cached".to_owned()));
    table.set_header(header);
    for row in &ROWS {
        let mut cells = vec![row.name.to_owned()];
        cells.extend(runs.iter().map(|run| (row.print)((row.value)(run))));
        cells.extend(both.map(|(direct, cached)| times((row.value)(direct), (row.value)(cached))));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{NOTES}")
}

/// The result in one sentence.
pub fn sentence(runs: &[Measured]) -> Option<String> {
    let (direct, cached) = pair(runs)?;
    let change = thousands(ratio(cached.churn.changes as f64, cached.length.as_secs_f64()));
    let asks = match cached.reads_per_reconcile() {
        none if none < 0.005 => "no reads".to_owned(),
        some => format!("{} reads", fraction(some)),
    };
    Some(format!(
        "Result: at {change} changes a second, the median depth of the queue was {} with the cache and {} without. A \
         status followed its change in {} instead of {} (median). A reconcile got its NAD in {} instead of {}, and \
         sent {asks} instead of {} reads to the API server.",
        cached.median_depth(),
        direct.median_depth(),
        seconds(cached.latency_at(0.5).as_secs_f64()),
        seconds(direct.latency_at(0.5).as_secs_f64()),
        seconds(cached.nad_took().as_secs_f64()),
        seconds(direct.nad_took().as_secs_f64()),
        fraction(direct.reads_per_reconcile()),
    ))
}

/// A line about one run: its changes, and whether all statuses are right.
pub fn verdict(run: &Measured) -> String {
    let Measured { mode, churn, .. } = run;
    let mut line = format!(
        "{mode}: {} changes in {}",
        thousands(churn.changes as f64),
        seconds(run.length.as_secs_f64())
    );
    if churn.late > Duration::from_millis(100) {
        line += &format!(" (at most {} behind schedule)", seconds(churn.late.as_secs_f64()));
    }
    if run.failures > 0 {
        line += &format!(", {} failed reconciles retried", run.failures);
        line += &run.error.as_ref().map(|error| format!(" (the latest: {error})")).unwrap_or_default();
    }
    match (&run.checked, run.drained) {
        (None, _) => line + "; interrupted, so its statuses were not checked",
        (Some(checked), drained) => {
            line += &match drained {
                Some(took) => format!("; queue empty {} later", seconds(took.as_secs_f64())),
                None => "; the queue did NOT drain in time".to_owned(),
            };
            if checked.wrong.is_empty() {
                return line + &format!("; all {} statuses are right", checked.subnets);
            }
            let first: Vec<_> = checked.wrong.iter().take(5).map(String::as_str).collect();
            line + &format!(
                "; {} of {} statuses are WRONG, first: {}",
                checked.wrong.len(),
                checked.subnets,
                first.join(", ")
            )
        }
    }
}

fn pair(runs: &[Measured]) -> Option<(&Measured, &Measured)> {
    let of = |mode| runs.iter().find(|run| run.mode == mode);
    Some((of(Mode::Direct)?, of(Mode::Cached)?))
}

/// `12,345`; below 10, with one decimal unless whole.
pub fn thousands(number: f64) -> String {
    if number < 10.0 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn fraction(number: f64) -> String {
    format!("{number:.2}")
}

fn percent(share: f64) -> String {
    match share {
        unknown if unknown.is_nan() => "n/a".to_owned(),
        share if share >= 0.1 => format!("{:.0} %", share * 100.0),
        share => format!("{:.2} %", share * 100.0),
    }
}

/// A duration, in the unit that suits it.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 10.0 => format!("{long:.0} s"),
        long if long >= 1.0 => format!("{long:.1} s"),
        short if short >= 0.1 => format!("{:.0} ms", short * 1e3),
        short if short >= 1e-3 => format!("{:.1} ms", short * 1e3),
        short if short >= 1e-6 => format!("{:.1} us", short * 1e6),
        short => format!("{:.0} ns", short * 1e9),
    }
}

fn times(direct: f64, cached: f64) -> String {
    let ratio = direct / cached;
    match ratio {
        none if !none.is_finite() => "-".to_owned(),
        large if large >= 100.0 => format!("{}x", thousands(large)),
        large if large >= 10.0 => format!("{large:.0}x"),
        small => format!("{small:.2}x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::check::Checked;

    #[test]
    fn the_table_has_a_column_for_each_mode_and_their_ratio() {
        let table = table(&[Measured::example(Mode::Direct, 10_000), Measured::example(Mode::Cached, 100)]);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.contains(name)).unwrap();
            line.trim_matches('│')
                .trim()
                .trim_start_matches(name)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(row("reconciles / s"), "1,000 1,000 1.00x");
        assert_eq!(row("API reads / reconcile"), "1.00 0.01 100x");
        assert_eq!(row("handler time getting NADs"), "25 % 25 % 1.00x");
        assert_eq!(row("controller CPU getting NADs (1)"), "25 % 25 % 1.00x");
        assert_eq!(row("reconcile without a write, mean"), "2.0 ms 2.0 ms 1.00x");
        assert_eq!(row("queue depth, median"), "5 5 1.00x");
        assert_eq!(row("queue depth, max"), "12 12 1.00x");
        assert_eq!(row("change to status, p99 (2)"), "2.0 ms 2.0 ms 1.00x");
    }

    #[test]
    fn one_mode_alone_has_no_ratio_and_no_sentence() {
        let runs = [Measured::example(Mode::Cached, 0)];
        assert!(!table(&runs).contains("direct / cached"));
        assert_eq!(sentence(&runs), None);
    }

    #[test]
    fn a_wrong_status_is_named() {
        let mut run = Measured::example(Mode::Cached, 0);
        assert!(verdict(&run).ends_with("all 500 statuses are right"), "{}", verdict(&run));
        run.checked = Some(Checked { subnets: 500, wrong: vec!["subnet-00007".into()] });
        assert!(
            verdict(&run).ends_with("1 of 500 statuses are WRONG, first: subnet-00007"),
            "{}",
            verdict(&run)
        );
        run.checked = None;
        assert!(verdict(&run).contains("interrupted"));
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(
            [999.0, 1000.0, 1_234_567.0, 0.0, 2.5, 7.0].map(thousands),
            ["999", "1,000", "1,234,567", "0", "2.5", "7"]
        );
        assert_eq!(
            [12.0, 1.25, 0.131, 0.0012, 3.4e-6, 57e-9].map(seconds),
            ["12 s", "1.2 s", "131 ms", "1.2 ms", "3.4 us", "57 ns"]
        );
        assert_eq!(
            (percent(0.42), percent(0.0012), percent(f64::NAN)),
            ("42 %".into(), "0.12 %".into(), "n/a".into())
        );
    }
}
