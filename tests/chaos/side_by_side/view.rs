//! What a consumer has seen of a kind: the state that its changes lead to, and how late they were.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use kube_informer::{Change, Obj, ObjectKey};

use super::{
    blind::Blinds,
    object::{Difference, Held, Kind, Objects},
};

/// Own lags above this are remembered one by one.
const LONG: Duration = Duration::from_secs(1);
/// Most that are remembered: those seen within a moment of each other count as one.
const SLOW: usize = 1000;
const MOMENT: Duration = Duration::from_millis(50);

/// The sight of one consumer, or of one of its scopes.
pub(crate) struct View {
    kind: Kind,
    /// Only writes to this namespace are waited for.
    namespace: Option<&'static str>,
    inner: Mutex<Inner>,
}

/// The answer to a write.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) kind: Kind,
    pub(crate) key: ObjectKey,
    /// Of a deletion, the version after the last one: the API server does not say which it is.
    pub(crate) held: Held,
    pub(crate) deleted: bool,
    pub(crate) at: Instant,
}

/// A write that was seen late.
#[derive(Clone, Copy)]
pub(crate) struct Slow {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

struct Inner {
    state: Objects,
    contradictions: u64,
    /// What was seen last of each name, deletions included.
    last: HashMap<ObjectKey, (Held, Seen)>,
    /// Writes that were answered and not yet seen, in order.
    pending: HashMap<ObjectKey, VecDeque<Written>>,
    lags: Lags,
    blinds: Blinds,
    slow: Vec<Slow>,
}

/// In microseconds.
#[derive(Clone)]
pub(crate) struct Lags {
    /// From the answer to a write to its sight.
    pub(crate) all: Histogram<u64>,
    /// The same without the time in which nothing got through to anybody: what is the consumer's own doing.
    pub(crate) own: Histogram<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    There,
    Gone,
}

// === impl View ===

impl View {
    pub(crate) fn new(kind: Kind, namespace: Option<&'static str>, blinds: Blinds) -> Self {
        let inner = Inner {
            state: Objects::new(),
            contradictions: 0,
            last: HashMap::new(),
            pending: HashMap::new(),
            lags: Lags::new(),
            blinds,
            slow: Vec::new(),
        };
        Self { kind, namespace, inner: Mutex::new(inner) }
    }

    /// A write was answered; it may have been seen already.
    pub(crate) fn wrote(&self, written: &Written) {
        let namespace = written.key.namespace();
        if written.kind != self.kind || self.namespace.is_some_and(|only| only != namespace) {
            return;
        }
        let mut inner = self.lock();
        let seen = inner.last.get(&written.key).is_some_and(|(held, seen)| {
            let later = !written.deleted && held.version >= written.held.version;
            held.uid == written.held.uid && (later || *seen == Seen::Gone)
        });
        if seen {
            inner.lag(written.at, written.at);
        } else {
            inner.pending.entry(written.key.clone()).or_default().push_back(written.clone());
        }
    }

    /// A change was delivered.
    pub(crate) fn change<T>(&self, change: &Change<'_, T>) {
        let key = change.key().to_owned();
        let mut inner = self.lock();
        let before = inner.state.get(&key).cloned();
        if before != change.old().map(held) {
            inner.contradictions += 1;
        }
        match change.new() {
            Some(new) => inner.there(key, held(new)),
            None => inner.gone(key),
        }
    }

    /// An object is there, in this version or still.
    pub(crate) fn there(&self, key: ObjectKey, held: Held) {
        self.lock().there(key, held);
    }

    pub(crate) fn gone(&self, key: ObjectKey) {
        self.lock().gone(key);
    }

    /// All that is there was listed.
    pub(crate) fn listed(&self, all: Objects) {
        let mut inner = self.lock();
        let gone: Vec<_> = inner.state.keys().filter(|key| !all.contains_key(key)).cloned().collect();
        gone.into_iter().for_each(|key| inner.gone(key));
        for (key, held) in all {
            if inner.state.get(&key) != Some(&held) {
                inner.there(key, held);
            }
        }
    }

    pub(crate) fn difference(&self, truth: &Objects) -> Difference {
        let inner = self.lock();
        let difference = Difference::between(&inner.state, truth);
        Difference { contradictions: inner.contradictions, ..difference }
    }

    pub(crate) fn lags(&self) -> Lags {
        self.lock().lags.clone()
    }

    pub(crate) fn slow(&self) -> Vec<Slow> {
        self.lock().slow.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn entry<T>(object: &Obj<T>) -> (ObjectKey, Held) {
    (Obj::key(object).to_owned(), held(object))
}

fn held<T>(object: &Obj<T>) -> Held {
    let version = Obj::resource_version(object).to_string().parse();
    Held { uid: Obj::uid(object).into_owned(), version: version.unwrap_or_default() }
}

// === impl Lags ===

impl Lags {
    pub(crate) fn new() -> Self {
        // With 0 to 5 digits it cannot fail.
        let none = || Histogram::new(3).unwrap_or_else(|_| unreachable!("three digits"));
        Self { all: none(), own: none() }
    }

    /// Their bounds grow with what is recorded, so it cannot fail.
    fn record(&mut self, all: Duration, own: Duration) {
        let micros = |time: Duration| time.as_micros().try_into().unwrap_or(u64::MAX);
        let _ = (self.all.record(micros(all)), self.own.record(micros(own)));
    }

    pub(crate) fn add(&mut self, others: &Self) {
        let _ = (self.all.add(&others.all), self.own.add(&others.own));
    }
}

// === impl Inner ===

impl Inner {
    fn there(&mut self, key: ObjectKey, held: Held) {
        let before = self.last.insert(key.clone(), (held.clone(), Seen::There)).map(|(held, _)| held.uid);
        let known = |uid: &String| *uid == held.uid || Some(uid) == before.as_ref();
        self.seen(&key, |written| written.held.version <= held.version, known);
        self.state.insert(key, held);
    }

    fn gone(&mut self, key: ObjectKey) {
        if let Some(held) = self.state.remove(&key) {
            let same = |uid: &String| *uid == held.uid;
            self.seen(&key, |written| same(&written.held.uid), same);
            self.last.insert(key, (held, Seen::Gone));
        }
    }

    /// Takes the writes that are covered by what was seen just now. An object that came and went unseen has no lag:
    /// `known` are those that were there before or are now.
    fn seen(&mut self, key: &ObjectKey, covers: impl Fn(&Written) -> bool, known: impl Fn(&String) -> bool) {
        let now = Instant::now();
        let Some(mut pending) = self.pending.remove(key) else { return };
        while let Some(written) = pending.front().filter(|written| covers(written)) {
            if known(&written.held.uid) {
                self.lag(written.at, now);
            }
            pending.pop_front();
        }
        if !pending.is_empty() {
            self.pending.insert(key.clone(), pending);
        }
    }

    fn lag(&mut self, from: Instant, to: Instant) {
        let lag = to.saturating_duration_since(from);
        let own = self.blinds.open(from, to);
        self.lags.record(lag, own);
        if own < LONG {
            return;
        }
        let same = |last: &&mut Slow| to.saturating_duration_since(last.to) < MOMENT;
        if let Some(last) = self.slow.last_mut().filter(same) {
            last.from = last.from.min(from);
        } else if self.slow.len() < SLOW {
            self.slow.push(Slow { from, to });
        }
    }
}
