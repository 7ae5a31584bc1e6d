//! Waiting for what a server does in its own time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube_client::Error;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Asks until the answer is yes; errs when it is an error, or not yes for a minute.
pub(crate) async fn wait_until(what: &str, mut check: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !check().await? {
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} in vain until {what}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Whether something of that name exists already.
pub(crate) fn is_conflict(err: &Error) -> bool {
    matches!(err, Error::Api(status) if status.code == 409)
}
