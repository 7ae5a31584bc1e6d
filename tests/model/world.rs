//! The server's side: its history, its faults, and its knowledge of its clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::{Fault, FaultSet, Manner, chance};
use crate::history::{Key, Lineage, Object, State};
use crate::kind::KINDS;

/// The server, shared by the writers, the service and the checks.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    state: Mutex<Server>,
    /// A `Notify`, because a watch channel does not wake waiters in order.
    changed: Notify,
}

pub(crate) struct Server {
    /// All histories; the last one is the current one.
    pub(crate) lineages: Vec<Lineage>,
    /// Versions before this one were compacted.
    pub(crate) compacted: u64,
    pub(crate) installed: [bool; KINDS],
    /// The version at which each kind was installed. Its watches cannot begin before it.
    pub(crate) born: [u64; KINDS],
    /// Whether the kind was absent at some time.
    pub(crate) was_absent: [bool; KINDS],
    /// The number of restarts. Connections from before the last one are broken.
    pub(crate) restarts: u64,
    /// The number of blackholes. Connections that the last one has swallowed stay silent.
    pub(crate) blackholes: u64,
    pub(crate) outage: bool,
    pub(crate) blackhole: bool,
    /// Whether faults happen.
    pub(crate) trouble: bool,
    pub(crate) faults: FaultSet,
    pub(crate) manner: Manner,
    /// The share of requests with a fault.
    rate: f64,
    /// The random generator of the client whose request is being handled.
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

/// The state of one informer at the server.
#[derive(Default)]
pub(crate) struct Peer {
    /// Whether it has received a list that is too old. Only once, since two in a row mean a restored server.
    pub(crate) stale: bool,
    /// Its own generator, so that its faults do not depend on other clients.
    random: Option<StdRng>,
    /// The times of recent lists and watches.
    begun: VecDeque<Instant>,
    /// The server has asked it to retry no earlier than this.
    pub(crate) not_before: Option<Instant>,
    /// Whether its informer has ended.
    pub(crate) ended: bool,
    /// The highest version that it was sent in each history.
    pub(crate) sent: BTreeMap<usize, u64>,
    /// Whether to spare this client faults that it does not support, according to its documentation.
    pub(crate) gentle: bool,
}

/// The number of log lines that a failure prints, unless set in the environment.
const LOG: usize = 50;

/// The most lists and watches that one informer may begin within ten seconds.
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

    /// Changes the server and wakes open connections.
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

    /// Records that the run has failed. Only the first reason is kept.
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
        // An FNV hash: equal runs have equal traces.
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
        let what = after.as_ref().map(|object| {
            (object.uid.trim_start_matches(['0', '4', '8', '-']), &object.group, object.number)
        });
        let line = format!("writes {}/{} of kind {kind}: {what:?}", key.0, key.1);
        let last = self.lineages.len() - 1;
        let version = self.lineages[last].write(kind, key, after);
        self.log(line);
        version
    }

    /// Restores an older version, from which another history begins.
    pub(crate) fn restore(&mut self, version: u64) {
        let lineage = self.lineage().fork(version);
        self.lineages.push(lineage);
        self.compacted = self.compacted.min(version);
        for born in &mut self.born {
            *born = (*born).min(version);
        }
        self.restarts += 1;
    }

    /// Uninstalls a kind with all its objects, each as a separate delete.
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

    /// Stops new faults. Permanent properties of the server stay.
    pub(crate) fn calm(&mut self) {
        self.trouble = false;
        self.outage = false;
        self.blackhole = false;
        (0..KINDS).for_each(|kind| self.install(kind));
    }

    /// Handles a request with the client's own random generator.
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

    /// Whether this kind of fault happens now.
    pub(crate) fn happens(&mut self, fault: Fault, share: f64) -> bool {
        let rate = self.rate * share;
        self.trouble && self.faults.has(fault) && self.random.random_bool(rate)
    }

    /// Records that an informer lists or watches, and fails the run if it must not.
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

    /// Records that the informer of this name has ended and must send no more requests.
    pub(crate) fn ends(&mut self, name: &str) {
        for (_, peer) in self.peers.iter_mut().filter(|(peer, _)| peer.split(' ').next() == Some(name)) {
            peer.ended = true;
        }
    }

    /// Records that parts of a scope may send requests from now on.
    pub(crate) fn expects(&mut self, peers: &BTreeSet<String>) {
        for name in peers {
            let peer = self.peers.entry(name.clone()).or_default();
            (peer.ended, peer.not_before) = (false, None);
        }
    }

    /// Records that all other parts of an informer must send no more requests.
    pub(crate) fn expects_no_other(&mut self, informer: &str, peers: &BTreeSet<String>) {
        for (name, peer) in self.peers.iter_mut().filter(|(name, _)| name.split(' ').next() == Some(informer))
        {
            peer.ended |= name.as_str() != informer && !peers.contains(name);
        }
    }

    /// Records that a client was sent a version of the present history.
    pub(crate) fn sends(&mut self, name: &str, version: u64) {
        let lineage = self.lineages.len() - 1;
        let sent = self.peers.entry(name.to_owned()).or_default().sent.entry(lineage).or_default();
        *sent = version.max(*sent);
    }

    /// The highest version of a history that a client knows. What it was sent before a restore is of this history, too, as
    /// far as they share it.
    pub(crate) fn sent(&self, name: &str, lineage: usize) -> Option<u64> {
        let sent = self.peers.get(name)?.sent.range(..=lineage);
        sent.map(|(earlier, version)| {
            self.lineages[earlier + 1..=lineage].iter().map(Lineage::forked_at).fold(*version, u64::min)
        })
        .max()
    }
}
