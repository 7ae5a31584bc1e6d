//! An in-process Kubernetes API server for tests, with the semantics of the real one.
//!
//! [`ApiServer`] stores any JSON object of the kinds it serves. It responds to create, get, list, watch, update, patch
//! and delete as kube-apiserver 1.36 does:
//!
//! - resourceVersions and conflicts, generations, the status subresource, finalizers, selectors;
//! - server-side apply with managers of fields, JSON patches and merge patches, generated names;
//! - pages at one version, watches from any remembered version, bookmarks, streaming lists, `410 Gone`;
//! - 401 and 403, and CustomResourceDefinitions that are installed and removed.
//!
//! On request ([`ApiServerBuilder::garbage_collection`]) it also deletes dependents with their owners, which is the work
//! of a controller in a cluster. So controllers run on it unchanged: those of kube-runtime with finalizers and owned
//! objects, and leader elections.
//!
//! Tests compare it with a real server by a script of requests. `docs/TESTING.md` lists the differences.
//!
//! Its API has no kube or k8s-openapi type, so it serves clients of any version: as a tower service
//! ([`ApiServer::service`]), or over loopback HTTP ([`ApiServer::serve`]).
//!
//! ```text
//! request -> service -> route -> state { version counter, kind -> collection { objects, history } } -> response
//!              |  latency, token, faults, rules, log                             ^ watch: a cursor into it
//! ```
#![deny(missing_docs)]

mod accept;
mod access;
mod answer;
mod apply;
mod body;
mod builder;
mod built_in;
mod collection;
mod default_kinds;
mod definition;
mod delete;
mod discovery;
mod faults;
mod finalizers;
mod garbage;
mod install;
mod json_patch;
mod kind;
mod list;
mod merge_patch;
mod names;
mod object;
mod preconditions;
mod query;
mod request;
mod requests;
mod route;
mod selector;
mod serve;
mod server;
mod service;
mod shard;
mod shared;
mod state;
mod status;
mod time;
mod token;
mod validate;
mod watch;
mod write;

pub use access::Rule;
pub use body::ApiBody;
pub use builder::ApiServerBuilder;
pub use faults::{Fault, FaultAction};
pub use kind::Kind;
pub use requests::{RequestRecord, Requests};
pub use serve::Serving;
pub use server::ApiServer;
pub use service::ApiService;
pub use status::ApiStatus;
