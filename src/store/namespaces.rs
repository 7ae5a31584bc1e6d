//! Where the objects of each namespace are, if the parts of a scope name namespaces: so the list of one part looks at its
//! own objects, and not at those of a thousand others.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::draft::Draft;
use crate::object::Obj;
use crate::objects::ObjectMap;
use crate::slab::Slot;

/// The number of slots of a namespace that are looked through for the first time.
const FIRST_SWEEP: usize = 16;

/// The slots of the namespaces that parts name. Where none does, it knows nothing, and costs nothing.
#[derive(Default)]
pub(super) struct Namespaces(HashMap<Arc<str>, Slots, RandomState>);

/// All slots of a namespace, and some that have no object of it any more. Some are there twice.
struct Slots {
    slots: Vec<Slot>,
    sweep_at: usize,
}

// === impl Namespaces ===

impl Namespaces {
    /// Namespaces without objects.
    pub(super) fn new(names: impl Iterator<Item = Arc<str>>) -> Self {
        let mut known: HashMap<_, _, _> = names.map(|name| (name, Slots::default())).collect();
        if !known.is_empty() {
            // Parts that name a namespace cover objects without one, too.
            known.insert(Arc::from(""), Slots::default());
        }
        Self(known)
    }

    /// Whether new objects are to be [added](Self::add).
    pub(super) fn is_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Adds the object of a slot, which was vacant before. O(1) amortized.
    pub(super) fn add<T>(&mut self, slot: Slot, objects: &ObjectMap<T>) {
        let Some(object) = objects.at(slot) else { return };
        let namespace = Obj::namespace(object);
        let Some(Slots { slots, sweep_at }) = self.0.get_mut(namespace) else { return };
        slots.push(slot);
        if slots.len() >= *sweep_at {
            slots.sort_unstable();
            slots.dedup();
            slots.retain(|slot| objects.at(*slot).is_some_and(|object| Obj::namespace(object) == namespace));
            *sweep_at = FIRST_SWEEP.max(2 * slots.len());
        }
    }

    /// Adds the new objects of a draft that is about to be published.
    pub(super) fn take_added<T>(&mut self, draft: &mut Draft<T>) {
        for slot in draft.added.iter_mut().flat_map(std::mem::take) {
            self.add(slot, &draft.objects);
        }
    }

    /// The objects that a part covers which names this namespace. Some are of other namespaces, and some come twice. `None`
    /// if that is not known.
    pub(super) fn objects<'a, T>(
        &'a self,
        namespace: &'a str,
        objects: &'a ObjectMap<T>,
    ) -> Option<impl Iterator<Item = &'a Obj<T>>> {
        let slots = [self.0.get(namespace)?, self.0.get("")?].into_iter().flat_map(|known| &known.slots);
        Some(slots.filter_map(|slot| objects.at(*slot)))
    }

    /// Panics if an object is missing. O(n).
    #[cfg(test)]
    pub(super) fn validate<T>(&self, objects: &ObjectMap<T>) {
        for object in objects.iter() {
            let slots = self.0.get(Obj::namespace(object)).map(|known| &known.slots);
            assert!(slots.is_none_or(|slots| Obj::slot(object).is_some_and(|slot| slots.contains(&slot))));
        }
        assert!(self.0.values().all(|Slots { slots, sweep_at }| slots.len() < *sweep_at), "slots pile up");
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self { slots: Vec::new(), sweep_at: FIRST_SWEEP }
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

    const NAMES: [&str; 4] = ["", "a", "b", "other"];

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
        fn the_objects_of_a_namespace_are_found_and_few_others(
            steps in prop::collection::vec((0..NAMES.len(), 0..30_u32, any::<bool>()), 0..400),
        ) {
            let hasher = KeyHasher::new();
            let mut objects = ObjectMap::new(hasher.clone());
            let mut namespaces = Namespaces::new(["a", "b"].into_iter().map(Arc::from));
            for (step, (namespace, name, stays)) in (0..).zip(steps) {
                let name = name.to_string();
                let key = Key { namespace: NAMES[namespace], name: &name };
                if stays {
                    let new = insert(&mut objects, hasher.object(key), key, step);
                    new.into_iter().for_each(|slot| namespaces.add(slot, &objects));
                } else if let Some(slot) = objects.iter().find(|object| Obj::is(object, key)).and_then(Obj::slot) {
                    objects.remove(slot);
                }
                namespaces.validate(&objects);
            }
            for namespace in ["a", "b"] {
                let found: Vec<_> = namespaces.objects(namespace, &objects).unwrap().map(Obj::address).collect();
                let is_own = |object: &&Obj<()>| ["", namespace].contains(&Obj::namespace(object));
                let own: Vec<_> = objects.iter().filter(is_own).map(Obj::address).collect();
                prop_assert!(own.iter().all(|object| found.contains(object)));
                // Each of two lists is at most twice as long as there were objects in it.
                prop_assert!(found.len() <= 2 * FIRST_SWEEP.max(2 * 30), "{}", found.len());
            }
            prop_assert!(namespaces.objects("other", &objects).is_none());
        }
    }
}
