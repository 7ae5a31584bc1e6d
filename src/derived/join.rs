//! A node that has the objects of several nodes of one type.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Node;
use super::any_node::Computed;
use super::step::{AnyStep, Step};
use super::target::Target;
use super::tick::Tick;
use crate::free::free;
use crate::key::{Key, ObjectKey};
use crate::object::Obj;
use crate::reflector::Turn;
use crate::store::Draft;

/// See the [module](self). Of several objects with one key, that of the first part is shown.
pub(super) struct Join<T> {
    pub(super) parts: Vec<Node<T>>,
    pub(super) target: Target<T>,
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Join<T> {
    /// Returns false if a clone or a comparison panics.
    fn recompute(&mut self, tick: &Tick, key: Key<'_>, draft: &mut Draft<T>) -> bool {
        let Self { parts, target } = self;
        target.tally.recomputed.add(1);
        let found = parts.iter().find_map(|part| {
            let view = &tick.typed(*part)?.new;
            view.objects.get(view.hasher.object(key), key)
        });
        let Some(found) = found else {
            target.unset(draft, key);
            return true;
        };
        match catch_unwind(AssertUnwindSafe(|| T::clone(found))) {
            Ok(value) => target.set(draft, key, value, tick.number),
            Err(panic) => {
                free(panic);
                false
            }
        }
    }
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Computed for Join<T> {
    type Output = T;

    fn target(&mut self) -> &mut Target<T> {
        &mut self.target
    }

    async fn compute(&mut self, tick: &Tick) -> Arc<dyn AnyStep> {
        let mut turn = Turn::new();
        let mut dirty: BTreeSet<ObjectKey> = BTreeSet::new();
        for part in &self.parts {
            let Some(Step { old, new }) = tick.typed(*part) else { continue };
            for (before, after) in new.differences(old) {
                dirty.extend(after.or(before).map(|object| Obj::key(object).to_owned()));
                turn.pass().await;
            }
        }
        self.target.tally.dirty.add(dirty.len() as u64);
        let mut draft = self.target.begin();
        let mut panics = 0;
        for key in dirty {
            panics += u64::from(!self.recompute(tick, key.as_key(), &mut draft));
            turn.pass().await;
        }
        self.target.panicked(panics);
        // What is shown of the parts, and what is not.
        let all: usize = self.parts.iter().filter_map(|part| Some(tick.typed(*part)?.new.len())).sum();
        let step = self.target.complete(draft);
        self.target.tally.duplicates.set(all.saturating_sub(self.target.len()));
        step
    }
}
