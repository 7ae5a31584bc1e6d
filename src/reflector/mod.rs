//! Keeps a store in step with the API server: list, watch, back off, list again.
//!
//! [`state`] decides what to do next and [`run`](run()) does it: it reads from a source, writes to a sink,
//! and reports its health in a status.

mod board;
mod command;
mod follow;
mod gate;
mod log;
mod part_statuses;
mod recovery;
mod run;
mod settings;
mod sink;
mod state;
mod status;
mod stream;
mod tally;
#[cfg(test)]
mod tests;
mod totals;
mod turn;

pub(crate) use self::board::Board;
#[cfg(test)]
use self::board::Report;
pub(crate) use self::command::Command;
pub(crate) use self::follow::follow;
pub(crate) use self::gate::Gate;
pub(crate) use self::run::run;
pub(crate) use self::settings::Settings;
pub(crate) use self::sink::{Regression, Reuse, Sink};
pub use self::status::{PartStatus, Phase, Status};
pub(crate) use self::tally::{Recorder, RelistCause, Tally};
pub(crate) use self::turn::Turn;
