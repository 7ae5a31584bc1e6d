//! A Kubernetes API server in the test's own process, with the semantics of the real one.
//!
//! [`ApiServer`] stores any JSON object of the kinds it serves and answers create, get, list, watch, update,
//! patch and delete the way kube-apiserver 1.36 does: resourceVersions and conflicts, generations and the status
//! subresource, finalizers, selectors, pages that stay at one version, watches from any remembered version with
//! bookmarks, streaming lists, `410 Gone`, 401 and 403, CustomResourceDefinitions that come and go. The same
//! script of requests is compared with a real server; the differences that are left are listed in
//! `docs/TESTING.md`.
//!
//! No kube or k8s-openapi type is in its API: it serves clients of any version, as a tower service
//! ([`ApiServer::service`]) or over loopback HTTP ([`ApiServer::serve`]).
//!
//! ```text
//! request -> service -> route -> state { version counter, kind -> collection { objects, history } } -> answer
//!              |  latency, token, faults, rules, log                             ^ watch: a cursor into it
//! ```
#![deny(missing_docs)]

mod accept;
mod access;
mod answer;
mod body;
mod builder;
mod collection;
mod definition;
mod delete;
mod discovery;
mod faults;
mod install;
mod kind;
mod list;
mod object;
mod query;
mod request;
mod requests;
mod route;
mod selector;
mod serve;
mod server;
mod service;
mod shared;
mod state;
mod status;
mod token;
mod validate;
mod watch;
mod write;

pub use access::Rule;
pub use body::ApiBody;
pub use builder::Builder;
pub use faults::{Fault, FaultAction};
pub use kind::Kind;
pub use requests::{RequestRecord, Requests};
pub use serve::Serving;
pub use server::ApiServer;
pub use service::ApiService;
pub use status::Status;
