//! The synchronization types that [`publish`](super::publish) uses. They have their own module because
//! `tests/interleavings` replaces it with model-checked types of the same names, to check every order of
//! threads.

pub(super) use std::sync::OnceLock;

pub(super) use arc_swap::{ArcSwap, Guard};
pub(super) use tokio::sync::watch;

pub(super) use super::end::End;
pub(super) use super::positions::Positions;
