//! The simulation: runs the controller against an API server in this process, under churn, and measures both modes.
//!
//! ```text
//! plan (seed) -> churn -> server -watch-> controller -> tracker -> report, plot
//!      ^ rate: calibrate                                  ^ depth, sampled
//! ```
//!
//! It uses the folder `controller`, and `controller` uses nothing of it. There is nothing to copy here.

mod calibrate;
mod check;
mod churn;
mod cpu;
mod measured;
mod model;
mod objects;
mod plot;
#[path = "../../shared/plot_file.rs"]
mod plot_file;
mod progress;
mod report;
mod run;
mod server;
mod simulate;
mod tracker;
mod wire;

pub use simulate::{Ended, simulate};
