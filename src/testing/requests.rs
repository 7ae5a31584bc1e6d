//! What the server was asked: counters for every request, details of the latest ones.

use std::collections::{BTreeMap, VecDeque};

/// How many requests are kept in detail.
const RECENT: usize = 1024;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// The user the token stood for; empty when it stood for none.
    pub user: String,
    /// The API verb; `other` for discovery and health.
    pub verb: &'static str,
    /// `plural.group`, with `/subresource` if any; empty for discovery and health.
    pub resource: String,
    /// The HTTP status code of the answer. 0 when a fault left the request without one.
    pub code: u16,
}

/// The requests a server has answered, at one moment; from [`ApiServer::requests`](super::ApiServer::requests).
///
/// The counters cover all of them, [`recent`](Requests::recent) the last thousand.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    counts: BTreeMap<(&'static str, String, String), u64>,
    recent: VecDeque<RequestRecord>,
}

impl Requests {
    /// Requests with this verb on this resource (`"pods"`, `"subnets.kubeovn.io/status"`), of any user.
    #[must_use]
    pub fn count(&self, verb: &str, resource: &str) -> u64 {
        self.sum(|v, r, _| v == verb && r == resource)
    }

    /// All requests on resources.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum(|verb, _, _| verb != "other")
    }

    /// Gets, lists and watches.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.sum(|verb, _, _| matches!(verb, "get" | "list" | "watch"))
    }

    /// Creates, updates, patches and deletes.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.sum(|verb, _, _| !matches!(verb, "get" | "list" | "watch" | "other"))
    }

    /// The sum of the counters that a function of verb, resource and user accepts. O(counters), of which there
    /// are as many as combinations seen.
    pub fn sum(&self, mut accept: impl FnMut(&str, &str, &str) -> bool) -> u64 {
        self.counts
            .iter()
            .filter(|((verb, resource, user), _)| accept(verb, resource, user))
            .map(|(_, count)| count)
            .sum()
    }

    /// The latest requests, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &RequestRecord> {
        self.recent.iter()
    }

    pub(super) fn record(&mut self, record: RequestRecord) {
        *self.counts.entry((record.verb, record.resource.clone(), record.user.clone())).or_default() += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(record);
    }
}
