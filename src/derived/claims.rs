//! Which inputs give a value to which key, where inputs may give values to any key.

use std::collections::{BTreeMap, HashMap};

use super::few::Few;
use crate::key::ObjectKey;

/// An input that gives values to keys. The lowest one of a key wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Claimant {
    pub(super) key: ObjectKey,
    /// The hash by which the input is computed.
    pub(super) hash: u64,
}

/// The claims of all inputs of one node. No values: that of the winner is in the store, and the others are computed when
/// they surface.
// The keys are chosen by the users of a cluster, so their hash is the randomly seeded one of `std`.
#[derive(Default)]
pub(super) struct Claims {
    /// The keys that each input has values for, each once. Only inputs that have any.
    of_input: HashMap<Claimant, Box<[ObjectKey]>>,
    of_key: HashMap<ObjectKey, Few<Claimant>>,
    /// The values that are not shown.
    duplicates: usize,
}

/// The keys whose claims have changed in this tick, each with the winner before the tick.
pub(super) type Contested = BTreeMap<ObjectKey, Option<Claimant>>;

impl Claims {
    /// The number of values that are not shown, since a lower input has one for the same key.
    pub(super) fn duplicates(&self) -> usize {
        self.duplicates
    }

    pub(super) fn winner(&self, key: &ObjectKey) -> Option<&Claimant> {
        self.of_key.get(key)?.first()
    }

    /// Replaces the keys of an input. Each is there once.
    pub(super) fn set(&mut self, input: &Claimant, keys: Vec<ObjectKey>, contested: &mut Contested) {
        let old = self.of_input.remove(input);
        for key in old.iter().flatten() {
            self.contest(key, contested);
            self.remove(input, key);
        }
        for key in &keys {
            self.contest(key, contested);
            match self.of_key.get_mut(key) {
                Some(inputs) => self.duplicates += usize::from(inputs.insert(input.clone())),
                None => drop(self.of_key.insert(key.clone(), Few::One(input.clone()))),
            }
        }
        if !keys.is_empty() {
            self.of_input.insert(input.clone(), keys.into());
        }
    }

    /// Withdraws the claim of an input to one key, as its value for that key is not known.
    pub(super) fn withdraw(&mut self, input: &Claimant, key: &ObjectKey) {
        let Some(keys) = self.of_input.remove(input) else { return };
        let rest: Vec<_> = keys.into_iter().filter(|other| other != key).collect();
        if !rest.is_empty() {
            self.of_input.insert(input.clone(), rest.into());
        }
        self.remove(input, key);
    }

    fn contest(&self, key: &ObjectKey, contested: &mut Contested) {
        if !contested.contains_key(key) {
            contested.insert(key.clone(), self.winner(key).cloned());
        }
    }

    fn remove(&mut self, input: &Claimant, key: &ObjectKey) {
        let Some(inputs) = self.of_key.get_mut(key) else { return };
        if inputs.remove(input) {
            self.of_key.remove(key);
        } else {
            self.duplicates -= 1;
        }
    }

    /// The number of keys.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.of_key.len()
    }

    #[cfg(test)]
    pub(super) fn validate(&self) {
        let mut claims = 0;
        for (input, keys) in &self.of_input {
            assert!(!keys.is_empty());
            for key in keys {
                assert!(self.of_key[key].iter().any(|other| other == input), "a claim on one side only");
                claims += 1;
            }
        }
        assert_eq!(self.of_key.values().map(|inputs| inputs.iter().count()).sum::<usize>(), claims);
        assert_eq!(claims - self.of_key.len(), self.duplicates);
    }
}
