//! Random operations against a plain description of what a queue is: for each key whether it runs, its priority, and
//! a number that says since when it is ready.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::{task::JoinSet, time::Instant};

use super::{
    super::{Priority, state::State},
    MS, PATIENCE, WorkQueue, join_all,
};

#[derive(Debug, Clone)]
enum Op {
    Add(u8, Priority),
    AddAfter(u8, u32),
    Advance(u32),
    Take,
    /// Ends one of the claims.
    Done(prop::sample::Index),
    Discard,
}

#[derive(Default)]
struct Oracle {
    now: u32,
    stamps: u32,
    taken: u32,
    /// Per key that was ever added: does it run, and with which priority and since which stamp is it dirty.
    keys: BTreeMap<u8, (bool, Option<(Priority, u32)>)>,
    /// (deadline, arrival, key): everything asked for, duplicates too.
    delayed: Vec<(u32, u32, u8)>,
}

impl Oracle {
    fn stamp(&mut self) -> u32 {
        self.stamps += 1;
        self.stamps
    }

    fn add(&mut self, key: u8, priority: Priority) {
        let stamp = self.stamp();
        let dirty = &mut self.keys.entry(key).or_default().1;
        if dirty.is_none_or(|(known, _)| priority > known) {
            *dirty = Some((priority, stamp));
        }
    }

    fn add_after(&mut self, key: u8, delay: u32) {
        if delay == 0 {
            return self.add(key, Priority::Normal);
        }
        let arrival = self.stamp();
        let deadline = self.now + delay;
        if self.delayed.iter().any(|(at, _, other)| *other == key && *at <= deadline) {
            return;
        }
        self.delayed.retain(|(.., other)| *other != key);
        self.delayed.push((deadline, arrival, key));
    }

    fn advance(&mut self, by: u32) {
        self.now += by;
        self.delayed.sort_unstable();
        while self.delayed.first().is_some_and(|(at, ..)| *at <= self.now) {
            let (.., key) = self.delayed.remove(0);
            self.add(key, Priority::Normal);
        }
    }

    fn take(&mut self) -> Option<u8> {
        let ready = self.keys.iter().filter(|(_, (running, _))| !running);
        let ready =
            ready.filter_map(|(key, (_, dirty))| dirty.map(|(priority, stamp)| (priority, stamp, *key)));
        let fair = self.taken % 8 == 7;
        let (_, _, key) = ready.min_by_key(|(priority, stamp, _)| {
            (!fair).then_some(Reverse(*priority)).map_or((None, *stamp), |p| (Some(p), *stamp))
        })?;
        self.taken += 1;
        self.keys.insert(key, (true, None));
        Some(key)
    }

    fn done(&mut self, key: u8) {
        let stamp = self.stamp();
        let (running, dirty) = self.keys.get_mut(&key).unwrap();
        *running = false;
        *dirty = dirty.map(|(priority, _)| (priority, stamp)); // ready from now on
    }

    fn discard(&mut self) -> usize {
        self.keys.values_mut().filter_map(|(_, dirty)| dirty.take()).count()
    }

    fn ready(&self) -> usize {
        self.keys.values().filter(|(running, dirty)| !running && dirty.is_some()).count()
    }

    fn ready_of(&self, priority: Priority) -> usize {
        let ready = self.keys.values().filter(|(running, _)| !running);
        ready.filter(|(_, dirty)| dirty.is_some_and(|(p, _)| p == priority)).count()
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..6_u8, prop::sample::select(&[Priority::Low, Priority::Normal, Priority::High]))
            .prop_map(|(key, priority)| Op::Add(key, priority)),
        2 => (0..6_u8, 0..6_u32).prop_map(|(key, delay)| Op::AddAfter(key, delay)),
        2 => (0..4_u32).prop_map(Op::Advance),
        4 => Just(Op::Take),
        4 => any::<prop::sample::Index>().prop_map(Op::Done),
        1 => Just(Op::Discard),
    ];
    prop::collection::vec(op, 0..120)
}

proptest! {
    #[test]
    fn the_state_is_what_the_description_says(ops in ops()) {
        let (mut state, mut oracle, now) = (State::new(), Oracle::default(), Instant::now());
        let mut claims: Vec<Arc<u8>> = Vec::new();
        for op in ops {
            match op {
                Op::Add(key, _) | Op::AddAfter(key, _) => {
                    let priority = if let Op::Add(_, priority) = op { priority } else { Priority::Normal };
                    let fresh = oracle.keys.get(&key).is_none_or(|(_, dirty)| dirty.is_none());
                    prop_assert_eq!(state.add(Arc::new(key), priority, now), fresh);
                    oracle.add(key, priority);
                }
                Op::Take => {
                    let taken = state.take(now).map(|taken| taken.key);
                    prop_assert_eq!(taken.as_deref().copied(), oracle.take());
                    claims.extend(taken);
                }
                Op::Done(index) if !claims.is_empty() => {
                    let key = claims.swap_remove(index.index(claims.len()));
                    prop_assert!(state.done(&key, now).is_some());
                    prop_assert!(state.done(&key, now).is_none(), "a run ends once");
                    oracle.done(*key);
                }
                Op::Discard => prop_assert_eq!(state.discard(), oracle.discard()),
                Op::Done(_) | Op::Advance(_) => {}
            }
            state.validate();
            prop_assert_eq!((state.ready(), state.running()), (oracle.ready(), claims.len()));
        }
    }

    #[test]
    fn the_queue_is_what_the_description_says_at_any_time(ops in ops()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
            let (queue, mut oracle, mut claims) = (WorkQueue::new(), Oracle::default(), Vec::new());
            for op in ops {
                match op {
                    Op::Add(key, priority) => {
                        queue.add_with_priority(key, priority);
                        oracle.add(key, priority);
                    }
                    Op::AddAfter(key, delay) => {
                        queue.add_after(key, delay * MS);
                        oracle.add_after(key, delay);
                    }
                    Op::Advance(by) => {
                        tokio::time::advance(by * MS).await;
                        oracle.advance(by);
                    }
                    Op::Take => {
                        // Unconstrained, because this task never yields and would use up its budget.
                        let claim = tokio::task::unconstrained(queue.get()).now_or_never().flatten();
                        prop_assert_eq!(claim.as_deref().copied(), oracle.take());
                        claims.extend(claim);
                    }
                    Op::Done(index) if !claims.is_empty() => {
                        let claim = claims.swap_remove(index.index(claims.len()));
                        oracle.done(*claim);
                        claim.done();
                    }
                    Op::Done(_) | Op::Discard => {}
                }
                let stats = queue.stats();
                prop_assert_eq!(
                    (stats.depth, stats.delayed, stats.processing),
                    (oracle.ready(), oracle.delayed.len(), claims.len())
                );
                for priority in [Priority::Low, Priority::Normal, Priority::High] {
                    prop_assert_eq!(stats.depth_of(priority), oracle.ready_of(priority));
                }
            }
            Ok(())
        })?;
    }
}

/// Parallel threads, with keys added while they run: no key runs twice at once, and a run follows the last
/// add of every key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_keys_on_eight_workers_never_run_concurrently_and_see_every_add() {
    #[derive(Default)]
    struct Slot {
        running: AtomicBool,
        added: AtomicU32,
        seen: AtomicU32,
    }
    let slots: Arc<HashMap<u32, Slot>> = Arc::new((0..1000).map(|key| (key, Slot::default())).collect());
    let queue = WorkQueue::new();
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let (queue, slots) = (queue.clone(), Arc::clone(&slots));
        workers.spawn(async move {
            while let Some(key) = queue.get().await {
                let slot = &slots[&key];
                assert!(!slot.running.swap(true, Ordering::SeqCst), "{} runs twice", *key);
                slot.seen.store(slot.added.load(Ordering::SeqCst), Ordering::SeqCst);
                tokio::task::yield_now().await;
                slot.running.store(false, Ordering::SeqCst);
            }
        });
    }
    let mut producers = JoinSet::new();
    for producer in 0..4_u32 {
        let (queue, slots) = (queue.clone(), Arc::clone(&slots));
        producers.spawn(async move {
            for n in 0..10_000_u32 {
                let key = n.wrapping_mul(2_654_435_761).wrapping_add(producer) % 1000;
                slots[&key].added.fetch_add(1, Ordering::SeqCst);
                queue.add(key);
                if n % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    join_all(producers).await;
    queue.drain(PATIENCE).await.unwrap();
    join_all(workers).await;
    for (key, slot) in &*slots {
        assert_eq!(slot.seen.load(Ordering::SeqCst), slot.added.load(Ordering::SeqCst), "{key}");
        assert!(slot.added.load(Ordering::SeqCst) > 0);
    }
    assert_eq!(queue.stats().work.count(), queue.stats().adds);
}
