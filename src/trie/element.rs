//! The elements of a trie.

use crate::fetch::Counted;

/// An element of a trie: a thin shared pointer to a value with a hash and a key.
///
/// It should be one pointer wide with a niche, so that `Option<E>` is no larger: leaves store that. Neither
/// the hash nor the key may change while the element is in a trie.
pub(crate) trait Element: Counted {
    /// The hash of the key. Its quality decides the depth of the trie; equal hashes are correct but slower.
    fn hash(&self) -> u64;

    /// Whether both have the same key. Called only for elements of equal hash.
    fn same_key(&self, other: &Self) -> bool;

    /// Whether both are the same allocation, hence the same key and the same content.
    fn ptr_eq(&self, other: &Self) -> bool;
}
