//! The ready keys in the order in which they are handed out: a FIFO per priority.
//!
//! A key that gets a higher priority enters the FIFO of that one too. Its old place stays, and is skipped when it
//! comes to the front: places have tickets, and only the latest ticket of a key is valid. So raising is O(1).

use std::collections::VecDeque;
use std::sync::Arc;

use super::priority::{HIGHEST_FIRST, LEVELS, Priority};

/// Each claim of this number is of the key that has been ready longest.
const FAIR: u64 = 8;

/// See the [module](self).
pub(super) struct Levels<K> {
    fifos: [VecDeque<Place<K>>; LEVELS],
    /// Valid places per priority.
    ready: [usize; LEVELS],
    tickets: u64,
    taken: u64,
}

/// A place in a FIFO.
struct Place<K> {
    key: Arc<K>,
    ticket: u64,
}

impl<K> Levels<K> {
    pub(super) fn new() -> Self {
        Self { fifos: std::array::from_fn(|_| VecDeque::new()), ready: [0; LEVELS], tickets: 0, taken: 0 }
    }

    /// Puts a key at the end of a FIFO and returns the ticket of its place. `is_valid` is asked of other places.
    pub(super) fn push(
        &mut self,
        key: Arc<K>,
        priority: Priority,
        is_valid: impl Fn(&K, u64) -> bool,
    ) -> u64 {
        let (fifo, ready) = (&mut self.fifos[priority.level()], &mut self.ready[priority.level()]);
        // Old places are removed before they outnumber the valid ones.
        if fifo.len() > 2 * *ready + 16 {
            fifo.retain(|place| is_valid(&place.key, place.ticket));
        }
        let ticket = self.tickets;
        self.tickets += 1;
        fifo.push_back(Place { key, ticket });
        *ready += 1;
        ticket
    }

    /// The place of a key is no longer valid, since the key gets a place of another priority.
    pub(super) fn left(&mut self, priority: Priority) {
        self.ready[priority.level()] -= 1;
    }

    /// Takes the next key. `is_valid` says whether a place is the key's latest.
    pub(super) fn pop(&mut self, is_valid: impl Fn(&K, u64) -> bool) -> Option<Arc<K>> {
        for fifo in &mut self.fifos {
            while fifo.front().is_some_and(|place| !is_valid(&place.key, place.ticket)) {
                fifo.pop_front();
            }
        }
        let front = |priority: &Priority| Some(self.fifos[priority.level()].front()?.ticket);
        let mut waiting = HIGHEST_FIRST.into_iter().filter(|priority| front(priority).is_some());
        let next = if self.taken % FAIR == FAIR - 1 { waiting.min_by_key(front) } else { waiting.next() };
        let level = next?.level();
        self.taken += 1;
        self.ready[level] -= 1;
        self.fifos[level].pop_front().map(|place| place.key)
    }

    pub(super) fn len(&self) -> usize {
        self.ready.iter().sum()
    }

    /// The number of ready keys per priority.
    pub(super) fn depths(&self) -> [usize; LEVELS] {
        self.ready
    }

    pub(super) fn clear(&mut self) {
        self.fifos.iter_mut().for_each(VecDeque::clear);
        self.ready = [0; LEVELS];
    }

    /// All places, the old ones included.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.fifos.iter().map(VecDeque::len).sum()
    }

    /// The valid places.
    #[cfg(test)]
    pub(super) fn valid(&self, is_valid: impl Fn(&K, u64) -> bool) -> Vec<(Priority, &Arc<K>)> {
        let places = HIGHEST_FIRST
            .into_iter()
            .flat_map(|priority| self.fifos[priority.level()].iter().map(move |place| (priority, place)));
        places
            .filter(|(_, place)| is_valid(&place.key, place.ticket))
            .map(|(p, place)| (p, &place.key))
            .collect()
    }
}
