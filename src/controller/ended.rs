//! Why a run ended.

/// Why a run of a controller ended, from [`Controller::run`](super::Controller::run).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The future given to [`run_until`](super::Controller::run_until) was complete.
    Until,
    /// [`Handle::stop`](super::Handle::stop) or [`Handle::shut_down`](super::Handle::shut_down) was called.
    Stopped,
    /// The member of a [`sharded`](crate::shard#which-replica-has-which-shard) controller has left its group.
    Left,
}
