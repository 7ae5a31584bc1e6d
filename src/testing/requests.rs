//! The requests that the server received: counters for all, details of the latest ones.

use std::collections::{BTreeMap, VecDeque};

/// How many requests are kept in detail.
const RECENT: usize = 1024;

/// One request, and the status code of its response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// The path and query, as sent.
    pub path: String,
    /// The user of the token; empty if the token belongs to no user.
    pub user: String,
    /// The API verb; `other` for discovery and health checks.
    pub verb: &'static str,
    /// `plural.group`, with `/subresource` if there is one; empty for discovery and health checks.
    pub resource: String,
    /// The HTTP status code of the response; 0 if a fault prevented a response.
    pub code: u16,
}

/// The requests of a server up to one moment. From [`ApiServer::requests`](super::ApiServer::requests).
///
/// The counts include all requests; [`recent`](Requests::recent) has the last thousand.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    counts: BTreeMap<(&'static str, String, String), u64>,
    recent: VecDeque<RequestRecord>,
}

impl Requests {
    /// The number of requests of any user with this verb on this resource (`"pods"`, `"subnets.kubeovn.io/status"`).
    #[must_use]
    pub fn count(&self, verb: &str, resource: &str) -> u64 {
        self.sum(|v, r, _| v == verb && r == resource)
    }

    /// The number of all requests on resources.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum(|verb, _, _| verb != "other")
    }

    /// The number of gets, lists and watches.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.sum(|verb, _, _| matches!(verb, "get" | "list" | "watch"))
    }

    /// The number of creates, updates, patches and deletes.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.sum(|verb, _, _| !matches!(verb, "get" | "list" | "watch" | "other"))
    }

    /// The number of requests for which `accept(verb, resource, user)` is true. O(c) for c combinations of verb,
    /// resource and user that occurred.
    pub fn sum(&self, mut accept: impl FnMut(&str, &str, &str) -> bool) -> u64 {
        self.counts
            .iter()
            .filter(|((verb, resource, user), _)| accept(verb, resource, user))
            .map(|(_, count)| count)
            .sum()
    }

    /// The last thousand requests, oldest first.
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
