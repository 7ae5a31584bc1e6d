//! The guarantees of docs/GUARANTEES.md, each test named by the number of the guarantee it checks.
//!
//! All tests use the public API and the in-process API server. Unless a test says otherwise, it runs with
//! tokio's paused clock, where waiting costs no time, and with readers on separate threads if they matter.

mod bridge;
mod captured;
mod decoded;
mod ends;
mod faults;
mod from_stream;
mod from_stream_model;
mod invalid_objects;
mod lifecycle;
mod limits;
mod logs;
#[path = "../support/member.rs"]
mod member;
mod memory;
mod read;
mod restored;
mod running;
mod secrets;
mod sharing;
mod streams;
mod streams_model;
mod support;
mod unversioned;
mod waiting;
