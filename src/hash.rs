//! Hashing of object keys and index keys.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;

use crate::key::Key;

/// The hash function of one store, shared by all its versions.
///
/// Seeded at random per store: names are chosen by the users of a cluster, who could otherwise make them collide.
#[derive(Clone)]
pub(crate) struct KeyHasher(FixedState);

impl KeyHasher {
    pub(crate) fn new() -> Self {
        Self(FixedState::with_seed(RandomState::new().build_hasher().finish()))
    }

    #[inline]
    pub(crate) fn object(&self, key: Key<'_>) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key.namespace.as_bytes());
        // No namespace contains it, so the parts cannot be mistaken for others.
        hasher.write_u8(b'/');
        hasher.write(key.name.as_bytes());
        hasher.finish()
    }

    #[inline]
    pub(crate) fn index_key<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.0.hash_one(key)
    }
}
