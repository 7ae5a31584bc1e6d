//! What the Leases of a group cost the API server, and each member.

use std::time::Instant;

use comfy_table::Table;

use crate::member::rolling::{self, shares};

/// The bytes of a Lease in a watch, without the texts of its ranges: measured on a kube-apiserver 1.36. 420 of them are
/// `managedFields`.
const LEASE_BYTES: usize = 1000;
/// The bytes of one range in the URL of a list.
const URL_BYTES: usize = 80;

pub(crate) fn table(groups: &[(usize, u16)]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "replicas, slots",
        "ranges of a share",
        "bytes of a Lease",
        "bytes of a URL",
        "Lease",
        "writes/s",
        "events/s, all watches",
        "MB/s",
        "one assignment",
    ]);
    for &(replicas, slots) in groups {
        let begun = Instant::now();
        let share = rolling::first_share(replicas, slots);
        let assignment = begun.elapsed();
        let shares = shares(replicas, slots);
        let ranges = shares.iter().map(|share| share.iter().len()).max().unwrap_or_default();
        let texts = shares.iter().map(|share| share.to_string().len()).sum::<usize>() / replicas;
        assert!(!share.is_empty() || usize::from(slots) < replicas);
        for lease in [15.0, 60.0, 300.0] {
            let writes = replicas as f64 / (lease * 2.0 / 15.0);
            let events = writes * replicas as f64;
            table.add_row([
                format!("{replicas}, {slots}"),
                ranges.to_string(),
                (LEASE_BYTES + texts).to_string(),
                (ranges * URL_BYTES).to_string(),
                format!("{lease} s"),
                format!("{writes:.0}"),
                format!("{events:.0}"),
                format!("{:.1}", events * (LEASE_BYTES + texts) as f64 / 1e6),
                format!("{:.1} ms", assignment.as_secs_f64() * 1e3),
            ]);
        }
    }
    table
}
