//! The table, the bars, and what took long.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;

use super::{
    consumer::{Consumer, Lists, Maker},
    object::Difference,
    traffic::{Asked, Counts},
    view::{Lags, Slow},
};

/// What came of a run.
pub(crate) struct Report {
    pub(super) seed: u64,
    pub(super) length: Duration,
    pub(super) writes: u64,
    pub(super) start: Instant,
    pub(super) happened: Vec<Happened>,
    pub(super) rows: Vec<Row>,
}

/// A fault, or what happened to the server.
pub(super) struct Happened {
    pub(super) from: Instant,
    pub(super) to: Instant,
    pub(super) what: String,
}

/// What came of a consumer.
pub(super) struct Row {
    name: &'static str,
    maker: Maker,
    lists: Lists,
    kinds: u64,
    lags: Lags,
    slow: Vec<Slow>,
    counts: Counts,
    phases: Vec<(Instant, String)>,
    difference: Difference,
}

/// The last is the longest.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];
/// Faster than this is fast enough, whatever others do.
const FAST: Duration = Duration::from_millis(100);
/// Two that see the same thing at the same time do not run at the same time.
const NOISE: Duration = Duration::from_millis(50);
/// Requests for each of the other's.
const REQUESTS: f64 = 1.5;
/// Most phases and requests that are printed of one stretch of time.
const LINES: usize = 12;

// === impl Row ===

impl Row {
    pub(super) fn of(consumer: &Consumer, difference: Difference) -> Self {
        let mut lags = consumer.views[0].lags();
        for view in &consumer.views[1..] {
            lags.add(&view.lags());
        }
        Self {
            name: consumer.name,
            maker: consumer.maker,
            lists: consumer.lists,
            kinds: consumer.kinds,
            lags,
            slow: consumer.views.iter().flat_map(|view| view.slow()).collect(),
            counts: consumer.traffic.counts(),
            phases: consumer.phases.all(),
            difference,
        }
    }

    /// Stretches of time in which something was late, one after the other.
    fn late(&self) -> Vec<Slow> {
        let mut slow = self.slow.clone();
        slow.sort_by_key(|slow| slow.from);
        let mut late: Vec<Slow> = Vec::new();
        for next in slow {
            match late.last_mut() {
                Some(last) if next.from <= last.to => last.to = last.to.max(next.to),
                _ => late.push(next),
            }
        }
        late
    }
}

// === impl Report ===

impl Report {
    /// Whether each consumer holds what exists, and has heard of it without contradiction.
    pub(crate) fn is_correct(&self) -> bool {
        self.rows.iter().all(|row| row.difference.is_none())
    }

    /// Lags are in seconds. Where nothing got through to anybody, being late is no consumer's doing, and that is more
    /// than a tenth of the time; so `own` leaves it out. `wrong` counts changes that contradict the state before them.
    pub(crate) fn table(&self) -> String {
        let blows = self.happened.iter().filter(|one| one.what.contains("killed")).count();
        let mut text = format!(
            "seed {}: {} s, {} writes ({:.0}/s), {} faults, {blows} kills\n",
            self.seed,
            self.length.as_secs(),
            self.writes,
            self.writes as f64 / self.length.as_secs_f64(),
            self.happened.len() - blows,
        );
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "consumer",
            "p50",
            "p90",
            "p99",
            "max",
            "own p50",
            "own p90",
            "own p99",
            "own max",
            "seen",
            "requests",
            "lists",
            "watches",
            "unanswered",
            "missing",
            "extra",
            "stale",
            "wrong",
        ]);
        for row in &self.rows {
            let Difference { missing, extra, stale, contradictions } = row.difference;
            let lags = [&row.lags.all, &row.lags.own]
                .map(|lags| QUANTILES.map(|quantile| seconds(lag(lags, quantile))));
            let counts = &row.counts;
            let numbers = [row.lags.all.len(), counts.requests, counts.lists, counts.watches, counts.failed];
            let numbers = numbers.into_iter().chain([missing, extra, stale, contradictions]);
            let cells = lags.into_iter().flatten().chain(numbers.map(|number| number.to_string()));
            table.add_row(std::iter::once(row.name.to_owned()).chain(cells));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        text += &table.trim_fmt();
        text.push('\n');
        text
    }

    /// Each informer beside the reflector that lists in the same way: p50 and p90 of its own lags at most half of the
    /// other's, p99 and max of all not above it, and at most 1.5 times the requests.
    pub(crate) fn bars(&self) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|row| row.maker == Maker::Ours) {
            let theirs = |other: &&Row| other.maker == Maker::KubeRuntime && other.lists == row.lists;
            let Some(other) = self.rows.iter().find(theirs) else { continue };
            let mut missed = Vec::new();
            let mut bar = |name: &str, met: bool, figures: String| {
                if !met {
                    missed.push(format!("{name} {figures}"));
                }
            };
            let mut below = |name: &str, mine: Duration, most: Duration| {
                bar(name, mine <= most, format!("{} s, bar {} s", seconds(mine), seconds(most)));
            };
            for (name, quantile) in [("own p50", 0.5), ("own p90", 0.9)] {
                let half = lag(&other.lags.own, quantile) / 2;
                below(name, lag(&row.lags.own, quantile), half.max(FAST));
            }
            for (name, quantile) in [("p99", 0.99), ("max", 1.0)] {
                below(name, lag(&row.lags.all, quantile), lag(&other.lags.all, quantile) + NOISE);
            }
            let (requests, most) = (row.counts.requests as f64, other.counts.requests as f64 * REQUESTS);
            let requests = requests / row.kinds as f64;
            bar("requests", requests <= most, format!("{requests:.0} a kind, bar {most:.0}"));
            let verdict = if missed.is_empty() { "met".to_owned() } else { missed.join("; ") };
            let _ = writeln!(text, "{:<24} beside {:<24} {verdict}", row.name, other.name);
        }
        text
    }

    /// The faults while a consumer received writes late.
    pub(crate) fn late(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for late in row.late() {
                let _ = writeln!(
                    text,
                    "{}: {} to {}, late by {} s",
                    row.name,
                    self.at(late.from),
                    self.at(late.to),
                    seconds(late.to - late.from)
                );
                let within = |from: Instant, to: Instant| from <= late.to && to >= late.from;
                for one in self.happened.iter().filter(|one| within(one.from, one.to)) {
                    let _ = writeln!(
                        text,
                        "    fault   {} to {} {}",
                        self.at(one.from),
                        self.at(one.to),
                        one.what
                    );
                }
                let since = row.phases.iter().rposition(|(at, _)| *at <= late.from).unwrap_or(0);
                let phases = row.phases[since..].iter().take_while(|(at, _)| *at <= late.to).collect();
                for (at, phase) in last(phases) {
                    let _ = writeln!(text, "    phase   {} {phase}", self.at(*at));
                }
                let asked = row.counts.log.iter().filter(|asked| within(asked.at, asked.answered)).collect();
                for Asked { at, answered, what, code } in last(asked) {
                    let code = code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                    let _ = writeln!(
                        text,
                        "    request {} to {} {what}: {code}",
                        self.at(*at),
                        self.at(*answered)
                    );
                }
            }
        }
        text
    }

    /// Seconds since the start.
    fn at(&self, at: Instant) -> String {
        format!("{:.2}", at.saturating_duration_since(self.start).as_secs_f64())
    }
}

/// The last ones tell of the way back.
fn last<V>(mut all: Vec<V>) -> Vec<V> {
    all.split_off(all.len().saturating_sub(LINES))
}

fn lag(lags: &Histogram<u64>, quantile: f64) -> Duration {
    Duration::from_micros(lags.value_at_quantile(quantile))
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}
