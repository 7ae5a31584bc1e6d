//! Where the objects of each namespace are, if the parts of a scope name namespaces: so the list of one part looks at its
//! own objects, and not at those of a thousand others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::draft::Draft;
use crate::object::Obj;
use crate::objects::ObjectMap;
use crate::slab::Slot;

type Slots = HashSet<Slot, RandomState>;

/// The slots of the namespaces that parts name, and some that have no object of the namespace any more. It knows nothing if
/// no part names one, or if there is only one part.
#[derive(Default)]
pub(super) struct Namespaces(HashMap<Arc<str>, Slots, RandomState>);

// === impl Namespaces ===

impl Namespaces {
    /// Namespaces without objects.
    pub(super) fn new(names: impl Iterator<Item = Arc<str>>) -> Self {
        Self::default().only(names)
    }

    /// Keeps what is known of these namespaces only. Others begin empty. O(namespaces).
    pub(super) fn only(mut self, names: impl Iterator<Item = Arc<str>>) -> Self {
        let mut known = |name: Arc<str>| {
            let slots = self.0.remove(&name).unwrap_or_default();
            (name, slots)
        };
        let named = names.filter(|name| !name.is_empty());
        let mut only: HashMap<_, _, _> = named.map(&mut known).collect();
        if !only.is_empty() {
            // Parts that name a namespace cover objects without one, too.
            only.extend([known(Arc::from(""))]);
        }
        Self(only)
    }

    pub(super) fn knows(&self, namespace: &str) -> bool {
        self.0.contains_key(namespace)
    }

    /// Whether parts name namespaces, and new objects are to be [added](Self::add).
    pub(super) fn is_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Allocates for so many objects of a namespace, so that adding them takes no long pause.
    pub(super) fn reserve(&mut self, namespace: &str, objects: usize) {
        if let Some(slots) = self.0.get_mut(namespace) {
            slots.reserve(objects.saturating_sub(slots.len()));
        }
    }

    /// Adds the object of a slot that was vacant before. O(1). One that is not published after all does no harm.
    pub(super) fn add<T>(&mut self, slot: Slot, objects: &ObjectMap<T>) {
        if let Some(slots) = objects.at(slot).and_then(|object| self.0.get_mut(Obj::namespace(object))) {
            slots.insert(slot);
        }
    }

    /// Adds the new objects of a draft: O(1) for each.
    pub(super) fn take_added<T>(&mut self, draft: &mut Draft<T>) {
        for slot in draft.added.iter_mut().flat_map(|added| added.drain(..)) {
            self.add(slot, &draft.objects);
        }
    }

    /// Follows a draft that is about to be published. O(changes).
    pub(super) fn follow<T>(&mut self, draft: &mut Draft<T>) {
        self.take_added(draft);
        for object in draft.removed.take().into_iter().flatten() {
            let namespace = Obj::namespace(&object);
            let Some(slot) = Obj::slot(&object) else { continue };
            if draft.objects.at(slot).is_none_or(|now| Obj::namespace(now) != namespace) {
                self.forget(namespace, slot);
            }
        }
    }

    /// Forgets a slot that has no object of this namespace.
    pub(super) fn forget(&mut self, namespace: &str, slot: Slot) {
        self.0.get_mut(namespace).into_iter().for_each(|slots| _ = slots.remove(&slot));
    }

    /// The slots of a namespace that a part names; those of objects without a namespace for `""`. Some have no object of it
    /// any more.
    pub(super) fn slots(&self, namespace: &str) -> impl Iterator<Item = Slot> + '_ {
        self.0.get(namespace).into_iter().flatten().copied()
    }

    /// Panics if an object is missing. O(n).
    #[cfg(test)]
    pub(super) fn validate<T>(&self, objects: &ObjectMap<T>) {
        for object in objects.iter() {
            let slots = self.0.get(Obj::namespace(object));
            assert!(slots.is_none_or(|slots| Obj::slot(object).is_some_and(|slot| slots.contains(&slot))));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::KeyHasher;
    use crate::index::IndexKeys;
    use crate::key::Key;
    use crate::object::Identity;
    use crate::version::ResourceVersion;

    /// Returns the slot if it was vacant.
    fn insert(objects: &mut ObjectMap<()>, hash: u64, key: Key<'_>, version: u64) -> Option<Slot> {
        let known = objects.get(hash, key).and_then(Obj::slot);
        let slot = known.unwrap_or_else(|| objects.vacant(hash));
        let version = ResourceVersion::from_number(version);
        let mut object = Obj::new(&Identity { key, uid: "", version: &version }, ()).ok()?;
        Obj::set_place(&mut object, slot, IndexKeys::NONE);
        objects.insert(object, hash);
        known.is_none().then_some(slot)
    }

    proptest! {
        #[test]
        fn each_object_of_a_namespace_is_in_a_known_slot(
            steps in prop::collection::vec((0..4_usize, 0..30_u32, 0..3_u8), 0..400),
        ) {
            let hasher = KeyHasher::new();
            let mut objects = ObjectMap::new(hasher.clone());
            let mut namespaces = Namespaces::new(["a", "b"].into_iter().map(Arc::from));
            for (step, (namespace, name, what)) in (0..).zip(steps) {
                let name = name.to_string();
                let key = Key { namespace: ["", "a", "b", "other"][namespace], name: &name };
                let known = objects.get(hasher.object(key), key).and_then(Obj::slot);
                if what > 0 {
                    let new = insert(&mut objects, hasher.object(key), key, step);
                    new.into_iter().for_each(|slot| namespaces.add(slot, &objects));
                } else if let Some(slot) = known {
                    objects.remove(slot);
                    namespaces.forget(key.namespace, slot);
                }
                namespaces.validate(&objects);
            }
            // What left was forgotten.
            for namespace in ["", "a", "b"] {
                let own = objects.iter().filter(|object| Obj::namespace(object) == namespace);
                prop_assert_eq!(namespaces.slots(namespace).count(), own.count());
            }
            let mut only = namespaces.only(["b", "other"].into_iter().map(Arc::from));
            prop_assert_eq!(only.slots("a").count() + only.slots("other").count(), 0);
            objects.iter().filter_map(Obj::slot).for_each(|slot| only.add(slot, &objects));
            only.validate(&objects);
        }
    }
}
