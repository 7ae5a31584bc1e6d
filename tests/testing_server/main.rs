//! The in-process API server by itself: over a kube client, over loopback HTTP, and directly. How its answers
//! compare with a real server's is the matter of `tests/conformance.rs`.

mod controllers;
mod faults;
mod garbage;
mod http;
mod leader;
mod lease;
mod pages;
mod stream;
mod support;
mod typed;
mod unversioned;
