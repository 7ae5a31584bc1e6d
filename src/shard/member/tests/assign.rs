//! Shares: complete, even, and with little movement.

use proptest::prelude::*;

use super::super::assign::{Identity, share};
use crate::shard::{Range, Ranges};

const SLOTS: u16 = 128;

fn identity(name: impl ToString) -> Identity {
    Identity { name: name.to_string(), run: "1".to_owned() }
}

fn shares(members: &[Identity], slots: u16) -> Vec<Ranges> {
    members.iter().map(|me| share(me, members, slots)).collect()
}

/// In slots.
fn size(share: &Ranges, slots: u16) -> u16 {
    (share.fraction() * f64::from(slots)).round() as u16
}

proptest! {
    // Without optimization, a case takes half a second.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn shares_cover_every_hash_once_and_differ_by_one_slot(
        names in prop::collection::hash_set("[a-z]{1,3}", 1..40), slots in 1_u16..300, order: u64,
    ) {
        let mut members: Vec<Identity> = names.iter().map(identity).collect();
        let all = shares(&members, slots);
        prop_assert!(all.iter().flat_map(Ranges::iter).collect::<Ranges>().is_all());
        let sizes: Vec<u16> = all.iter().map(|share| size(share, slots)).collect();
        prop_assert_eq!(sizes.iter().sum::<u16>(), slots, "no slot is in two shares");
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        // The order in which a member knows the others does not matter.
        let me = members[0].clone();
        let mine = share(&me, &members, slots);
        let at = (order % members.len() as u64) as usize;
        members.rotate_left(at);
        prop_assert_eq!(share(&me, &members, slots), mine);
    }
}

/// The least that has to move is what the new member gets: 1/n.
#[test]
fn a_member_that_joins_or_leaves_moves_little() {
    for count in 1..=8_u32 {
        let mut moved = 0.0;
        for trial in 0..20 {
            let mut members: Vec<Identity> =
                (0..count).map(|n| identity(format!("pod-{trial}-{n}"))).collect();
            let before = shares(&members, SLOTS);
            members.push(identity(format!("pod-{trial}-new")));
            let after = shares(&members, SLOTS);
            let new = |(after, before): (&Ranges, &Ranges)| after.minus(before).fraction();
            moved += after.iter().zip(&before).map(new).sum::<f64>() + after[count as usize].fraction();
        }
        let least = 1.0 / f64::from(count + 1);
        assert!(moved / 20.0 <= 1.6 * least, "{count} members: {} of {least}", moved / 20.0);
    }
}

/// Members of different versions of a program agree, so this must not change.
#[test]
fn shares_are_the_same_in_every_version() {
    let members = ["a", "b", "c"].map(identity);
    let shown = shares(&members, 8).iter().map(Ranges::to_string).collect::<Vec<_>>();
    let slot =
        |slots: &[u32]| slots.iter().filter_map(|slot| Range::of(*slot, 8)).collect::<Ranges>().to_string();
    assert_eq!(shown, [slot(&[1, 2, 3]), slot(&[6, 7]), slot(&[0, 4, 5])]);
    // Of two runs of one name, both have a share.
    let runs = ["1", "2"].map(|run| Identity { name: "a".to_owned(), run: run.to_owned() });
    assert!(shares(&runs, 8).iter().all(|share| size(share, 8) == 4));
    assert!(share(&identity("d"), &members, 8).is_empty(), "no member");
}
