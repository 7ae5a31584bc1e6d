//! The server's side: its history, its troubles, and what it knows of its clients.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::{Fault, FaultSet, Manner, chance};
use crate::history::{Key, Lineage, Object, Selection, State};
use crate::kind::KINDS;

/// The server, shared between those who write, the service, and the checks.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    state: Mutex<Server>,
    /// Wakes in order, as a watch channel does not.
    changed: Notify,
}

pub(crate) struct Server {
    /// The last one is in force.
    pub(crate) lineages: Vec<Lineage>,
    /// Versions before this one are no longer kept.
    pub(crate) compacted: u64,
    pub(crate) installed: [bool; KINDS],
    /// The version at which a kind was installed: its watches begin there.
    pub(crate) born: [u64; KINDS],
    /// The kind was not there at some time.
    pub(crate) was_absent: [bool; KINDS],
    /// Connections opened before the last restart are broken.
    pub(crate) restarts: u64,
    /// Connections that the last blackhole swallowed stay silent.
    pub(crate) blackholes: u64,
    pub(crate) outage: bool,
    pub(crate) blackhole: bool,
    /// Faults happen.
    pub(crate) trouble: bool,
    pub(crate) faults: FaultSet,
    pub(crate) manner: Manner,
    /// The share of requests that meet a fault.
    rate: f64,
    /// Of the client whose request is answered.
    pub(crate) random: StdRng,
    seed: u64,
    uids: u64,
    pub(crate) peers: BTreeMap<String, Peer>,
    /// The last steps and requests, for the report of a failure.
    log: VecDeque<String>,
    longest_log: usize,
    trace: u64,
    pub(crate) requests: u64,
    began: Instant,
    failure: Option<String>,
}

/// What the server knows of one informer.
#[derive(Default)]
pub(crate) struct Peer {
    /// Was shown a list that is too old: once is enough, since two in a row mean a restored server.
    pub(crate) stale: bool,
    /// What befalls its requests does not depend on the others'.
    random: Option<StdRng>,
    /// Lists and watches begun lately.
    begun: VecDeque<Instant>,
    /// It was asked to come back later.
    pub(crate) not_before: Option<Instant>,
    /// Its informer has ended.
    pub(crate) ended: bool,
    /// Faults that this client cannot stand, by its docs.
    pub(crate) gentle: bool,
}

/// How much of the log a failure shows, unless the environment says otherwise.
const LOG: usize = 50;

/// Lists and watches that one informer may begin within ten seconds.
const BEGUN: usize = 60;

impl World {
    pub(crate) fn new(seed: u64, faults: FaultSet) -> Self {
        let mut random = chance(seed, 1);
        let manner = if faults.has(Fault::Manners) { Manner::some(&mut random) } else { Manner::Usual };
        let server = Server {
            lineages: vec![Lineage::new()],
            compacted: 0,
            installed: [true; KINDS],
            born: [0; KINDS],
            was_absent: [false; KINDS],
            restarts: 0,
            blackholes: 0,
            outage: false,
            blackhole: false,
            trouble: true,
            faults,
            manner,
            rate: random.random_range(0.0..0.7),
            random,
            seed,
            uids: 0,
            peers: BTreeMap::new(),
            log: VecDeque::new(),
            longest_log: crate::number("LOG").map_or(LOG, |lines| lines as usize),
            trace: 0,
            requests: 0,
            began: Instant::now(),
            failure: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(server), changed: Notify::new() }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Server> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that open connections must notice.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Server) -> R) -> R {
        let result = change(&mut self.lock());
        self.0.changed.notify_waiters();
        result
    }

    /// Ready at the next change after this call.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.0.changed.notified()
    }

    pub(crate) fn log(&self, line: impl AsRef<str>) {
        self.lock().log(line);
    }

    /// The run has failed; the first reason counts.
    pub(crate) fn fail(&self, why: String) {
        let mut server = self.lock();
        server.log(format!("FAILED: {why}"));
        server.failure.get_or_insert(why);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }
}

impl Server {
    pub(crate) fn log(&mut self, line: impl AsRef<str>) {
        let at = self.began.elapsed().as_secs_f64();
        let line = format!("{at:10.3} v{} {}", self.version(), line.as_ref());
        // FNV: two runs that did the same have the same trace.
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.log.len() == self.longest_log && self.failure.is_none() {
            self.log.pop_front();
        }
        if self.log.len() < self.longest_log + 2 {
            self.log.push_back(line);
        }
    }

    pub(crate) fn told(&self) -> (Vec<String>, u64) {
        (self.log.iter().cloned().collect(), self.trace)
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineages[self.lineages.len() - 1]
    }

    pub(crate) fn version(&self) -> u64 {
        self.lineage().version()
    }

    pub(crate) fn newest(&self, kind: usize) -> Arc<State> {
        self.lineage().newest(kind).clone()
    }

    pub(crate) fn new_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    pub(crate) fn write(&mut self, kind: usize, key: &Key, after: Option<Object>) -> u64 {
        let last = self.lineages.len() - 1;
        self.lineages[last].write(kind, key, after)
    }

    /// Goes back to an older version, from which another history begins.
    pub(crate) fn restore(&mut self, version: u64) {
        let lineage = self.lineage().fork(version);
        self.lineages.push(lineage);
        self.compacted = self.compacted.min(version);
        for born in &mut self.born {
            *born = (*born).min(version);
        }
        self.restarts += 1;
    }

    /// Takes a kind away with all its objects, each a delete of its own.
    pub(crate) fn uninstall(&mut self, kind: usize) {
        let keys: Vec<_> = self.newest(kind).keys().cloned().collect();
        for key in keys {
            self.write(kind, &key, None);
        }
        self.installed[kind] = false;
        self.was_absent[kind] = true;
    }

    pub(crate) fn install(&mut self, kind: usize) {
        if !self.installed[kind] {
            self.installed[kind] = true;
            self.born[kind] = self.version();
        }
    }

    /// No fault from here on; what lasts, lasts.
    pub(crate) fn calm(&mut self) {
        self.trouble = false;
        self.outage = false;
        self.blackhole = false;
        (0..KINDS).for_each(|kind| self.install(kind));
    }

    /// Answers a client, by its own chances.
    pub(crate) fn answering<R>(&mut self, name: &str, answer: impl FnOnce(&mut Self) -> R) -> R {
        let purpose =
            name.bytes().fold(1000, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let random = self.peers.entry(name.to_owned()).or_default().random.take();
        let random = random.unwrap_or_else(|| chance(self.seed, purpose));
        let others = std::mem::replace(&mut self.random, random);
        let answer = answer(self);
        let random = std::mem::replace(&mut self.random, others);
        self.peers.entry(name.to_owned()).or_default().random = Some(random);
        answer
    }

    /// Whether this kind of fault happens here and now.
    pub(crate) fn happens(&mut self, fault: Fault, share: f64) -> bool {
        let rate = self.rate * share;
        self.trouble && self.faults.has(fault) && self.random.random_bool(rate)
    }

    /// Notes that an informer lists or watches, and says when it must not.
    pub(crate) fn begins(&mut self, name: &str) {
        self.requests += 1;
        let peer = self.peers.entry(name.to_owned()).or_default();
        let now = Instant::now();
        while peer.begun.front().is_some_and(|at| now - *at > Duration::from_secs(10)) {
            peer.begun.pop_front();
        }
        peer.begun.push_back(now);
        let too_often = peer.begun.len() > BEGUN;
        let early = peer.not_before.take().is_some_and(|time| now < time);
        let why = match (peer.ended, early, too_often) {
            (true, ..) => "asks though its informer has ended",
            (_, true, _) => "comes back before the time it was asked to wait",
            (.., true) => "lists and watches too often",
            _ => return,
        };
        let why = format!("{name} {why}");
        self.log(format!("FAILED: {why}"));
        self.failure.get_or_insert(why);
    }

    /// Nothing may come from an informer of that name any more.
    pub(crate) fn ends(&mut self, name: &str) {
        for (_, peer) in self.peers.iter_mut().filter(|(peer, _)| peer.split(' ').next() == Some(name)) {
            peer.ended = true;
        }
    }

    /// What a client of that selection must show at a version, in each history that has it.
    pub(crate) fn truths(
        &self,
        selection: &Selection,
        version: u64,
    ) -> impl Iterator<Item = (usize, &Lineage, &State)> {
        let kind = selection.kind;
        (0..).zip(&self.lineages).filter_map(move |(number, lineage)| {
            lineage.state(kind, version).map(|state| (number, lineage, &**state))
        })
    }
}
