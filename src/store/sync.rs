//! The synchronization types that [`publish`](super::publish) and [`wakers`](super::wakers) use. They have their own module because
//! `tests/interleavings` replaces it with model-checked types of the same names, to check every order of
//! threads.

pub(super) use std::sync::{Mutex, OnceLock};

pub(super) use arc_swap::{ArcSwap, Guard};
pub(super) use futures_util::task::AtomicWaker;

pub(super) use super::end::End;
pub(super) use super::positions::Positions;
