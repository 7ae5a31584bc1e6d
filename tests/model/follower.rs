//! A subscription whose consumer knows only the changes it receives.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use kube_informer::{Batch, Change, Index, Informer, Obj, Subscription, View};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::checks::{ensure, key};
use crate::kind::Kept;

/// The selection of a consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Everything,
    Namespace,
    Group,
}

pub(crate) struct Follower {
    scope: Scope,
    by_group: Index<Kept, String>,
    changes: Subscription<Kept>,
    state: BTreeMap<(String, String), Obj<Kept>>,
    begun: bool,
}

impl Follower {
    pub(crate) fn new(informer: &Informer<Kept>, scope: Scope, by_group: Index<Kept, String>) -> Self {
        let changes = scope.of_all(informer.subscribe(), by_group);
        Self { scope, by_group, changes, state: BTreeMap::new(), begun: false }
    }

    /// Subscribes again, with nothing but the last snapshot.
    pub(crate) fn resume(&mut self, informer: &Informer<Kept>) {
        let held = self.changes.position().clone();
        self.changes = self.scope.of_all(informer.subscribe_from(&held), self.by_group);
    }

    /// Waits for a random time for a batch or two; a cancelled wait must lose nothing.
    pub(crate) async fn poll(&mut self, random: &mut StdRng) -> Result<Vec<Batch<Kept>>, String> {
        let patience = Duration::from_millis(random.random_range(0..30));
        let mut taken = Vec::new();
        for _ in 0..random.random_range(1..3) {
            match tokio::time::timeout(patience, self.changes.next()).await {
                Ok(Some(batch)) => {
                    self.take(&batch)?;
                    taken.push(batch);
                }
                Ok(None) => return Err("a subscription ended while its informer runs".into()),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// Receives all available batches. Returns whether the informer has ended.
    pub(crate) fn catch_up(&mut self) -> Result<bool, String> {
        loop {
            match self.changes.next().now_or_never() {
                Some(Some(batch)) => self.take(&batch)?,
                Some(None) => return Ok(true),
                None => return Ok(false),
            }
        }
    }

    fn take(&mut self, batch: &Batch<Kept>) -> Result<(), String> {
        let ensure = |holds, why: &str| ensure(holds, || format!("{:?}: {why}, in {batch:?}", self.scope));
        ensure(batch.is_initial() != self.begun, "the first batch comes once, and first")?;
        self.begun = true;
        let mut told = 0;
        for change in batch {
            told += 1;
            let name = (change.key().namespace().to_owned(), change.key().name().to_owned());
            let known = self.state.get(&name);
            // The old version must be the one that was delivered last.
            let same = |old: &Obj<Kept>| known.is_some_and(|known| Obj::ptr_eq(known, old));
            match change {
                Change::Added(_) => ensure(known.is_none(), "added again")?,
                Change::Modified { old, new } => {
                    ensure(same(old), "modified from what it never was")?;
                    ensure(Obj::same_uid(old, new) && !Obj::ptr_eq(old, new), "not modified")?;
                }
                Change::Replaced { old, new } => {
                    ensure(same(old) && !Obj::same_uid(old, new), "not replaced")?
                }
                Change::Deleted(old) => ensure(same(old), "deleted what it never was")?,
            }
            match change.new() {
                Some(new) => self.state.insert(name, new.clone()),
                None => self.state.remove(&name),
            };
        }
        ensure(told > 0 || batch.is_initial(), "an empty batch")?;
        let expected = self.scope.of(batch.snapshot());
        ensure(self.state.len() == expected.len(), "other objects than the snapshot's")?;
        let same = |(name, object)| self.state.get(name).is_some_and(|known| Obj::ptr_eq(known, object));
        ensure(expected.iter().all(same), "other versions than the snapshot's")
    }
}

impl Scope {
    fn of_all(self, changes: Subscription<Kept>, by_group: Index<Kept, String>) -> Subscription<Kept> {
        match self {
            Self::Everything => changes,
            Self::Namespace => changes.in_namespace("b"),
            Self::Group => changes.in_index(&by_group, "g1".to_owned()),
        }
    }

    /// The expected result of its changes, computed without the informer's indexes.
    fn of(self, view: &View<Kept>) -> BTreeMap<(String, String), Obj<Kept>> {
        view.iter()
            .filter(|object| match self {
                Self::Everything => true,
                Self::Namespace => Obj::namespace(object) == "b",
                Self::Group => object.group == "g1",
            })
            .map(|object| (key(object), object.clone()))
            .collect()
    }
}
