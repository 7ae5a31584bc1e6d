//! What [`publish`](super::publish) is made of. It has a module of its own because `tests/interleavings` puts
//! another in its place, of the same names, to check every order in which threads may meet.

pub(super) use std::sync::OnceLock;

pub(super) use arc_swap::{ArcSwap, Guard};
pub(super) use tokio::sync::watch;

pub(super) use super::end::End;
pub(super) use super::positions::Positions;
