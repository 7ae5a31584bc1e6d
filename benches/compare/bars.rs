//! What this crate is measured against: for each goal the figure of each run, the worst first.

use crate::figures::{Figures, OURS, What};
use crate::tables::digits;

/// A goal: one of our figures is at most `limit`, or at most `limit` times another figure of the same run.
struct Bar {
    goal: &'static str,
    /// `area/op/n/peer`.
    ours: &'static str,
    figure: &'static str,
    of: Option<&'static str>,
    limit: f64,
}

const fn at_most(goal: &'static str, ours: &'static str, figure: &'static str, limit: f64) -> Bar {
    Bar { goal, ours, figure, of: None, limit }
}

const fn times(
    goal: &'static str,
    ours: &'static str,
    figure: &'static str,
    of: &'static str,
    limit: f64,
) -> Bar {
    Bar { goal, ours, figure, of: Some(of), limit }
}

const UPDATE: &str = "write/2-index/100000/kube-informer";
const EVENT: &str = "ingest/event-whole/100000/kube-runtime";
const LIST: &str = "ingest/list-whole/100000/kube-runtime";
const TOGETHER: &str = "sync/together/50000/kube-runtime-streaming";
const SYNC: &str = "sync/updates/50000/kube-runtime-streaming";

const ALL: [Bar; 43] = [
    at_most("one update, 2 indexes, ns", UPDATE, "ns", 3000.0),
    at_most(
        "an update in batches of 256, 2 indexes, ns",
        "write/2-index-256/100000/kube-informer",
        "ns",
        1500.0,
    ),
    times("an update with 4 indexes, of one with 2", "write/4-index/100000/kube-informer", "ns", UPDATE, 1.5),
    times(
        "an update of 1,000,000 objects, of 100,000",
        "write/2-index/1000000/kube-informer",
        "ns",
        UPDATE,
        2.0,
    ),
    times("event from bytes, of kube-runtime's", "ingest/event-whole/100000/kube-informer", "ns", EVENT, 1.0),
    times(
        "event, projected, of kube-runtime's",
        "ingest/event-projected/100000/kube-informer",
        "ns",
        EVENT,
        0.6,
    ),
    times(
        "event, projected from text, of kube-runtime's",
        "ingest/event-decoded/100000/kube-informer",
        "ns",
        EVENT,
        0.6,
    ),
    times(
        "event, metadata only, of kube-runtime's",
        "ingest/event-metadata/100000/kube-informer",
        "ns",
        EVENT,
        0.5,
    ),
    times("first list, of kube-runtime's", "ingest/list-whole/100000/kube-informer", "ns", LIST, 1.0),
    times(
        "first list, projected, of kube-runtime's",
        "ingest/list-projected/100000/kube-informer",
        "ns",
        LIST,
        0.6,
    ),
    times(
        "first list, projected from text, of kube-runtime's",
        "ingest/list-decoded/100000/kube-informer",
        "ns",
        LIST,
        0.6,
    ),
    times(
        "first list, metadata only, of kube-runtime's",
        "ingest/list-metadata/100000/kube-informer",
        "ns",
        LIST,
        0.5,
    ),
    times(
        "real server: CPU of an event, of kube-runtime's",
        "sync/updates/50000/kube-informer",
        "cpu_us",
        SYNC,
        1.0,
    ),
    times(
        "real server: CPU of an event, projected, of kube-runtime's",
        "sync/updates/50000/kube-informer-projected",
        "cpu_us",
        SYNC,
        0.7,
    ),
    times(
        "real server: CPU of an event, projected from text, of kube-runtime's",
        "sync/updates/50000/kube-informer-decoded",
        "cpu_us",
        SYNC,
        0.7,
    ),
    times(
        "real server: latency, median, of kube-runtime's",
        "sync/updates/50000/kube-informer",
        "p50_ms",
        SYNC,
        1.0,
    ),
    times(
        "real server: latency of the same changes, median, of kube-runtime's",
        "sync/together/50000/kube-informer",
        "p50_ms",
        TOGETHER,
        1.0,
    ),
    times(
        "real server: latency of the same changes, p99, of kube-runtime's",
        "sync/together/50000/kube-informer",
        "p99_ms",
        TOGETHER,
        1.0,
    ),
    times(
        "real server: latency, p99, of kube-runtime's",
        "sync/updates/50000/kube-informer",
        "p99_ms",
        SYNC,
        1.0,
    ),
    times(
        "a change for each of 1,000 subscribers, of kube-runtime's",
        "subscribe/change/1000/kube-informer",
        "ns",
        "subscribe/change/1000/kube-runtime",
        1.0,
    ),
    at_most("1,000 subscribers, median, us", "subscribe/change/1000/kube-informer", "p50_us", 500.0),
    times(
        "1,000 subscribers of which one is stuck, of none",
        "subscribe/stuck/1000/kube-informer",
        "ns",
        "subscribe/change/1000/kube-informer",
        1.1,
    ),
    at_most("wake-up of one subscriber, ns", "subscribe/wake/1/kube-informer", "ns", 10_000.0),
    times(
        "get, of a bare table",
        "lookup/get_hit/100000/kube-informer",
        "ns",
        "lookup/get_hit/100000/hashbrown",
        1.4,
    ),
    times(
        "get, dependent, of a bare table",
        "lookup/get_hit_dependent/100000/kube-informer",
        "ns",
        "lookup/get_hit_dependent/100000/hashbrown",
        1.2,
    ),
    times(
        "get of no object, of a bare table",
        "lookup/get_miss/100000/kube-informer",
        "ns",
        "lookup/get_miss/100000/hashbrown",
        1.5,
    ),
    at_most("64 objects of an index, ns", "lookup/index_hit_64/100000/kube-informer", "ns", 600.0),
    times(
        "get, projected, of a bare table",
        "lookup-projected/get_hit/100000/kube-informer",
        "ns",
        "lookup-projected/get_hit/100000/hashbrown",
        1.4,
    ),
    times(
        "get, dependent, projected, of a bare table",
        "lookup-projected/get_hit_dependent/100000/kube-informer",
        "ns",
        "lookup-projected/get_hit_dependent/100000/hashbrown",
        1.2,
    ),
    times(
        "get of no object, projected, of a bare table",
        "lookup-projected/get_miss/100000/kube-informer",
        "ns",
        "lookup-projected/get_miss/100000/hashbrown",
        1.5,
    ),
    at_most(
        "64 projected objects of an index, ns",
        "lookup-projected/index_hit_64/100000/kube-informer",
        "ns",
        600.0,
    ),
    at_most("memory beside an object, 1 index, bytes", "memory/1-index/100000/kube-informer", "bytes", 120.0),
    at_most(
        "memory beside an object, 2 indexes, bytes",
        "memory/2-index/100000/kube-informer",
        "bytes",
        128.0,
    ),
    at_most(
        "memory beside an object, 4 indexes, bytes",
        "memory/4-index/100000/kube-informer",
        "bytes",
        144.0,
    ),
    at_most(
        "peak of a paged list where all changed, times",
        "memory/relist-paged/20000/kube-informer",
        "peak",
        1.5,
    ),
    at_most(
        "read during a list where all changed, p99.9, ns",
        "relist/all/100000/kube-informer",
        "read_p999_ns",
        2000.0,
    ),
    at_most(
        "real server: memory at most, 50,000 objects, MiB",
        "sync/list/50000/kube-informer",
        "peak_mib",
        100.0,
    ),
    at_most(
        "real server: memory at most, projected, MiB",
        "sync/list/50000/kube-informer-projected",
        "peak_mib",
        20.0,
    ),
    at_most(
        "real server: memory at most, projected from text, MiB",
        "sync/list/50000/kube-informer-decoded",
        "peak_mib",
        20.0,
    ),
    times(
        "real server: seconds to all objects, of kube-runtime's",
        "sync/list/50000/kube-informer",
        "s",
        "sync/list/50000/kube-runtime-streaming",
        1.0,
    ),
    times(
        "get under kube-runtime's",
        "lookup/get_hit/100000/kube-informer",
        "ns",
        "lookup/get_hit/100000/kube-store",
        1.0,
    ),
    times(
        "64 objects of an index, of client-go's",
        "lookup/index_hit_64/100000/kube-informer",
        "ns",
        "lookup/index_hit_64/100000/client-go",
        1.0,
    ),
    times(
        "longest read during a list, of kube-runtime's",
        "relist/all/100000/kube-informer",
        "read_max_us",
        "relist/all/100000/kube-store",
        1.0,
    ),
];

/// The table. Goals that were not measured are left out.
pub(crate) fn markdown(figures: &Figures) -> Option<String> {
    let mut rows: Vec<(f64, String)> = ALL.iter().filter_map(|bar| bar.row(figures)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    if rows.is_empty() {
        return None;
    }
    let mut text = String::from("| goal | at most | runs, the worst first | |\n|---|---|---|---|\n");
    rows.iter().for_each(|(_, row)| text.push_str(row));
    Some(text)
}

impl Bar {
    /// How many times the limit the median of the runs is, and the row.
    fn row(&self, figures: &Figures) -> Option<(f64, String)> {
        let ours = values(figures, self.ours, self.figure)?;
        let mut runs: Vec<f64> = match self.of {
            None => ours,
            Some(of) => {
                let of = values(figures, of, self.figure)?;
                ours.iter().zip(of).map(|(ours, of)| ours / of).collect()
            }
        };
        runs.sort_by(|a, b| b.total_cmp(a));
        let median = *runs.get(runs.len() / 2)?;
        let measured: Vec<String> = runs.iter().map(|run| digits(*run)).collect();
        let verdict = if median <= self.limit { "met" } else { "missed" };
        let row =
            format!("| {} | {} | {} | {verdict} |\n", self.goal, digits(self.limit), measured.join(", "));
        Some((median / self.limit, row))
    }
}

/// The figure of each run.
fn values(figures: &Figures, id: &str, figure: &str) -> Option<Vec<f64>> {
    let mut parts = id.splitn(4, '/');
    let (area, op, n) = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.parse().ok()?);
    let values = figures.runs(&What { area, op, n }, parts.next().unwrap_or(OURS), figure);
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_median_of_its_runs() {
        let lines = r#"
            {"id": "write/2-index/100000/kube-informer", "ns": 2000.0, "rounds": []}
            {"id": "write/2-index/100000/kube-informer", "ns": 4000.0, "rounds": []}
            {"id": "write/2-index/100000/kube-informer", "ns": 3100.0, "rounds": []}
            {"id": "write/4-index/100000/kube-informer", "ns": 2000.0, "rounds": []}
            {"id": "write/4-index/100000/kube-informer", "ns": 4000.0, "rounds": []}
            {"id": "write/4-index/100000/kube-informer", "ns": 6200.0, "rounds": []}
        "#;
        let text = markdown(&Figures::parse(lines).unwrap()).unwrap();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| one update, 2 indexes, ns | 3000 | 4000, 3100, 2000 | missed |",
                "| an update with 4 indexes, of one with 2 | 1.50 | 2.00, 1.00, 1.00 | met |",
            ]
        );
        assert_eq!(markdown(&Figures::default()), None);
    }

    #[test]
    fn every_id_has_four_parts() {
        for bar in &ALL {
            for id in [Some(bar.ours), bar.of].into_iter().flatten() {
                assert_eq!(id.split('/').count(), 4, "{id}");
            }
        }
    }
}
