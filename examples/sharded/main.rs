//! Replicas of one controller that divide the objects among themselves, and a referee that watches them.
//!
//! ```text
//! cargo run --release --example sharded                          four processes, four faults
//! cargo run --release --example sharded -- --random --minutes 3  random faults
//! cargo run --release --example sharded -- --figures             memory and CPU of 1, 2, 4 and 8 replicas
//! ```
//!
//! [`replica`](unix::replica) is the controller, and the part to copy. All other files are of the parent: [`world`](unix::world) is the API server and
//! its objects, [`churn`](unix::churn) changes them, [`processes`](unix::processes) starts replicas, [`faults`](unix::faults) says what happens to them. What they
//! report ([`report`](unix::report)) is collected in [`board`](unix::board) and judged by [`referee`](unix::referee) and [`coverage`](unix::coverage); [`live`](unix::live), [`summary`](unix::summary) and
//! [`plot`](unix::plot) show it. [`figures`](unix::figures) measures instead.
#![allow(unreachable_pub, reason = "the modules of an example say `pub` as those of a crate would")]

#[cfg(unix)]
#[path = "."]
mod unix {
    mod board;
    mod churn;
    mod cli;
    mod coverage;
    mod faults;
    mod figures;
    mod live;
    mod plot;
    #[path = "../shared/plot_file.rs"]
    mod plot_file;
    mod processes;
    mod referee;
    mod replica;
    mod report;
    pub mod run;
    mod summary;
    mod world;
}

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::run::main()
}

#[cfg(not(unix))]
fn main() {
    println!("The example did not run: it pauses and stops processes by signals, which only Unix has.");
}
