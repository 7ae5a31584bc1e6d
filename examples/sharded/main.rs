//! Replicas of one controller that divide the objects among themselves, and a referee that watches them.
//!
//! ```text
//! cargo run --release --example sharded                          four processes, four faults
//! cargo run --release --example sharded -- --random --minutes 3  random faults
//! cargo run --release --example sharded -- --figures             memory and CPU of 1, 2, 4 and 8 replicas
//! ```
//!
//! [`replica`] is the controller, and the part to copy. All other files are of the parent: [`world`] is the API server and
//! its objects, [`churn`] changes them, [`processes`] starts replicas, [`faults`] says what happens to them. What they
//! report ([`report`]) is collected in [`board`] and judged by [`referee`] and [`coverage`]; [`live`], [`summary`] and
//! [`plot`] show it. [`figures`] measures instead.
#![allow(unreachable_pub, reason = "the modules of an example say `pub` as those of a crate would")]

#[cfg(unix)]
mod board;
#[cfg(unix)]
mod churn;
#[cfg(unix)]
mod cli;
#[cfg(unix)]
mod coverage;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod figures;
#[cfg(unix)]
mod live;
#[cfg(unix)]
mod plot;
#[cfg(unix)]
#[path = "../shared/plot_file.rs"]
mod plot_file;
#[cfg(unix)]
mod processes;
#[cfg(unix)]
mod referee;
#[cfg(unix)]
mod replica;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod summary;
#[cfg(unix)]
mod world;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(unix))]
fn main() {
    println!("The example did not run: it pauses and stops processes by signals, which only Unix has.");
}
