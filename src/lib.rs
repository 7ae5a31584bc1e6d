//! Typed informer caches for Kubernetes controllers.
#![allow(dead_code, missing_docs, unused_imports)] // skeleton; removed once every part has landed

mod error;
mod hash;
pub mod index;
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
pub use self::index::Index;
pub use self::informer::{Builder, Informer, Reader};
pub use self::key::{AsKey, Key, ObjectKey};
pub use self::object::Obj;
pub use self::reflector::{Phase, Status};
pub use self::snapshot::{Hits, Objects, Snapshot, View};
pub use self::subscribe::{Batch, Change, Changes, End, Subscription};
pub use self::version::ResourceVersion;
