//! Tables of the figures, as Markdown.

use std::collections::BTreeSet;

use crate::figures::{Figures, OURS, What};

/// One table: the operations of an area, and one figure of each peer.
pub(crate) struct Table {
    pub(crate) area: &'static str,
    pub(crate) title: &'static str,
    /// The name of the figure.
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    /// Operations of other figures are left out.
    pub(crate) ops: fn(&str) -> bool,
}

const fn table(area: &'static str, title: &'static str, figure: &'static str, unit: &'static str) -> Table {
    Table { area, title, figure, unit, ops: |_| true }
}

pub(crate) const ALL: [Table; 18] = [
    table("lookup", "Look-ups, whole objects", "ns", "ns"),
    table("lookup-projected", "Look-ups, a projection of 64 bytes", "ns", "ns"),
    table("write", "Updates, with freeing", "ns", "ns"),
    table("ingest", "From bytes to snapshots, for each object", "ns", "ns"),
    table("relist", "Lists of cached objects", "ms", "ms"),
    table("relist", "Reads during such a list, p99.9", "read_p999_ns", "ns"),
    table("relist", "Reads during such a list, the longest", "read_max_us", "us"),
    table("subscribe", "One change, for each subscriber", "ns", "ns"),
    Table {
        ops: |op| op.ends_with("-index") || op.starts_with("pinned"),
        ..table("memory", "Memory for each object, beside the object", "bytes", "bytes")
    },
    Table {
        ops: |op| op.starts_with("relist"),
        ..table("memory", "Peak of a list where all has changed", "peak", "times the bytes before")
    },
    table("sync", "Real API server: from the start of the process to all objects", "s", "s"),
    table("sync", "Real API server: CPU time until then", "cpu_s", "s"),
    table("sync", "Real API server: resident memory at most", "peak_mib", "MiB"),
    table("sync", "Real API server: resident memory at rest", "rest_mib", "MiB"),
    table("sync", "Real API server: of which not of the program's file", "heap_mib", "MiB"),
    table("sync", "Real API server: CPU time for each event", "cpu_us", "us"),
    table("sync", "Real API server: from the write to the handler, median", "p50_ms", "ms"),
    table("sync", "Real API server: from the write to the handler, p99", "p99_ms", "ms"),
];

/// The rows: our figure, and how many times as much the peers need.
pub(crate) fn markdown(figures: &Figures, table: &Table) -> Option<String> {
    let has = |what: &What, peer: &str| figures.get(what, peer, table.figure).is_some();
    let rows: Vec<&What> = figures
        .of(table.area)
        .filter(|what| (table.ops)(&what.op) && figures.peers(what).iter().any(|peer| has(what, peer)))
        .collect();
    let peers: BTreeSet<&str> = rows
        .iter()
        .flat_map(|what| figures.peers(what).into_iter().filter(|peer| *peer != OURS && has(what, peer)))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut text = format!("| {} | n | {OURS}, {} |", table.area, table.unit);
    text.extend(peers.iter().map(|peer| format!(" {peer} |")));
    text.push_str("\n|---|---|---|");
    text.extend(peers.iter().map(|_| "---|"));
    for what in rows {
        let ours = figures.get(what, OURS, table.figure);
        text.push_str(&format!(
            "\n| `{}` | {} | {} |",
            what.op,
            what.n,
            ours.map_or_else(String::new, digits)
        ));
        for peer in &peers {
            let cell = match (ours, figures.ratio(what, peer, table.figure)) {
                (Some(_), Some(ratio)) => format!(" {ratio:.2} |"),
                (None, _) if has(what, peer) => {
                    format!(" {} {} |", digits(figures.get(what, peer, table.figure)?), table.unit)
                }
                _ if figures.peers(what).contains(peer) => " stalls |".to_owned(),
                _ => " |".to_owned(),
            };
            text.push_str(&cell);
        }
    }
    text.push('\n');
    Some(text)
}

/// No caches, but the least that the work of any takes.
const LEAST: [&str; 2] = ["vec", "channel"];

/// Where a peer needs less than we do, the worst first.
pub(crate) fn lost(figures: &Figures) -> Vec<(f64, String)> {
    let mut lost = Vec::new();
    for table in &ALL {
        for what in figures.of(table.area).filter(|what| (table.ops)(&what.op)) {
            for peer in figures.peers(what) {
                if peer.starts_with(OURS) || LEAST.contains(&peer) {
                    continue;
                }
                if let Some(ratio) = figures.ratio(what, peer, table.figure).filter(|ratio| *ratio < 1.0) {
                    let What { area, op, n } = what;
                    let line = format!("`{area}/{op}/{n}`, {}: {peer}", table.figure);
                    lost.push((1.0 / ratio, line));
                }
            }
        }
    }
    lost.sort_by(|a, b| b.0.total_cmp(&a.0));
    lost
}

/// Three digits or more.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_our_figure_and_ratios() {
        let lines = r#"
            {"id": "subscribe/stuck/10/kube-informer", "ns": 10.0, "rounds": [10.0]}
            {"id": "subscribe/stuck/10/kube-runtime", "ns": null, "changes": 256.0, "rounds": [null]}
            {"id": "subscribe/change/10/kube-informer", "ns": 10.0, "rounds": [10.0]}
            {"id": "subscribe/change/10/kube-runtime", "ns": 5.0, "rounds": [5.0]}
        "#;
        let figures = Figures::parse(lines).unwrap();
        let table = ALL.iter().find(|table| table.area == "subscribe").unwrap();
        let text = markdown(&figures, table).unwrap();
        assert!(text.contains("| `change` | 10 | 10.0 | 0.50 |"), "{text}");
        assert!(text.contains("| `stuck` | 10 | 10.0 | stalls |"), "{text}");
        let lost = lost(&figures);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].0 == 2.0 && lost[0].1.contains("subscribe/change/10"), "{lost:?}");
    }
}
