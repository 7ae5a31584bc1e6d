//! `Builder::decode`: what holds for a projection holds for one that reads the text of an object.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube_informer::{Informer, Obj};
use serde::Deserialize;
use serde_json::json;

use crate::support::*;

/// What is read of the text of a widget.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    spec: SpecFields<'a>,
}

#[derive(Deserialize)]
struct SpecFields<'a> {
    number: u64,
    #[serde(borrow, default)]
    group: Cow<'a, str>,
}

fn kept(json: &str) -> serde_json::Result<Kept> {
    let Fields { spec } = serde_json::from_str(json)?;
    Ok(Kept { number: spec.number, group: spec.group.into() })
}

#[tokio::test(start_paused = true)]
async fn p11_a_version_is_decoded_once_and_by_the_application_alone() {
    for server in [server(), paging_server()] {
        populate(&server, 5, 1);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let indexed = start(Informer::builder(api(&server)).decode(move |json| {
            counted.fetch_add(1, Ordering::Relaxed);
            kept(json)
        }));
        indexed.informer.synced().await.unwrap();
        agree(&indexed, &server).await;
        set(&server, "a", "w001", 7);
        // Its tags are not those of a `Widget`, which is not decoded.
        let mut odd = widget("a", "odd", 8);
        odd["spec"]["tags"] = json!("none");
        server.create(odd).unwrap();
        let snapshot = until(&indexed.informer, "both are there", |view| view.len() == 6).await;
        assert_eq!(snapshot.by_index(&indexed.by_number, &8).len(), 1);
        assert_eq!(snapshot.invalid_len(), 0);
        force_relist(&server);
        set(&server, "a", "w002", 9);
        until(&indexed.informer, "relisted", |view| view.get(("a", "w002")).unwrap().number == 9).await;
        assert_eq!(calls.load(Ordering::Relaxed), 8, "five, two changes and one new");
    }
}

#[tokio::test(start_paused = true)]
async fn p09_text_that_does_not_decode_makes_the_object_invalid() {
    let server = server();
    populate(&server, 5, 2);
    let informer = start(Informer::builder(api(&server)).decode(kept)).informer;
    informer.synced().await.unwrap();
    let good = informer.get(("a", "w001")).unwrap();
    server.merge_patch(WIDGETS, "a", "w001", json!({ "spec": { "number": "hush-hush" } })).unwrap();
    let snapshot = until(&informer, "it is invalid", |view| view.invalid_len() == 1).await;
    assert!(Obj::ptr_eq(snapshot.get(("a", "w001")).unwrap(), &good), "the last good version stays");
    let error = snapshot.invalid().next().unwrap();
    assert_eq!(error.key().unwrap().to_string(), "a/w001");
    let source = std::error::Error::source(error).unwrap();
    assert!(source.is::<serde_json::Error>(), "the application's own error is its source");
    assert!(source.to_string().contains("hush-hush"));
    assert!(!format!("{error} {error:?}").contains("hush-hush"), "and in no text of ours: {error}");
    set(&server, "a", "w001", 4);
    until(&informer, "it is good", |view| view.len() == 5 && view.invalid_len() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn p10_a_panic_while_text_is_decoded_harms_only_the_object() {
    quiet_panics();
    let server = server();
    populate(&server, 5, 2);
    let informer = start(Informer::builder(api(&server)).decode(|json| {
        let kept = kept(json)?;
        if kept.number == 10 {
            std::panic::panic_any(EXPECTED);
        }
        serde_json::Result::Ok(kept)
    }))
    .informer;
    informer.synced().await.unwrap();
    let good = informer.get(("a", "w001")).unwrap();
    set(&server, "a", "w001", 10);
    set(&server, "a", "w002", 11);
    let snapshot =
        until(&informer, "the other is there", |view| view.get(("a", "w002")).unwrap().number == 11).await;
    assert!(Obj::ptr_eq(snapshot.get(("a", "w001")).unwrap(), &good));
    assert_eq!((snapshot.len(), snapshot.invalid_len()), (5, 1));
    set(&server, "a", "w001", 12);
    until(&informer, "it is good", |view| view.invalid_len() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_index_declared_before_decode_is_of_what_is_decoded() {
    let server = server();
    populate(&server, 5, 2);
    let mut builder = Informer::builder(api(&server));
    let by_number = builder.index(|widget: &Widget| widget.spec.number);
    let informer = builder
        .decode(|json| {
            let mut widget: Widget = serde_json::from_str(json)?;
            widget.spec.number += 1;
            serde_json::Result::Ok(widget)
        })
        .start();
    informer.synced().await.unwrap();
    assert_eq!(informer.snapshot().by_index(&by_number, &3).len(), 5);
}
