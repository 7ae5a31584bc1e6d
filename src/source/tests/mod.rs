//! Tests the HTTP source on a service with scripted responses.

mod answers;
mod fuzz;
mod harm;
mod limits;
mod privacy;
mod shards;
mod streams;
mod unversioned;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body::Frame;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube_client::client::Body;
use kube_client::{Api, Client};

use super::*;
use crate::scope::Part;

/// A step of a response body.
#[derive(Clone)]
enum Chunk {
    Data(Bytes),
    Broken(&'static str),
    /// Sends nothing for this long.
    Pause(Duration),
    /// Sends nothing more and does not end.
    Never,
}

struct Chunks {
    chunks: VecDeque<Chunk>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            return match self.chunks.pop_front() {
                None => Poll::Ready(None),
                Some(Chunk::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Chunk::Broken(text)) => Poll::Ready(Some(Err(std::io::Error::other(text)))),
                Some(Chunk::Pause(time)) => {
                    self.pause = Some(Box::pin(tokio::time::sleep(time)));
                    continue;
                }
                Some(Chunk::Never) => {
                    self.chunks.push_front(Chunk::Never);
                    Poll::Pending
                }
            };
        }
    }
}

type Seen = Arc<Mutex<Vec<http::request::Parts>>>;

/// A client on which every request has the same response; `None` never responds.
fn client(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Option<Vec<Chunk>>,
) -> (Client, Seen) {
    let seen = Seen::default();
    let requests = seen.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        requests.lock().unwrap().push(request.into_parts().0);
        let body = body.clone();
        async move {
            let Some(body) = body else { return std::future::pending().await };
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Ok::<_, Infallible>(response.body(Chunks { chunks: body.into(), pause: None }).unwrap())
        }
    });
    (Client::new(service, "default"), seen)
}

fn data(text: &str) -> Vec<Chunk> {
    vec![Chunk::Data(Bytes::copy_from_slice(text.as_bytes()))]
}

fn source(client: Client) -> HttpSource {
    HttpSource::new(Api::<ConfigMap>::all(client), &(), Part::default(), Limits::default())
}

/// A source on which every response is a success with this body.
fn answering(body: Vec<Chunk>) -> HttpSource {
    limited(body, Limits::default())
}

fn limited(body: Vec<Chunk>, limits: Limits) -> HttpSource {
    HttpSource::new(Api::<ConfigMap>::all(client(200, &[], Some(body)).0), &(), Part::default(), limits)
}

fn watching() -> WatchRequest {
    WatchRequest {
        resource_version: Some(ResourceVersion::from_number(7)),
        timeout: Duration::from_secs(300),
        initial_events: false,
    }
}

async fn list(mut source: HttpSource) -> Result<Page<Json>, Error> {
    source.list(&ListRequest::default()).await
}

/// All items of a watch, as text.
async fn events(mut source: HttpSource) -> Vec<String> {
    let watch = source.watch(&watching()).await.unwrap();
    watch.map(|event| describe(&event)).collect().await
}

fn describe(event: &Result<WatchEvent<Json>, Error>) -> String {
    match event {
        Ok(WatchEvent::Applied(Ok(item))) => {
            let text = match &item.payload {
                Json::Whole { json, .. } | Json::WithoutType(json) => String::from_utf8_lossy(json),
                Json::TooLarge => "too large".into(),
            };
            format!("applied {} {} {text}", item.meta.key, item.meta.resource_version)
        }
        Ok(WatchEvent::Applied(Err(error))) => format!("invalid: {error}"),
        Ok(WatchEvent::Deleted(Ok(meta))) => format!("deleted {} {}", meta.key, meta.resource_version),
        Ok(WatchEvent::Deleted(Err(error))) => format!("deleted, invalid: {error}"),
        Ok(WatchEvent::Bookmark { resource_version, initial_events_end }) => {
            format!("bookmark {resource_version} {initial_events_end}")
        }
        Err(error) => format!("error: {error}"),
    }
}

/// All texts of an error and its sources.
fn texts(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        texts += &format!(" {source} {source:?}");
        next = source.source();
    }
    texts
}
