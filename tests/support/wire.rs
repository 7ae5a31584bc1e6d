//! What lies between an informer and its API server, under a case's control.
//!
//! A [`Wire`] is a layer in the client that an informer is given. It notes each request with the code of its
//! answer, which shows on either server how the informer went about its work; and it can be cut, so that a case
//! decides what happens while the informer cannot see.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header::ACCEPT};
use http_body::{Body as HttpBody, Frame};
use kube_client::{Client, client::Body};
use serde_json::json;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The control of a wired client; see the module.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<State>>);

/// A request that was answered, or not.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// The media types asked for.
    pub(crate) accept: String,
    /// `None` when no answer came.
    pub(crate) code: Option<u16>,
}

#[derive(Default)]
struct State {
    /// Cancelled: nothing gets through, and what was open has broken.
    cut: CancellationToken,
    /// Requests wait until this is cancelled.
    held: Option<CancellationToken>,
    no_streaming_lists: bool,
    garbled: bool,
    watch_seconds: Option<u32>,
    sent: Vec<Sent>,
}

/// An answer that breaks off when the wire is cut.
struct WiredBody {
    body: Body,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

// === impl Wire ===

impl Wire {
    /// A client that sends all it is asked through this wire, and then through `client`.
    pub(crate) fn client(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let wire = self.clone();
        let service = tower::service_fn(move |request| {
            let (wire, client) = (wire.clone(), client.clone());
            async move { wire.send(client, request).await }
        });
        Client::new(service, namespace)
    }

    /// Breaks what is open, and lets nothing through until [`mend`](Self::mend).
    pub(crate) fn cut(&self) {
        self.state().cut.cancel();
    }

    /// Breaks what is open, and keeps what is asked from then on waiting until [`mend`](Self::mend): less trouble for
    /// an informer than a cut, whose tries become rare.
    pub(crate) fn hold(&self) {
        let mut state = self.state();
        std::mem::take(&mut state.cut).cancel();
        state.held.get_or_insert_default();
    }

    /// Lets requests through again.
    pub(crate) fn mend(&self) {
        let mut state = self.state();
        state.cut = CancellationToken::new();
        if let Some(held) = state.held.take() {
            held.cancel();
        }
    }

    /// Answers streaming lists as servers without them do, with 422.
    pub(crate) fn refuse_streaming_lists(&self) {
        self.state().no_streaming_lists = true;
    }

    /// Answers the next watch with what is no event.
    pub(crate) fn garble_a_watch(&self) {
        self.state().garbled = true;
    }

    /// Asks for watches of this length, whatever the informer asks for.
    pub(crate) fn shorten_watches(&self, seconds: u32) {
        self.state().watch_seconds = Some(seconds);
    }

    /// The requests so far, in the order of their answers.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// How many of them are such.
    pub(crate) fn count(&self, such: impl Fn(&Sent) -> bool) -> usize {
        self.state().sent.iter().filter(|sent| such(sent)).count()
    }

    async fn send(
        &self,
        client: Client,
        mut request: Request<Body>,
    ) -> Result<Response<WiredBody>, BoxError> {
        let held = self.state().held.clone();
        if let Some(held) = held {
            held.cancelled().await;
        }
        let (mut sent, cut, refuse, garble) = {
            let mut state = self.state();
            if let Some(seconds) = state.watch_seconds {
                shorten(request.uri_mut(), seconds)?;
            }
            let sent = Sent::new(&request);
            let garble = sent.is_watch() && std::mem::take(&mut state.garbled);
            (sent, state.cut.clone(), state.no_streaming_lists, garble)
        };
        let answer = if cut.is_cancelled() {
            Err("the wire is cut".into())
        } else if refuse && sent.is_streaming_list() {
            no_such_list()
        } else if garble {
            Ok(Response::new(Body::from(b"no event\n".to_vec())))
        } else {
            tokio::select! {
                answer = client.send(request) => answer.map_err(BoxError::from),
                () = cut.cancelled() => Err("the wire was cut".into()),
            }
        };
        sent.code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        self.state().sent.push(sent);
        let cut = Box::pin(cut.cancelled_owned());
        Ok(answer?.map(|body| WiredBody { body, cut }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Sent ===

impl Sent {
    fn new(request: &Request<Body>) -> Self {
        let uri = request.uri();
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        Self {
            path: uri.path().to_owned(),
            query: query.into_owned().collect(),
            accept: accept.unwrap_or_default().to_owned(),
            code: None,
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_streaming_list(&self) -> bool {
        self.parameter("sendInitialEvents") == Some("true")
    }

    /// A watch that is no list.
    pub(crate) fn is_watch(&self) -> bool {
        matches!(self.parameter("watch"), Some("true" | "1")) && !self.is_streaming_list()
    }

    /// One page of a list, or all of it.
    pub(crate) fn is_list(&self) -> bool {
        self.parameter("watch").is_none() && !self.is_probe()
    }

    /// A read of one object, which tells whether the server answers and whether there is anything to receive.
    pub(crate) fn is_probe(&self) -> bool {
        self.parameter("watch").is_none() && self.parameter("limit") == Some("1")
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.code == Some(200)
    }
}

// === impl WiredBody ===

impl HttpBody for WiredBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the wire was cut".into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(BoxError::from)
    }
}

/// Replaces `timeoutSeconds` where it is asked for.
fn shorten(uri: &mut Uri, seconds: u32) -> Result<(), BoxError> {
    let query = uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().map(|(name, value)| {
        let value = if name == "timeoutSeconds" { seconds.to_string() } else { value };
        (name, value)
    });
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{}?{query}", uri.path()).parse()?);
    *uri = Uri::from_parts(parts)?;
    Ok(())
}

fn no_such_list() -> Result<Response<Body>, BoxError> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
        "reason": "Invalid", "code": 422,
    });
    let body = Body::from(serde_json::to_vec(&status)?);
    Ok(Response::builder().status(StatusCode::UNPROCESSABLE_ENTITY).body(body)?)
}
