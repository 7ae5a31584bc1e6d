//! A work queue of keys, between the changes of an informer and the reconcile function.
//!
//! ```text
//! subscription -keys-> add ---------------.                  .-> get -> Claim -> your reconcile
//!                      add_after -> delayed +-> FIFO (dirty) -+                      |
//!                      add_rate_limited ---^        ^-- re-add while claimed -- done -'
//! ```
//!
//! The semantics are those of client-go's `workqueue`:
//!
//! * **Level-triggered**: a queued key is not queued twice. One reconcile handles all changes since the last one.
//! * **One worker per key**: a key is not returned again before its [`Claim`] ends. A key that is added meanwhile is
//!   queued again when the claim ends, so no change is missed.
//! * **FIFO**: keys of one [`Priority`] are returned in the order in which they became ready, and keys of a higher one
//!   before them. Each eighth key is the one that has been ready longest, so that no key waits forever. Waiting
//!   [`get`](WorkQueue::get)s are woken in the order in which they began to wait, but a `get` that finds a key takes
//!   it.
//! * **Delayed adds**: the earlier deadline wins. An add without a delay does not cancel a delayed one.
//! * **Retries** wait for the longer of an exponential delay per key and a token bucket that all keys share.
//! * **Drain**: [`drain`](WorkQueue::drain) ends a queue, within a deadline, without losing accepted keys.
//!
//! The queue has no task: one of the waiting `get`s waits for the deadlines of delayed keys. [`workers`] runs a
//! reconcile function on the keys; its handle owns the tasks.
//!
//! Keys stay in memory while they are queued, claimed or delayed. Failure counts stay until
//! [`forget`](WorkQueue::forget), which `workers` calls after each success. Memory is bounded by the number of distinct
//! keys, not by the number of adds.
//!
//! ```
//! use kube_informer::queue::WorkQueue;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let queue = WorkQueue::new();
//! queue.add_all(["a", "b", "a"]);
//! assert_eq!(queue.len(), 2);
//!
//! let a = queue.get().await.unwrap();
//! queue.add("a"); // changed again while being worked on
//! assert_eq!(*queue.get().await.unwrap(), "b");
//! a.done(); // queues it again
//! assert_eq!(*queue.get().await.unwrap(), "a");
//! # }
//! ```
#![deny(missing_docs)]

mod claim;
mod delay;
mod drain;
mod get;
mod levels;
mod limiter;
mod options;
mod priority;
mod shared;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod work_queue;
mod workers;

pub use claim::Claim;
pub(crate) use delay::after;
pub use drain::Unfinished;
pub use options::Options;
pub use priority::Priority;
pub use stats::{Stats, Timings};
pub use work_queue::WorkQueue;
pub use workers::{Action, Failure, Workers, workers, workers_with_hook};
pub(crate) use workers::{Outcome, spawn};
