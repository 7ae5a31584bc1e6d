//! How an informer goes about its work.

use std::time::Duration;

/// How an informer goes about its work: what it may cost an API server to get back in step with it. Given to
/// [`Builder::config`](crate::Builder::config) or [`Registry::with_config`](crate::Registry::with_config).
///
/// The defaults are meant for production; `docs/RECOVERY.md` has the whole policy, and what each fault costs.
///
/// ```
/// use std::time::Duration;
/// use kube_informer::Config;
///
/// // A small cluster: come back faster, and ask more.
/// let config = Config::new().watch_budget(30, Duration::from_millis(200)).list_budget(10, Duration::from_secs(2));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) watches: Budget,
    pub(crate) lists: Budget,
    pub(crate) poll: Duration,
    pub(crate) seed: Option<u64>,
}

/// So many at a burst, and one more each `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) burst: u32,
    pub(crate) every: Duration,
}

// === impl Config ===

impl Config {
    /// The defaults, which are said with each setting.
    #[must_use]
    pub fn new() -> Self {
        Self {
            watches: Budget { burst: 10, every: Duration::from_secs(1) },
            lists: Budget { burst: 3, every: Duration::from_secs(10) },
            poll: Duration::from_secs(30),
            seed: None,
        }
    }

    /// How many watches are opened again without a wait, each after one that worked: 10 at a burst, and one a second
    /// in the long run.
    ///
    /// This bounds what a proxy costs that cuts each watch after an event. A burst of 0 counts as 1.
    #[must_use]
    pub fn watch_budget(self, burst: u32, every: Duration) -> Self {
        Self { watches: Budget { burst: burst.max(1), every }, ..self }
    }

    /// How many lists are made at a burst, and how often in the long run: 3, and one in 10 s.
    ///
    /// Lists are what an API server pays dearly for; all pages of one count once. An attempt that gets no answer, or is
    /// refused, does not count. [`Informer::refresh`](crate::Informer::refresh) counts, and does not wait. A burst of
    /// 0 counts as 1.
    #[must_use]
    pub fn list_budget(self, burst: u32, every: Duration) -> Self {
        Self { lists: Budget { burst: burst.max(1), every }, ..self }
    }

    /// How often a kind is listed that cannot be watched: 30 s, and at least one second.
    ///
    /// Such kinds have no versions (`PodMetrics`), or their watches are forbidden, or never work
    /// ([`Phase::Polling`](crate::Phase::Polling)).
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll: interval.max(Duration::from_secs(1)), ..self }
    }

    /// Makes every random choice of an informer follow from this number, so that a test can be repeated exactly.
    #[doc(hidden)]
    #[must_use]
    pub fn jitter_seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }
}

/// Makes the configuration of a client fit for informers: `default_retry` off, so that an informer sees what the server
/// says and decides itself when to ask again; at most 5 s to connect; no `read_timeout`, which would end the watches of
/// quiet kinds.
///
/// kube 5 has no setting for TCP keepalive or HTTP/2 pings; `docs/RECOVERY.md` says what finds a half-open connection
/// instead.
///
/// ```
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use kube_client::{Client, Config};
///
/// # let rt = tokio::runtime::Runtime::new()?;
/// let config = kube_informer::client_config(rt.block_on(Config::infer())?);
/// let client = Client::try_from(config)?;
/// # Ok(()) }
/// ```
#[must_use]
pub fn client_config(mut config: kube_client::Config) -> kube_client::Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT.min(config.connect_timeout.unwrap_or(CONNECT_TIMEOUT)));
    config.read_timeout = None;
    config
}

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_for_informers_leaves_it_to_them_when_to_try_again() {
        let mut config = kube_client::Config::new(http::Uri::from_static("https://localhost"));
        config.read_timeout = Some(Duration::from_secs(1));
        let fit = client_config(config.clone());
        assert!(!fit.default_retry && fit.read_timeout.is_none());
        assert_eq!(fit.connect_timeout, Some(Duration::from_secs(5)));
        config.connect_timeout = Some(Duration::from_secs(1));
        assert_eq!(client_config(config).connect_timeout, Some(Duration::from_secs(1)), "shorter is as well");
    }
}
