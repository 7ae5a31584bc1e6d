//! Which parts of a scope have an object, where several could have it.
//!
//! The parts list and watch independently, and one may be behind another. So the record of an object that has left the
//! store stays for a while: a part that is behind may still send a version from before, which must not appear again.

use std::cmp::Ordering;

use super::draft::Draft;
use super::indexers::Indexers;
use super::life::Life;
use super::parts::{PartId, Parts};
use crate::fetch::Counted;
use crate::key::{Key, ObjectKey};
use crate::trie::Element;
use crate::version::ResourceVersion;

/// The parts that have the object of a key.
#[derive(Clone)]
pub(super) struct Members(triomphe::Arc<Record>);

struct Record {
    hash: u64,
    key: ObjectKey,
    /// Sorted. Empty if the object has left the store.
    parts: Box<[PartId]>,
    /// If it has left: its last version. It does not return with an older one, nor with this one, unless that `may_return`.
    /// If not: the version that a part has brought which was removed from the scope.
    version: Option<ResourceVersion>,
    /// A part that is behind may still bring the version with which it left.
    may_return: bool,
}

/// An object that has left the store.
pub(super) struct Grave {
    pub(super) key: ObjectKey,
    /// The version with which it left.
    left: ResourceVersion,
    /// Once every part has reached this version, none sends an older one. Without, the object is forgotten at once.
    pub(super) until: Option<ResourceVersion>,
}

// === impl Members ===

impl Members {
    pub(super) fn key(&self) -> Key<'_> {
        self.0.key.as_key()
    }

    pub(super) fn parts(&self) -> &[PartId] {
        &self.0.parts
    }

    pub(super) fn is_of(&self, key: Key<'_>) -> bool {
        self.key() == key
    }

    fn has_left(&self) -> bool {
        self.0.parts.is_empty()
    }
}

impl Counted for Members {
    #[inline]
    fn count(&self) -> usize {
        triomphe::Arc::strong_count(&self.0)
    }
}

impl Element for Members {
    fn hash(&self) -> u64 {
        self.0.hash
    }

    fn same_key(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}

// === impl Draft ===

impl<T: Send + Sync + 'static> Draft<T> {
    pub(super) fn members(&self, key: Key<'_>) -> Option<&Members> {
        self.members.get(self.hasher.object(key), |members| members.is_of(key))
    }

    /// Whether a part that is behind sends a version from before the object left.
    pub(super) fn has_left(&self, key: Key<'_>, version: &ResourceVersion) -> bool {
        let Some(members) = self.members(key).filter(|members| members.has_left()) else { return false };
        let Some(last) = &members.0.version else { return false };
        version < last || version == last && !members.0.may_return
    }

    /// Whether the object or the invalid one under a key is known to be, or may be, the one with this uid.
    pub(super) fn is_life(&self, key: Key<'_>, uid: &str) -> bool {
        let life = Life { uid: uid.into(), version: None };
        self.life(key).is_some_and(|known| known.is_same_as(&life))
    }

    /// Whether the deletion of this life is the end of what is stored under a key.
    pub(super) fn is_ended_by(
        &self,
        key: Key<'_>,
        uid: Option<&str>,
        version: Option<&ResourceVersion>,
    ) -> bool {
        let deleted = Life { uid: uid.unwrap_or_default().into(), version: version.cloned() };
        self.life(key).is_some_and(|life| deleted.ends(&life))
    }

    /// Whether a part that has the object has been listed in the epoch of this draft, so that its version can be compared.
    pub(super) fn is_trusted(&self, key: Key<'_>, parts: &Parts) -> bool {
        let members = self.members(key).map_or(&[][..], Members::parts);
        members.iter().any(|part| parts.is_of(*part, self.epoch))
    }

    /// A part has the object. `alone`: no other part is known to have it.
    pub(super) fn join(&mut self, key: Key<'_>, part: PartId, alone: bool) {
        let known = self.members(key).map_or(&[][..], Members::parts);
        if alone && known != [part] {
            return self.set_members(key, Box::from([part]), None);
        }
        if let Err(at) = known.binary_search(&part) {
            let parts = [&known[..at], &[part], &known[at..]].concat();
            self.set_members(key, parts.into(), self.brought(key));
        }
    }

    /// A part does not have the object any more. If no part has it, it leaves the store. `until`: see [`Grave`].
    pub(super) fn leave(
        &mut self,
        indexers: &Indexers<T>,
        key: Key<'_>,
        part: PartId,
        until: Option<&ResourceVersion>,
    ) {
        let known = self.members(key).map_or(&[][..], Members::parts);
        let rest: Box<[PartId]> = known.iter().copied().filter(|other| *other != part).collect();
        if !rest.is_empty() {
            if rest.len() < known.len() {
                self.set_members(key, rest, self.brought(key));
            }
            return;
        }
        let Some(life) = self.life(key) else { return };
        let left = life.version.filter(|_| until.is_some_and(ResourceVersion::is_ordered));
        // The part that has brought this version cannot say that there is a later one.
        let may_return = left.is_some() && left == self.brought(key);
        self.remove(indexers, key);
        if let Some(left) = left {
            self.set_record(key, rest, Some(left.clone()), may_return);
            self.graves.push(Grave { key: key.to_owned(), left, until: until.cloned() });
        } else {
            self.forget_members(key);
        }
    }

    /// `brought`: the version that a part has brought which was removed from the scope.
    pub(super) fn set_members(
        &mut self,
        key: Key<'_>,
        parts: Box<[PartId]>,
        brought: Option<ResourceVersion>,
    ) {
        self.set_record(key, parts, brought, false);
    }

    fn set_record(
        &mut self,
        key: Key<'_>,
        parts: Box<[PartId]>,
        version: Option<ResourceVersion>,
        may_return: bool,
    ) {
        let hash = self.hasher.object(key);
        let record = Record { hash, key: key.to_owned(), parts, version, may_return };
        self.members.insert(Members(triomphe::Arc::new(record)));
    }

    fn brought(&self, key: Key<'_>) -> Option<ResourceVersion> {
        self.members(key).filter(|members| !members.has_left())?.0.version.clone()
    }

    pub(super) fn forget_members(&mut self, key: Key<'_>) {
        self.members.remove(self.hasher.object(key), |members| members.is_of(key));
    }

    /// Forgets an object that has left, unless it is back or has left again since.
    pub(super) fn close(&mut self, grave: &Grave) {
        let key = grave.key.as_key();
        let is_meant =
            |members: &Members| members.has_left() && members.0.version.as_ref() == Some(&grave.left);
        self.members.remove(self.hasher.object(key), |members| members.is_of(key) && is_meant(members));
    }

    /// The newest version of what is stored or invalid under a key.
    pub(super) fn life(&self, key: Key<'_>) -> Option<Life<'_>> {
        let hash = self.hasher.object(key);
        let object = self.objects.get(hash, key).map(Life::of_object);
        let invalid = self.invalid.get(hash, |invalid| invalid.is_of(key)).map(Life::of_invalid);
        match (object, invalid) {
            (Some(object), Some(invalid)) => {
                let newer = object.cmp_version(&invalid) == Some(Ordering::Less);
                Some(if newer { invalid } else { object })
            }
            (object, invalid) => object.or(invalid),
        }
    }
}
