//! An informer under test, with its users.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use kube_client::Api;
use kube_informer::{Absent, Config, Index, Informer, Limits, Phase, Registry, Status, index};
use kube_runtime::{WatchStreamExt, utils::Backoff, watcher};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::checks::{AnyIndex, Checker, ensure};
use crate::faults::{Fault, Manner};
use crate::follower::{Follower, Scope};
use crate::history::{Selection, Wanted};
use crate::kind::{Kept, Thing, Which, keep};
use crate::scopes;
use crate::server::client;
use crate::world::World;

/// How an informer is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Selected,
    Stream,
    /// Three informers of one registry.
    Shared,
    /// A scope of several parts, which may change.
    Several,
}

pub(crate) struct Subject {
    pub(crate) name: String,
    world: World,
    pub(crate) form: Form,
    pub(crate) informer: Informer<Kept>,
    checker: Arc<Mutex<Checker>>,
    pub(crate) by_group: Index<Kept, String>,
    followers: Vec<Follower>,
    /// Observers and waits. All of them must end with the informer.
    waits: JoinSet<()>,
    ending: Arc<AtomicBool>,
    changes_scope: bool,
    /// Since when the informer reports that it is current.
    fresh: Arc<Mutex<Option<Instant>>>,
    random: StdRng,
}

/// How long an informer may be behind without reporting it: it checks after three minutes of silence.
const BEHIND: Duration = Duration::from_secs(330);

impl Subject {
    /// One informer of this form, or the three of a registry.
    pub(crate) fn start(form: Form, number: usize, world: &World, mut random: StdRng) -> Vec<Self> {
        let name = format!("{form:?}{number}");
        let gentle = form == Form::Stream;
        let kind = if gentle { 1 } else { random.random_range(0..2) };
        let client = client(world, &name, gentle);
        let mut selection = Selection { kind, ..Selection::default() };
        match form {
            Form::Stream => {
                let config = watcher::Config::default().page_size(random.random_range(2..9));
                let config = if random.random_bool(0.5) { config.streaming_lists() } else { config };
                let api = Api::<Thing>::all_with(client, &Which(kind));
                let events = watcher::watcher(api, config).backoff(Steady);
                let mut builder = Informer::from_stream(events).project_some(project);
                let indexes = declare(builder.indexes());
                let informer = builder.start();
                vec![Self::new(
                    &name,
                    &name,
                    form,
                    world,
                    informer,
                    selection.into(),
                    indexes,
                    random,
                    |checker| checker.unversioned = true,
                )]
            }
            Form::Plain | Form::Selected | Form::Several => {
                let mut api = Api::<Thing>::all_with(client.clone(), &Which(kind));
                if form == Form::Selected && random.random_bool(0.5) {
                    selection.namespace = Some("a".to_owned());
                    api = Api::namespaced_with(client, "a", &Which(kind));
                }
                let mut config = Config::new().jitter_seed(random.random());
                let mut builder = Informer::builder_with(api, Which(kind));
                if form == Form::Selected && random.random_bool(0.7) {
                    selection.group = Some("g1".to_owned());
                    builder = builder.labels("group=g1");
                }
                let mut wanted = Wanted::from(selection);
                if form == Form::Several {
                    wanted = scopes::some(kind, &mut random);
                    world.log(format!("{name}: has {:?}", wanted.parts));
                    builder = builder.scope(wanted.scope());
                }
                let size = random.random_range(0..9);
                config = config.page_size(size).streaming_lists(random.random_bool(0.7));
                // A list in one response has no pages to halve.
                if size > 0 && world.lock().manner != Manner::NoLaterPages && random.random_bool(0.2) {
                    // About five objects.
                    config = config.limits(Limits::new().page_bytes(2000));
                }
                let (optional, emptying) = (random.random_bool(0.3), random.random_bool(0.3));
                config = match (optional, emptying) {
                    (_, true) => config.absent(Absent::Clear),
                    (true, false) => config.absent(Absent::Empty),
                    (false, false) => config,
                };
                let mut builder = builder.config(config).project_some(project);
                let indexes = declare(builder.indexes());
                let informer = builder.start();
                vec![Self::new(&name, &name, form, world, informer, wanted, indexes, random, |checker| {
                    checker.shows_absence = optional || emptying;
                })]
            }
            Form::Shared => {
                let registry = Registry::new(client).with_config(Config::new().jitter_seed(random.random()));
                let part = |kind, namespace: Option<&str>, group: Option<&str>| Selection {
                    kind,
                    namespace: namespace.map(Into::into),
                    group: group.map(Into::into),
                };
                let mut first = Wanted::from(part(0, None, None));
                if random.random_bool(0.3) {
                    first = scopes::some(0, &mut random);
                }
                let wanted = [first, part(1, Some("b"), None).into(), part(1, None, Some("g2")).into()];
                let mut subjects = Vec::new();
                let mut before = None;
                for wanted in wanted {
                    let declared = registry.declare_with::<Kept>(wanted.scope(), Which(wanted.kind));
                    let by_group = declared.index(|kept: &Kept| kept.group.clone()).expect("not started");
                    let by_namespace = declared.index(index::namespace()).expect("not started");
                    if let Some(before) = before.filter(|_| random.random_bool(0.5)) {
                        declared.after(&before).expect("no circle");
                    }
                    let full = format!("{name} {:?}", wanted.parts);
                    let seed = random.random();
                    let random: StdRng = rand::SeedableRng::seed_from_u64(seed);
                    let indexes = (by_group, by_namespace);
                    let informer = declared.informer();
                    subjects.push(Self::new(
                        &full,
                        &name,
                        form,
                        world,
                        informer,
                        wanted,
                        indexes,
                        random,
                        |_| (),
                    ));
                    before = Some(declared);
                }
                registry.start();
                subjects
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what an informer is made of")]
    fn new(
        name: &str,
        client: &str,
        form: Form,
        world: &World,
        informer: Informer<Kept>,
        wanted: Wanted,
        (by_group, by_namespace): (Index<Kept, String>, Index<Kept, String>),
        mut random: StdRng,
        set: impl FnOnce(&mut Checker),
    ) -> Self {
        let mut checker = Checker::new(name, client, world, wanted);
        checker.indexes = vec![AnyIndex::Group(by_group), AnyIndex::Namespace(by_namespace)];
        set(&mut checker);
        let mut subject = Self {
            name: name.to_owned(),
            world: world.clone(),
            form,
            checker: Arc::new(Mutex::new(checker)),
            by_group,
            followers: Vec::new(),
            informer,
            waits: JoinSet::new(),
            ending: Arc::default(),
            changes_scope: form == Form::Several && random.random_bool(0.6),
            fresh: Arc::default(),
            random,
        };
        subject.observe();
        subject
    }

    /// Checks every version that a reader can see, and every status.
    fn observe(&mut self) {
        let (informer, checker) = (self.informer.clone(), self.checker.clone());
        let (world, name, ending) = (self.world.clone(), self.name.clone(), self.ending.clone());
        self.waits.spawn(async move {
            let look = informer.wait_until(|view| {
                lock(&checker).see(view);
                false
            });
            if look.await.is_ok() || !ending.load(Ordering::Relaxed) {
                world.fail(format!("{name}: a wait ended while the informer runs"));
            }
        });
        let (mut statuses, world, name) =
            (self.informer.status_changes(), self.world.clone(), self.name.clone());
        let (stream, fresh) = (self.form == Form::Stream, self.fresh.clone());
        self.waits.spawn(async move {
            while let Some(status) = statuses.next().await {
                let since = *fresh.lock().unwrap_or_else(PoisonError::into_inner);
                let since = status.stale_since.is_none().then(|| since.unwrap_or_else(Instant::now));
                *fresh.lock().unwrap_or_else(PoisonError::into_inner) = since;
                let stale = if status.stale_since.is_some() { " stale" } else { "" };
                world.log(format!("{name}: {:?}{stale}, {} failures", status.phase, status.failures));
                if status.phase == Phase::BackingOff && status.stale_since.is_none() && !stream {
                    world.fail(format!("{name}: waits, and does not call itself stale"));
                }
            }
        });
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker> {
        lock(&self.checker)
    }

    /// Uses the informer in one random way.
    pub(crate) async fn use_it(&mut self) -> Result<(), String> {
        self.look()?;
        match self.random.random_range(0..20) {
            0 if self.followers.len() < 4 => {
                let scope = *[Scope::Everything, Scope::Namespace, Scope::Group]
                    .choose(&mut self.random)
                    .expect("three");
                self.followers.push(Follower::new(&self.informer, scope, self.by_group));
            }
            0 => drop(self.followers.remove(self.random.random_range(0..4))),
            1 => self.followers.iter_mut().for_each(|follower| follower.resume(&self.informer)),
            2..9 if !self.followers.is_empty() => {
                let at = self.random.random_range(0..self.followers.len());
                for batch in self.followers[at].poll(&mut self.random).await? {
                    // A delivered snapshot must pass the checks too, though it may be older than the last
                    // view.
                    if self.random.random_bool(0.2) {
                        self.checker().hold(batch.snapshot().clone());
                    }
                }
            }
            9 | 10 => {
                let snapshot = self.informer.snapshot();
                self.checker().hold(snapshot);
            }
            11 | 12 => self.checker().look_at_held(),
            13 if self.random.random_bool(0.3) => self.add_index(),
            14 if self.random.random_bool(0.5) => self.refresh(),
            15 if self.random.random_bool(0.2) => self.synced(),
            15 => self.at_least(),
            16 => self.wait_until(),
            17 if self.changes_scope && self.random.random_bool(0.3) => self.set_scope(),
            _ => {}
        }
        Ok(())
    }

    /// The checks that must hold at any moment.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        self.informer.read(|view| self.checker().see(view));
        lock(&self.checker).see(&self.informer.snapshot());
        while let Some(ended) = self.waits.try_join_next() {
            ended.map_err(|error| format!("{}: a wait panicked: {error}", self.name))?;
        }
        let status = self.informer.status();
        ensure(status.phase != Phase::Stopped, || format!("{}: stopped by itself", self.name))?;
        let fresh = *self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        // After a stale consistent read, the informer believes that it is current until the next check three
        // minutes later.
        let deceived = self.world.lock().faults.has(Fault::StaleList);
        let behind = if deceived { BEHIND * 2 } else { BEHIND };
        let long = fresh.is_some_and(|since| since.elapsed() > behind);
        if long && status.stale_since.is_none() && self.form != Form::Stream {
            let version = self.world.lock().lineage().version_at(Instant::now() - behind);
            let why = self.informer.read(|view| self.checker().may_have(view, version));
            why.map_err(|why| {
                format!("{}: {why}, for {behind:?}, and not stale: {}", self.name, say(&status))
            })?;
        }
        Ok(())
    }

    /// Checks that the status is stale, after an outage.
    pub(crate) fn must_be_stale(&self, what: &str) -> Result<(), String> {
        let status = self.informer.status();
        let waits_for_another = status.phase == Phase::Idle;
        // Without parts, it follows nothing. While the scope changes, it may have had none.
        let follows = self.form != Form::Stream && !self.checker().may_be_empty();
        ensure(status.stale_since.is_some() || waits_for_another || !follows, || {
            format!("{}: not stale at the end of {what}: {}", self.name, say(&status))
        })
    }

    fn add_index(&mut self) {
        let modulus = self.random.random_range(2..5);
        let (informer, checker) = (self.informer.clone(), self.checker.clone());
        self.wait("add_index", async move {
            let Ok(index) = informer.add_index(move |kept: &Kept| kept.number % modulus).await else {
                return Ok(());
            };
            let index = AnyIndex::Number(index, modulus);
            lock(&checker).indexes.push(index);
            index.check(&informer.snapshot())
        });
    }

    fn refresh(&mut self) {
        self.checker().is_refreshed = true;
        let (informer, unsupported) = (self.informer.clone(), self.form == Form::Stream);
        let world = self.world.clone();
        let (lineages, version) = now(&world);
        self.wait("refresh", async move {
            match informer.refresh().await {
                Ok(snapshot) => {
                    let seen =
                        snapshot.resource_version().is_none_or(|seen| *seen >= version.to_string().into());
                    let stale = world.lock().peers.values().any(|peer| peer.stale);
                    let anew = now(&world).0 != lineages;
                    ensure(seen || stale || anew, || {
                        format!("shows {:?}, asked at {version}", snapshot.resource_version())
                    })
                }
                Err(error) => {
                    ensure(error.is_stopped() || unsupported && error.is_unsupported(), || error.to_string())
                }
            }
        });
    }

    /// Waits for the newest write.
    fn at_least(&mut self) {
        let (informer, unordered) = (self.informer.clone(), self.form == Form::Stream);
        let (world, checker) = (self.world.clone(), self.checker.clone());
        let (lineages, version) = now(&world);
        let namespace = *["", "a", "b", "c"].choose(&mut self.random).expect("four");
        let metadata = serde_json::json!({ "namespace": namespace, "resourceVersion": version.to_string() });
        let written: kube_core::metadata::PartialObjectMeta<Thing> =
            serde_json::from_value(serde_json::json!({ "metadata": metadata })).expect("it is one");
        self.wait("at_least", async move {
            match informer.at_least(&written).await {
                Ok(snapshot) if now(&world).0 == lineages => {
                    lock(&checker).reflects(&snapshot, namespace, version)
                }
                Ok(_) => Ok(()),
                Err(error) if error.is_new_epoch() => {
                    ensure(now(&world).0 > 1 && lineages > 0, || "a new epoch without a restore".into())
                }
                Err(error) => ensure(error.is_stopped() || unordered && error.is_version_unordered(), || {
                    error.to_string()
                }),
            }
        });
    }

    fn set_scope(&mut self) {
        let kind = self.checker().wanted().kind;
        let wanted = scopes::some(kind, &mut self.random);
        self.world.log(format!("{}: wants {:?}", self.name, wanted.parts));
        let number = self.checker().will_change(wanted.clone());
        let peers: BTreeSet<_> = wanted.parts.iter().map(|part| self.checker().peer(part)).collect();
        self.world.lock().expects(&peers);
        let (informer, checker, world) = (self.informer.clone(), self.checker.clone(), self.world.clone());
        let name = self.name.clone();
        self.wait("set_scope", async move {
            match informer.set_scope(wanted.scope()).await {
                Ok(snapshot) => {
                    let mut checker = lock(&checker);
                    if checker.is_last(number) {
                        world.lock().expects_no_other(&name, &peers);
                    }
                    checker.has_changed(&snapshot, number)
                }
                Err(error) => ensure(error.is_stopped(), || error.to_string()),
            }
        });
    }

    fn synced(&mut self) {
        let informer = self.informer.clone();
        self.wait("synced", async move {
            let synced = informer.synced().await;
            ensure(synced.is_err() || informer.is_synced(), || "is not".into())
        });
    }

    fn wait_until(&mut self) {
        let (informer, number) = (self.informer.clone(), self.random.random_range(0..8));
        self.wait("wait_until", async move {
            let reached = informer.wait_until(|view| view.len() % 8 == number).await;
            reached.map_or(Ok(()), |snapshot| {
                ensure(snapshot.len() % 8 == number, || "not what was waited for".into())
            })
        });
    }

    /// Runs a wait in a task, to its end or until it is cancelled.
    fn wait(&mut self, what: &'static str, wait: impl Future<Output = Result<(), String>> + Send + 'static) {
        let patience = Duration::from_millis(self.random.random_range(0..3000));
        let patience = if self.random.random_bool(0.2) { patience * 1000 } else { patience };
        let (world, name) = (self.world.clone(), self.name.clone());
        world.log(format!("{name}: {what} for {patience:?}"));
        self.waits.spawn(async move {
            if let Ok(Err(why)) = timeout(patience, wait).await {
                world.fail(format!("{name}: {what}: {why}"));
            }
        });
    }

    /// Whether the informer agrees with the server, and reports that it is current.
    pub(crate) fn has_recovered(&self, watches: bool) -> Result<(), String> {
        let snapshot = self.informer.snapshot();
        let status = self.informer.status();
        self.checker()
            .is_current(&snapshot)
            .map_err(|why| format!("{}: {why}; {}", self.name, say(&status)))?;
        let well = status.phase == Phase::Watching && status.stale_since.is_none();
        // A stream is stale until its next event.
        ensure(well || !watches || self.form == Form::Stream, || format!("{}: {}", self.name, say(&status)))
    }

    /// Shuts the informer down, which must end every wait at once.
    pub(crate) async fn shut_down(mut self) -> Result<(), String> {
        self.look()?;
        self.checker().look_at_held();
        self.ending.store(true, Ordering::Relaxed);
        let name = &self.name;
        let left = |what: &str| format!("{name}: {what} after shutdown");
        let soon = Duration::from_secs(1);
        timeout(soon, self.informer.shutdown()).await.map_err(|_| left("still running"))?;
        for follower in &mut self.followers {
            ensure(follower.catch_up()?, || left("a subscription goes on"))?;
        }
        let mut waits = std::mem::take(&mut self.waits);
        let begun = Instant::now();
        while let Some(ended) = timeout(soon, waits.join_next()).await.map_err(|_| left("a wait goes on"))? {
            ended.map_err(|error| format!("{name}: a wait panicked: {error}"))?;
        }
        ensure(begun.elapsed() <= soon, || left("waits go on"))?;
        self.informer.read(|view| self.checker().see(view));
        Ok(())
    }

    /// Drops the informer, which then ends by itself. Returns its name, which must send no more requests.
    pub(crate) fn let_go(self) -> String {
        self.ending.store(true, Ordering::Relaxed);
        self.name
    }

    /// Lets all followers catch up, which takes no time.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        sleep(Duration::from_millis(1)).await;
        for follower in &mut self.followers {
            ensure(!follower.catch_up()?, || format!("{}: a subscription ended", self.name))?;
        }
        self.checker().look_at_held();
        self.look()
    }
}

/// A status in one line, the same in each run of a seed.
fn say(status: &Status) -> String {
    let stale = if status.stale_since.is_some() { "stale" } else { "not stale" };
    let error = status.last_error.as_ref().map(ToString::to_string);
    format!("{:?}, {stale}, {} failures, last {error:?}", status.phase, status.failures)
}

fn lock(checker: &Mutex<Checker>) -> MutexGuard<'_, Checker> {
    checker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of histories so far, and the newest version.
fn now(world: &World) -> (usize, u64) {
    let server = world.lock();
    (server.lineages.len(), server.version())
}

fn declare(indexes: &mut kube_informer::index::IndexSet<Kept>) -> (Index<Kept, String>, Index<Kept, String>) {
    (indexes.index(|kept: &Kept| kept.group.clone()), indexes.index(index::namespace()))
}

/// The projection: skips some objects, and panics for others. (In a registry, it returns an error instead.)
fn project(thing: Thing) -> Option<Kept> {
    keep(thing).unwrap_or_else(|disliked| std::panic::resume_unwind(Box::new(disliked)))
}

/// A backoff without randomness, for kube-runtime's watcher.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
