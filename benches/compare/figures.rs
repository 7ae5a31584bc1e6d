//! What was measured, by id: `area/op/n/peer`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

pub(crate) const OURS: &str = "kube-informer";

/// The figures of all runs.
#[derive(Default)]
pub(crate) struct Figures {
    /// By what is compared.
    by_what: BTreeMap<What, BTreeMap<String, Vec<Run>>>,
    /// The machine and the versions, by name.
    pub(crate) about: Vec<(String, String)>,
}

/// What peers are compared in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct What {
    pub(crate) area: String,
    pub(crate) op: String,
    pub(crate) n: u64,
}

/// Medians of one process by name, and the first figure of each round.
struct Run {
    medians: BTreeMap<String, f64>,
    rounds: Vec<f64>,
}

impl Figures {
    pub(crate) fn parse(lines: &str) -> anyhow::Result<Self> {
        let mut figures = Self::default();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
            figures.add(&value).with_context(|| format!("no figure: {line}"))?;
        }
        Ok(figures)
    }

    fn add(&mut self, line: &Value) -> Option<()> {
        if let Some(about) = line["about"].as_str() {
            self.about.push((about.to_owned(), line["is"].as_str()?.to_owned()));
            return Some(());
        }
        let mut id = line["id"].as_str()?.splitn(4, '/');
        let (area, op, n) = (id.next()?.to_owned(), id.next()?.to_owned(), id.next()?.parse().ok()?);
        let peer = id.next()?.to_owned();
        let rounds = line["rounds"].as_array()?.iter().filter_map(Value::as_f64).collect();
        let medians =
            line.as_object()?.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        let run = Run { medians: medians.collect(), rounds };
        self.by_what.entry(What { area, op, n }).or_default().entry(peer).or_default().push(run);
        Some(())
    }

    pub(crate) fn len(&self) -> usize {
        self.by_what.values().map(BTreeMap::len).sum()
    }

    /// What was measured in an area, by operation and size.
    pub(crate) fn of<'a>(&'a self, area: &'a str) -> impl Iterator<Item = &'a What> {
        self.by_what.keys().filter(move |what| what.area == area)
    }

    /// Ours first.
    pub(crate) fn peers(&self, what: &What) -> Vec<&str> {
        let mut peers: Vec<_> = self.by_what[what].keys().map(String::as_str).collect();
        peers.sort_by_key(|peer| *peer != OURS);
        peers
    }

    /// The median of the runs.
    pub(crate) fn get(&self, what: &What, peer: &str, name: &str) -> Option<f64> {
        let runs = self.by_what.get(what)?.get(peer)?;
        median(runs.iter().filter_map(|run| run.medians.get(name).copied()).collect())
    }

    /// The figure of each run.
    pub(crate) fn runs(&self, what: &What, peer: &str, name: &str) -> Vec<f64> {
        let runs = self.by_what.get(what).and_then(|peers| peers.get(peer)).into_iter().flatten();
        runs.filter_map(|run| run.medians.get(name).copied()).collect()
    }

    /// How many times our figure this peer has: the median of the ratios within each round, if both took turns in
    /// the same processes, and else the ratio of the medians.
    pub(crate) fn ratio(&self, what: &What, peer: &str, name: &str) -> Option<f64> {
        let peers = self.by_what.get(what)?;
        let (theirs, ours) = (peers.get(peer)?, peers.get(OURS)?);
        let in_turn = theirs.len() == ours.len()
            && theirs.iter().zip(ours).all(|(theirs, ours)| {
                theirs.rounds.len() == ours.rounds.len()
                    && theirs.is_first(name)
                    && ours.is_first(name)
                    && !ours.rounds.is_empty()
            });
        if !in_turn || is_in_go(peer) {
            return Some(self.get(what, peer, name)? / self.get(what, OURS, name)?);
        }
        let rounds =
            theirs.iter().zip(ours).flat_map(|(theirs, ours)| theirs.rounds.iter().zip(&ours.rounds));
        median(rounds.map(|(theirs, ours)| theirs / ours).collect())
    }
}

impl Run {
    /// Whether the figures of the rounds are these.
    fn is_first(&self, name: &str) -> bool {
        let of_rounds = median(self.rounds.clone());
        of_rounds.is_some() && of_rounds == self.medians.get(name).copied()
    }
}

/// Go's peers have a process of their own.
fn is_in_go(peer: &str) -> bool {
    matches!(peer, "client-go" | "controller-runtime" | "statedb")
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"
        {"id": "write/2-index/1000/kube-informer", "ns": 10.0, "rounds": [10.0, 5.0, 20.0]}
        {"id": "write/2-index/1000/rpds", "ns": 20.0, "rounds": [20.0, 15.0, 60.0]}
        {"id": "write/2-index/1000/statedb", "ns": 25.0, "rounds": [25.0, 25.0, 25.0]}
        {"id": "write/2-index/1000/stalled", "ns": null, "rounds": [null]}
    "#;

    #[test]
    fn ratios_are_those_within_rounds_or_of_medians() {
        let figures = Figures::parse(LINES).unwrap();
        let what = figures.of("write").next().unwrap().clone();
        assert_eq!(figures.peers(&what)[0], OURS);
        // Within the rounds 2, 3 and 3; of the medians 2.
        assert_eq!(figures.ratio(&what, "rpds", "ns"), Some(3.0));
        assert_eq!(figures.ratio(&what, "statedb", "ns"), Some(2.5));
        assert_eq!(figures.ratio(&what, "stalled", "ns"), None);
    }

    #[test]
    fn what_is_no_figure_is_an_error() {
        assert!(Figures::parse("not JSON").is_err());
        assert!(Figures::parse(r#"{"id": "write/2-index", "ns": 1.0, "rounds": []}"#).is_err());
    }
}
