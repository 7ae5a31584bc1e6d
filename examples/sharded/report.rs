//! What a replica reports to the parent: a line of JSON for each event, on its standard output.

use std::io::{self, Write as _};

use kube_informer::shard::Ranges;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    Work(Work),
    Share(Share),
    Usage(Usage),
}

/// A step of a reconcile.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    pub at: u64,
    pub step: Step,
    pub key: String,
    pub uid: String,
    /// The `resourceVersion` from which the reconcile began.
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Begin,
    /// A write has succeeded.
    Write,
    /// The reconcile has succeeded.
    End,
    /// The reconcile has returned an error.
    Failed,
    /// The reconcile was dropped before it ended.
    Aborted,
}

/// The ranges of a replica, each time they change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    pub at: u64,
    #[serde(serialize_with = "write_ranges", deserialize_with = "read_ranges")]
    pub held: Ranges,
}

/// Every second.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub at: u64,
    /// The number of cached objects.
    pub objects: usize,
    /// The number of reconciles since its start.
    pub reconciles: u64,
    /// The resident memory, in bytes.
    pub rss: Option<u64>,
    /// The CPU time since its start, in microseconds.
    pub cpu: u64,
    /// Whether the API server leaves out the objects of others; `None` if that is not known.
    pub filtered: Option<bool>,
}

/// The time of all processes of this machine, in microseconds: that of the system's monotonic clock.
pub fn now() -> u64 {
    micros(ClockId::Monotonic)
}

/// The CPU time of this process, in microseconds.
pub fn cpu() -> u64 {
    micros(ClockId::ProcessCPUTime)
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let of = |part: i64| u64::try_from(part).unwrap_or_default();
    of(time.tv_sec) * 1_000_000 + of(time.tv_nsec) / 1000
}

/// Prints a report. It is one write, so a process that is killed leaves no part of a line.
pub fn send(report: &Report) {
    let Ok(mut line) = serde_json::to_vec(report) else { return };
    line.push(b'\n');
    // Without a parent there is nobody to report to: `replica` ends then.
    let _gone = io::stdout().lock().write_all(&line);
}

fn write_ranges<S: Serializer>(ranges: &Ranges, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ranges)
}

fn read_ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ranges, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use kube_informer::shard::Range;

    use super::*;

    #[test]
    fn ranges_are_read_as_they_were_written() {
        let held: Ranges = [0, 2].into_iter().filter_map(|index| Range::of(index, 4)).collect();
        let line = serde_json::to_string(&Report::Share(Share { at: 7, held: held.clone() })).unwrap();
        match serde_json::from_str(&line) {
            Ok(Report::Share(read)) => assert_eq!((read.at, read.held), (7, held), "{line}"),
            other => panic!("{line}: {other:?}"),
        }
        assert!(serde_json::from_str::<Report>(&line.replace("0x", "")).is_err());
    }
}
