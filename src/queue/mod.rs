//! A work queue of keys: what stands between "something changed" and "reconcile it".
//!
//! ```text
//! subscription -keys-> add ---------------.                  .-> get -> Claim -> your reconcile
//!                      add_after -> delayed +-> FIFO (dirty) -+                      |
//!                      add_rate_limited ---^        ^-- re-add while claimed -- done -'
//! ```
//!
//! The semantics are those client-go's `workqueue` made the convention for Kubernetes controllers:
//!
//! * **Level-triggered**: a key that is already queued is not queued twice; however many changes it stands
//!   for, one run of the reconcile sees them all.
//! * **One worker per key**: a key handed out is not handed out again before its [`Claim`] ends. Added
//!   meanwhile, it is queued once more when the claim ends, so no change is missed.
//! * **FIFO**: keys come out in the order in which they became ready. Waiting [`get`](WorkQueue::get)s are woken
//!   in the order they began to wait, but a `get` that finds a key takes it: no worker idles for another.
//! * **Delayed adds**: the earlier deadline wins. An add without delay does not cancel a delayed one.
//! * **Retries** wait for the longer of a per-key exponential delay and a token bucket all keys share.
//! * **Drain**: [`drain`](WorkQueue::drain) ends a queue without losing what was accepted, within a deadline.
//!
//! No task runs behind the queue: one of the waiting `get`s watches the clock for all of them. [`workers`]
//! runs a reconcile function on the keys; the tasks belong to the handle it returns.
//!
//! Keys stay in memory while they are queued, claimed or delayed, and their failure counts until
//! [`forget`](WorkQueue::forget) (which `workers` calls after each success). All of it is bounded by the number
//! of distinct keys, not by the number of adds.
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
mod limiter;
mod options;
mod shared;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod work_queue;
mod workers;

pub use claim::Claim;
pub use drain::Unfinished;
pub use options::Options;
pub use stats::{Stats, Timings};
pub use work_queue::WorkQueue;
pub use workers::{Action, Failure, Workers, workers, workers_with_hook};
