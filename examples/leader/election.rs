//! Leadership by a `Lease`, as the loop of a replica needs it.
//!
//! ```text
//! while election.gained().await {
//!     controller.run_until(reconcile, error_policy, shared, election.lost()).await // or `handle.shut_down()`
//!     election.resign().await
//! }
//! ```

use std::time::Duration;

use kube_client::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The time between two attempts when the API server returns errors.
const RETRY: Duration = Duration::from_secs(1);

/// One replica's part in the election.
pub(crate) struct Election {
    lease: LeaseManager,
    stop: CancellationToken,
}

impl Election {
    /// `identity` must be unique per process. The leader renews its lease `grace` seconds before the end of `seconds`.
    ///
    /// If a renewal fails, the lease lasts for `grace` more. Within this time the client must return its error, and
    /// the controller must end: the client's read timeout (`read_timeout` of its `Config`) and the controller's
    /// `finish_within` must be less than `grace` together.
    pub(crate) async fn new(
        client: Client,
        name: &str,
        identity: &str,
        (seconds, grace): (u64, u64),
        stop: CancellationToken,
    ) -> Result<Self, LeaseManagerError> {
        let lease = LeaseManagerBuilder::new(client, name).with_identity(identity);
        Ok(Self { lease: lease.with_duration(seconds).with_grace(grace).build().await?, stop })
    }

    /// Waits until this replica has the lease. Returns false when the replica is stopped.
    pub(crate) async fn gained(&self) -> bool {
        let gained = async {
            loop {
                match self.lease.changed().await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the lease cannot be acquired");
                        sleep(RETRY).await;
                    }
                }
            }
        };
        self.stop.run_until_cancelled(gained).await.is_some()
    }

    /// Renews the lease until another replica has it, or a renewal fails. After a failure, the lease manager would still
    /// count itself as the holder, even when the lease has expired.
    ///
    /// While the controller ends, nothing renews the lease: it lasts for `grace` at least, see [`new`](Self::new).
    pub(crate) async fn lost(&self) {
        match self.lease.changed().await {
            Ok(_) => tracing::warn!("the lease is lost"),
            Err(error) => tracing::warn!(%error, "the lease cannot be renewed"),
        }
    }

    /// Gives the lease up, so that another replica need not wait for its end. Only after this, `gained` can return
    /// again. Returns when the lease is free or has another holder. A replica that is stopped tries once.
    pub(crate) async fn resign(&self) {
        while let Err(error) = self.lease.release().await {
            tracing::warn!(%error, "the lease cannot be released");
            if self.stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                return;
            }
        }
    }
}
