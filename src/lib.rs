//! Typed informer caches for Kubernetes controllers.
#![allow(dead_code, missing_docs, unused_imports)] // skeleton; removed once every part has landed

mod error;
mod index;
mod informer;
mod key;
mod object;
pub mod queue;
mod reflector;
mod snapshot;
mod source;
mod store;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trie;
mod version;

pub use self::error::{DecodeError, Error};
pub use self::key::{AsKey, Key, ObjectKey};
pub use self::reflector::{Phase, Status};
pub use self::version::ResourceVersion;
