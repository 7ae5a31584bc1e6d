//! An API server's answers, recorded: bytes in memory, served to a client without a socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT};
use http_body::{Body, Frame};
use kube_client::{Client, client};
use serde_json::{Value, json};

use crate::nads::{listed, object};

/// What a chunk of a streaming list or of a page has at most: what a connection reads at once.
const CHUNK: usize = 16 << 10;

/// The answers for one kind, and the watch that is open.
#[derive(Clone)]
pub(crate) struct Wire {
    recorded: Arc<Mutex<Arc<Recorded>>>,
    live: Arc<Mutex<Live>>,
}

/// The same objects in the forms that clients ask for.
struct Recorded {
    whole: Answers,
    metadata: Answers,
    pages: usize,
}

struct Answers {
    /// The events of a streaming list, with the bookmark at its end.
    streamed: Vec<Bytes>,
    /// The pages of a list.
    pages: Vec<Vec<Bytes>>,
}

#[derive(Default)]
struct Live {
    /// Chunks of a watch, of which some may be read.
    chunks: VecDeque<Bytes>,
    open: usize,
    reader: Option<Waker>,
}

/// Chunks that are there, and then those of the watch.
struct Answer {
    chunks: std::vec::IntoIter<Bytes>,
    live: Option<Arc<Mutex<Live>>>,
}

// === impl Wire ===

impl Wire {
    /// Records the lists of `n` objects.
    pub(crate) fn new(n: usize, page: usize) -> Self {
        let recorded = Arc::new(Recorded::new(n, page, 1));
        Self { recorded: Arc::new(Mutex::new(recorded)), live: Arc::default() }
    }

    /// Records the lists of another version of all objects, and ends the watch: its version is gone.
    pub(crate) fn expire(&self, n: usize, version: u64) {
        let mut recorded = self.recorded.lock().expect("not poisoned");
        let page = recorded.pages;
        *recorded = Arc::new(Recorded::new(n, page, version));
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired",
            "message": "too old resource version",
        });
        self.prepare([event("ERROR", &status)]);
        self.open(1);
    }

    /// The same answers, and a watch of its own.
    pub(crate) fn fork(&self) -> Self {
        Self { recorded: self.recorded.clone(), live: Arc::default() }
    }

    pub(crate) fn client(&self) -> Client {
        let wire = self.clone();
        let service = tower::service_fn(move |request: Request<client::Body>| {
            ready(Ok::<_, Infallible>(Response::new(wire.answer(&request))))
        });
        Client::new(service, "default")
    }

    /// Holds chunks of the watch ready that may not be read yet.
    pub(crate) fn prepare(&self, chunks: impl IntoIterator<Item = Bytes>) {
        self.live().chunks.extend(chunks);
    }

    /// Lets the next `count` chunks be read.
    pub(crate) fn open(&self, count: usize) {
        let mut live = self.live();
        live.open = count;
        let reader = live.reader.take();
        drop(live);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn answer(&self, request: &Request<client::Body>) -> Answer {
        let accept =
            request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let is_metadata = accept.contains("PartialObjectMetadata");
        let recorded = self.recorded.lock().expect("not poisoned").clone();
        let answers = if is_metadata { &recorded.metadata } else { &recorded.whole };
        let query = request.uri().query().unwrap_or_default();
        let parameter = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let is_true = |name| matches!(parameter(name).as_deref(), Some("true" | "1"));
        let (chunks, live) = if is_true("watch") {
            let streamed = if is_true("sendInitialEvents") { answers.streamed.clone() } else { Vec::new() };
            (streamed, Some(self.live.clone()))
        } else {
            let page = parameter("continue").and_then(|token| token.parse().ok()).unwrap_or(0);
            assert_eq!(parameter("limit"), Some(recorded.pages.to_string()), "pages are recorded");
            (answers.pages[page].clone(), None)
        };
        Answer { chunks: chunks.into_iter(), live }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("not poisoned")
    }
}

impl Recorded {
    fn new(n: usize, page: usize, version: u64) -> Self {
        let objects: Vec<_> = listed(n).into_iter().map(|i| received(i, n, version)).collect();
        let metadata: Vec<_> = objects.iter().map(partial).collect();
        let version = version + 1_000;
        Self {
            whole: Answers::new(&objects, page, version),
            metadata: Answers::new(&metadata, page, version),
            pages: page,
        }
    }
}

impl Answers {
    /// `version` is that of the list.
    fn new(objects: &[Value], page: usize, version: u64) -> Self {
        let mut stream: Vec<u8> = Vec::new();
        for object in objects {
            stream.extend_from_slice(&event("ADDED", object));
        }
        let first = &objects[0];
        let end = json!({
            "kind": first["kind"], "apiVersion": first["apiVersion"],
            "metadata": {
                "resourceVersion": version.to_string(),
                "annotations": { "k8s.io/initial-events-end": "true" },
            },
        });
        stream.extend_from_slice(&event("BOOKMARK", &end));
        let pages = objects.chunks(page).enumerate().map(|(at, items)| {
            let is_last = (at + 1) * page >= objects.len();
            let next = if is_last { String::new() } else { (at + 1).to_string() };
            let kind = format!("{}List", first["kind"].as_str().unwrap_or_default());
            let items: Vec<_> = items.iter().map(Value::to_string).collect();
            let list = format!(
                r#"{{"apiVersion":{},"items":[{}],"kind":"{kind}","metadata":{}}}"#,
                first["apiVersion"],
                items.join(","),
                json!({ "resourceVersion": version.to_string(), "continue": next }),
            );
            chunks(list.as_bytes())
        });
        Self { pages: pages.collect(), streamed: chunks(&stream) }
    }
}

pub(crate) fn chunks(bytes: &[u8]) -> Vec<Bytes> {
    bytes.chunks(CHUNK).map(Bytes::copy_from_slice).collect()
}

/// A line of a watch.
pub(crate) fn event(kind: &str, object: &Value) -> Bytes {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}

/// One of `n` objects, as an API server sends it.
pub(crate) fn received(i: usize, n: usize, version: u64) -> Value {
    let mut object = object(i, n);
    let metadata = object["metadata"].as_object_mut().expect("an object");
    let written = json!([{
        "manager": "tenant-operator", "operation": "Update", "apiVersion": "k8s.cni.cncf.io/v1",
        "time": "2026-11-24T09:12:44Z", "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {
                "f:annotations": { ".": {}, "f:example.com/provider": {}, "f:k8s.v1.cni.cncf.io/resourceName": {} },
                "f:labels": { ".": {}, "f:app.kubernetes.io/managed-by": {}, "f:team": {} },
            },
            "f:spec": { ".": {}, "f:config": {} },
        },
    }]);
    metadata.insert("uid".to_owned(), json!(format!("00000000-0000-0000-0000-{i:012x}")));
    metadata.insert("creationTimestamp".to_owned(), json!("2026-11-24T09:12:44Z"));
    metadata.insert("generation".to_owned(), json!(1));
    metadata.insert("resourceVersion".to_owned(), json!(version.to_string()));
    metadata.insert("managedFields".to_owned(), written);
    object
}

/// The same, if only metadata is asked for.
pub(crate) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}

// === impl Answer ===

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(chunk) = self.chunks.next() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let Some(live) = &self.live else { return Poll::Ready(None) };
        let mut live = live.lock().expect("not poisoned");
        if live.open > 0
            && let Some(chunk) = live.chunks.pop_front()
        {
            live.open -= 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        live.reader = Some(context.waker().clone());
        Poll::Pending
    }
}
