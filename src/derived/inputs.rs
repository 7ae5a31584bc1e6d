//! The inputs of a transform: the objects of a node, or the groups of an index.

use super::Node;
use super::emit::IntoDerived;
use super::reads::Reads;
use super::step::Step;
use super::tick::Tick;
use crate::index::{self, Index, Table};
use crate::key::{AsKey, Key, ObjectKey};
use crate::object::Obj;
use crate::snapshot::{Hits, View};

/// Inputs, each with its key, and the closure that computes their values. Inputs of one hash are computed together.
pub(super) trait Inputs: Send + 'static {
    type Output: PartialEq + Send + Sync + 'static;

    /// Whether the values may have other keys than the inputs, or two inputs the same key.
    const OWN_KEYS: bool;

    /// The inputs that this tick has changed, by hash, each with its key if it is gone. O(changes).
    fn changed<'a>(&self, tick: &'a Tick) -> Box<dyn Iterator<Item = ChangedInput> + Send + 'a>;

    /// Calls `each` for each input of a hash, with its key and a function that computes its values. That function runs
    /// application code.
    fn each(&self, tick: &Tick, hash: u64, each: &mut dyn FnMut(Key<'_>, Compute<'_, Self::Output>));
}

/// The hash of an input, and its key if it is gone.
pub(super) type ChangedInput = (u64, Option<ObjectKey>);

/// Computes the values of one input, each with its key.
pub(super) type Compute<'a, O> = &'a dyn Fn(&Reads<'_>, &mut dyn FnMut(Key<'_>, O));

/// The objects of a node.
pub(super) struct Objects<T, F> {
    pub(super) node: Node<T>,
    pub(super) transform: F,
}

/// The objects of a node under each key of an index.
pub(super) struct Groups<T, K, F> {
    pub(super) node: Node<T>,
    pub(super) index: Index<T, K>,
    pub(super) transform: F,
}

impl<T, E, F> Inputs for Objects<T, F>
where
    T: Send + Sync + 'static,
    E: IntoDerived,
    F: Fn(&Obj<T>, &Reads<'_>) -> E + Send + 'static,
{
    type Output = E::Output;

    const OWN_KEYS: bool = E::OWN_KEYS;

    fn changed<'a>(&self, tick: &'a Tick) -> Box<dyn Iterator<Item = ChangedInput> + Send + 'a> {
        let Some(Step { old, new }) = tick.typed(self.node) else { return Box::new(std::iter::empty()) };
        let hash = |object| new.hasher.stored(object);
        Box::new(new.differences(old).filter_map(move |found| match found {
            (_, Some(new)) => Some((hash(new), None)),
            (Some(old), None) => Some((hash(old), Some(Obj::key(old).to_owned()))),
            (None, None) => None,
        }))
    }

    fn each(&self, tick: &Tick, hash: u64, each: &mut dyn FnMut(Key<'_>, Compute<'_, E::Output>)) {
        let Some(step) = tick.typed(self.node) else { return };
        for object in step.new.objects.of_hash(hash) {
            let key = Obj::key(object);
            each(key, &|reads, emit| (self.transform)(object, reads).emit(key, emit));
        }
    }
}

impl<T, K, E, F> Inputs for Groups<T, K, F>
where
    T: Send + Sync + 'static,
    K: AsKey + Send + Sync + 'static,
    E: IntoDerived,
    F: Fn(&K, Hits<'_, T>, &Reads<'_>) -> E + Send + 'static,
{
    type Output = E::Output;

    /// Nothing forbids that two index keys name the same object key.
    const OWN_KEYS: bool = true;

    fn changed<'a>(&self, tick: &'a Tick) -> Box<dyn Iterator<Item = ChangedInput> + Send + 'a> {
        let Some(step) = tick.typed(self.node) else { return Box::new(std::iter::empty()) };
        let Some(new) = self.table(&step.new) else { return Box::new(std::iter::empty()) };
        let Some(old) = self.table(&step.old) else {
            // The very first version has no indexes that were declared later, and no objects.
            return Box::new(new.hashes().map(|hash| (hash, None)));
        };
        let gone = |key: &K| key.as_key().to_owned();
        let moved = Table::changes(old, new).map(move |(hash, key)| (hash, key.map(gone)));
        let modified = step.new.modified_keys(&step.old, self.index.slot);
        Box::new(moved.chain(modified.filter_map(|key| Some((Table::<K>::hash_of(key)?, None)))))
    }

    fn each(&self, tick: &Tick, hash: u64, each: &mut dyn FnMut(Key<'_>, Compute<'_, E::Output>)) {
        let Some(step) = tick.typed(self.node) else { return };
        let Some(table) = self.table(&step.new) else { return };
        for (group, members) in table.of_hash(hash) {
            let key = group.as_key();
            each(key, &|reads, emit| {
                (self.transform)(group, Hits::of(Some(members), &step.new), reads).emit(key, emit);
            });
        }
    }
}

impl<T: Send + Sync + 'static, K: Send + Sync + 'static, F> Groups<T, K, F> {
    fn table<'a>(&self, view: &'a View<T>) -> Option<&'a Table<K>> {
        index::downcast(view.tables.get(self.index.slot as usize)?)
    }
}
