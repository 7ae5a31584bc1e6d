//! [`Builder`]: what a server serves, and how.

use std::time::Duration;

use super::access::{Access, Rule};
use super::install::install;
use super::kind::{self, Kind};
use super::server::ApiServer;
use super::shared::{Settings, Shared};
use super::state::State;

/// Settings of a server to be; from [`ApiServer::builder`].
#[derive(Debug)]
pub struct Builder {
    kinds: Vec<Kind>,
    built_ins: bool,
    version: u64,
    history: usize,
    bookmark_interval: Duration,
    latency: Duration,
    access: Access,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            kinds: Vec::new(),
            built_ins: true,
            version: 1,
            history: 100_000,
            bookmark_interval: Duration::from_secs(60),
            latency: Duration::ZERO,
            access: Access::default(),
        }
    }

    /// Serves this kind too.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Serves only CustomResourceDefinitions and what [`kind`](Builder::kind) adds. Without namespaces, objects
    /// may be created in any.
    #[must_use]
    pub fn without_built_ins(self) -> Self {
        Self { built_ins: false, ..self }
    }

    /// The resourceVersion before the first write; 1 by default.
    #[must_use]
    pub fn start_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// How many changes of each kind are remembered (100,000 by default): who watches from an older version
    /// gets 410, and memory stays bounded.
    #[must_use]
    pub fn history(self, changes: usize) -> Self {
        Self { history: changes, ..self }
    }

    /// How often a watch that asks for bookmarks gets one; a minute by default, as kube-apiserver.
    #[must_use]
    pub fn bookmark_interval(self, interval: Duration) -> Self {
        Self { bookmark_interval: interval, ..self }
    }

    /// How long every request waits before it is answered; not at all by default. tokio's timer rounds it up to whole
    /// milliseconds.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Registers a bearer token for `user`. From then on, requests without a registered token get 401.
    #[must_use]
    pub fn token(mut self, token: &str, user: &str) -> Self {
        self.access.add_token(token, user);
        self
    }

    /// Allows what the rule describes, against rules given earlier.
    #[must_use]
    pub fn allow(mut self, rule: Rule) -> Self {
        self.access.add_rule(rule, true);
        self
    }

    /// Answers 403 to what the rule describes, against rules given earlier.
    #[must_use]
    pub fn deny(mut self, rule: Rule) -> Self {
        self.access.add_rule(rule, false);
        self
    }

    /// The server, with the namespaces `default`, `kube-node-lease`, `kube-public` and `kube-system`.
    ///
    /// # Panics
    /// When a kind given to [`kind`](Builder::kind) has no valid name (`plural.group` must be a DNS name).
    #[must_use]
    #[track_caller]
    pub fn build(self) -> ApiServer {
        let mut state = State::new(self.version, self.history);
        if self.built_ins {
            kind::defaults().into_iter().for_each(|kind| state.serve(kind));
        } else {
            state.serve(kind::definitions());
        }
        let founded = state
            .found()
            .and_then(|()| self.kinds.into_iter().try_for_each(|kind| install(&mut state, kind)));
        if let Err(status) = founded {
            panic!("the server cannot be built: {status}");
        }
        let settings = Settings { bookmark_interval: self.bookmark_interval };
        ApiServer::of(Shared::new(state, self.access, settings, self.latency))
    }
}

impl ApiServer {
    /// A server of the usual built-in kinds, open to everybody.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins a server of other kinds, or with tokens, latency and the like.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}
