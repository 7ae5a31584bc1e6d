//! A list that is being collected: a draft that also knows which stored objects were listed.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::Writer;
use super::draft::Draft;
use super::retired::{Retired, World};
use crate::object::Obj;
use crate::reflector::{Reuse, Turn};
use crate::snapshot::Invalid;
use crate::trie::Trie;
use crate::version::ResourceVersion;

/// An incomplete list. It is a separate value that neither readers nor the writer see until
/// [`Writer::commit`]. Dropping it aborts the list in O(1); its memory is freed later, in parts.
pub(crate) struct List<T>(pub(super) Draft<T>);

/// The additional state of a draft that collects a list.
pub(super) struct ListState<T> {
    /// The objects that were stored before the list.
    held: Trie<Obj<T>>,
    /// The addresses of the objects in `held` that were listed.
    named: HashSet<usize, RandomState>,
    /// The objects that were invalid before the list. Those that still are invalid are added to the draft
    /// again.
    pub(super) known_invalid: Trie<Invalid>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Starts to collect a list. Allocates for as many objects as are stored.
    pub(crate) fn begin_list(&self, reuse: Reuse) -> List<T> {
        let mut draft = self.draft(reuse);
        draft.nameless = 0;
        draft.listing = Some(ListState {
            held: draft.objects.clone(),
            named: HashSet::with_capacity_and_hasher(draft.objects.len(), RandomState::default()),
            known_invalid: std::mem::take(&mut draft.invalid),
        });
        List(draft)
    }

    /// Completes a list: removes the objects that were not listed, and publishes once, as `version`. A
    /// cancelled call drops the list.
    pub(crate) async fn commit(&mut self, list: List<T>, version: Option<ResourceVersion>) {
        let List(mut draft) = list;
        debug_assert!(
            draft.listing.as_ref().is_some_and(|listing| listing.held.ptr_eq(&self.shared().load().objects)),
            "another version was published while the list was collected"
        );
        self.remove_unlisted(&mut draft).await;
        if let Some(listing) = draft.listing.take() {
            draft.changed |= Trie::diff(&listing.known_invalid, &draft.invalid).next().is_some();
            listing.discard(&self.retired);
        }
        draft.epoch += u64::from(draft.reuse == Reuse::NewEpoch);
        draft.changed |= !draft.synced;
        draft.synced = true;
        self.publish(draft, version);
    }

    async fn remove_unlisted(&mut self, draft: &mut Draft<T>) {
        let Some(ListState { held, named, .. }) = &mut draft.listing else { return };
        let (held, named) = (held.clone(), std::mem::take(named));
        let mut turn = Turn::new();
        for object in held.iter() {
            if !named.contains(&Obj::address(object)) {
                // Keeps the object if the list has replaced it with another version.
                draft.remove_object(&self.indexers, Obj::key(object), |now| Obj::ptr_eq(now, object));
            }
            turn.pass().await;
        }
    }
}

impl<T> List<T> {
    /// Marks the list as the first of a new epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.0.reuse = Reuse::NewEpoch;
    }
}

impl<T> ListState<T> {
    /// Records that a stored object still exists.
    pub(super) fn name(&mut self, stored: &Obj<T>) {
        if !self.held.is_empty() {
            self.named.insert(Obj::address(stored));
        }
    }

    pub(super) fn discard(self, retired: &Retired<T>) {
        let Self { held: objects, known_invalid: invalid, .. } = self;
        retired.discard(World { objects, invalid, ..World::default() });
    }
}
