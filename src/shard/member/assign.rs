//! Which member should have which ranges: a function of the set of members alone, so that all agree without a word.
//!
//! The hashes are cut into as many equal slots as the members agree on. Each slot ranks the members, and each member the
//! slots, by a hash of both (rendezvous hashing). A stable matching of the two, with room for an equal number of slots in
//! each member, gives shares that differ by one slot at most. If a member joins or leaves, few other slots move.

use std::collections::HashMap;

use super::super::{Range, Ranges, hash};

/// A member, by its name and the number of its run. Names rank; of equal names, the numbers differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) run: String,
}

/// The ranges that `me` should have, who is one of `members`. O(slots x members x log members).
pub(super) fn share(me: &Identity, members: &[Identity], slots: u16) -> Ranges {
    let shares = shares(members, slots).into_iter();
    shares.filter(|(member, _)| *member == me).map(|(_, share)| share).next().unwrap_or_default()
}

/// The ranges that each member should have. Does not depend on the order of the members.
pub(super) fn shares(members: &[Identity], slots: u16) -> Vec<(&Identity, Ranges)> {
    let mut members: Vec<&Identity> = members.iter().collect();
    members.sort_unstable();
    members.dedup();
    let matching = Matching::of(&members, slots).slots.into_iter();
    let ranges = |share: Vec<u16>| {
        share.into_iter().filter_map(|slot| Range::of(slot.into(), slots.into())).collect::<Ranges>()
    };
    members.into_iter().zip(matching.map(ranges)).collect()
}

struct Matching {
    /// Of each member.
    seeds: Vec<u64>,
    slots: Vec<Vec<u16>>,
}

// === impl Matching ===

impl Matching {
    fn of(members: &[&Identity], slots: u16) -> Self {
        let seeds: Vec<u64> = members.iter().map(|member| hash(&member.name)).collect();
        let mut all = Self { slots: vec![Vec::new(); seeds.len()], seeds };
        let room = usize::from(slots) / members.len().max(1);
        let left = all.fill((0..slots).collect(), room);
        // One more for some members, so that no slot is left.
        let mut rest = Self { seeds: all.seeds, slots: vec![Vec::new(); members.len()] };
        rest.fill(left, 1);
        for (slots, more) in all.slots.iter_mut().zip(rest.slots) {
            slots.extend(more);
        }
        Self { seeds: rest.seeds, slots: all.slots }
    }

    /// Each slot asks the members in the order of its ranking. A member that has no room for it keeps those that it ranks
    /// highest. Returns the slots that all refuse.
    fn fill(&mut self, slots: Vec<u16>, room: usize) -> Vec<u16> {
        let mut left = Vec::new();
        let mut asking: Vec<(u16, Vec<u32>)> =
            slots.into_iter().map(|slot| (slot, self.ranking(slot))).collect();
        // What a slot that was put out has not asked yet.
        let mut unasked: HashMap<u16, Vec<u32>> = HashMap::new();
        while let Some((slot, mut members)) = asking.pop() {
            let Some(member) = members.pop().map(|member| member as usize) else {
                left.push(slot);
                continue;
            };
            unasked.insert(slot, members);
            self.slots[member].push(slot);
            if self.slots[member].len() > room {
                let rank = |slot: &u16| (self.score(member, *slot), *slot);
                let lowest = self.slots[member].iter().enumerate().min_by_key(|(_, slot)| rank(slot));
                if let Some(at) = lowest.map(|(at, _)| at) {
                    let out = self.slots[member].swap_remove(at);
                    asking.push((out, unasked.remove(&out).unwrap_or_default()));
                }
            }
        }
        left
    }

    /// The members, the best one last.
    fn ranking(&self, slot: u16) -> Vec<u32> {
        let members = 0..self.seeds.len();
        let mut scored: Vec<(u64, u32)> =
            members.map(|member| (self.score(member, slot), member as u32)).collect();
        scored.sort_unstable();
        scored.into_iter().map(|(_, member)| member).collect()
    }

    /// Part of what members of different versions of a program agree on.
    fn score(&self, member: usize, slot: u16) -> u64 {
        mix(self.seeds[member] ^ mix(u64::from(slot) + 1))
    }
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
