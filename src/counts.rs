//! How many things have each of some values.

use std::collections::BTreeMap;

/// A count for each value that there is, in the order of the values.
pub(crate) struct Counts<K>(BTreeMap<K, usize>);

// === impl Counts ===

impl<K: Ord> Counts<K> {
    /// O(log values).
    pub(crate) fn add(&mut self, value: K) {
        *self.0.entry(value).or_default() += 1;
    }

    /// Removes a value that was added. O(log values).
    pub(crate) fn remove(&mut self, value: &K) {
        if let Some(count) = self.0.get_mut(value) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(value);
            }
        }
    }

    pub(crate) fn least(&self) -> Option<&K> {
        self.0.first_key_value().map(|(value, _)| value)
    }

    pub(crate) fn most(&self) -> Option<&K> {
        self.0.last_key_value().map(|(value, _)| value)
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}
