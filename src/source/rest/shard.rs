//! Asks the server for one shard (KEP-5866), and finds out whether it knows how to.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{HttpSource, JSON};
use crate::error::Error;
use crate::shard::{Filter, Shard};
use crate::source::ListRequest;
use crate::source::body::read_page;
use crate::source::page::parse_page;

/// How long a server that cannot apply a shard is not asked to.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long the request may take by which an informer only learns who filters.
const PATIENCE: Duration = Duration::from_secs(5);

/// The beginning of the message about a selector that the server cannot read; it comes with code 500.
const REFUSED: &str = "invalid shard selector";

impl HttpSource {
    /// The shard to ask for.
    pub(super) fn asked_shard(&self) -> Option<&Shard> {
        let pauses = self.asks_no_shard_until.is_some_and(|until| Instant::now() < until);
        self.sharding.shard().filter(|_| !pauses)
    }

    /// Who filters, after a list that does not show it: lists of built-in kinds do, but lists of custom resources and
    /// of metadata, and streaming lists, do not (seen with Kubernetes 1.36).
    ///
    /// The list had no object of another shard. A server that filters sends one if asked for all other shards, or none
    /// if there is none. A server that does not would have sent it in the list, and sends one of this shard now.
    pub(super) async fn find_filter(&mut self) {
        let Some(others) = self.asked_shard().map(Shard::complement) else {
            return if self.sharding.shard().is_some() {
                self.sharding.learn(Some(Filter::Here))
            };
        };
        if self.sharding.is_shown() {
            return;
        }
        match timeout(PATIENCE, self.has_own_among(&others)).await {
            Ok(Ok(Some(true))) => self.sharding.learn(Some(Filter::Here)),
            Ok(Ok(Some(false))) => self.sharding.learn(Some(Filter::Server)),
            // There is no object at all, or none outside of the shard.
            Ok(Ok(None)) => self.sharding.learn(Some(Filter::Server).filter(|_| self.sharding.has_any())),
            Ok(Err(error)) => tracing::debug!(%error, "asking who filters failed"),
            Err(_) => tracing::debug!("asking who filters took too long"),
        }
    }

    /// Lists one object of another shard. Returns whether it is one of this shard, or `None` if there is none.
    async fn has_own_among(&mut self, others: &Shard) -> Result<Option<bool>, Error> {
        let call = self.call("list");
        let query =
            self.list_query_of(&ListRequest { limit: Some(1), ..ListRequest::default() }, Some(others));
        let response = self.get(&call, query, JSON).await?;
        let body = read_page(&call, response.into_body(), &self.limits).await?;
        let page = parse_page(&call, body, self.limits.object_bytes).await?;
        Ok({ page.items }.find_map(Result::ok).map(|item| self.sharding.has(&Ok(item))))
    }

    /// Whether the server cannot read the selector. If so, requests do not have it for a while.
    pub(super) fn is_shard_refused(&mut self, error: &Error) -> bool {
        let is_refused = self.asked_shard().is_some()
            && error.api_message().is_some_and(|message| message.contains(REFUSED));
        if is_refused {
            tracing::debug!(%error, "the server refuses the shard; filtering here");
            self.stop_asking();
        }
        is_refused
    }

    /// A server that filters by another hash would leave out objects of the shard, so it is not asked to filter.
    pub(super) fn stop_if_contradicted(&mut self) -> Option<Error> {
        if !self.sharding.was_contradicted() {
            return None;
        }
        self.stop_asking();
        Some(self.call("list").protocol("objects outside of the shard that the server says it has sent"))
    }

    fn stop_asking(&mut self) {
        self.asks_no_shard_until = Some(Instant::now() + PAUSE);
    }
}
