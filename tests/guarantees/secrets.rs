//! The second half of promise 9: no text of this crate contains a value of an object or a body of a response.

use std::error::Error as _;
use std::fmt::Debug;

use http::{Request, Response};
use kube_client::client::Body;
use kube_client::{Api, Client};
use kube_informer::testing::{Fault, FaultAction};
use kube_informer::{Informer, Snapshot};
use serde_json::{Value, json};
use tower::service_fn;

use crate::captured::Captured;
use crate::support::*;

/// The marker, used wherever a value can be.
const SECRET: &str = "s3cr3t-marker";

/// An error of an application's projection.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {0}")]
struct Telling(String);

fn secret_widget(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {
            "name": name, "namespace": "a",
            "labels": { "label": SECRET }, "annotations": { "annotation": SECRET },
        },
        "spec": spec,
    })
}

/// All texts that an informer can return.
fn texts<T: Send + Sync + Debug + 'static>(informer: &Informer<T>, snapshot: &Snapshot<T>) -> String {
    let status = informer.status();
    let mut texts = format!("{informer:?} {snapshot:?} {status:?} {status:#?}");
    if let Some(error) = &status.last_error {
        texts += &format!("{error} {error:?} {error:#?}");
        let mut source = error.source();
        while let Some(error) = source {
            texts += &format!("{error} {error:?}");
            source = error.source();
        }
    }
    for invalid in snapshot.invalid() {
        texts += &format!("{invalid} {invalid:?} {invalid:#?} {}", invalid.mismatch());
    }
    for object in snapshot.iter() {
        texts += &format!("{object:?} {object:#?}");
    }
    texts + &format!("{:?} {:?}", snapshot.iter(), snapshot.resource_version())
}

#[tokio::test(start_paused = true)]
async fn p09_no_value_reaches_a_log_or_an_error() {
    quiet_panics();
    let log = Captured::default();
    let _capturing = log.all();
    let server = server();
    for (name, spec) in [
        ("good", json!({ "number": 1, "group": SECRET })),
        ("text", json!({ "number": SECRET })),
        ("list", json!({ "number": 1, "tags": [SECRET] })),
        ("whole", json!(SECRET)),
        ("errs", json!({ "number": 2, "group": SECRET })),
        ("panics", json!({ "number": 3, "group": SECRET })),
        ("index", json!({ "number": 4, "group": SECRET })),
    ] {
        server.create(secret_widget(name, spec)).unwrap();
    }
    let mut builder = Informer::builder(api(&server)).try_project(|widget| match widget.spec.number {
        2 => Err(Telling(widget.spec.group)),
        3 => std::panic::panic_any(EXPECTED),
        _ => Ok(Kept::from(widget)),
    });
    let by_group = builder.index(|kept: &Kept| {
        if kept.number == 4 {
            std::panic::panic_any(EXPECTED);
        }
        kept.group.clone()
    });
    let mut said = format!("{builder:?} {by_group:?}");
    let informer = builder.start();
    let mut changes = informer.subscribe();
    let batch = next(&mut changes).await;
    assert_eq!((batch.snapshot().len(), batch.snapshot().invalid_len()), (1, 6), "each is what it should be");
    said += &format!("{changes:?} {batch:?} {:?}", batch.changes().collect::<Vec<_>>());
    said += &format!("{:?}", batch.snapshot().by_index(&by_group, SECRET));
    said += &texts(&informer, batch.snapshot());

    // Faults of every kind, each with the marker in its body.
    let event = |object: Value| FaultAction::Insert(format!("{object}\n").into());
    let status = json!({ "kind": "Status", "code": 500, "reason": SECRET, "message": SECRET });
    for action in [
        FaultAction::Garbage(SECRET.into()),
        FaultAction::Garbage(json!({ "metadata": SECRET, "items": [SECRET] }).to_string().into()),
        FaultAction::Insert(format!("{SECRET}\n").into()),
        event(json!({ "type": SECRET, "object": {} })),
        event(json!({ "type": "ADDED", "object": SECRET })),
        event(json!({ "type": "ADDED", "object": { "metadata": { "name": [SECRET], "uid": SECRET } } })),
        event(json!({ "type": "DELETED", "object": { "metadata": SECRET } })),
        event(json!({ "type": "BOOKMARK", "object": { "metadata": { "resourceVersion": [SECRET] } } })),
        event(json!({ "type": "ERROR", "object": status })),
        event(status.clone()),
    ] {
        settle().await;
        server.inject(Fault::new(action.clone()).verb("watch"));
        server.inject(Fault::new(action).verb("list"));
        server.disconnect_watches();
        settle().await;
        server.create(secret_widget(&format!("n{}", said.len()), json!({ "number": 1 }))).unwrap();
        let newest = server.count(WIDGETS);
        settle().await;
        said += &texts(&informer, &informer.snapshot());
        until(&informer, "it recovers", |view| view.len() + view.invalid().len() >= newest).await;
    }
    informer.shutdown().await;
    let log = log.text();
    assert!(log.contains("kube_informer"), "nothing of ours was captured");
    assert!(said.contains("a/text") && said.contains("spec"), "they do tell which and where");
    for (what, text) in [("an error", &said), ("the log", &log)] {
        let at = text.find(SECRET);
        assert!(
            at.is_none(),
            "{what} tells: ..{}..",
            &text[at.unwrap().saturating_sub(200)..at.unwrap() + 20]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p09_no_body_of_a_failed_request_reaches_a_log_or_an_error() {
    let log = Captured::default();
    let _capturing = log.all();
    let mut said = String::new();
    for code in [400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504] {
        for body in [
            json!({ "kind": "Status", "status": SECRET, "message": SECRET, "reason": SECRET, "code": 500,
                    "details": { "name": SECRET, "causes": [{ "reason": SECRET, "message": SECRET }] } })
            .to_string(),
            SECRET.to_owned(),
        ] {
            let service = service_fn(move |_: Request<Body>| {
                let body = Body::from(body.clone().into_bytes());
                let response = Response::builder().status(code).header("reason", "none").body(body);
                async { response }
            });
            let api = Api::<Widget>::all(Client::new(service, "default"));
            let informer = Informer::builder(api).start();
            eventually("it failed", || informer.status().last_error).await;
            said += &texts(&informer, &informer.snapshot());
            assert!(said.contains(&format!("{code}")), "the code is told");
        }
    }
    let log = log.text();
    assert!(log.contains("kube_informer") && !log.contains(SECRET));
    assert!(!said.contains(SECRET));
}
