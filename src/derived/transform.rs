//! A node whose values are computed by a closure, from one input each.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::any_node::Computed;
use super::claims::{Claimant, Claims, Contested};
use super::edges::Edges;
use super::inputs::Inputs;
use super::reads::Reads;
use super::step::AnyStep;
use super::target::Target;
use super::tick::Tick;
use crate::free::free;
use crate::key::{Key, ObjectKey};
use crate::reflector::Turn;
use crate::store::Draft;

/// See the [module](self).
pub(super) struct Transform<I: Inputs> {
    inputs: I,
    edges: Edges,
    /// Used if values have keys of their own.
    claims: Claims,
    target: Target<I::Output>,
}

/// The next version of a node while its inputs are computed.
struct Work<O> {
    draft: Draft<O>,
    contested: Contested,
    /// The values computed in this tick for keys of their own.
    values: HashMap<(ObjectKey, Claimant), O>,
    panics: u64,
}

impl<I: Inputs> Transform<I> {
    pub(super) fn new(inputs: I, target: Target<I::Output>) -> Self {
        Self { inputs, edges: Edges::default(), claims: Claims::default(), target }
    }

    /// Computes the inputs of one hash.
    fn recompute(&mut self, tick: &Tick, hash: u64, work: &mut Work<I::Output>) {
        let Self { inputs, edges, claims, target, .. } = self;
        let reads = Reads::new(tick);
        let (mut exists, mut panicked) = (false, false);
        inputs.each(tick, hash, &mut |key, compute| {
            exists = true;
            target.tally.recomputed.add(1);
            let mut values = Values::default();
            // What a panic leaves behind is dropped.
            let done = catch_unwind(AssertUnwindSafe(|| {
                compute(&reads, &mut |key, value| values.push::<I>(key, value));
            }));
            let done = match done {
                Ok(()) if I::OWN_KEYS => {
                    values.claim(Claimant { key: key.to_owned(), hash }, claims, work);
                    true
                }
                Ok(()) => match values.only.take() {
                    Some(value) => target.set(&mut work.draft, key, value, tick.number),
                    None => {
                        target.unset(&mut work.draft, key);
                        true
                    }
                },
                Err(panic) => {
                    free(panic);
                    values.free();
                    false
                }
            };
            if !done {
                panicked = true;
                work.panics += 1;
            }
        });
        match (exists, panicked) {
            (false, _) => edges.forget(hash),
            (true, false) => edges.set(hash, reads.into_made()),
            (true, true) => edges.add(hash, reads.into_made()),
        }
    }

    /// Stores the winner of each key whose claims have changed. Returns the inputs to compute first: they surface, and
    /// no value of them is known.
    fn settle(&mut self, tick: &Tick, computed: &HashSet<u64>, work: &mut Work<I::Output>) -> Vec<u64> {
        let mut surfacing = Vec::new();
        let contested = std::mem::take(&mut work.contested);
        for (key, before) in contested {
            loop {
                let Some(winner) = self.claims.winner(&key).cloned() else {
                    self.target.unset(&mut work.draft, key.as_key());
                    break;
                };
                if let Some(value) = work.values.remove(&(key.clone(), winner.clone())) {
                    let set = self.target.set(&mut work.draft, key.as_key(), value, tick.number);
                    work.panics += u64::from(!set);
                    break;
                }
                if before.as_ref() == Some(&winner) {
                    // Its value is stored.
                    break;
                }
                if !computed.contains(&winner.hash) {
                    surfacing.push(winner.hash);
                    work.contested.insert(key, before);
                    break;
                }
                // It has panicked.
                self.claims.withdraw(&winner, &key);
            }
        }
        surfacing
    }
}

impl<I: Inputs> Computed for Transform<I> {
    type Output = I::Output;

    fn target(&mut self) -> &mut Target<I::Output> {
        &mut self.target
    }

    async fn compute(&mut self, tick: &Tick) -> Arc<dyn AnyStep> {
        let mut turn = Turn::new();
        let draft = self.target.begin();
        let mut work = Work { draft, contested: Contested::new(), values: HashMap::new(), panics: 0 };
        let mut dirty = Vec::new();
        for (hash, gone) in self.inputs.changed(tick) {
            dirty.push(hash);
            match gone {
                Some(key) if I::OWN_KEYS => {
                    self.claims.set(&Claimant { key, hash }, Vec::new(), &mut work.contested);
                }
                Some(key) => self.target.unset(&mut work.draft, key.as_key()),
                None => {}
            }
            turn.pass().await;
        }
        self.edges.affected(tick, &mut dirty, &mut turn).await;
        // Each once.
        dirty.sort_unstable();
        dirty.dedup();
        self.target.tally.dirty.add(dirty.len() as u64);
        let mut computed = HashSet::new();
        while !dirty.is_empty() {
            for hash in dirty.drain(..) {
                self.recompute(tick, hash, &mut work);
                if I::OWN_KEYS {
                    computed.insert(hash);
                }
                turn.pass().await;
            }
            dirty = self.settle(tick, &computed, &mut work);
            dirty.sort_unstable();
            dirty.dedup();
        }
        // Values that lost against a lower input.
        for value in work.values.into_values() {
            free(value);
            turn.pass().await;
        }
        self.target.panicked(work.panics);
        self.target.tally.duplicates.set(self.claims.duplicates());
        self.target.tally.edges.set(self.edges.len());
        self.target.complete(work.draft)
    }

    #[cfg(test)]
    fn validate(&self) {
        self.edges.validate();
        self.claims.validate();
        if I::OWN_KEYS {
            assert_eq!(self.claims.keys(), self.target.len(), "a key without a claim, or without a value");
        }
    }
}

/// The values of one input.
struct Values<O> {
    /// The value under the key of the input.
    only: Option<O>,
    /// The values under keys of their own.
    owned: Vec<(ObjectKey, O)>,
}

impl<O> Values<O> {
    fn push<I: Inputs>(&mut self, key: Key<'_>, value: O) {
        if I::OWN_KEYS {
            self.owned.push((key.to_owned(), value));
        } else {
            self.only = Some(value);
        }
    }

    /// Of several values under one key, the first is kept.
    fn claim(self, input: Claimant, claims: &mut Claims, work: &mut Work<O>) {
        let mut keys = Vec::with_capacity(self.owned.len());
        let mut seen = HashSet::with_capacity(self.owned.len());
        for (key, value) in self.owned {
            if seen.insert(key.clone()) {
                keys.push(key.clone());
                work.values.insert((key, input.clone()), value);
            } else {
                free(value);
            }
        }
        claims.set(&input, keys, &mut work.contested);
    }

    fn free(self) {
        free(self.only);
        self.owned.into_iter().for_each(free);
    }
}

impl<O> Default for Values<O> {
    fn default() -> Self {
        Self { only: None, owned: Vec::new() }
    }
}
