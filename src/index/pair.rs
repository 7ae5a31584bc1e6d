//! A key of two parts that is looked up by borrowed ones.

use equivalent::Equivalent;

/// An index key of two parts, which is looked up by borrowed parts.
///
/// `&("net1", "subnet1")` finds a `Pair<String, String>` without an allocation.
///
/// A tuple of owned strings works as a key too, but only an equal tuple of owned strings finds it: the standard library
/// has no borrowed form of it. An [`ObjectKey`](crate::ObjectKey), the pair of a namespace and a name, is also found by
/// borrowed strings, and by a [`Key`](crate::Key).
///
/// ```
/// use kube_informer::index::{IndexSet, Pair};
/// use kube_informer::{Obj, Snapshot};
///
/// struct Interface {
///     provider: String,
///     vlan: u16,
/// }
///
/// let mut indexes = IndexSet::new();
/// let by_vlan = indexes.index(|on: &Interface| Pair(on.provider.clone(), on.vlan));
/// let eth = Interface { provider: "net1".to_owned(), vlan: 7 };
/// let interfaces = Snapshot::from_objects(indexes, [("eth1", eth)]);
/// assert_eq!(interfaces.by_index(&by_vlan, &("net1", &7)).len(), 1);
/// for (Pair(provider, vlan), count) in interfaces.index_keys(&by_vlan) {
///     println!("{count} interfaces of {provider} in VLAN {vlan}");
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair<A, B>(
    /// The first part.
    pub A,
    /// The second part.
    pub B,
);

impl<A, B, P, Q> Equivalent<Pair<A, B>> for (&P, &Q)
where
    P: Equivalent<A> + ?Sized,
    Q: Equivalent<B> + ?Sized,
{
    fn equivalent(&self, key: &Pair<A, B>) -> bool {
        self.0.equivalent(&key.0) && self.1.equivalent(&key.1)
    }
}

impl<A, B> From<(A, B)> for Pair<A, B> {
    fn from((a, b): (A, B)) -> Self {
        Self(a, b)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_borrowed_pair_hashes_like_the_key_it_stands_for() {
        let hasher = foldhash::fast::FixedState::default();
        let key = Pair("net1.default.ovn".to_owned(), "subnet1".to_owned());
        assert_eq!(hasher.hash_one(&key), hasher.hash_one(("net1.default.ovn", "subnet1")));
        assert!(("net1.default.ovn", "subnet1").equivalent(&key));
        assert!(!("net1.default.ov", "nsubnet1").equivalent(&key));
        assert!(!("net1.default.ovn", "subnet2").equivalent(&key));
        assert!(!("net2.default.ovn", "subnet1").equivalent(&key));

        let mixed = Pair("a".to_owned(), 7_u16);
        assert_eq!(hasher.hash_one(&mixed), hasher.hash_one(("a", &7_u16)));
        assert!(("a", &7).equivalent(&mixed) && !("a", &8).equivalent(&mixed));
    }
}
