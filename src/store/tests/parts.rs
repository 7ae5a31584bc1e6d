//! Several parts that fill one store, each at its own pace, compared with what each of them knows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::store::intake::Store;
use crate::subscribe::differences;

/// A change at the server: the object under a key before it, and after it.
struct Happened {
    version: u64,
    key: ObjectKey,
    before: Option<Object>,
    after: Option<Object>,
}

#[derive(Clone, Copy, PartialEq)]
struct Object {
    uid: u64,
    version: u64,
    number: u64,
}

/// What a part selects: the objects of a namespace whose number has this remainder.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Selection {
    namespace: Option<&'static str>,
    even: Option<bool>,
}

struct Follower {
    id: PartId,
    selection: Selection,
    intake: Intake<Box<Served>, Value>,
    reached: u64,
    known: BTreeMap<ObjectKey, Object>,
    /// Whether it belongs to the scope, and not to one that is not complete.
    started: bool,
    /// A list that is not committed yet.
    list: Option<(List<Value>, u64, BTreeMap<ObjectKey, Object>)>,
}

struct World {
    random: StdRng,
    store: Arc<Store<Box<Served>, Value>>,
    version: u64,
    objects: BTreeMap<ObjectKey, Object>,
    history: Vec<Happened>,
    followers: Vec<Follower>,
    next: PartId,
    /// The highest version of each key that was ever visible.
    seen: BTreeMap<ObjectKey, u64>,
    before: Option<crate::Snapshot<Value>>,
    /// A part that was ahead may have been removed, so that another one brings the same version later.
    changed_scope: bool,
}

const SELECTIONS: [Selection; 6] = [
    Selection { namespace: Some("a"), even: None },
    Selection { namespace: Some("b"), even: None },
    Selection { namespace: None, even: Some(true) },
    Selection { namespace: None, even: Some(false) },
    Selection { namespace: Some("a"), even: Some(true) },
    Selection { namespace: Some("c"), even: None },
];

impl Selection {
    fn has(self, key: &ObjectKey, object: &Object) -> bool {
        self.namespace.is_none_or(|namespace| namespace == key.namespace())
            && self.even.is_none_or(|even| object.number.is_multiple_of(2) == even)
    }
}

fn served(object: &Object, key: &ObjectKey) -> Item<Box<Served>> {
    item(key, object.uid, object.version, good(object.number))
}

impl World {
    fn new(seed: u64, selections: &[Selection]) -> Self {
        let store = harness().intake.store.clone();
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            store,
            version: 10,
            objects: BTreeMap::new(),
            history: Vec::new(),
            followers: Vec::new(),
            next: 0,
            seen: BTreeMap::new(),
            before: None,
            changed_scope: false,
        };
        world.followers = selections.iter().map(|selection| world.follower(*selection)).collect();
        world.followers.iter_mut().for_each(|follower| follower.started = true);
        let parts: Vec<_> =
            world.followers.iter().map(|follower| (follower.id, follower.selection.namespace)).collect();
        now(world.store.writer()).set_parts(parts);
        world
    }

    fn follower(&mut self, selection: Selection) -> Follower {
        self.next += 1;
        let intake = Intake::of(&self.store, self.next);
        Follower {
            id: self.next,
            selection,
            intake,
            reached: 0,
            known: BTreeMap::new(),
            started: false,
            list: None,
        }
    }

    fn happen(&mut self) {
        self.version += 1;
        let namespace = ["a", "b", "c"][self.random.random_range(0..3)];
        let key = ObjectKey::new(namespace, &format!("n{}", self.random.random_range(0..4)));
        let before = self.objects.get(&key).copied();
        let number = self.random.random_range(0..6);
        let after = match before {
            Some(_) if self.random.random_bool(0.3) => None,
            Some(old) => Some(Object { version: self.version, number, ..old }),
            None => Some(Object { uid: self.version, version: self.version, number }),
        };
        match after {
            Some(object) => self.objects.insert(key.clone(), object),
            None => self.objects.remove(&key),
        };
        self.history.push(Happened { version: self.version, key, before, after });
    }

    fn selected(&self, selection: Selection) -> BTreeMap<ObjectKey, Object> {
        let objects = self.objects.iter().filter(|(key, object)| selection.has(key, object));
        objects.map(|(key, object)| (key.clone(), *object)).collect()
    }

    /// A part receives some of the events that it has not received yet.
    fn follow(&mut self, at: usize, most: usize) {
        let follower = &mut self.followers[at];
        let mut events = Vec::new();
        for Happened { version, key, before, after } in &self.history {
            if *version <= follower.reached || events.len() >= most {
                continue;
            }
            let had = before.filter(|object| follower.selection.has(key, object));
            let has = after.filter(|object| follower.selection.has(key, object));
            follower.reached = *version;
            match (had, has) {
                (_, Some(object)) => {
                    follower.known.insert(key.clone(), object);
                    events.push(applied(served(&object, key)));
                }
                (Some(object), None) => {
                    follower.known.remove(key);
                    let meta = served(&Object { version: *version, ..object }, key).meta;
                    events.push(WatchEvent::Deleted(Ok(meta)));
                }
                (None, None) => {
                    let resource_version = ResourceVersion::from_number(*version);
                    events.push(WatchEvent::Bookmark { resource_version, initial_events_end: false });
                }
            }
        }
        now(follower.intake.apply(&mut events)).expect("nothing was forgotten");
    }

    fn begin_list(&mut self, at: usize) {
        let selected = self.selected(self.followers[at].selection);
        let follower = &mut self.followers[at];
        let mut list = follower.intake.begin_list(Reuse::Unchanged);
        for (key, object) in &selected {
            follower.intake.upsert(&mut list, Ok(served(object, key)));
        }
        follower.list = Some((list, self.version, selected));
    }

    fn commit(&mut self, at: usize) {
        let follower = &mut self.followers[at];
        let Some((list, version, selected)) = follower.list.take() else { return };
        now(follower.intake.commit(list, Some(ResourceVersion::from_number(version)))).unwrap();
        (follower.reached, follower.known) = (version, selected);
    }

    /// Changes the scope to these selections.
    fn rescope(&mut self, selections: &[Selection]) {
        let keep: Vec<PartId> = self
            .followers
            .iter()
            .filter(|follower| selections.contains(&follower.selection))
            .map(|follower| follower.id)
            .collect();
        let known: Vec<Selection> = self.followers.iter().map(|follower| follower.selection).collect();
        let mut new: Vec<Follower> = selections
            .iter()
            .filter(|selection| !known.contains(selection))
            .map(|selection| self.follower(*selection))
            .collect();
        let start: Vec<_> = new.iter().map(|follower| (follower.id, follower.selection.namespace)).collect();
        now(self.store.writer()).begin_change(keep.iter().copied().collect(), start);
        let first = self.followers.len();
        self.followers.append(&mut new);
        for at in first..self.followers.len() {
            self.begin_list(at);
            // The old parts go on meanwhile.
            self.happen();
            let other = self.random.random_range(0..first.max(1));
            if other < first && self.followers[other].reached > 0 {
                self.followers[other].list = None;
                self.follow(other, 3);
                self.check();
            }
        }
        let before = self.snapshot();
        let commits = self.followers[first..].iter_mut().map(|follower| {
            let (list, version, selected) = follower.list.take().unwrap();
            (follower.reached, follower.known, follower.started) = (version, selected, true);
            follower.intake.commit(list, Some(ResourceVersion::from_number(version)))
        });
        for committed in now(join_all(commits)) {
            committed.unwrap();
        }
        now(async { self.store.writer().await.complete_change().await });
        let stays =
            |follower: &Follower| keep.contains(&follower.id) || selections.contains(&follower.selection);
        self.followers.retain(stays);
        let after = self.snapshot();
        assert!(after.revision() <= before.revision() + 1, "a change of the scope is one version");
        for object in before.iter() {
            let now = after.get(Obj::key(object));
            if let Some(now) = now
                && Obj::resource_version(now) == Obj::resource_version(object)
            {
                assert!(Obj::ptr_eq(now, object), "what stays keeps its allocation");
            }
        }
    }

    fn snapshot(&self) -> crate::Snapshot<Value> {
        now(self.store.writer()).shared().snapshot()
    }

    /// When a key last changed at the server.
    fn changed(&self, key: &ObjectKey) -> Option<u64> {
        self.history.iter().rev().find(|happened| happened.key == *key).map(|happened| happened.version)
    }

    fn started(&self) -> impl Iterator<Item = &Follower> {
        self.followers.iter().filter(|follower| follower.started)
    }

    fn check(&mut self) {
        now(self.store.writer()).validate();
        let view = self.snapshot();
        let visible: BTreeMap<ObjectKey, u64> = view
            .iter()
            .map(|object| (ObjectKey::from(object), Obj::resource_version(object).as_number().unwrap()))
            .collect();
        let keys: BTreeSet<&ObjectKey> =
            self.started().flat_map(|follower| follower.known.keys()).chain(visible.keys()).collect();
        for key in keys {
            let known = self.started().filter_map(|follower| follower.known.get(key));
            let newest = known.map(|object| object.version).max();
            let seen = self.seen.get(key).copied().unwrap_or_default();
            match (visible.get(key), newest) {
                (Some(version), newest) => {
                    assert!(newest.is_some(), "{key}: no part has it");
                    assert!(Some(*version) >= newest, "{key}: a part knows a newer version");
                    assert!(*version >= seen, "{key}: it went back");
                }
                // It may have come and gone while the part that has it was behind.
                (None, newest) => assert!(newest < self.changed(key), "{key}: a part has it"),
            }
        }
        let returns = |key: &ObjectKey, version: u64| {
            let was_visible = self.before.as_ref().is_some_and(|before| before.get(key).is_some());
            !was_visible && !self.changed_scope && self.seen.get(key).is_some_and(|seen| version <= *seen)
        };
        for (key, version) in &visible {
            assert!(!returns(key, *version), "{key}: it has come back as it was");
        }
        for (key, version) in visible {
            self.seen.insert(key, version);
        }
        let listed = self.started().all(|follower| follower.reached > 0);
        let least = self.started().map(|follower| follower.reached).min();
        let least = least.filter(|_| listed).map(ResourceVersion::from_number);
        assert_eq!(view.resource_version(), least.as_ref());
        if let Some(before) = self.before.replace(view.clone()) {
            let mut state: BTreeMap<ObjectKey, Obj<Value>> =
                before.iter().map(|object| (object.into(), object.clone())).collect();
            for change in differences(&before, &view) {
                match change.new() {
                    Some(new) => state.insert(change.key().to_owned(), new.clone()),
                    None => state.remove(&change.key().to_owned()),
                };
            }
            assert!(
                state.len() == view.len()
                    && view.iter().all(|object| state.contains_key(&Obj::key(object).to_owned()))
            );
        }
    }

    /// When every part has received everything, the store has what at least one selects.
    fn check_union(&mut self) {
        for at in 0..self.followers.len() {
            self.followers[at].list = None;
            if self.followers[at].reached == 0 {
                self.begin_list(at);
                self.commit(at);
            }
            self.follow(at, usize::MAX);
        }
        self.check();
        let view = self.snapshot();
        let union: BTreeMap<ObjectKey, Object> =
            self.followers.iter().flat_map(|follower| self.selected(follower.selection)).collect();
        assert_eq!(view.len(), union.len());
        for (key, object) in union {
            let stored = view.get(&key).unwrap_or_else(|| panic!("{key} is missing"));
            assert_eq!(Obj::resource_version(stored), ResourceVersion::from_number(object.version));
            assert_eq!(
                (stored.number, Obj::uid(stored)),
                (object.number, format!("uid-{}", object.uid).into())
            );
        }
    }
}

#[test]
fn what_at_least_one_part_has_is_stored_however_far_behind_each_is() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut world = World::new(seed, &SELECTIONS[..3]);
        for _ in 0..300 {
            world.happen();
            let at = world.random.random_range(0..world.followers.len().max(1));
            let Some(follower) = world.followers.get(at) else { continue };
            match world.random.random_range(0..20) {
                0..2 => world.begin_list(at),
                2..6 => world.commit(at),
                _ if follower.list.is_some() || follower.reached == 0 => {}
                6 => world.check_union(),
                _ => {
                    let most = world.random.random_range(0..6);
                    world.follow(at, most);
                }
            }
            world.check();
        }
        world.check_union();
    }
}

#[test]
fn a_change_of_the_scope_is_one_version_with_what_the_new_parts_select() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut world = World::new(seed, &SELECTIONS[..1]);
        for step in 0..120 {
            world.happen();
            match world.random.random_range(0..12) {
                0 => {
                    let selections: Vec<Selection> =
                        SELECTIONS.into_iter().filter(|_| world.random.random_bool(0.5)).collect();
                    world.rescope(&selections);
                    world.changed_scope = true;
                    world.before = None;
                    world.seen.clear();
                    if step % 3 == 0 {
                        world.check_union();
                    }
                }
                1 => world.check_union(),
                _ => {
                    let at = world.random.random_range(0..world.followers.len().max(1));
                    let Some(follower) = world.followers.get(at) else { continue };
                    if follower.reached > 0 {
                        world.follow(at, 4);
                    }
                }
            }
            world.check();
        }
        world.check_union();
    }
}
