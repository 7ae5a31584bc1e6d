//! Changes which parts the scope has, in one version.
//!
//! New parts list while the old ones go on. Their lists are parked until each new part has one. Then one version has the
//! lists of the new parts, and no longer has what only removed parts had.

use std::collections::HashSet;

use tokio::sync::oneshot;

use super::Writer;
use super::commit::merge;
use super::draft::Draft;
use super::indexers::Indexers;
use super::list::List;
use super::members::Members;
use super::namespaces::Namespaces;
use super::parts::{Part, PartId, Parts};
use crate::key::Key;
use crate::object::Obj;
use crate::objects::ObjectMap;
use crate::reflector::{Regression, Reuse, Turn};
use crate::snapshot::Invalid;
use crate::trie::{Element as _, Trie};
use crate::version::ResourceVersion;

/// A change of the scope.
pub(super) struct Change<T> {
    /// The present parts that stay.
    keep: HashSet<PartId>,
    /// In the order of their numbers.
    start: Vec<Part>,
    /// The complete lists of parts that start.
    parked: Vec<Parked<T>>,
}

struct Parked<T> {
    part: PartId,
    list: List<T>,
    version: Option<ResourceVersion>,
    answer: oneshot::Sender<Result<(), Regression>>,
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Sets the parts before the first list.
    pub(crate) fn set_parts<'a>(&mut self, parts: impl IntoIterator<Item = (PartId, Option<&'a str>)>) {
        self.parts = Parts::of(parts.into_iter().map(|(id, namespace)| Part::new(id, namespace)));
        self.namespaces = Namespaces::new(self.parts.namespaces());
        debug_assert!(self.shared().load().objects.is_empty(), "they are set before the first list");
        if self.parts.iter().next().is_none() {
            // Nothing is waited for.
            let mut draft = self.draft(Reuse::Unchanged);
            draft.changed |= !draft.synced;
            draft.synced = true;
            self.settle(draft, true);
        }
    }

    /// Begins a change of the scope: of the present parts, only `keep` stay, and others start. Replaces a change that is
    /// not complete.
    pub(crate) fn begin_change<'a>(
        &mut self,
        keep: HashSet<PartId>,
        start: impl IntoIterator<Item = (PartId, Option<&'a str>)>,
    ) {
        let epoch = self.shared().load().epoch;
        let start = start.into_iter().map(|(id, namespace)| Part { epoch, ..Part::new(id, namespace) });
        self.change = Some(Change { keep, start: start.collect(), parked: Vec::new() });
    }

    /// The highest version that a part has reached. A part that starts now is not behind it, unless the server was restored.
    pub(crate) fn most_reached(&self) -> Option<ResourceVersion> {
        self.parts.most_reached(self.shared().load().epoch)
    }

    /// Ends a change of the scope that is not complete. The parts that were starting with it never get further.
    pub(crate) fn abandon_change(&mut self) {
        self.change = None;
    }

    /// The parts that were last listed before the current epoch.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = PartId> {
        let epoch = self.shared().load().epoch;
        self.parts.iter().filter(move |part| part.listed && part.epoch != epoch).map(|part| part.id)
    }

    pub(crate) fn is_changing(&self) -> bool {
        self.change.is_some()
    }

    /// Whether the part may change what readers see.
    pub(crate) fn is_present(&self, part: PartId) -> bool {
        self.parts.get(part).is_some()
    }

    pub(crate) fn is_starting(&self, part: PartId) -> bool {
        self.change.as_ref().is_some_and(|change| change.start_of(part).is_some())
    }

    /// Keeps the list of a part that starts. The receiver gets the answer once it is published.
    pub(super) fn park(
        &mut self,
        mut list: List<T>,
        part: PartId,
        version: Option<ResourceVersion>,
    ) -> oneshot::Receiver<Result<(), Regression>> {
        let (answer, answered) = oneshot::channel();
        // It may wait for long. If the store forgets more recent objects meanwhile, the part is listed again.
        list.open = None;
        if let Some(change) = &mut self.change {
            change.parked.push(Parked { part, list, version, answer });
        }
        answered
    }

    /// Publishes the change of the scope if each new part has a list.
    pub(crate) async fn complete_change(&mut self) {
        let epoch = self.shared().load().epoch;
        let Some(change) = &mut self.change else { return };
        if change.parked.len() < change.start.len() {
            return;
        }
        // Versions of the epoch that it begins cannot be compared with those of forgotten objects.
        let renews = change.renews(epoch);
        let parked = std::mem::take(&mut change.parked);
        let mut young = Vec::with_capacity(parked.len());
        for parked in parked {
            let checked = if renews { Ok(()) } else { self.check_age(parked.version.as_ref()) };
            match checked {
                Ok(()) => young.push(parked),
                Err(old) => _ = parked.answer.send(Err(old)),
            }
        }
        let Some(change) = &mut self.change else { return };
        change.parked = young;
        if change.parked.len() == change.start.len()
            && let Some(change) = self.change.take()
        {
            self.publish_change(change).await;
        }
    }

    async fn publish_change(&mut self, change: Change<T>) {
        let mut draft = self.draft(Reuse::Unchanged);
        // A new part may be the first that finds a restored server.
        let renews = change.renews(draft.epoch);
        let Change { mut keep, start, parked } = change;
        // As for a list.
        draft.removed = None;
        let mut all = Parts::of(self.parts.iter().cloned().chain(start));
        record_members(&mut draft, &self.parts, &all).await;
        let mut namespaces = locate(&draft.objects, &all).await;
        draft.added = namespaces.is_needed().then(Vec::new);
        draft.epoch += u64::from(renews);
        let mut answers = Vec::with_capacity(parked.len());
        for Parked { part, list, version, answer } in parked {
            let (nameless, reuse) = (list.nameless, list.reuse);
            let known = (&all, &mut namespaces);
            merge(&mut draft, list, part, version.as_ref(), known, &mut self.indexers).await;
            all.change(part, |part| {
                (part.version, part.nameless, part.listed) = (version, nameless, true);
                if matches!(reuse, Reuse::Nothing | Reuse::NewEpoch) {
                    part.epoch = draft.epoch;
                }
            });
            answers.push((part, answer));
        }
        keep.extend(answers.iter().map(|(new, _)| *new));
        let rest = Parts::of(all.iter().filter(|part| keep.contains(&part.id)).cloned());
        remove_parts(&mut draft, &all, &rest, &mut self.indexers).await;
        draft.nameless = rest.iter().map(|part| part.nameless).sum();
        draft.changed |= !draft.synced && rest.are_listed();
        draft.synced |= rest.are_listed();
        if renews {
            self.forget_graves(&mut draft);
        }
        self.retain_graves(&mut draft, |grave| rest.covering(grave.key.namespace()) > 1);
        self.namespaces = namespaces.only(rest.namespaces());
        self.parts = rest;
        self.settle(draft, true);
        for (_, answer) in answers {
            let _ = answer.send(Ok(()));
        }
        self.changes.notify_one();
    }
}

impl<T> Change<T> {
    fn start_of(&self, part: PartId) -> Option<&Part> {
        let at = self.start.binary_search_by_key(&part, |start| start.id).ok()?;
        self.start.get(at)
    }

    /// Whether it begins another epoch than this one.
    fn renews(&self, epoch: u64) -> bool {
        let is_of = |part| self.start_of(part).is_some_and(|start| start.epoch == epoch);
        self.parked.iter().any(|parked| parked.list.reuse == Reuse::NewEpoch && is_of(parked.part))
    }
}

/// Records which of the `present` parts has an object, where another part starts to cover it.
async fn record_members<T: Send + Sync + 'static>(draft: &mut Draft<T>, present: &Parts, all: &Parts) {
    let (objects, invalid) = (draft.objects.clone(), draft.invalid.clone());
    let mut turn = Turn::new();
    for key in keys(&objects, &invalid) {
        if all.covering(key.namespace) > 1
            && draft.members(key).is_none_or(|members| members.parts().is_empty())
            && let Some(only) = present.only(key.namespace)
        {
            draft.set_members(key, Box::from([only]), None);
        }
        turn.pass().await;
    }
}

/// Finds the objects of each namespace that a part names.
async fn locate<T: Send + Sync + 'static>(objects: &ObjectMap<T>, parts: &Parts) -> Namespaces {
    let mut namespaces = Namespaces::new(parts.namespaces());
    if namespaces.is_needed() {
        let objects = objects.clone();
        let mut turn = Turn::new();
        for slot in objects.iter().filter_map(Obj::slot) {
            namespaces.add(slot, &objects);
            turn.pass().await;
        }
    }
    namespaces
}

/// Removes the objects that no part of `rest` has, of those that are stored for `all`.
async fn remove_parts<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    all: &Parts,
    rest: &Parts,
    indexers: &mut Indexers<T>,
) {
    let (objects, invalid) = (draft.objects.clone(), draft.invalid.clone());
    let mut turn = Turn::new();
    for key in keys(&objects, &invalid) {
        let stays = |part: &PartId| rest.get(*part).is_some();
        match draft.members(key).map(Members::parts) {
            Some(members) => {
                let left: Box<[PartId]> = members.iter().copied().filter(stays).collect();
                let is_same = left.len() == members.len();
                if left.is_empty() {
                    draft.remove(indexers, key);
                }
                if left.is_empty() || rest.covering(key.namespace) < 2 {
                    draft.forget_members(key);
                } else if !is_same {
                    let brought = draft.life(key).and_then(|life| life.version);
                    draft.set_members(key, left, brought);
                }
            }
            None if all.only(key.namespace).is_some_and(|only| stays(&only)) => {}
            None => draft.remove(indexers, key),
        }
        turn.pass().await;
    }
}

/// The keys of all objects, and of those that are only invalid.
fn keys<'a, T>(objects: &'a ObjectMap<T>, invalid: &'a Trie<Invalid>) -> impl Iterator<Item = Key<'a>> {
    let only_invalid = invalid.iter().filter_map(|invalid| {
        let key = invalid.error().key.as_ref()?.as_key();
        objects.get(invalid.hash(), key).is_none().then_some(key)
    });
    objects.iter().map(Obj::key).chain(only_invalid)
}
