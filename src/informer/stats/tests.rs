//! Each statistic changes as expected, on the in-process API server with paused time.

use futures_util::StreamExt as _;
use futures_util::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, Client};
use kube_runtime::watcher::{Error as WatcherError, Event};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::subscribe::Subscription;
use crate::testing::{ApiServer, Fault, FaultAction};

/// A marker in every field of an object that can contain text.
const SECRET: &str = "s3cr3t-marker";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {SECRET: SECRET},
        "metadata": {"name": name, "namespace": "default", "labels": {SECRET: SECRET}}})
}

fn change(server: &ApiServer, name: &str, value: u32) {
    let patch = json!({"data": {"value": value.to_string()}});
    server.merge_patch("configmaps", "default", name, patch).unwrap();
}

fn start(server: &ApiServer) -> Informer<ConfigMap> {
    Informer::builder(Api::all(Client::new(server.service(), "default"))).start()
}

async fn next(changes: &mut Subscription<ConfigMap>) -> usize {
    let batch = tokio::time::timeout(Duration::from_secs(60), changes.next()).await;
    batch.expect("a batch comes").expect("the informer runs").changes().count()
}

/// Long enough for a sweep of old versions, and for a watch to count as working.
async fn settle() {
    sleep(Duration::from_secs(5)).await;
}

fn secs(age: Option<Duration>) -> Option<u64> {
    age.map(|age| age.as_secs_f64().round() as u64)
}

#[tokio::test(start_paused = true)]
async fn they_begin_with_nothing_and_show_the_first_list() {
    let server = ApiServer::new();
    server.create(map("a")).unwrap();
    server.set_latency(Duration::from_secs(3));
    let informer = start(&server);
    let stats = informer.stats();
    assert_eq!((stats.objects, stats.revision, stats.lists, stats.watches), (0, 0, 0, 0));
    assert_eq!((stats.resource_version, stats.last_event), (None, None));
    informer.synced().await.unwrap();
    server
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
        "metadata": {"name": "b", "namespace": "default"}}))
        .unwrap();
    informer.wait_until(|view| view.len() == 2).await.unwrap();
    let stats = informer.stats();
    assert_eq!((stats.objects, stats.revision, stats.lists, stats.watches), (2, 2, 1, 1));
    assert_eq!(stats.resource_version.as_ref(), informer.snapshot().resource_version());
    assert_eq!((stats.relists.total(), stats.watch_restarts, stats.errors), (0, 0, 0));
    assert_eq!((stats.invalid_objects, stats.new_epochs), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_last_event_grows_until_an_event_or_a_bookmark() {
    let server = ApiServer::builder().bookmark_interval(Duration::from_secs(60)).build();
    let informer = start(&server);
    informer.synced().await.unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(secs(informer.stats().last_event), Some(20));
    server.create(map("a")).unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(secs(informer.stats().last_event), Some(10));
    let revision = informer.stats().revision;
    // Bookmarks arrive each minute; no event does.
    let mut ages = Vec::new();
    for _ in 0..12 {
        sleep(Duration::from_secs(10)).await;
        ages.push(secs(informer.stats().last_event).unwrap());
    }
    assert!(ages.windows(2).any(|pair| pair[1] < pair[0]), "no bookmark was heard: {ages:?}");
    assert!(ages.iter().all(|age| *age <= 60), "{ages:?}");
    assert_eq!(informer.stats().revision, revision);
}

#[tokio::test(start_paused = true)]
async fn relists_restarts_and_errors_are_told_apart() {
    let server = ApiServer::new();
    server.create(map("a")).unwrap();
    let informer = start(&server);
    informer.synced().await.unwrap();
    settle().await;
    // A watch that breaks, and one that ends in order: both are resumed.
    server.inject(Fault::new(FaultAction::CutStream).verb("watch").resource("configmaps"));
    change(&server, "a", 1);
    settle().await;
    let stats = informer.stats();
    assert_eq!((stats.watch_restarts, stats.errors, stats.relists.total()), (1, 1, 0), "{stats}");
    server.inject(Fault::new(FaultAction::EndStream).verb("watch").resource("configmaps"));
    change(&server, "a", 2);
    settle().await;
    let stats = informer.stats();
    assert_eq!((stats.watch_restarts, stats.errors, stats.relists.total()), (2, 1, 0), "{stats}");
    // A watch whose version has expired: the kind is listed.
    server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch").resource("configmaps"));
    change(&server, "a", 3);
    settle().await;
    let stats = informer.stats();
    assert_eq!((stats.watch_restarts, stats.errors), (2, 2), "{stats}");
    assert_eq!(stats.relists, Relists { expired: 1, ..Relists::default() });
    assert_eq!(stats.relists.total(), 1);
    let named: Vec<_> = stats.relists.causes().filter(|(_, count)| *count > 0).collect();
    assert_eq!(named, [("expired", 1)]);
    assert_eq!(informer.get(("default", "a")).unwrap().data.as_ref().unwrap()["value"], "3");
}

#[tokio::test(start_paused = true)]
async fn phase_and_age_of_the_status_are_printed() {
    let server = ApiServer::new();
    let informer = start(&server);
    informer.synced().await.unwrap();
    settle().await;
    server.inject(Fault::new(FaultAction::Reset).times(0));
    server.disconnect_watches();
    sleep(Duration::from_secs(30)).await;
    let since = informer.status().stale_since.expect("it cannot follow").elapsed();
    assert!(informer.stats().errors > 2 && since > Duration::from_secs(25));
    let line = format!("{informer:?}");
    assert!(line.contains(&format!(": backing off, stale for {}, 0 objects", Age(since))), "{line}");
    server.clear_faults();
    sleep(Duration::from_secs(60)).await;
    let line = format!("{informer:?}");
    assert!(line.contains(": watching, 0 objects"), "{line}");
    informer.shutdown().await;
    assert!(format!("{informer:?}").contains(": stopped, "));
}

#[tokio::test(start_paused = true)]
async fn an_old_version_is_pinned_for_as_long_as_somebody_holds_it() {
    let server = ApiServer::builder().bookmark_interval(Duration::from_secs(1)).build();
    server.create(map("a")).unwrap();
    let informer = start(&server);
    informer.synced().await.unwrap();
    settle().await;
    assert_eq!(informer.stats().pinned_versions, 0);
    let first = informer.snapshot();
    // A write to another kind advances the version of bookmarks, which publishes the same content again. The
    // held snapshot then keeps no additional memory.
    server.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}})).unwrap();
    settle().await;
    assert!(first.resource_version() < informer.snapshot().resource_version());
    assert_eq!(informer.stats().pinned_versions, 0);
    change(&server, "a", 1);
    settle().await;
    assert_eq!(informer.stats().pinned_versions, 1);
    let (second, again) = (informer.snapshot(), first.clone());
    change(&server, "a", 2);
    change(&server, "a", 3);
    settle().await;
    assert_eq!(informer.stats().pinned_versions, 2, "whoever holds them, these are two");
    drop(first);
    settle().await;
    assert_eq!(informer.stats().pinned_versions, 2);
    drop(again);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(informer.stats().pinned_versions, 1);
    drop(second);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(informer.stats().pinned_versions, 0);
}

#[tokio::test(start_paused = true)]
async fn the_slowest_subscription_is_told_of_and_forgotten() {
    let server = ApiServer::new();
    server.create(map("a")).unwrap();
    let informer = start(&server);
    let mut early = informer.subscribe();
    assert_eq!((informer.stats().subscribers, informer.stats().slowest_lag), (1, 0));
    informer.synced().await.unwrap();
    assert_eq!(informer.stats().slowest_lag, 1, "its first batch waits");
    assert_eq!(next(&mut early).await, 1);
    assert_eq!(informer.stats().slowest_lag, 0);
    let mut follower = informer.subscribe();
    let mut elsewhere = informer.subscribe().in_namespace("other");
    assert_eq!((next(&mut follower).await, next(&mut elsewhere).await), (1, 0));
    let skips = tokio::spawn(async move { elsewhere.next().await.is_none() });
    // `early` does not read, `follower` reads each batch, and the third subscription has no changes to
    // receive.
    let held = informer.snapshot();
    for value in 0..10 {
        change(&server, "a", value);
        assert_eq!(next(&mut follower).await, 1);
        let stats = informer.stats();
        assert_eq!((stats.subscribers, stats.slowest_lag), (3, u64::from(value) + 1));
    }
    // One subscription from now, one from a held snapshot.
    let late = informer.subscribe();
    assert_eq!(informer.stats().slowest_lag, 10);
    assert_eq!(next(&mut early).await, 1, "all ten in one");
    assert_eq!(informer.stats().slowest_lag, 1, "the first batch of the late one");
    let resumed = informer.subscribe_from(&held);
    assert_eq!((informer.stats().subscribers, informer.stats().slowest_lag), (5, 10));
    drop((late, resumed));
    settle().await;
    assert_eq!((informer.stats().subscribers, informer.stats().slowest_lag), (3, 0));
    drop((early, follower));
    informer.shutdown().await;
    assert!(skips.await.unwrap());
    assert_eq!(informer.stats().subscribers, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_subscription_is_behind_begins_with_the_first_change_it_misses() {
    let server = ApiServer::builder().bookmark_interval(Duration::from_secs(1)).build();
    server.create(map("a")).unwrap();
    let informer = start(&server);
    let lag = || informer.stats().longest_lag.as_secs_f64().round() as u64;
    let mut early = informer.subscribe();
    informer.synced().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(lag(), 10, "since the first list");
    next(&mut early).await;
    // Bookmarks for other kinds publish versions without a change.
    for name in ["b", "c", "d"] {
        server.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})).unwrap();
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(lag(), 0);
    change(&server, "a", 0);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(lag(), 5);
    for value in 1..20 {
        change(&server, "a", value);
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(lag(), 100, "later changes and sweeps do not hide the first");
    // A late one is not behind what was before it, though that is in memory, and does not hide the other.
    let held = informer.snapshot();
    change(&server, "a", 20);
    sleep(Duration::from_secs(5)).await;
    let late = informer.subscribe();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(lag(), 108);
    next(&mut early).await;
    assert_eq!(lag(), 3, "since it began");
    drop((late, held));
    assert_eq!(lag(), 0);
}

#[tokio::test(start_paused = true)]
async fn looking_wakes_nobody_and_changes_nothing() {
    let server = ApiServer::new();
    let informer = start(&server);
    informer.synced().await.unwrap();
    settle().await;
    let (mut status, published) = (informer.inner.status.clone(), informer.snapshot());
    status.mark_unchanged();
    let first = informer.stats();
    assert_eq!(informer.stats(), first);
    assert!(!status.has_changed().unwrap() && std::sync::Arc::ptr_eq(&published.0, &informer.snapshot().0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_counted_as_far_as_it_tells() {
    let object = |name: &str| serde_json::from_value::<ConfigMap>(map(name)).unwrap();
    let (events, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<Event<ConfigMap>, WatcherError>>();
    let stream = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (event, receiver))
    });
    let informer = Informer::from_stream(stream.boxed()).start();
    let send = |some: Vec<Result<Event<ConfigMap>, WatcherError>>| {
        some.into_iter().for_each(|event| events.send(event).unwrap());
    };
    send(vec![Err(WatcherError::NoResourceVersion)]);
    settle().await;
    assert_eq!((informer.stats().last_event, informer.stats().errors), (None, 1), "an error is no event");
    send(vec![Ok(Event::Init), Ok(Event::InitApply(object("a"))), Ok(Event::InitDone)]);
    settle().await;
    let stats = informer.stats();
    assert_eq!((stats.objects, secs(stats.last_event)), (1, Some(5)));
    assert_eq!((stats.relists.total(), stats.resource_version), (0, None));
    // A second list, which succeeds at its second attempt.
    send(vec![Ok(Event::Init), Err(WatcherError::NoResourceVersion), Ok(Event::Init), Ok(Event::InitDone)]);
    settle().await;
    let stats = informer.stats();
    assert_eq!((stats.objects, stats.errors, stats.watch_restarts), (0, 2, 0));
    assert_eq!(stats.relists, Relists { by_stream: 1, ..Relists::default() });
    assert!(format!("{informer:?}").starts_with("Informer(a stream: watching, 0 objects, "), "{informer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_informer_is_printed_on_one_line_with_nothing_of_an_object() {
    let server = ApiServer::new();
    for name in ["a", SECRET] {
        server.create(map(name)).unwrap();
    }
    let broken = json!({"apiVersion": "v1", "kind": "ConfigMap", "binaryData": {SECRET: SECRET},
        "metadata": {"name": "broken", "namespace": "default"}});
    server.create(broken).unwrap();
    let informer =
        Informer::builder(Api::<ConfigMap>::namespaced(Client::new(server.service(), "default"), "default"))
            .try_project(|map: ConfigMap| match map.binary_data {
                None => Ok(map),
                Some(_) => Err(std::io::Error::other(SECRET)),
            })
            .start();
    let _changes = informer.subscribe();
    informer.synced().await.unwrap();
    settle().await;
    server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch"));
    change(&server, "a", 1);
    settle().await;
    let version = server.resource_version();
    let expected = format!(
        "Informer(configmaps in default: watching, 2 objects (1 invalid) at version {version}, last event 5.0s ago, \
         1 relist (1 expired), 0 watch restarts, 1 error, 0 old versions pinned, 1 subscriber (2 behind))"
    );
    assert_eq!(format!("{informer:?}"), expected);
    assert_eq!(format!("{informer:#?}"), expected);
    assert!(!expected.contains(SECRET));
}

#[test]
fn ages_have_two_digits() {
    let ages =
        [(0, "0.0s"), (400, "0.4s"), (9_999, "10.0s"), (12_000, "12s"), (119_999, "119s"), (120_000, "2m")];
    let longer = [(7_199_999, "119m"), (7_200_000, "2h"), (172_800_000, "2d"), (8_640_000_000, "100d")];
    for (millis, text) in ages.into_iter().chain(longer) {
        assert_eq!(Age(Duration::from_millis(millis)).to_string(), text);
    }
}
