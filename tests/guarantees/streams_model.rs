//! Promise 5 with a model: random writes and faults, and consumers that are slow, late, cancelled and
//! filtered. Each rebuilds its view from changes alone.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Batch, Change, Config, Obj, Subscription, View};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::support::*;

/// The selection of a consumer.
#[derive(Clone, Copy, Debug)]
enum Scope {
    Everything,
    Namespace,
    Group,
}

/// A consumer, with the state that it knows from changes alone.
struct Consumer {
    scope: Scope,
    changes: Subscription<Kept>,
    state: BTreeMap<String, Obj<Kept>>,
    batches: usize,
}

impl Scope {
    fn of_all(self, changes: Subscription<Kept>, indexed: &Indexed) -> Subscription<Kept> {
        match self {
            Self::Everything => changes,
            Self::Namespace => changes.in_namespace("b"),
            Self::Group => changes.in_index(&indexed.by_group, "g1".to_owned()),
        }
    }

    /// The expected result of its changes, computed without the informer's indexes.
    fn of(self, view: &View<Kept>) -> BTreeMap<String, Obj<Kept>> {
        view.iter()
            .filter(|object| match self {
                Self::Everything => true,
                Self::Namespace => Obj::namespace(object) == "b",
                Self::Group => object.group == "g1",
            })
            .map(|object| (Obj::key(object).to_string(), object.clone()))
            .collect()
    }
}

impl Consumer {
    fn new(scope: Scope, indexed: &Indexed) -> Self {
        let changes = scope.of_all(indexed.informer.subscribe(), indexed);
        Self { scope, changes, state: BTreeMap::new(), batches: 0 }
    }

    /// Subscribes again, with nothing but the last snapshot.
    fn resume(&mut self, indexed: &Indexed) {
        let held = self.changes.position().clone();
        self.changes = self.scope.of_all(indexed.informer.subscribe_from(&held), indexed);
    }

    fn take(&mut self, batch: &Batch<Kept>) {
        assert_eq!(batch.is_initial(), self.batches == 0);
        self.batches += 1;
        let mut told = 0;
        for change in batch.changes() {
            told += 1;
            let key = change.key().to_string();
            let known = self.state.get(&key);
            // The old version must be the one that was delivered last.
            let same = |old: &Obj<Kept>| known.is_some_and(|known| Obj::ptr_eq(known, old));
            match change {
                Change::Added(_) => assert!(known.is_none(), "{key}: added again"),
                Change::Modified { old, new } => {
                    assert!(same(old), "{key}: modified from what it never was");
                    assert!(Obj::same_uid(old, new) && !Obj::ptr_eq(old, new), "{key}: not modified");
                    assert!(Obj::resource_version(new) > Obj::resource_version(old), "{key}: back in time");
                }
                Change::Replaced { old, new } => {
                    assert!(same(old) && !Obj::same_uid(old, new), "{key}: not replaced");
                }
                Change::Deleted(old) => assert!(same(old), "{key}: deleted what it never was"),
            }
            match change.new() {
                Some(new) => self.state.insert(key, new.clone()),
                None => self.state.remove(&key),
            };
        }
        assert!(told > 0 || batch.is_initial(), "an empty batch");
        let expected = self.scope.of(batch.snapshot());
        assert_eq!(self.state.len(), expected.len(), "{:?}: other objects than the snapshot's", self.scope);
        for (key, object) in expected {
            assert!(Obj::ptr_eq(&self.state[&key], &object), "{key}: another version than the snapshot's");
        }
    }

    /// Receives batches, with a random timeout.
    async fn poll(&mut self, random: &mut StdRng) {
        let patience = Duration::from_millis(random.random_range(0..30));
        for _ in 0..random.random_range(0..3) {
            if let Ok(batch) = tokio::time::timeout(patience, self.changes.next()).await {
                self.take(&batch.expect("it runs"));
            }
        }
    }

    fn catch_up(&mut self) {
        while let Some(batch) = self.changes.next().now_or_never() {
            self.take(&batch.expect("it runs"));
        }
    }
}

fn write(server: &ApiServer, random: &mut StdRng) {
    let namespace = ["a", "b"][random.random_range(0..2)];
    let at = name(random.random_range(0..25));
    let exists = server.get(WIDGETS, namespace, &at).is_ok();
    match random.random_range(0..10) {
        _ if !exists => drop(server.create(widget(namespace, &at, random.random_range(0..6))).unwrap()),
        0..2 => drop(server.delete(WIDGETS, namespace, &at).unwrap()),
        2 => {
            server.delete(WIDGETS, namespace, &at).unwrap();
            server.create(widget(namespace, &at, random.random_range(0..6))).unwrap();
        }
        _ => set(server, namespace, &at, random.random_range(0..6)),
    }
}

/// Injects a random fault between server and informer.
fn disturb(server: &ApiServer, random: &mut StdRng) {
    let fault = |action| server.inject(Fault::new(action).verb("watch"));
    match random.random_range(0..8) {
        0 => server.disconnect_watches(),
        1 => force_relist(server),
        2 => fault(FaultAction::CutStream),
        3 => fault(FaultAction::ErrorEvent(410)),
        4 => fault(FaultAction::ErrorEvent(500)),
        5 => fault(FaultAction::EndStream),
        6 => fault(FaultAction::Insert("no event\n".into())),
        _ => server.inject(Fault::new(FaultAction::Respond { code: 410, retry_after: None }).verb("list")),
    }
}

#[tokio::test(start_paused = true)]
async fn p05_random_consumers_rebuild_every_snapshot_from_changes_alone() {
    let (seed, mut random) = seeded();
    let mut relists = 0;
    for round in 0..12 {
        let server = server();
        if round % 2 == 1 {
            refuse_streaming(&server);
        }
        for _ in 0..20 {
            write(&server, &mut random);
        }
        let indexed = start(kept(&server).config(Config::new().page_size(7)));
        let scopes = [Scope::Everything, Scope::Namespace, Scope::Group];
        let mut consumers: Vec<_> = scopes.into_iter().map(|scope| Consumer::new(scope, &indexed)).collect();
        for _ in 0..150 {
            for _ in 0..random.random_range(0..6) {
                write(&server, &mut random);
            }
            match random.random_range(0..20) {
                0 => disturb(&server, &mut random),
                1 => settle().await,
                2 => {
                    let scope = scopes[random.random_range(0..3)];
                    consumers.push(Consumer::new(scope, &indexed));
                }
                3 if consumers.len() > 3 => {
                    // Drops a consumer with unread changes.
                    consumers.swap_remove(random.random_range(0..consumers.len()));
                }
                4 => {
                    let chosen = random.random_range(0..consumers.len());
                    consumers[chosen].resume(&indexed);
                }
                _ => {}
            }
            let chosen = (random.next_u64() % consumers.len() as u64) as usize;
            consumers[chosen].poll(&mut random).await;
        }
        server.clear_faults();
        let last = agree(&indexed, &server).await;
        for consumer in &mut consumers {
            consumer.catch_up();
            let known: Vec<_> = consumer.state.keys().cloned().collect();
            let expected: Vec<_> = consumer.scope.of(&last).into_keys().collect();
            assert_eq!(known, expected, "SEED={seed}: {:?}", consumer.scope);
        }
        relists += indexed.informer.stats().lists - 1;
        indexed.informer.shutdown().await;
    }
    assert!(relists > 10, "SEED={seed}: {relists} relists");
}
