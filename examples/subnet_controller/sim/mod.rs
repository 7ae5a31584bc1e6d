//! The demonstration: the controller against an API server in this process, under churn, in both modes.
//!
//! ```text
//! plan (seed) -> churn -> server -watch-> controller -> tracker -> report, plot
//!      ^ rate: calibrate                                  ^ depth, sampled
//! ```
//!
//! Everything here is about measuring; what one would copy is outside of this folder.

mod calibrate;
mod check;
mod churn;
mod cpu;
mod demo;
mod measured;
mod model;
mod objects;
mod plot;
mod progress;
mod report;
mod run;
mod server;
mod tracker;
mod wire;

pub use demo::{Ended, demonstrate};
