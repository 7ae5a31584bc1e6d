//! Counts what a consumer asks of the API server, in its client.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use http::Request;
use kube_client::{Client, client::Body};

/// The requests of one client.
#[derive(Clone, Default)]
pub(crate) struct Traffic(Arc<Mutex<Counts>>);

/// How many requests got the head of a response, whatever its status: a refused connection is none.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Streaming lists, and first pages.
    pub(crate) lists: u64,
    pub(crate) watches: u64,
    /// Requests without an answer.
    pub(crate) failed: u64,
    /// What was asked, to look at afterwards.
    pub(crate) log: Vec<Asked>,
}

#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) answered: Instant,
    pub(crate) what: &'static str,
    pub(crate) code: Option<u16>,
}

/// Requests that are remembered one by one.
const LOG: usize = 10_000;

// === impl Traffic ===

impl Traffic {
    /// A client that counts here what it sends by another.
    pub(crate) fn count(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let traffic = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (traffic, client) = (traffic.clone(), client.clone());
            async move {
                let (at, what) = (Instant::now(), name(request.uri().query().unwrap_or_default()));
                let answer = client.send(request).await;
                let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
                traffic.add(Asked { at, answered: Instant::now(), what, code });
                answer
            }
        });
        Client::new(service, namespace)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn add(&self, asked: Asked) {
        let mut counts = self.lock();
        if asked.code.is_none() {
            counts.failed += 1;
        } else {
            counts.requests += 1;
            counts.lists += u64::from(matches!(asked.what, "list" | "streaming list"));
            counts.watches += u64::from(asked.what == "watch");
        }
        if counts.log.len() < LOG {
            counts.log.push(asked);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(query: &str) -> &'static str {
    let has = |wanted: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == wanted);
    match (has("watch"), has("sendInitialEvents"), has("continue")) {
        (true, true, _) => "streaming list",
        (true, false, _) => "watch",
        (false, _, true) => "next page",
        (false, ..) => "list",
    }
}
