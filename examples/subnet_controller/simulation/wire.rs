//! A client of the API server whose requests each take at least a given time.
//!
//! Loopback is faster than the network and the API server of any cluster. A thread of its own measures the wait, since
//! the timer of tokio counts whole milliseconds and would turn 1.2 ms into 2 ms.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use kube_client::client::{Body, ClientBuilder};
use kube_client::{Client, Config};
use tokio::sync::oneshot;
use tower::{Layer, Service};

use super::server::THREADS;

/// Makes requests wait.
#[derive(Clone)]
struct Latency(mpsc::Sender<Delay>, Duration);

struct Delay {
    until: Instant,
    over: oneshot::Sender<()>,
}

/// A service behind [`Latency`].
struct Delayed<S> {
    inner: S,
    latency: Latency,
}

/// A client of the server at `url`.
///
/// # Errors
///
/// When no thread can be started, or the client cannot be built.
pub fn client(url: &str, latency: Duration) -> anyhow::Result<Client> {
    let mut config = Config::new(url.parse()?);
    // By default, kube's client retries after 429, 503 and 504, for minutes and without a log line. Informers and
    // work queues have a visible backoff of their own.
    config.default_retry = false;
    let (waiting, delays) = mpsc::channel::<Delay>();
    // All wait equally long, so the first to come is the first to go. Ends with the last sender.
    thread::Builder::new().name(THREADS.to_owned()).spawn(move || {
        for delay in delays {
            thread::sleep(delay.until.saturating_duration_since(Instant::now()));
            let _gone = delay.over.send(());
        }
    })?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&Latency(waiting, latency)).build())
}

// === impl Latency ===

impl Latency {
    async fn pass(&self) {
        if self.1.is_zero() {
            return;
        }
        let (over, passed) = oneshot::channel();
        let _ended = self.0.send(Delay { until: Instant::now() + self.1, over });
        let _ended = passed.await;
    }
}

impl<S> Layer<S> for Latency {
    type Service = Delayed<S>;

    fn layer(&self, inner: S) -> Delayed<S> {
        Delayed { inner, latency: self.clone() }
    }
}

impl<S, B> Service<Request<Body>> for Delayed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (latency, answer) = (self.latency.clone(), self.inner.call(request));
        Box::pin(async move {
            latency.pass().await;
            answer.await // nothing is sent before this
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::server::Server;

    #[tokio::test]
    async fn a_request_takes_the_latency_and_not_much_less() {
        let server = Server::start().unwrap();
        let client = client(&server.url(), Duration::from_millis(30)).unwrap();
        let begin = Instant::now();
        let pods = kube_client::Api::<crate::controller::Pod>::all(client);
        assert_eq!(pods.list(&Default::default()).await.unwrap().items.len(), 0);
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }
}
