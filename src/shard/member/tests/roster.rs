//! Who is live, as one member sees it.

use std::time::Duration;

use tokio::time::Instant;

use crate::ObjectKey;
use crate::index::IndexSet;
use crate::shard::member::assign::Identity;
use crate::shard::member::record::{MOST_SLOTS, Record, Said};
use crate::shard::member::roster::Roster;
use crate::shard::{Range, Ranges};
use crate::snapshot::Snapshot;

const LEASE: Duration = Duration::from_secs(15);

fn record(name: &str, renewal: u64) -> Record {
    Record {
        identity: Some(Identity { name: name.to_owned(), run: "1".to_owned() }),
        duration: LEASE,
        slots: 128,
        renewal,
        said: Said { held: Range::ALL.into(), ..Said::default() },
        is_readable: true,
    }
}

/// Each call has other versions than the last.
fn leases(call: usize, records: &[Record]) -> Snapshot<Record> {
    let older = (0..call).map(|number| (format!("older-{number}"), record("", 0)));
    let records = records.iter().map(|record| (record.identity.clone().unwrap().name, record.clone()));
    let objects = older.chain(records).map(|(name, record)| (ObjectKey::new("default", &name), record));
    Snapshot::from_objects(IndexSet::new(), objects.collect::<Vec<_>>())
}

fn observe(roster: &mut Roster, leases: &Snapshot<Record>, now: Instant, complete: Instant) {
    roster.observe(leases, &ObjectKey::new("default", "me"), now, complete);
}

/// Otherwise a view that is late takes a member for ended that has renewed its Lease in time.
#[test]
fn a_member_has_ended_only_in_a_view_that_is_complete_up_to_its_end() {
    let (mut roster, start) = (Roster::default(), Instant::now());
    observe(&mut roster, &leases(0, &[record("a", 1)]), start, start);
    // The watch was stuck, and has delivered something now, but not all.
    let (late, complete) = (start + 2 * LEASE, start + LEASE / 2);
    observe(&mut roster, &leases(0, &[record("a", 1)]), late, complete);
    assert_eq!(roster.members(late).count(), 0, "shares are for those that are seen");
    assert_eq!(roster.held(complete).count(), 1);
    assert_eq!(roster.held(start + LEASE).count(), 0);
    // The Lease was deleted: its claims last as long.
    observe(&mut roster, &leases(0, &[]), late, complete);
    assert_eq!(roster.held(complete).count(), 1);
    observe(&mut roster, &leases(0, &[]), late, start + LEASE);
    assert_eq!(roster.held(complete).count(), 0, "forgotten");
}

/// Otherwise a controller that writes to all Leases keeps the claims of a killed member for ever.
#[test]
fn a_write_of_someone_else_renews_nothing() {
    let (mut roster, start) = (Roster::default(), Instant::now());
    observe(&mut roster, &leases(0, &[record("a", 1)]), start, start);
    let touched = Record { said: Said::default(), ..record("a", 1) };
    observe(&mut roster, &leases(1, &[touched]), start + LEASE / 2, start);
    let held: Vec<_> = roster.held(start).map(|(_, held)| held.clone()).collect();
    assert!(held.contains(&Ranges::new()), "what it says now counts: {held:?}");
    let a = |record: &&Record| record.renewal > 0;
    assert_eq!(roster.members(start + LEASE).filter(a).count(), 0);
    observe(&mut roster, &leases(2, &[record("a", 2)]), start + LEASE, start);
    assert_eq!(roster.members(start + LEASE).filter(a).count(), 1);
}

#[test]
fn a_lease_without_slots_has_no_share_and_one_with_too_many_has_the_most() {
    let (mut roster, now) = (Roster::default(), Instant::now());
    observe(&mut roster, &leases(0, &[Record { slots: 0, ..record("a", 1) }]), now, now);
    assert_eq!((roster.members(now).count(), roster.held(now).count()), (0, 1));
    let mut lease = record("a", 1).write(&Default::default(), "group");
    assert_eq!(Record::read(&lease), record("a", 1));
    lease.metadata.annotations.get_or_insert_default().insert("kube-informer/slots".into(), "65535".into());
    assert_eq!(Record::read(&lease).slots, MOST_SLOTS);
    lease.metadata.annotations = None;
    let unreadable = Record::read(&lease);
    assert!(unreadable.slots == 0 && !unreadable.is_readable && unreadable.said.held.is_all());
}
