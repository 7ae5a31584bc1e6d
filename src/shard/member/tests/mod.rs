//! The parts of a member without I/O, and a member on the in-process server.

mod assign;
mod coverage;
#[cfg(feature = "testing")]
mod group;
mod ledger;
#[cfg(feature = "testing")]
mod members;
#[cfg(feature = "testing")]
mod roster;
mod share;
#[cfg(feature = "testing")]
mod troubles;
