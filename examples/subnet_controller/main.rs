//! stub
#![allow(unreachable_pub, reason = "an example's modules say `pub` as a crate's would")]
mod cidr;
mod nad;
mod reconcile;
mod types;
fn main() {}
