//! The caches compared, one adapter each, and the loops that all of them run in.

mod dash;
mod floor;
mod kube_store;
mod ours;

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::data::{CONFIG, Data, HITS, Key, Nad, Value};

/// One cache, filled.
trait Peer {
    /// Finds an object and reads it. Building what the cache must be asked by is part of the work.
    fn get(&mut self, key: &Key) -> Option<usize>;

    /// Reads every object of a provider and adds up what it read.
    fn index(&mut self, provider: &str) -> usize;
}

/// What is asked of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Keys that do not depend on each other: the processor may overlap look-ups.
    GetHit,
    /// The next key is known only when the object was read: the latency of one look-up.
    GetHitDependent,
    /// Keys without an object.
    GetMiss,
    /// All [`HITS`] objects of a provider.
    IndexHit,
}

/// A cache whose type is hidden behind one call per measurement, not per look-up.
pub(crate) trait Timed<T> {
    /// Does `count` operations from the `start`th key on, checks the result, and says how long it took.
    fn time(&mut self, op: Op, data: &Data<T>, start: usize, count: u64) -> Duration;
}

/// A cache of `T`s by name, and how it is filled.
pub(crate) struct Candidate<T> {
    pub(crate) name: &'static str,
    pub(crate) fill: fn(&Data<T>) -> Box<dyn Timed<T>>,
}

/// The one that ratios refer to.
pub(crate) const FLOOR: &str = "hashbrown";

/// The one that differences refer to.
pub(crate) const HELD: &str = "kube-informer";

/// Those that hold values of any type.
pub(crate) fn any<T: Value>() -> Vec<Candidate<T>> {
    vec![
        Candidate { name: FLOOR, fill: |data| Box::new(floor::Table::new(data)) },
        Candidate { name: HELD, fill: |data| Box::new(ours::Held::new(data)) },
        Candidate { name: "kube-informer-read", fill: |data| Box::new(ours::Read::new(data)) },
        Candidate { name: "kube-informer-get", fill: |data| Box::new(ours::Get::new(data)) },
        Candidate { name: "dashmap", fill: |data| Box::new(dash::ByHand::new(data)) },
    ]
}

/// All: those, and the one that holds only what knows its own name.
pub(crate) fn all() -> Vec<Candidate<Nad>> {
    let store = Candidate { name: "kube-store", fill: |data| Box::new(kube_store::Reflected::new(data)) };
    any().into_iter().chain([store]).collect()
}

impl Op {
    pub(crate) const ALL: [Self; 4] = [Self::GetHit, Self::GetHitDependent, Self::GetMiss, Self::IndexHit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetHit => "get_hit",
            Self::GetHitDependent => "get_hit_dependent",
            Self::GetMiss => "get_miss",
            Self::IndexHit => "index_hit_64",
        }
    }
}

impl<P: Peer, T> Timed<T> for P {
    fn time(&mut self, op: Op, data: &Data<T>, start: usize, count: u64) -> Duration {
        let begin = Instant::now();
        let (result, expected) = match op {
            Op::GetHit => (hits(self, &data.keys, start, count), CONFIG * count as usize),
            Op::GetHitDependent => (dependent(self, &data.keys, start, count), count as usize),
            Op::GetMiss => (misses(self, &data.missing, start, count), count as usize),
            Op::IndexHit => (lists(self, &data.providers, start, count), HITS * CONFIG * count as usize),
        };
        let took = begin.elapsed();
        assert_eq!(result, expected, "{op:?} found something else");
        took
    }
}

/// The place after `at` in a list that is gone through again and again.
#[inline]
fn after(at: usize, step: usize, len: usize) -> usize {
    let next = at + step;
    if next >= len { next - len } else { next }
}

#[inline(never)]
fn hits<P: Peer>(peer: &mut P, keys: &[Key], start: usize, count: u64) -> usize {
    let (mut at, mut sum) = (start % keys.len(), 0);
    for _ in 0..count {
        sum += peer.get(&keys[at]).unwrap_or(0);
        at = after(at, 1, keys.len());
    }
    sum
}

/// The step to the next key is what was read of this object, less a constant the compiler does not know: one,
/// so that fetching the *key* costs as little as in the other loops.
#[inline(never)]
fn dependent<P: Peer>(peer: &mut P, keys: &[Key], start: usize, count: u64) -> usize {
    let before = black_box(CONFIG) - 1;
    let (mut at, mut sum) = (start % keys.len(), 0);
    for _ in 0..count {
        let Some(step) = peer.get(&keys[at]).and_then(|read| read.checked_sub(before)) else { return 0 };
        sum += step;
        at = after(at, step, keys.len());
    }
    sum
}

#[inline(never)]
fn misses<P: Peer>(peer: &mut P, keys: &[Key], start: usize, count: u64) -> usize {
    let (mut at, mut sum) = (start % keys.len(), 0);
    for _ in 0..count {
        sum += usize::from(peer.get(&keys[at]).is_none());
        at = after(at, 1, keys.len());
    }
    sum
}

#[inline(never)]
fn lists<P: Peer>(peer: &mut P, providers: &[String], start: usize, count: u64) -> usize {
    let (mut at, mut sum) = (start % providers.len(), 0);
    for _ in 0..count {
        sum += peer.index(&providers[at]);
        at = after(at, 1, providers.len());
    }
    sum
}
