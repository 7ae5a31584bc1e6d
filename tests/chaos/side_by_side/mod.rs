//! Informers and kube-runtime's reflector side by side on a real API server, while things go wrong.
//!
//! ```text
//! plan      what goes wrong and when, drawn from a seed
//! proxy     harms connections; one before each consumer, all in the same way at the same time
//! traffic   counts requests in a consumer's client
//! object    what is written, and what a fresh list says of it
//! writer    creates, changes and deletes objects
//! blind     when nothing got through to anybody
//! view      what a consumer has seen of a kind, and how late
//! consumer  a consumer with its proxy, its views and what it is checked for
//! ours      the informers
//! peer      kube-runtime's reflector
//! run       all of them together
//! report    the table, the bars, and what took long
//! ```

mod blind;
mod consumer;
mod object;
mod ours;
mod peer;
mod plan;
mod proxy;
mod report;
mod run;
mod traffic;
mod view;
mod writer;

#[allow(unused_imports)] // the test shows no progress
pub(crate) use self::run::{Settings, Stage, run};
