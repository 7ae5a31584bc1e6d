//! The checks of every view of an informer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

use kube_informer::{Index, Obj, Snapshot, View};

use crate::history::{Lineage, Object, Selection, State};
use crate::kind::{Kept, Shown};
use crate::world::World;

/// An index, with the function of its keys.
#[derive(Clone, Copy)]
pub(crate) enum AnyIndex {
    Group(Index<Kept, String>),
    Namespace(Index<Kept, String>),
    /// By the number, modulo the second field.
    Number(Index<Kept, u64>, u64),
}

/// Checks the views of one informer.
pub(crate) struct Checker {
    pub(crate) name: String,
    world: World,
    pub(crate) selection: Selection,
    pub(crate) indexes: Vec<AnyIndex>,
    /// Whether the informer shows an empty state without a version while the kind is absent.
    pub(crate) shows_absence: bool,
    /// Whether views have no version, because a stream feeds the informer.
    pub(crate) unversioned: bool,
    /// The earliest history that the newest view can belong to.
    lineage: usize,
    version: Option<u64>,
    revision: u64,
    synced: bool,
    /// The last valid version of each object that was seen: uid and version, by key.
    seen: BTreeMap<(String, String), (String, u64)>,
    /// Digests by revision: all views of a revision must have the same content.
    digests: VecDeque<(u64, u64)>,
    held: Vec<(Snapshot<Kept>, u64)>,
    pub(crate) views: u64,
}

type Verdict = Result<(), String>;

impl Checker {
    pub(crate) fn new(name: &str, world: &World, selection: Selection) -> Self {
        Self {
            name: name.to_owned(),
            world: world.clone(),
            selection,
            indexes: Vec::new(),
            shows_absence: false,
            unversioned: false,
            lineage: 0,
            version: None,
            revision: 0,
            synced: false,
            seen: BTreeMap::new(),
            digests: VecDeque::new(),
            held: Vec::new(),
            views: 0,
        }
    }

    /// Checks a newer view, or the same one again.
    pub(crate) fn see(&mut self, view: &View<Kept>) {
        self.views += 1;
        if let Err(why) = self.check(view) {
            let name = &self.name;
            self.world.fail(format!(
                "{name} at {:?}, revision {}: {why}",
                view.resource_version(),
                view.revision()
            ));
        }
    }

    fn check(&mut self, view: &View<Kept>) -> Verdict {
        let digest = digest(view);
        if let Some((_, known)) = self.digests.iter().find(|(revision, _)| *revision == view.revision()) {
            ensure(*known == digest, || "one revision, two contents".into())?;
        } else {
            self.digests.push_front((view.revision(), digest));
            self.digests.truncate(64);
        }
        ensure(view.revision() >= self.revision, || format!("after revision {}", self.revision))?;
        ensure(view.is_synced() || !self.synced, || "no longer synced".into())?;
        if !view.is_synced() {
            return ensure(view.is_empty() && view.invalid_len() == 0, || "not synced, and not empty".into());
        }
        let anew = view.revision() > self.revision || !self.synced;
        self.synced = true;
        self.revision = view.revision();
        for index in &self.indexes {
            index.check(view)?;
        }
        if self.unversioned {
            self.check_stream(view, anew)?
        } else {
            self.check_version(view, anew)?
        }
        self.seen = view
            .iter()
            .map(|object| (key(object), (Obj::uid(object).into_owned(), version(object))))
            .collect();
        Ok(())
    }

    fn check_version(&mut self, view: &View<Kept>, anew: bool) -> Verdict {
        let server = self.world.lock();
        let Some(version) = view.resource_version() else {
            let absent = self.shows_absence && server.was_absent[self.selection.kind];
            self.version = None;
            return ensure(absent && view.is_empty(), || "synced without a version".into());
        };
        let version: u64 = version.to_string().parse().map_err(|_| "not one of the server's versions")?;
        // Only a view of another history may have a lower version.
        let back = self.version.is_some_and(|before| version < before);
        let least = self.lineage + usize::from(back);
        if !anew && self.version == Some(version) {
            return Ok(());
        }
        let mut why = format!("no such version in any history from {least} on");
        for (number, lineage, state) in
            server.truths(&self.selection, version).filter(|(number, ..)| *number >= least)
        {
            match agrees(view, &self.selection, lineage, state, version, &self.seen) {
                Ok(()) => {
                    (self.lineage, self.version) = (number, Some(version));
                    return Ok(());
                }
                Err(other) => why = other,
            }
        }
        Err(if back { format!("back from {:?}: {why}", self.version) } else { why })
    }

    /// The views of a stream are the state at some version, which never goes back.
    fn check_stream(&mut self, view: &View<Kept>, anew: bool) -> Verdict {
        if !anew {
            return Ok(());
        }
        let server = self.world.lock();
        let (lineage, from) = (server.lineage(), self.version.unwrap_or(1));
        let mut why = String::new();
        for version in from..=lineage.version() {
            let Some(state) = lineage.state(self.selection.kind, version) else { continue };
            match agrees(view, &self.selection, lineage, state, version, &self.seen) {
                Ok(()) => {
                    self.version = Some(version);
                    return Ok(());
                }
                Err(other) => why = other,
            }
        }
        Err(format!("of no version from {from} on: {why}"))
    }

    /// Whether the newest view is the newest state of the server.
    pub(crate) fn is_current(&self, view: &View<Kept>) -> Verdict {
        let server = self.world.lock();
        let lineage = server.lineage();
        let state = lineage.newest(self.selection.kind);
        ensure(view.is_synced(), || "not synced".into())?;
        agrees(view, &self.selection, lineage, state, lineage.version(), &BTreeMap::new())
    }

    pub(crate) fn lineage_and_version(&self) -> (usize, Option<u64>) {
        (self.lineage, self.version)
    }

    /// Keeps a view, to check it again later.
    pub(crate) fn hold(&mut self, snapshot: Snapshot<Kept>) {
        if self.held.len() == 4 {
            self.held.remove(0);
        }
        let digest = digest(&snapshot);
        self.held.push((snapshot, digest));
    }

    pub(crate) fn look_at_held(&self) {
        for (snapshot, before) in &self.held {
            let indexes = self.indexes.iter().try_for_each(|index| index.check(snapshot));
            let same = ensure(digest(snapshot) == *before, || "a held snapshot changed".into());
            if let Err(why) = same.and(indexes) {
                self.world.fail(format!("{}, held at {:?}: {why}", self.name, snapshot.resource_version()));
            }
        }
    }
}

pub(crate) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}

/// Whether a view shows a state correctly. `seen` has the last valid versions, which stay while an object is
/// invalid.
fn agrees(
    view: &View<Kept>,
    selection: &Selection,
    lineage: &Lineage,
    state: &State,
    at: u64,
    seen: &BTreeMap<(String, String), (String, u64)>,
) -> Verdict {
    let mut shown = 0;
    let mut invalid = BTreeSet::new();
    for (key, object) in state.iter().filter(|(_, object)| selection.has(object)) {
        let name = || format!("{}/{}", key.0, key.1);
        let held = view.get((&key.0, &key.1));
        shown += usize::from(held.is_some());
        match (object.shown(), held) {
            (Shown::Good, Some(held)) => ensure(is(held, object), || {
                format!("{} is {held:?} of {}, not {object:?}", name(), Obj::uid(held))
            })?,
            (Shown::Good, None) => return Err(format!("{} is missing", name())),
            (Shown::Hidden, held) => ensure(held.is_none(), || format!("{} is not kept out", name()))?,
            (Shown::Invalid, held) => {
                invalid.insert(key.clone());
                invalid_agrees(held, lineage, selection, object, at, seen.get(key))
                    .map_err(|why| format!("{}: {why}", name()))?;
            }
        }
    }
    ensure(view.len() == shown, || {
        let more: Vec<_> = view
            .iter()
            .map(key)
            .filter(|key| !state.get(key).is_some_and(|object| selection.has(object)))
            .collect();
        format!("{} objects instead of {shown}: {more:?}", view.len())
    })?;
    let marked: BTreeSet<_> = view
        .invalid()
        .filter_map(|error| error.key())
        .map(|key| (key.namespace().to_owned(), key.name().to_owned()))
        .collect();
    ensure(marked == invalid, || format!("invalid are {invalid:?}, not {marked:?}"))
}

/// If the newest version of an object is invalid, the view has an older valid one with the same uid, or none.
fn invalid_agrees(
    held: Option<&Obj<Kept>>,
    lineage: &Lineage,
    selection: &Selection,
    object: &Object,
    at: u64,
    seen: Option<&(String, u64)>,
) -> Verdict {
    let written = lineage.between(0, at).iter().rev().filter_map(|event| event.after.as_ref());
    let mut of_it = written.filter(|older| older.key == object.key && older.uid == object.uid);
    // Go back from the invalid version: a valid version may be cached; a hidden or unselected one removes the
    // object.
    let good = of_it.find(|older| older.shown() != Shown::Invalid || !selection.has(older));
    let good = good.filter(|older| older.shown() == Shown::Good && selection.has(older));
    match held {
        Some(held) => {
            // A version of a history before a restore may stay, too.
            let older = version(held) < object.version || lineage.forked_at() > 0;
            let known = good.is_some_and(|good| is(held, good)) || Obj::uid(held) == object.uid && older;
            ensure(known, || format!("{held:?} of {} is held for the invalid {object:?}", Obj::uid(held)))
        }
        None => {
            let was =
                good.zip(seen).is_some_and(|(good, seen)| (&good.uid, good.version) == (&seen.0, seen.1));
            ensure(!was, || "its last good version is gone".into())
        }
    }
}

fn is(held: &Obj<Kept>, object: &Object) -> bool {
    Obj::uid(held) == object.uid
        && version(held) == object.version
        && Some(held.number) == object.number
        && held.group == object.group
}

pub(crate) fn key(object: &Obj<Kept>) -> (String, String) {
    let key = Obj::key(object);
    (key.namespace().to_owned(), key.name().to_owned())
}

fn version(object: &Obj<Kept>) -> u64 {
    Obj::resource_version(object).to_string().parse().unwrap_or_default()
}

/// A hash of the content of a view, independent of the order.
fn digest(view: &View<Kept>) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let one = |object: &Obj<Kept>| {
        let mut hasher = DefaultHasher::new();
        (Obj::key(object), Obj::uid(object), version(object), object.number, &object.group).hash(&mut hasher);
        hasher.finish()
    };
    view.iter().map(one).fold(view.invalid().len() as u64, u64::wrapping_add)
}

// === impl AnyIndex ===

impl AnyIndex {
    pub(crate) fn check(&self, view: &View<Kept>) -> Verdict {
        match self {
            Self::Group(index) => check_index(view, index, |object| object.group.clone()),
            Self::Namespace(index) => check_index(view, index, |object| Obj::namespace(object).to_owned()),
            Self::Number(index, modulus) => check_index(view, index, |object| object.number % modulus),
        }
    }
}

/// Checks that an index has exactly the expected objects, with the same allocations, in order.
fn check_index<K>(view: &View<Kept>, index: &Index<Kept, K>, of: impl Fn(&Obj<Kept>) -> K) -> Verdict
where
    K: Hash + Ord + Debug + Default + Send + Sync + 'static,
{
    let mut expected: BTreeMap<K, Vec<&Obj<Kept>>> = BTreeMap::new();
    for object in view {
        expected.entry(of(object)).or_default().push(object);
    }
    // Views from before the index do not have it.
    if view.try_by_index(index, &K::default()).is_err() {
        return Ok(());
    }
    ensure(view.index_keys(index).len() == expected.len(), || {
        format!("an index has {} keys instead of {}", view.index_keys(index).len(), expected.len())
    })?;
    for (key, mut objects) in expected {
        objects.sort_by_key(|object| Obj::key(object));
        let hits: Vec<_> = view.by_index(index, &key).collect();
        let same = hits.len() == objects.len()
            && hits.iter().zip(&objects).all(|(hit, object)| Obj::ptr_eq(hit, object));
        ensure(same, || format!("an index lists {hits:?} under {key:?}, not {objects:?}"))?;
    }
    Ok(())
}
