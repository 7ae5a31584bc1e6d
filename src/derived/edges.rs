//! Who depends on what: the reads of each input, and the same turned round.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::few::Few;
use super::read::{Part, Read};
use super::step::Places;
use super::tick::Tick;
use crate::reflector::Turn;

/// A map by hashes of keys.
type ByHash<V> = HashMap<u64, V, RandomState>;

/// The edges into one node. Inputs are known by the hash of their key; inputs of one hash are recomputed together.
///
/// An input that reads nothing takes no memory here.
#[derive(Default)]
pub(super) struct Edges {
    /// What each input has read, in order.
    reads: ByHash<Box<[Read]>>,
    /// The inputs that have read each part of a node.
    readers: BTreeMap<(u32, Part), ByHash<Few<u64>>>,
    count: usize,
}

impl Edges {
    /// The number of edges.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Replaces the reads of an input. They are in order, each once.
    pub(super) fn set(&mut self, input: u64, made: Vec<Read>) {
        if self.reads.get(&input).map_or(&[][..], |old| old) == made.as_slice() {
            return;
        }
        self.forget(input);
        if made.is_empty() {
            return;
        }
        for read in &made {
            let readers = self.readers.entry((read.node, read.part)).or_default();
            match readers.get_mut(&read.hash) {
                Some(inputs) => {
                    inputs.insert(input);
                }
                None => {
                    readers.insert(read.hash, Few::One(input));
                }
            }
        }
        self.count += made.len();
        self.reads.insert(input, made.into());
    }

    /// Adds to the reads of an input whose transform did not end in order: what it would have read is unknown.
    pub(super) fn add(&mut self, input: u64, mut made: Vec<Read>) {
        made.extend(self.reads.get(&input).into_iter().flatten());
        made.sort_unstable();
        made.dedup();
        self.set(input, made);
    }

    /// Removes the edges of an input that is gone.
    pub(super) fn forget(&mut self, input: u64) {
        let Some(reads) = self.reads.remove(&input) else { return };
        self.count -= reads.len();
        for read in reads {
            let part = (read.node, read.part);
            let Some(readers) = self.readers.get_mut(&part) else { continue };
            if readers.get_mut(&read.hash).is_some_and(|inputs| inputs.remove(&input)) {
                readers.remove(&read.hash);
                if readers.is_empty() {
                    self.readers.remove(&part);
                }
            }
        }
    }

    /// Adds to `dirty` the inputs that have read labels which a changed selector may match. Such labels have a bucket in
    /// common with each place of the selector, so the place with the fewest readers is enough.
    async fn affected_by_selectors(
        &self,
        changed: Option<Places<'_>>,
        readers: &ByHash<Few<u64>>,
        dirty: &mut Vec<u64>,
        turn: &mut Turn,
    ) {
        let Some(changed) = changed else {
            return dirty.extend(readers.values().flat_map(Few::iter));
        };
        for places in changed {
            let count = |place: &&Vec<u64>| {
                place.iter().filter_map(|hash| readers.get(hash)).map(Few::len).sum::<usize>()
            };
            let fewest = places.iter().min_by_key(count).into_iter().flatten();
            dirty.extend(fewest.filter_map(|hash| readers.get(hash)).flat_map(Few::iter));
            turn.pass().await;
        }
    }

    /// Adds to `dirty` the inputs that have read what this tick has changed. O(changes + affected inputs).
    pub(super) async fn affected(&self, tick: &Tick, dirty: &mut Vec<u64>, turn: &mut Turn) {
        for ((node, part), readers) in &self.readers {
            let Some(step) = tick.step(*node).filter(|step| step.is_changed()) else { continue };
            let changed = match part {
                Part::Object => Some(step.changed_objects()),
                Part::Index(slot) => step.changed_keys(*slot),
                Part::Selectors(slot) => {
                    self.affected_by_selectors(step.changed_selectors(*slot), readers, dirty, turn).await;
                    continue;
                }
                Part::All => None,
            };
            match changed {
                Some(changed) => {
                    for hash in changed {
                        dirty.extend(readers.get(&hash).into_iter().flat_map(Few::iter));
                        turn.pass().await;
                    }
                }
                None => dirty.extend(readers.values().flat_map(Few::iter)),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn validate(&self) {
        let mut count = 0;
        for (input, reads) in &self.reads {
            assert!(!reads.is_empty() && reads.is_sorted());
            for read in reads {
                let readers = &self.readers[&(read.node, read.part)][&read.hash];
                assert!(readers.iter().any(|reader| reader == input), "a read without its reader");
                count += 1;
            }
        }
        assert_eq!(self.count, count);
        let readers = self.readers.values().flat_map(ByHash::values);
        assert_eq!(
            readers.map(|readers| readers.iter().count()).sum::<usize>(),
            count,
            "a reader that has not read"
        );
        assert!(self.readers.values().all(|readers| !readers.is_empty()));
    }
}
