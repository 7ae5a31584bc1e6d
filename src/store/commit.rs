//! Merges a complete list into the newest version.

use std::cmp::Ordering;

use super::Writer;
use super::draft::{Draft, place_of};
use super::indexers::Indexers;
use super::life::Life;
use super::list::List;
use super::members::Members;
use super::namespaces::Namespaces;
use super::parts::{PartId, Parts, Share};
use crate::error::DecodeError;
use crate::free::free;
use crate::key::Key;
use crate::object::Obj;
use crate::objects::ObjectMap;
use crate::reflector::{Regression, Reuse, Turn};
use crate::snapshot::Invalid;
use crate::trie::{Element as _, Trie};
use crate::version::ResourceVersion;

impl<T: Send + Sync + 'static> Writer<T> {
    /// Completes a list of a part: removes the objects that only this part had and did not list, and publishes once.
    /// The part has reached `version`. A cancelled call drops the list.
    ///
    /// # Errors
    ///
    /// If the list is older than what the store has forgotten of other parts. It changes nothing then.
    pub(crate) async fn commit(
        &mut self,
        list: List<T>,
        part: PartId,
        version: Option<ResourceVersion>,
    ) -> Result<(), Regression> {
        let mut draft = self.draft(Reuse::Unchanged);
        let reuse = list.reuse;
        // The first part that finds the restored server begins the epoch.
        let renews = reuse == Reuse::NewEpoch && self.parts.is_of(part, draft.epoch);
        if !renews && let Err(old) = self.check_age(version.as_ref()) {
            draft.drop_unchanged();
            return Err(old);
        }
        // They may be many. Their slots stay known until the next list of a part that names the namespace.
        draft.removed = None;
        let Self { parts, namespaces, indexers, .. } = self;
        merge(&mut draft, list, part, version.as_ref(), (parts, namespaces), indexers).await;
        draft.epoch += u64::from(renews);
        self.parts.change(part, |part| {
            part.listed = true;
            if matches!(reuse, Reuse::Nothing | Reuse::NewEpoch) {
                part.epoch = draft.epoch;
            }
        });
        draft.changed |= !draft.synced && self.parts.are_listed();
        draft.synced |= self.parts.are_listed();
        if renews {
            self.forget_graves(&mut draft);
        }
        self.publish(draft, part, version);
        if renews && !self.parts.is_single() {
            self.changes.notify_one();
        }
        Ok(())
    }
}

/// Merges a list of a part into a draft of the newest version.
pub(super) async fn merge<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    mut list: List<T>,
    part: PartId,
    version: Option<&ResourceVersion>,
    (parts, namespaces): (&Parts, &mut Namespaces),
    indexers: &mut Indexers<T>,
) {
    draft.reuse = list.reuse;
    // What the part had before another epoch has a version that cannot be compared with later ones.
    let until = version.filter(|_| parts.is_of(part, draft.epoch));
    let mut turn = Turn::new();
    // The first list of a part removes nothing, but may find objects of others.
    if list.names_any() || parts.get(part).is_some_and(|part| part.listed) {
        remove_unlisted(draft, &list, part, until, (parts, &mut *namespaces), indexers, &mut turn).await;
    }
    let mut values = std::mem::take(&mut list.values);
    if draft.objects.is_empty() {
        draft.objects.reserve(values.len());
    }
    let namespace = parts.get(part).and_then(|part| part.namespace.clone());
    namespace.iter().for_each(|namespace| namespaces.reserve(namespace, values.len()));
    // In the order of arrival, which is that of keys in etcd: so the objects of a namespace are neighbours in the array, and
    // the first time each is the last one so far of its index keys.
    for object in values.iter_mut().filter_map(Option::take) {
        store(draft, &list, object, part, parts, indexers);
        namespaces.take_added(draft);
        turn.pass().await;
    }
    for invalid in list.invalid.iter() {
        let Some(key) = invalid.error().key.clone() else { continue };
        let share = parts.share(part, key.namespace());
        if share == Share::Foreign {
            continue;
        }
        let uid = invalid.error().uid().unwrap_or_default();
        let is_shared = share == Share::Shared;
        if is_shared && is_overtaken(draft, &list, Life::of_invalid(invalid), key.as_key(), part, parts) {
            continue;
        }
        let was_same = draft.is_life(key.as_key(), uid);
        if draft.invalid.get(invalid.hash(), |known| known.ptr_eq(invalid)).is_none() {
            draft.put_invalid(indexers, invalid.clone());
        }
        if is_shared && draft.is_life(key.as_key(), uid) {
            draft.join(key.as_key(), part, !was_same);
        }
        turn.pass().await;
    }
    let before = parts.get(part).map_or(0, |part| part.nameless);
    draft.changed |= before != list.nameless;
    draft.nameless = draft.nameless.saturating_sub(before) + list.nameless;
}

async fn remove_unlisted<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    list: &List<T>,
    part: PartId,
    until: Option<&ResourceVersion>,
    (parts, namespaces): (&Parts, &mut Namespaces),
    indexers: &mut Indexers<T>,
    turn: &mut Turn,
) {
    let (objects, invalid) = (draft.objects.clone(), draft.invalid.clone());
    let named = parts.get(part).and_then(|part| part.namespace.as_deref());
    if let Some(named) = named.filter(|named| namespaces.knows(named)) {
        for namespace in [named, ""] {
            let mut left = Vec::new();
            for slot in namespaces.slots(namespace) {
                match objects.at(slot).filter(|object| Obj::namespace(object) == namespace) {
                    Some(object) => remove_unless_listed(draft, list, object, part, until, parts, indexers),
                    None => left.push(slot),
                }
                turn.pass().await;
            }
            for slot in left {
                namespaces.forget(namespace, slot);
                turn.pass().await;
            }
        }
    } else {
        for object in objects.iter() {
            remove_unless_listed(draft, list, object, part, until, parts, indexers);
            turn.pass().await;
        }
    }
    for invalid in invalid.iter() {
        let Some(key) = &invalid.error().key else { continue };
        let key = key.as_key();
        let is_invalid = list.invalid.get(invalid.hash(), |listed| listed.is_of(key)).is_some();
        match parts.share(part, key.namespace) {
            Share::Alone if !is_invalid => draft.remove_invalid(key, |_| true),
            // A stored object was looked at above.
            Share::Shared if !is_invalid && draft.objects.get(invalid.hash(), key).is_none() => {
                draft.leave(indexers, key, part, until);
            }
            _ => {}
        }
        turn.pass().await;
    }
}

fn remove_unless_listed<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    list: &List<T>,
    object: &Obj<T>,
    part: PartId,
    until: Option<&ResourceVersion>,
    parts: &Parts,
    indexers: &mut Indexers<T>,
) {
    let is_listed = list.names(object);
    match parts.share_of(part, object) {
        Share::Alone if !is_listed => draft.remove_object(indexers, Obj::key(object), |_| true),
        Share::Shared if is_listed => draft.join(Obj::key(object), part, false),
        Share::Shared => draft.leave(indexers, Obj::key(object), part, until),
        Share::Alone | Share::Foreign => {}
    }
}

/// Stores a listed value, unless another part has brought a newer one since the list began.
fn store<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    list: &List<T>,
    object: Obj<T>,
    part: PartId,
    parts: &Parts,
    indexers: &Indexers<T>,
) {
    let share = parts.share_of(part, &object);
    if share == Share::Foreign {
        return free(object);
    }
    let hash = draft.hasher.stored(&object);
    let shared = share == Share::Shared;
    let key = Obj::key(&object);
    if shared && is_overtaken(draft, list, Life::of_object(&object), key, part, parts) {
        return free(object);
    }
    let was_same = shared && draft.is_life(key, &Obj::uid(&object));
    let joining = shared.then(|| key.to_owned());
    let (before, slot) = place_of(draft.objects.get(hash, key));
    match indexers.keys(draft.indexed(), key, &object, before) {
        Ok(keys) => draft.put(indexers, object, (hash, slot), keys),
        Err(mismatch) => {
            draft.put_invalid(indexers, Invalid::new(hash, DecodeError::stored(&object, mismatch)));
            free(object);
        }
    }
    if let Some(key) = joining {
        draft.join(key.as_key(), part, !was_same);
    }
}

/// Whether other parts know a newer version of what was listed, or the same one since the list began.
fn is_overtaken<T: Send + Sync + 'static>(
    draft: &mut Draft<T>,
    list: &List<T>,
    listed: Life<'_>,
    key: Key<'_>,
    part: PartId,
    parts: &Parts,
) -> bool {
    if list.reuse == Reuse::NewEpoch {
        return false;
    }
    if listed.version.as_ref().is_some_and(|version| draft.has_left(key, version)) {
        return true;
    }
    let Some(known) = draft.life(key) else { return false };
    // A part that was not listed in this epoch has versions that cannot be compared.
    let members = draft.members(key).map_or(&[][..], Members::parts);
    let is_comparable = members
        .iter()
        .any(|member| parts.get(*member).is_some_and(|member| member.listed && member.epoch == draft.epoch));
    let is_overtaken = is_comparable
        && match known.cmp_version(&listed) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => !is_unchanged(draft, list, key),
            Some(Ordering::Less) | None => false,
        };
    let has_it = is_overtaken && known.is_same_as(&listed);
    drop(known);
    if has_it {
        draft.join(key, part, false);
    }
    is_overtaken
}

/// Whether what is stored under a key is what was stored when the list began.
fn is_unchanged<T: Send + Sync + 'static>(draft: &Draft<T>, list: &List<T>, key: Key<'_>) -> bool {
    let hash = draft.hasher.object(key);
    let object = |objects: &ObjectMap<T>| objects.get(hash, key).map(Obj::address);
    let invalid = |all: &Trie<Invalid>| all.get(hash, |invalid| invalid.is_of(key)).map(Invalid::address);
    object(&draft.objects) == object(&list.base.objects)
        && invalid(&draft.invalid) == invalid(&list.base.invalid)
}
