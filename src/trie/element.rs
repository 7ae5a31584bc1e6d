//! What a trie asks of the things it holds.

/// What a trie holds: a thin shared pointer that knows its hash and its key.
///
/// It should be one pointer wide with a niche, so that `Option<E>` is no larger: leaves store that. Both the
/// hash and the key must stay what they are for as long as the element is in a trie.
pub(crate) trait Element: Clone {
    /// The hash of the key. Its quality decides the depth of the trie; equal hashes cost time, not
    /// correctness.
    fn hash(&self) -> u64;

    /// Whether both have the same key. Asked only of elements of equal hash.
    fn same_key(&self, other: &Self) -> bool;

    /// Whether both are the same allocation, hence the same key and the same content.
    fn ptr_eq(&self, other: &Self) -> bool;
}
