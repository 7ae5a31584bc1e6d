//! Typed informer caches for Kubernetes controllers.
#![allow(dead_code, missing_docs)] // skeleton; removed once every part has landed

mod index;
mod informer;
pub mod queue;
mod reflector;
mod snapshot;
mod source;
mod store;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trie;
