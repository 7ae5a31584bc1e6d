//! The parts of a member without I/O, and a member on the in-process server.

mod assign;
mod ledger;
#[cfg(feature = "testing")]
mod members;
