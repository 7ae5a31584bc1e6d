//! A list being collected: a draft that also knows which objects it has named.

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

/// A list that is not complete: a value of its own, unseen by readers and by the writer until
/// [`Writer::commit`]. Dropping it aborts the list, in O(1); memory is freed later and in parts.
pub(crate) struct List<T>(pub(super) Draft<T>);

/// What a draft knows more when it is a list.
pub(super) struct ListState<T> {
    /// What was stored before.
    held: Trie<Obj<T>>,
    /// Where those of `held` lie that the list has named.
    named: HashSet<usize, RandomState>,
    /// What was invalid before; what still is moves back to the draft.
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

    /// The list is complete: removes what it did not name, and publishes once, as `version`. Cancelled, the list is
    /// dropped.
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
                // Unless the list has named it in another version.
                draft.remove_object(&self.indexers, Obj::key(object), |now| Obj::ptr_eq(now, object));
            }
            turn.pass().await;
        }
    }
}

impl<T> List<T> {
    /// The list is of a new epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.0.reuse = Reuse::NewEpoch;
    }
}

impl<T> ListState<T> {
    /// Notes that an object still exists.
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
