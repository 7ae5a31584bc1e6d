//! The checks of every view of an informer.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

use kube_informer::{Index, Obj, Snapshot, View};

use crate::history::{Key, Selection, Wanted};
use crate::kind::Kept;
use crate::oracle::{Answer, At, PATIENCE, Question, Reported};
use crate::world::{Server, World};

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
    /// The name by which the server knows its client.
    client: String,
    world: World,
    /// All scopes that were set so far, the present one or those that wait to be last.
    scopes: Vec<Wanted>,
    pub(crate) indexes: Vec<AnyIndex>,
    /// Whether the informer shows an empty state without a version while the kind is absent.
    pub(crate) shows_absence: bool,
    /// Whether views have no version, because a stream feeds the informer.
    pub(crate) unversioned: bool,
    /// Whether objects may be decoded again at the same version.
    pub(crate) is_refreshed: bool,
    /// What may be. There are several while a change of the scope may be visible already or not.
    standings: Vec<Standing>,
    version: Option<String>,
    revision: u64,
    synced: bool,
    /// The last valid version of each object that was seen.
    seen: BTreeMap<Key, Obj<Kept>>,
    /// Digests by revision: all views of a revision must have the same content.
    digests: VecDeque<(u64, u64)>,
    held: Vec<(Snapshot<Kept>, u64)>,
    pub(crate) views: u64,
}

/// What the parts have reached, if this scope is visible.
#[derive(Clone)]
struct Standing {
    /// The place of the scope among all.
    scope: usize,
    low: Vec<At>,
    high: Vec<At>,
    least: usize,
    ghosts: Vec<(Selection, At)>,
}

pub(crate) type Verdict = Result<(), String>;

impl Checker {
    pub(crate) fn new(name: &str, client: &str, world: &World, wanted: Wanted) -> Self {
        let low = vec![At::default(); wanted.parts.len()];
        let first = Standing { scope: 0, high: low.clone(), low, least: 0, ghosts: Vec::new() };
        Self {
            name: name.to_owned(),
            client: client.to_owned(),
            world: world.clone(),
            scopes: vec![wanted],
            indexes: Vec::new(),
            shows_absence: false,
            unversioned: false,
            is_refreshed: false,
            standings: vec![first],
            version: None,
            revision: 0,
            synced: false,
            seen: BTreeMap::new(),
            digests: VecDeque::new(),
            held: Vec::new(),
            views: 0,
        }
    }

    /// The scope that was set last.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.scopes[self.scopes.len() - 1]
    }

    /// The scope will change to this one. Returns its number.
    pub(crate) fn will_change(&mut self, wanted: Wanted) -> usize {
        self.scopes.push(wanted);
        self.scopes.len() - 1
    }

    pub(crate) fn is_last(&self, scope: usize) -> bool {
        scope + 1 == self.scopes.len()
    }

    /// Whether the scope may have no part.
    pub(crate) fn may_be_empty(&self) -> bool {
        self.standings.iter().any(|standing| self.scopes[standing.scope].parts.is_empty())
    }

    /// The scope has changed to the one of this number, or to a later one.
    pub(crate) fn has_changed(&mut self, snapshot: &Snapshot<Kept>, scope: usize) -> Verdict {
        let why = self.advance(snapshot)?;
        self.standings.retain(|standing| standing.scope >= scope);
        ensure(!self.standings.is_empty(), || format!("shows the scope from before it was set: {why}"))
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
        let version = view.resource_version().map(ToString::to_string);
        if view.revision() == self.revision && view.is_synced() == self.synced && version == self.version {
            return Ok(());
        }
        let is_next = view.revision() == self.revision + 1;
        (self.synced, self.revision, self.version) = (view.is_synced(), view.revision(), version);
        for index in &self.indexes {
            index.check(view)?;
        }
        if !view.is_synced() && self.scopes.len() == 1 && self.wanted().parts.len() == 1 {
            ensure(view.is_empty() && view.invalid_len() == 0, || "not synced, and not empty".into())?;
        }
        self.advance(view)?;
        if is_next {
            self.check_allocations(view)?;
        }
        self.seen = view.iter().map(|object| (key(object), object.clone())).collect();
        Ok(())
    }

    /// Finds out what the parts have reached, and whether a change of the scope is visible. Returns why not.
    fn advance(&mut self, view: &View<Kept>) -> Result<String, String> {
        let server = self.world.lock();
        let (mut next, mut why) = (Vec::<Standing>::new(), String::new());
        for standing in &self.standings {
            for scope in standing.scope..self.scopes.len() {
                let before = self.after_change(standing, scope, &server);
                let reported = self.reported(view)?;
                match self.question(&server, view, &before, reported).answer() {
                    Ok(answer) => match next.iter_mut().find(|known| known.scope == scope) {
                        Some(known) => known.join(answer, before),
                        None => next.push(before.followed_by(answer)),
                    },
                    Err(other) => why += &format!("with scope {scope}: {other}; "),
                }
            }
        }
        drop(server);
        ensure(!next.is_empty(), || why.clone())?;
        self.standings = next;
        Ok(why)
    }

    fn reported(&self, view: &View<Kept>) -> Result<Reported, String> {
        if self.unversioned {
            return Ok(Reported::Unknown);
        }
        let lowest = view.resource_version().map(|version| version.to_string().parse());
        Ok(Reported::Lowest(lowest.transpose().map_err(|_| "not one of the server's versions")?))
    }

    fn question<'a>(
        &'a self,
        server: &'a Server,
        view: &'a View<Kept>,
        before: &'a Standing,
        reported: Reported,
    ) -> Question<'a> {
        let wanted = &self.scopes[before.scope];
        Question {
            server,
            client: &self.client,
            view,
            wanted,
            floor: &before.low,
            least: before.least,
            reported,
            shows_absence: self.shows_absence && server.was_absent[wanted.kind],
            ghosts: &before.ghosts,
            seen: &self.seen,
            patience: Cell::new(PATIENCE),
        }
    }

    /// What is known once the scope has changed, perhaps several times. Parts that stay go on.
    fn after_change(&self, before: &Standing, scope: usize, server: &Server) -> Standing {
        if scope == before.scope {
            return before.clone();
        }
        let stays = |part: &Selection| {
            self.scopes[before.scope..=scope].iter().all(|scope| scope.parts.contains(part))
        };
        let place = |part: &Selection| self.scopes[before.scope].parts.iter().position(|known| known == part);
        let low: Vec<At> = self.scopes[scope]
            .parts
            .iter()
            .map(|part| place(part).filter(|_| stays(part)).map_or(At::default(), |at| before.low[at]))
            .collect();
        let mut ghosts = before.ghosts.clone();
        let newest = At { lineage: server.lineages.len() - 1, version: Some(server.version()) };
        for (number, removed) in self.scopes[before.scope..scope].iter().enumerate() {
            for part in removed.parts.iter().filter(|part| !stays(part)) {
                let at = place(part).filter(|_| number == 0).map_or(newest, |at| before.high[at]);
                ghosts.push((part.clone(), at));
            }
        }
        Standing { scope, high: low.clone(), low, least: before.least, ghosts }
    }

    /// An object that is seen in two revisions, one after the other, at the same version is the same allocation.
    fn check_allocations(&self, view: &View<Kept>) -> Verdict {
        let server = self.world.lock();
        // After a list that is too old, the next one may be that of a restored server.
        let was_deceived = server.lineages.len() > 1 || server.peers.values().any(|peer| peer.stale);
        drop(server);
        if self.is_refreshed || self.unversioned || was_deceived {
            return Ok(());
        }
        for object in view {
            let before = self.seen.get(&key(object));
            let before =
                before.filter(|before| Obj::same_uid(before, object) && version(before) == version(object));
            ensure(before.is_none_or(|before| Obj::ptr_eq(before, object)), || {
                format!("{object:?} was stored again")
            })?;
        }
        Ok(())
    }

    /// Whether the newest view is the newest state of the server.
    pub(crate) fn is_current(&self, view: &View<Kept>) -> Verdict {
        let server = self.world.lock();
        ensure(view.is_synced(), || "not synced".into())?;
        let newest = At { lineage: server.lineages.len() - 1, version: Some(server.version()) };
        let scope = self.scopes.len() - 1;
        self.has(&server, view, scope, vec![newest; self.wanted().parts.len()], Vec::new())
    }

    /// Whether a view has every write to a namespace up to this version of the present history. An empty namespace stands
    /// for all.
    pub(crate) fn reflects(&self, view: &View<Kept>, namespace: &str, written: u64) -> Verdict {
        let server = self.world.lock();
        let newest = At { lineage: server.lineages.len() - 1, version: Some(written) };
        if self.may_be_old(newest.lineage) {
            // It has not detected that the server was restored.
            return Ok(());
        }
        let mut verdict = Err("there is no scope".to_owned());
        for standing in &self.standings {
            for scope in standing.scope..self.scopes.len() {
                let parts = self.scopes[scope].parts.iter();
                let covers = |part: &Selection| namespace.is_empty() || part.covers(namespace);
                let floor = parts.map(|part| if covers(part) { newest } else { At::default() }).collect();
                let ghosts = self.after_change(standing, scope, &server).ghosts;
                verdict = self.has(&server, view, scope, floor, ghosts);
                if verdict.is_ok() {
                    return verdict;
                }
            }
        }
        verdict
    }

    /// Whether all parts may have reached this version, if they have no older history.
    pub(crate) fn may_have(&self, view: &View<Kept>, reached: u64) -> Verdict {
        let server = self.world.lock();
        let newest = At { lineage: server.lineages.len() - 1, version: Some(reached) };
        if self.may_be_old(newest.lineage) || !view.is_synced() {
            return Ok(());
        }
        let mut verdict = Ok(());
        for standing in &self.standings {
            let floor = standing.low.iter().map(|at| newest.max(*at)).collect();
            verdict = self.has(&server, view, standing.scope, floor, standing.ghosts.clone());
            if verdict.is_ok() {
                return verdict;
            }
        }
        verdict
    }

    /// Whether a part may be of an earlier history than this one.
    fn may_be_old(&self, lineage: usize) -> bool {
        self.standings.iter().flat_map(|standing| &standing.low).any(|at| at.lineage < lineage)
    }

    fn has(
        &self,
        server: &Server,
        view: &View<Kept>,
        scope: usize,
        low: Vec<At>,
        ghosts: Vec<(Selection, At)>,
    ) -> Verdict {
        let standing = Standing { scope, high: low.clone(), low, least: 0, ghosts };
        self.question(server, view, &standing, Reported::Unknown).answer().map(drop)
    }

    /// The highest version that the server may use again after a restore, so that the informer detects the restore.
    pub(crate) fn limit(&self, server: &Server) -> Option<u64> {
        let current = server.lineages.len() - 1;
        let parts = self.standings.iter().flat_map(|standing| {
            let parts = &self.scopes[standing.scope].parts;
            parts.iter().zip(standing.low.iter().zip(&standing.high))
        });
        let older = parts.flat_map(|(part, (low, high))| {
            (low.lineage..current.min(high.lineage + 1)).map(move |lineage| (part, *low, lineage))
        });
        let limit = |(part, low, lineage): (&Selection, At, usize)| {
            let shared = (lineage + 1..=current).map(|later| server.lineages[later].forked_at()).min()?;
            let sent = server.sent(&self.peer(part), lineage)?;
            let least = low.version.filter(|_| low.lineage == lineage).unwrap_or_default();
            (sent > shared).then_some(least.max(shared + 1) - 1)
        };
        older.filter_map(limit).min()
    }

    /// The name by which the server knows the client of a part.
    pub(crate) fn peer(&self, part: &Selection) -> String {
        format!("{} {part:?}", self.client)
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

pub(crate) fn key(object: &Obj<Kept>) -> (String, String) {
    let key = Obj::key(object);
    (key.namespace().to_owned(), key.name().to_owned())
}

pub(crate) fn version(object: &Obj<Kept>) -> u64 {
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

// === impl Standing ===

impl Standing {
    fn followed_by(self, Answer { low, high, least }: Answer) -> Self {
        let is_needed = |(_, at): &(Selection, At)| low.iter().any(|low| low < at);
        let ghosts = self.ghosts.into_iter().filter(is_needed).collect();
        Self { scope: self.scope, low, high, least: least.max(self.least), ghosts }
    }

    /// The scope may also have become visible in another way.
    fn join(&mut self, answer: Answer, before: Self) {
        let other = before.followed_by(answer);
        let Self { low, high, least, .. } = other;
        let mut known = Answer { low: self.low.clone(), high: self.high.clone(), least: self.least };
        known.or(Answer { low, high, least });
        (self.low, self.high, self.least) = (known.low, known.high, known.least);
        self.ghosts.extend(other.ghosts);
    }
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
