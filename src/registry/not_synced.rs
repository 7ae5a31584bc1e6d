//! The informers a registry still waits for, and why.

use std::fmt;

use crate::error::Error;
use crate::reflector::Phase;

/// An informer that has not synced yet. See [`Registry::not_synced`](crate::Registry::not_synced).
///
/// `Display` prints one line, such as `subnets.kubeovn.io: waits for pods`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotSynced {
    /// The kind, such as `subnets.kubeovn.io`, and the scope unless that is all objects.
    pub name: String,
    /// The phase of the informer. [`Phase::Idle`] until it is started, and while it waits for others.
    pub phase: Phase,
    /// Whether [`Registry::start`](crate::Registry::start) was called since the declaration.
    pub started: bool,
    /// The kinds that it waits for and that have not synced.
    pub waits_for: Vec<String>,
    /// The last error.
    pub last_error: Option<Error>,
}

impl fmt::Display for NotSynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match self.phase {
            Phase::Idle if !self.started => f.write_str("not started")?,
            Phase::Idle if !self.waits_for.is_empty() => {
                write!(f, "waits for {}", self.waits_for.join(", "))?
            }
            Phase::Idle => f.write_str("about to start")?,
            Phase::Listing => f.write_str("listing")?,
            Phase::Watching => f.write_str("watching")?,
            Phase::BackingOff => f.write_str("waiting before the next attempt")?,
            Phase::Polling => f.write_str("polled")?,
            Phase::Absent => f.write_str("not served")?,
            Phase::Stopped => f.write_str("stopped")?,
        }
        match &self.last_error {
            Some(error) => write!(f, "; {error}"),
            None => Ok(()),
        }
    }
}
