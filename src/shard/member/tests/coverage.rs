//! The hashes without a member, beside one counter for each slot.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::fuzz::fuzz;
use crate::shard::member::coverage::Coverage;
use crate::shard::{Range, Ranges};

const SLOTS: u32 = 8;

fn slots(is_in: impl Fn(u32) -> bool) -> Ranges {
    (0..SLOTS).filter(|slot| is_in(*slot)).filter_map(|slot| Range::of(slot, SLOTS)).collect()
}

#[test]
fn each_hash_is_uncovered_since_it_was_held_last() {
    let start = Instant::now();
    let steps = prop::collection::vec((any::<u8>(), 1..5_u64), 1..20);
    fuzz(&(steps, 0..30_u64), |(steps, lasting)| {
        let (mut now, lasting) = (start, Duration::from_secs(lasting));
        let (mut coverage, mut since) = (Coverage::new(start), [Some(start); SLOTS as usize]);
        for (held, seconds) in steps {
            now += Duration::from_secs(seconds);
            let is_held = |slot: u32| held >> slot & 1 == 1;
            coverage.observe(&slots(is_held), now);
            for (slot, since) in (0..).zip(&mut since) {
                *since = if is_held(slot) { None } else { Some(since.unwrap_or(now)) };
            }
            let lasts = |slot: u32| since[slot as usize].is_some_and(|since| now - since >= lasting);
            prop_assert_eq!(coverage.gaps(lasting, now), slots(lasts));
            prop_assert_eq!(coverage.since(), since.iter().flatten().min().copied());
        }
        Ok(())
    });
}
