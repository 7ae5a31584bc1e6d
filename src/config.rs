//! How an informer lists, watches and recovers.

use std::time::Duration;

use crate::source::Limits;

/// The settings of an informer: page size, limits, budgets for requests, and the policy for kinds that are not
/// installed.
///
/// They apply to one informer ([`Builder::config`](crate::builder::Builder::config)), to all informers of a registry
/// ([`Registry::with_config`](crate::Registry::with_config)), or to one of these
/// ([`SharedInformer::config`](crate::SharedInformer::config)). A [`Scope`](crate::Scope) selects the objects to cache.
///
/// The defaults are meant for production. `docs/RECOVERY.md` has the policy, and the cost of each fault.
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
    /// If unset, the default of the stored type applies.
    pub(crate) absent: Option<Absent>,
    pub(crate) watches: Budget,
    pub(crate) lists: Budget,
    pub(crate) poll: Duration,
    /// The longest wait after a refusal.
    pub(crate) longest_refusal: Duration,
    pub(crate) seed: Option<u64>,
}

/// What an informer shows while the API server does not serve its kind, such as a custom resource that is not
/// installed.
///
/// A 404 alone is not enough, since a broken proxy may return it too. Except for [`Wait`](Self::Wait), the informer
/// asks the discovery API, which all users may read by default (ClusterRole `system:discovery`). A kind counts as
/// uninstalled when discovery lists no version of it; if the cache has objects, twice in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absent {
    /// The informer is not synced before the kind is installed. If the kind is uninstalled later, its objects stay
    /// cached, and [`Status::stale_since`](crate::Status::stale_since) is set.
    #[default]
    Wait,
    /// The informer is synced, with an empty cache, before the kind is installed. Once it is installed, its objects
    /// arrive as changes. If the kind is uninstalled later, its objects stay cached, as with [`Wait`](Self::Wait).
    Empty,
    /// Like [`Empty`](Self::Empty), and the cache is cleared when the kind is uninstalled: its objects are reported as
    /// deleted, as the deletion of a CustomResourceDefinition deletes them.
    ///
    /// This is not the default: if an aggregated API is removed for a while, or a proxy leads to another cluster, the
    /// informer reports existing objects as deleted.
    Clear,
}

/// A token bucket: `burst` at once, then one per `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) burst: u32,
    pub(crate) every: Duration,
}

// === impl Config ===

impl Config {
    /// Returns the defaults. The documentation of each setting names its default.
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
            longest_refusal: Duration::from_secs(30),
            seed: None,
        }
    }

    /// Sets the objects per page of a list (`limit`), for API servers without streaming lists. Default: 500, as in
    /// client-go. 0 lists all objects in one response.
    #[must_use]
    pub fn page_size(self, objects: u32) -> Self {
        Self { page_size: objects, ..self }
    }

    /// Sets whether to use streaming lists: watches that begin with all objects (KEP-3157). Default: on.
    ///
    /// They need less memory of the API server than pages. If the server does not support them, the informer lists in
    /// pages.
    #[must_use]
    pub fn streaming_lists(self, wanted: bool) -> Self {
        Self { streaming_lists: wanted, ..self }
    }

    /// Sets bounds on responses of the API server, in bytes, pages and time. [`Limits`] has the defaults.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets whether to keep `metadata.managedFields`, which is often the largest part of an object. Default: off, so
    /// the field is dropped before an object is decoded.
    #[must_use]
    pub fn keep_managed_fields(self, keep: bool) -> Self {
        Self { keep_managed_fields: keep, ..self }
    }

    /// Sets what the informer shows while its kind is not installed. Default: that of the stored type
    /// ([`Stored::ABSENT`](crate::Stored::ABSENT)), else [`Absent::Wait`].
    #[must_use]
    pub fn absent(self, absent: Absent) -> Self {
        Self { absent: Some(absent), ..self }
    }

    /// Sets the budget for watches that follow a watch that worked: `burst` without a wait, then one per `every`.
    /// Default: 10, then one per second.
    ///
    /// This bounds the requests caused by a proxy that cuts each watch after an event. A burst of 0 counts as 1.
    #[must_use]
    pub fn watch_budget(self, burst: u32, every: Duration) -> Self {
        Self { watches: Budget { burst: burst.max(1), every }, ..self }
    }

    /// Sets the budget for lists: `burst` without a wait, then one per `every`. Default: 3, then one per 10 s.
    ///
    /// Lists are expensive for an API server. All pages of a list count once. An attempt without a response, or one
    /// that is refused, does not count. [`Informer::refresh`](crate::Informer::refresh) counts, and does not wait. A
    /// burst of 0 counts as 1.
    #[must_use]
    pub fn list_budget(self, burst: u32, every: Duration) -> Self {
        Self { lists: Budget { burst: burst.max(1), every }, ..self }
    }

    /// Sets the time between two lists of a kind that cannot be watched ([`Phase::Polling`](crate::Phase::Polling)).
    /// Default: 30 s. The minimum is one second.
    ///
    /// Such a kind has no versions (`PodMetrics`), or its watches are forbidden or never work.
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

/// Adapts the configuration of a kube client to informers, and returns it.
///
/// - `default_retry` is off. kube's client otherwise repeats requests for minutes, which hides 429, 503 and 504 from
///   the informer and its status.
/// - `connect_timeout` is at most 5 s, so that an unreachable server is detected soon.
/// - `read_timeout` is unset. It would end the watches of quiet kinds.
///
/// kube 5 has no setting for TCP keepalive or HTTP/2 pings. `docs/RECOVERY.md` says how an informer detects a half-open
/// connection.
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

/// How long connecting may take.
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
