//! How long a range is without a worker, and a step of a rolling update takes.

use comfy_table::Table;

/// A write, and until a watch shows it.
const ROUND: f64 = 0.02;
/// Until the keys that are reconciled have finished.
const FINISH: f64 = 1.0;
/// To list and decode an object: an earlier measurement, on a real API server.
const LIST: f64 = 11e-6;
/// From the start of a Pod until its member joins.
const START: f64 = 10.0;
const RENEW: f64 = 2.0 / 15.0;

pub(crate) fn table(groups: &[(usize, u16)], objects: f64) -> Table {
    let mut table = Table::new();
    table.set_header([
        "replicas",
        "objects in a share",
        "list of a share",
        "without a worker, handed over",
        "without a worker, killed",
        "one replica replaced",
        "all, one by one",
    ]);
    let mut done = Vec::new();
    for &(replicas, _) in groups {
        if done.contains(&replicas) {
            continue;
        }
        done.push(replicas);
        let share = objects / replicas as f64;
        let list = share * LIST;
        // The keys finish, and two writes are seen: that of the release, and that of the claim.
        let handed_over = FINISH + 2.0 * ROUND;
        // The Lease ends, as of the last renewal but one of the new member, which lists meanwhile; then it claims.
        let killed = |lease: f64| lease + (2.0 * RENEW * lease).max(list) + ROUND;
        // It joins, lists, waits and takes over; then the old one hands over.
        let step = START + 2.0 * (ROUND + list + ROUND + handed_over);
        table.add_row([
            replicas.to_string(),
            format!("{share:.0}"),
            format!("{list:.2} s"),
            format!("{handed_over:.2} s"),
            format!("{:.0} s; {:.0} s with a Lease of 60 s", killed(15.0), killed(60.0)),
            format!("{step:.0} s"),
            format!("{:.0} min", step * replicas as f64 / 60.0),
        ]);
    }
    table
}
