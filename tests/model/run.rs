//! One run: a server, its faults, informers and their users, all derived from one seed.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use crate::checks::ensure;
use crate::derived::Derived;
use crate::faults::{Fault, FaultSet, Manner, chance};
use crate::history::{Key, Object};
use crate::kind::{KINDS, Shown};
use crate::subject::{Form, Subject};
use crate::world::World;

/// Everything that is needed to repeat a run.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) steps: usize,
    pub(crate) faults: FaultSet,
    pub(crate) forms: Vec<Form>,
}

pub(crate) struct Outcome {
    pub(crate) failure: Option<String>,
    /// The number of steps that were begun.
    pub(crate) steps: usize,
    pub(crate) log: Vec<String>,
    /// A hash of everything that happened.
    pub(crate) trace: u64,
    pub(crate) views: u64,
    pub(crate) requests: u64,
    /// How long all informers took to agree with the server after the last fault.
    pub(crate) recovery: Duration,
    pub(crate) simulated: Duration,
}

struct Run {
    world: World,
    random: StdRng,
    subjects: Vec<Subject>,
    /// Over the informers of registries.
    derived: Vec<Derived>,
    faults: FaultSet,
    started: usize,
    seed: u64,
    views: u64,
}

/// The time within which all informers must agree with the server after the last fault. A dead connection is
/// detected after three minutes; the requests after that may hang for half a minute, twice.
const RECOVERY: Duration = Duration::from_secs(5 * 60);

/// The time within which they must show another write, without faults.
const PROMPT: Duration = Duration::from_secs(2);

// === impl Plan ===

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = chance(seed, 0);
        let mut forms: Vec<_> =
            [Form::Plain, Form::Selected, Form::Stream, Form::Shared, Form::Several, Form::Several]
                .into_iter()
                .filter(|_| random.random_bool(0.4))
                .collect();
        if forms.is_empty() {
            forms.push(Form::Plain);
        }
        let mut faults = FaultSet::some(&mut random);
        if forms.contains(&Form::Stream) {
            // It does not detect that a server was restored.
            faults = faults.without(Fault::Restore);
        }
        Self { seed, steps: random.random_range(40..160), faults, forms }
    }

    /// Runs it on a separate runtime with a paused clock.
    pub(crate) fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(self.run_here())
    }

    async fn run_here(&self) -> Outcome {
        let begun = Instant::now();
        let world = World::new(self.seed, self.faults);
        let mut run = Run {
            world: world.clone(),
            random: chance(self.seed, 2),
            subjects: Vec::new(),
            derived: Vec::new(),
            faults: self.faults,
            started: 0,
            seed: self.seed,
            views: 0,
        };
        let mut steps = 0;
        let mut recovery = Duration::ZERO;
        let all = async {
            for _ in 0..5 {
                run.write();
            }
            for form in &self.forms {
                run.start(*form);
            }
            while steps < self.steps {
                steps += 1;
                run.step().await?;
                run.check()?;
            }
            recovery = run.finish().await?;
            Ok::<(), String>(())
        };
        let result = AssertUnwindSafe(all).catch_unwind().await;
        match result {
            Ok(Ok(())) => {}
            Ok(Err(why)) => world.fail(why),
            Err(panic) => world.fail(format!("panicked: {:?}", panic.downcast_ref::<String>())),
        }
        let (log, trace) = world.lock().told();
        let requests = world.lock().requests;
        Outcome {
            failure: world.failure(),
            steps,
            log,
            trace,
            views: run.views,
            requests,
            recovery,
            simulated: begun.elapsed(),
        }
    }
}

// === impl Run ===

impl Run {
    fn start(&mut self, form: Form) {
        self.started += 1;
        let number = self.started;
        self.world.log(format!("starts {form:?}{number}"));
        let random = chance(self.seed, 100 + number as u64);
        let started = Subject::start(form, number, &self.world, random);
        if let [first, second, third] = &*started {
            let source = |subject: &'_ Subject| (subject.informer.clone(), subject.by_group);
            let sources = [first, second, third].map(source);
            self.derived.push(Derived::start(sources.each_ref().map(|(informer, index)| (informer, *index))));
        }
        self.subjects.extend(started);
    }

    fn check(&mut self) -> Result<(), String> {
        self.subjects.iter_mut().try_for_each(Subject::look)?;
        self.derived.iter_mut().try_for_each(Derived::look)?;
        self.world.failure().map_or(Ok(()), Err)
    }

    async fn step(&mut self) -> Result<(), String> {
        match self.random.random_range(0..60) {
            0 if self.faults.has(Fault::Compact) => self.compact(),
            1 if self.faults.has(Fault::Restart) => self.restart(),
            2 if self.faults.has(Fault::Outage) => self.outage().await?,
            3 if self.faults.has(Fault::Blackhole) => self.blackhole().await?,
            4 if self.faults.has(Fault::Restore) => self.restore().await,
            5 if self.faults.has(Fault::Vanish) => self.vanish().await?,
            6 if self.random.random_bool(0.3) => self.replace().await?,
            7 => self.long_pause().await,
            _ => self.ordinary().await?,
        }
        Ok(())
    }

    /// A random mix of writes, reads and waits.
    async fn ordinary(&mut self) -> Result<(), String> {
        for _ in 0..self.random.random_range(0..4) {
            self.write();
        }
        for subject in &mut self.subjects {
            subject.use_it().await?;
        }
        let most = *[10, 200, 2000, 20_000].choose(&mut self.random).expect("four");
        sleep(Duration::from_millis(self.random.random_range(0..most))).await;
        self.check()
    }

    async fn long_pause(&mut self) {
        let pause = Duration::from_secs(self.random.random_range(30..900));
        self.world.log(format!("pauses for {pause:?}"));
        sleep(pause).await;
    }

    // --- writes ---

    fn write(&mut self) {
        let limit = self.limit();
        let random = &mut self.random;
        let kind = random.random_range(0..KINDS);
        let namespace = *["a", "b", "c"].choose(random).expect("three");
        let key: Key = (namespace.to_owned(), format!("n{}", random.random_range(0..8)));
        let (number, group) = (random.random_range(0..30), format!("g{}", random.random_range(0..3)));
        let undecodable = kind == 0 && self.faults.has(Fault::Undecodable) && random.random_bool(0.1);
        let disliked = Shown::of(number) == Shown::Invalid && !self.faults.has(Fault::Disliked);
        let number = if disliked { number - 1 } else { number };
        let odd = kind == 0 && self.faults.has(Fault::Bytes) && random.random_bool(0.1);
        let number = (!undecodable).then_some(number);
        let what = random.random_range(0..10);
        self.world.change(|server| {
            if !server.installed[kind] || server.version() + 2 > limit {
                return;
            }
            let known = server.newest(kind).get(&key).cloned();
            let uid = match (&known, what) {
                (Some(known), 0..6) => known.uid.clone(),
                (Some(_), 6..9) => {
                    server.write(kind, &key, None);
                    return;
                }
                // Deletes the object, and creates another one with the same name.
                (Some(_), _) => {
                    server.write(kind, &key, None);
                    server.new_uid()
                }
                (None, _) => server.new_uid(),
            };
            server.write(kind, &key, Some(Object { key: key.clone(), uid, version: 0, group, number, odd }));
        });
    }

    /// Changes an object of each part of each informer's scope.
    fn touch_all(&mut self) {
        let parts: Vec<_> =
            self.subjects.iter().flat_map(|subject| subject.checker().wanted().parts.clone()).collect();
        for part in parts {
            let limit = self.limit();
            let namespace = part.namespace.unwrap_or_else(|| "a".to_owned());
            let group = part.group.unwrap_or_else(|| "g0".to_owned());
            let key = (namespace, "touched".to_owned());
            self.world.change(|server| {
                if server.version() + 1 < limit {
                    let known = server.newest(part.kind).get(&key).map(|known| known.uid.clone());
                    let uid = known.unwrap_or_else(|| server.new_uid());
                    let number = Some(server.version() * 10);
                    server.write(
                        part.kind,
                        &key,
                        Some(Object { key: key.clone(), uid, version: 0, group, number, odd: false }),
                    );
                }
            });
        }
    }

    /// Versions that are used again after a restore must stay below those that an informer has cached from
    /// the previous history. Otherwise it would not detect the restore, which is no guarantee.
    fn limit(&self) -> u64 {
        let server = self.world.lock();
        self.subjects.iter().filter_map(|subject| subject.checker().limit(&server)).min().unwrap_or(u64::MAX)
    }

    // --- faults of the server ---

    fn compact(&mut self) {
        self.world.log("compacts");
        self.world.change(|server| server.compacted = server.version());
    }

    fn restart(&mut self) {
        self.world.log("restarts");
        self.world.change(|server| server.restarts += 1);
    }

    async fn outage(&mut self) -> Result<(), String> {
        let steps = self.random.random_range(1..12);
        self.world.log(format!("is out for {steps} steps"));
        self.world.change(|server| server.outage = true);
        let begun = Instant::now();
        for _ in 0..steps {
            self.ordinary().await?;
        }
        if self.random.random_bool(0.3) {
            self.long_pause().await;
        }
        // An informer with a dead connection detects it only after three minutes of silence.
        if begun.elapsed() > Duration::from_secs(240) {
            self.subjects.iter().try_for_each(|subject| subject.must_be_stale("an outage of minutes"))?;
        }
        self.world.log("is back");
        self.world.change(|server| server.outage = false);
        Ok(())
    }

    async fn blackhole(&mut self) -> Result<(), String> {
        let pause = Duration::from_secs(self.random.random_range(1..400));
        self.world.log(format!("swallows everything for {pause:?}"));
        self.world.change(|server| server.blackhole = true);
        self.write();
        sleep(pause).await;
        self.ordinary().await?;
        if pause > Duration::from_secs(300) {
            self.subjects.iter().try_for_each(|subject| subject.must_be_stale("five minutes of silence"))?;
        }
        self.world.log("answers again");
        self.world.change(|server| {
            server.blackhole = false;
            server.blackholes += 1;
        });
        Ok(())
    }

    async fn restore(&mut self) {
        let newest = self.world.lock().version();
        let version = newest.saturating_sub(self.random.random_range(1..20)).max(1);
        self.world.log(format!("is restored at {version}"));
        self.world.change(|server| server.restore(version));
        // Let responses of the previous history arrive first.
        sleep(Duration::from_secs(20)).await;
    }

    async fn vanish(&mut self) -> Result<(), String> {
        let kind = self.random.random_range(0..KINDS);
        if self.limit() < u64::MAX {
            return Ok(());
        }
        if self.random.random_bool(0.5) {
            self.restart();
        }
        self.world.log(format!("no longer serves kind {kind}"));
        self.world.change(|server| server.uninstall(kind));
        for _ in 0..self.random.random_range(1..10) {
            self.ordinary().await?;
        }
        self.world.log(format!("serves kind {kind} again"));
        self.world.change(|server| server.install(kind));
        Ok(())
    }

    /// Ends an informer during the run, and starts another.
    async fn replace(&mut self) -> Result<(), String> {
        let at = self.random.random_range(0..self.subjects.len());
        if self.subjects[at].form == Form::Shared {
            return Ok(());
        }
        let subject = self.subjects.remove(at);
        let form = subject.form;
        self.views += subject.checker().views;
        self.world.log(format!("ends {}", subject.name));
        if self.random.random_bool(0.5) {
            subject.shut_down().await?;
        } else {
            let name = subject.let_go();
            sleep(Duration::from_millis(50)).await;
            self.world.lock().ends(&name);
        }
        self.start(form);
        Ok(())
    }

    // --- the end ---

    /// Ends all faults, and checks that every informer recovers in time. Returns the longest recovery.
    async fn finish(&mut self) -> Result<Duration, String> {
        self.world.log("faults stop");
        self.world.change(|server| server.calm());
        let begun = Instant::now();
        let manner = self.world.lock().manner;
        // First, informers recover from the faults; then a write to each selection shows which connections
        // are dead.
        let mut took = self.all_recover(RECOVERY).await?;
        self.touch_all();
        took = took.max(self.all_recover(RECOVERY).await?);
        // If watches work, another write arrives at once.
        self.touch_all();
        let watches = manner.watches() && self.limit() == u64::MAX;
        if watches {
            self.all_recover(PROMPT).await?;
        } else {
            took = took.max(self.all_recover(RECOVERY).await?);
        }
        for subject in &mut self.subjects {
            subject.settle().await?;
        }
        for derived in &mut self.derived {
            derived.settle().await?;
        }
        self.world.log(format!("all is well after {:?}", begun.elapsed()));
        for derived in std::mem::take(&mut self.derived) {
            derived.shut_down().await?;
        }
        for subject in std::mem::take(&mut self.subjects) {
            self.views += subject.checker().views;
            subject.shut_down().await?;
        }
        self.world.failure().map_or(Ok(took), Err)
    }

    async fn all_recover(&mut self, within: Duration) -> Result<Duration, String> {
        let begun = Instant::now();
        let watches = self.world.lock().manner.watches();
        loop {
            self.check()?;
            let behind = self.subjects.iter().find_map(|subject| subject.has_recovered(watches).err());
            let Some(behind) = behind else { return Ok(begun.elapsed()) };
            ensure(begun.elapsed() < within, || format!("not recovered after {within:?}: {behind}"))?;
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Manner {
    /// The settings of a plan, as printed in a report.
    pub(crate) fn of(plan: &Plan) -> Self {
        if plan.faults.has(Fault::Manners) { Self::some(&mut chance(plan.seed, 1)) } else { Self::Usual }
    }
}
