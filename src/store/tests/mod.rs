//! Compares the store with a model of plain collections, and tests failures of application code.

mod freeing;
mod model;
mod overlaps;
mod parts;
mod rules;
#[cfg(feature = "testing")]
mod selectors;
mod wakers;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::error::DecodeError;
use crate::index::{Index, IndexBy, namespace};
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::quiet::quiet_panics;
use crate::reflector::Sink;
use crate::source::{Item, Meta, WatchEvent};

/// The stored value of these tests: a number, and its index keys.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    number: u64,
    group: String,
    tags: Vec<u8>,
}

/// An object on the "server". It says whether the projection fails, excludes it or panics.
#[derive(Clone, Debug)]
struct Served {
    value: Value,
    manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Good,
    Undecodable,
    LeftOut,
    ProjectionPanics,
    IndexPanics,
}

struct Harness {
    intake: Intake<Box<Served>, Value>,
    by_group: Index<Value, String>,
    by_tag: Index<Value, u8>,
    by_namespace: Index<Value, String>,
    /// Indexes that were added to a store with objects.
    late: Vec<Index<Value, u64>>,
}

impl Harness {
    /// Adds an index to a store that has objects.
    fn add_late(&mut self, by: impl Fn(&Value) -> u64 + Send + 'static) {
        let slot = now(self.intake.lock().add_index(Box::new(by)));
        self.late.push(Index::new(slot, self.intake.lock().shared().snapshot().store));
    }
}

const POISON: &str = "poison";

fn harness() -> Harness {
    let store = next_store();
    let mut indexers: Vec<Box<dyn Indexer<Value>>> = Vec::new();
    let by_group = declare(&mut indexers, store, |value: &Value| {
        assert!(value.group != POISON, "asked for by a test");
        value.group.clone()
    });
    let by_tag = declare(&mut indexers, store, |value: &Value| value.tags.clone());
    let by_namespace = declare(&mut indexers, store, namespace());
    let take = |meta: &Meta, mut served: Box<Served>| match served.manner {
        Manner::Good => Ok(Some(served.value)),
        Manner::LeftOut => Ok(None),
        Manner::Undecodable => Err(DecodeError::of(meta, "asked for by a test")),
        Manner::ProjectionPanics => panic!("asked for by a test"),
        Manner::IndexPanics => {
            served.value.group = POISON.to_owned();
            Ok(Some(served.value))
        }
    };
    Harness {
        intake: Intake::new(Writer::new(store, indexers), Box::new(take)),
        by_group,
        by_tag,
        by_namespace,
        late: Vec::new(),
    }
}

fn declare<X: IndexBy<Value>>(
    indexers: &mut Vec<Box<dyn Indexer<Value>>>,
    store: u64,
    index: X,
) -> Index<Value, X::Key> {
    indexers.push(Box::new(index));
    Index::new(indexers.len() as u32 - 1, store)
}

fn item(key: &ObjectKey, uid: u64, version: u64, served: Served) -> Item<Box<Served>> {
    let meta = Meta {
        key: key.clone(),
        uid: format!("uid-{uid}").into(),
        resource_version: ResourceVersion::from_number(version),
    };
    Item { meta, payload: Box::new(served) }
}

fn good(number: u64) -> Served {
    let value =
        Value { number, group: format!("g{}", number % 3), tags: vec![number as u8 % 5, number as u8 % 2] };
    Served { value, manner: Manner::Good }
}

fn applied(item: Item<Box<Served>>) -> WatchEvent<Box<Served>> {
    WatchEvent::Applied(Ok(item))
}

/// Runs a future that only yields and waits for nothing else.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
