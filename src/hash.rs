//! Hashing of object keys and index keys.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use crate::key::Key;
use crate::object::Obj;

/// The hash function of one store, shared by all its versions.
///
/// Seeded at random: names, labels and annotations are chosen by the users of a cluster, who could otherwise
/// make them collide. Both seeds must be random: foldhash mixes the shared seed into its factors, so with
/// that seed known, an attacker can choose input that makes a factor zero, whatever the seed of the store.
#[derive(Clone)]
pub(crate) struct KeyHasher(SeedableRandomState);

/// One for the process, because making it is slow.
static SHARED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random()));

impl KeyHasher {
    pub(crate) fn new() -> Self {
        Self(SeedableRandomState::with_seed(random(), &SHARED))
    }

    #[inline]
    pub(crate) fn object(&self, key: Key<'_>) -> u64 {
        self.parts(key.namespace.as_bytes(), key.name.as_bytes())
    }

    /// [`object`](Self::object) of the key of a stored object, which is not checked for UTF-8 again.
    #[inline]
    pub(crate) fn stored<T>(&self, object: &Obj<T>) -> u64 {
        let (namespace, name) = Obj::key_bytes(object);
        self.parts(namespace, name)
    }

    // With a call, a look-up takes 5 % more instructions.
    #[inline(always)]
    fn parts(&self, namespace: &[u8], name: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(namespace);
        // No namespace contains a slash, so different keys never write the same bytes.
        hasher.write_u8(b'/');
        hasher.write(name);
        hasher.finish()
    }

    #[inline]
    pub(crate) fn index_key<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.0.hash_one(key)
    }
}

/// A random number from the operating system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use foldhash::fast::FixedState;

    use super::*;

    /// The keys collide under the default shared seed of foldhash, which is public.
    #[test]
    fn keys_made_to_collide_do_not() {
        const PUBLIC: u128 = 0xc0ac29b7c97c50dd;
        let keys: Vec<u128> = (0..100).map(|low| PUBLIC << 64 | low).collect();
        let hashes = |hash: &dyn Fn(&u128) -> u64| keys.iter().map(hash).collect::<HashSet<_>>().len();
        let fixed = FixedState::with_seed(random());
        assert_eq!(hashes(&|key| fixed.hash_one(key)), 1, "they are made for it");
        let ours = KeyHasher::new();
        assert!(hashes(&|key| ours.index_key(key)) > 90);
    }
}
