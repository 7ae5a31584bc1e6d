//! How an informer lists, watches and recovers.

use std::time::Duration;

use crate::source::Limits;

/// How an informer lists, watches and recovers: page size, limits, what an uninstalled kind means, and how many requests
/// recovery may cost.
///
/// One type for [`Builder::config`](crate::builder::Builder::config), for all informers of a
/// [`Registry::with_config`](crate::Registry::with_config), and for one of them
/// ([`SharedInformer::config`](crate::SharedInformer::config)). *Which* objects are cached is a [`Scope`](crate::Scope).
///
/// The defaults are meant for production; `docs/RECOVERY.md` has the policy, and what each fault costs.
///
/// ```
/// use std::time::Duration;
/// use kube_informer::{Absent, Config};
///
/// // A small cluster, and a kind that may not be installed.
/// let config = Config::new()
///     .absent(Absent::Empty)
///     .watch_budget(30, Duration::from_millis(200))
///     .list_budget(10, Duration::from_secs(2));
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) page_size: u32,
    pub(crate) streaming_lists: bool,
    pub(crate) limits: Limits,
    pub(crate) keep_managed_fields: bool,
    /// As the stored type says, where it is not set.
    pub(crate) absent: Option<Absent>,
    pub(crate) watches: Budget,
    pub(crate) lists: Budget,
    pub(crate) poll: Duration,
    pub(crate) seed: Option<u64>,
}

/// What an informer shows while the API server does not serve its kind, such as a custom resource that is not installed.
///
/// A 404 alone is not enough, since a broken proxy answers the same: except for [`Wait`](Self::Wait), the informer asks
/// discovery, which every user may by default (`system:discovery`). A kind counts as uninstalled when discovery lists
/// no version of it; for a cache that holds objects, twice in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absent {
    /// The informer is not synced before the kind is installed. Objects of a kind that is uninstalled later stay cached,
    /// and [`Status::stale_since`](crate::Status::stale_since) says since when.
    #[default]
    Wait,
    /// The informer is synced, with an empty cache, before the kind is installed; its objects arrive as changes when it
    /// is. Objects of a kind that is uninstalled later stay cached, as with [`Wait`](Self::Wait).
    Empty,
    /// As [`Empty`](Self::Empty), and when the kind is uninstalled the informer deletes its objects and reports them as
    /// deleted.
    ///
    /// (A CustomResourceDefinition takes its objects with it.) Where an aggregated API is removed for a while, or a proxy
    /// leads to another cluster, the informer reports objects as deleted that still exist: so this is no default.
    Clear,
}

/// So many at a burst, and one more each `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) burst: u32,
    pub(crate) every: Duration,
}

// === impl Config ===

impl Config {
    /// The defaults, which each setting names.
    #[must_use]
    pub fn new() -> Self {
        Self {
            page_size: 500,
            streaming_lists: true,
            limits: Limits::new(),
            keep_managed_fields: false,
            absent: None,
            watches: Budget { burst: 10, every: Duration::from_secs(1) },
            lists: Budget { burst: 3, every: Duration::from_secs(10) },
            poll: Duration::from_secs(30),
            seed: None,
        }
    }

    /// Objects per page where the API server has no streaming lists: 500, as in client-go. 0 lists all at once.
    #[must_use]
    pub fn page_size(self, objects: u32) -> Self {
        Self { page_size: objects, ..self }
    }

    /// Whether to list by a watch that begins with all objects (KEP-3157), which costs the API server less memory than
    /// pages: on. A server without it is listed in pages.
    #[must_use]
    pub fn streaming_lists(self, wanted: bool) -> Self {
        Self { streaming_lists: wanted, ..self }
    }

    /// Bounds on what the informer accepts from the API server, in bytes, in pages and in time. See [`Limits`] for the
    /// defaults.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether to keep `metadata.managedFields`, which is often the largest part of an object: off, the field is dropped
    /// before an object is decoded.
    #[must_use]
    pub fn keep_managed_fields(self, keep: bool) -> Self {
        Self { keep_managed_fields: keep, ..self }
    }

    /// What the informer shows while its kind is not installed: what the stored type says
    /// ([`Stored::ABSENT`](crate::Stored::ABSENT)), or else [`Absent::Wait`].
    #[must_use]
    pub fn absent(self, absent: Absent) -> Self {
        Self { absent: Some(absent), ..self }
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
