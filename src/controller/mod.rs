//! Controllers: a reconcile function that runs for each object that changed.
//!
//! ```text
//!  primary informer -- when(predicate) --.
//!  owned informer ---- controller refs ---+-> work queue -> reconcile(object, context) -> Action
//!  watched informer -- your mapping ------'                    error -> error_policy -> Action
//! ```
//!
//! The words and the order of arguments are those of `kube::runtime::Controller`; the queue is client-go's. Everything
//! that a [`Controller`] does can also be done by hand, with [`Subscription::feed`](crate::Subscription::feed) and
//! [`queue::workers`](crate::queue::workers).

mod attempt;
mod builder;
pub mod changed;
mod context;
mod ended;
mod finalizer;
mod first_pass;
mod handle;
mod owners;
mod run;
mod settings;
#[cfg(feature = "shard")]
mod sharded;
mod stats;
mod subject;
mod tenure;
mod term;
#[cfg(test)]
mod tests;
mod trigger;
mod written;

pub use self::builder::Controller;
pub use self::context::Context;
pub use self::ended::Ended;
pub use self::finalizer::{Event, FinalizerError, finalizer};
pub use self::first_pass::FirstPass;
pub use self::handle::Handle;
pub use self::owners::owners;
pub use self::stats::Stats;
pub use self::subject::Subject;
pub use self::trigger::World;
pub use crate::queue::{Action, Options};
