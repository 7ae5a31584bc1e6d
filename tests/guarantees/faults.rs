//! Promise 8: on every fault of the API server, the informer keeps its state, reports it as stale with the
//! reason, and recovers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube_client::client::Body;
use kube_client::client::retry::RetryPolicy;
use kube_client::{Api, Client, Config};
use kube_informer::testing::{ApiBody, ApiServer, Fault, FaultAction, Rule};
use kube_informer::{Change, Error, Informer, Phase, Status};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, retry::RetryLayer, service_fn};

use crate::support::*;

/// A fault of the server, and the predicate of its error.
struct Trouble {
    action: FaultAction,
    is: fn(&Error) -> bool,
}

pub(crate) fn respond(code: u16) -> FaultAction {
    FaultAction::Respond { code, retry_after: None }
}

fn is_protocol(error: &Error) -> bool {
    error.to_string().contains("invalid response")
}

/// The faults that may replace a response.
fn troubles() -> Vec<Trouble> {
    let trouble = |action, is| Trouble { action, is };
    vec![
        trouble(FaultAction::Reset, Error::is_transport),
        trouble(FaultAction::Hang, Error::is_timeout),
        trouble(FaultAction::Garbage("<html>busy</html>".into()), is_protocol),
        trouble(FaultAction::Garbage("<html>\nbusy</html>\n".into()), is_protocol),
        trouble(FaultAction::Garbage("{}".into()), is_protocol),
        trouble(respond(401), Error::is_unauthorized),
        trouble(respond(403), Error::is_forbidden),
        trouble(respond(404), Error::is_kind_absent),
        trouble(respond(410), Error::is_expired),
        trouble(respond(429), Error::is_too_many_requests),
        trouble(respond(500), |error| error.http_code() == Some(500)),
        trouble(respond(503), |error| error.http_code() == Some(503)),
        trouble(respond(504), |error| error.http_code() == Some(504)),
    ]
}

async fn stale(indexed: &Indexed, is: fn(&Error) -> bool) -> Status {
    let status = || indexed.informer.status();
    eventually("it is stale and says why", || {
        Some(status())
            .filter(|status| status.stale_since.is_some() && status.last_error.as_ref().is_some_and(is))
    })
    .await
}

async fn recovered(indexed: &Indexed, server: &ApiServer) -> Status {
    agree(indexed, server).await;
    let healthy = |status: &Status| status.stale_since.is_none() && status.phase == Phase::Watching;
    let status =
        eventually("it is well", || Some(indexed.informer.status()).filter(|status| healthy(status))).await;
    assert_eq!(status.failures, 0);
    assert!(status.last_error.is_some(), "the last error stays readable");
    // The informer follows the server again.
    set(server, "a", "w000", 999);
    agree(indexed, server).await;
    status
}

/// A fault on every request: the state is frozen for five minutes, then the informer recovers.
async fn outage(server: ApiServer, client: Client, trouble: Trouble) {
    let about = format!("{:?}", trouble.action);
    populate(&server, 20, 1);
    let builder = Informer::builder(Api::<Widget>::all(client))
        .config(kube_informer::Config::new().page_size(7))
        .project(Kept::from);
    let indexed = start(builder);
    let before = agree(&indexed, &server).await;
    settle().await;
    let began = Instant::now();
    server.inject(Fault::new(trouble.action).times(0));
    set(&server, "a", "w001", 2);
    server.delete(WIDGETS, "a", "w002").unwrap();
    force_relist(&server);
    let first = stale(&indexed, trouble.is).await;
    for round in 3..30 {
        set(&server, "a", "w001", round);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let snapshot = indexed.informer.snapshot();
        assert_eq!(snapshot.revision(), before.revision(), "{about}: the state is kept");
        assert_eq!(content(&snapshot), content(&before), "{about}");
        let status = indexed.informer.status();
        assert_eq!(status.stale_since, first.stale_since, "{about}: stale since the first failure");
        assert!(status.synced && status.failures > 0, "{about}");
    }
    assert!(first.stale_since.unwrap() >= began, "{about}");
    server.clear_faults();
    recovered(&indexed, &server).await;
    indexed.informer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn p08_an_outage_keeps_the_state_marks_it_stale_and_is_caught_up_on() {
    for trouble in troubles() {
        let server = server();
        outage(server.clone(), Client::new(server.service(), "default"), trouble).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p08_an_outage_under_a_client_that_retries_by_itself() {
    for trouble in troubles() {
        let server = server();
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(RetryPolicy::server_retry()))
            .map_err(tower::BoxError::from)
            .service(buffered(server.service()));
        // The retries hide these errors until the informer's own timeout.
        let is = match trouble.action {
            FaultAction::Respond { code: 429 | 503 | 504, .. } => Error::is_timeout,
            _ => trouble.is,
        };
        outage(server, Client::new(service, "default"), Trouble { is, ..trouble }).await;
    }
}

/// The retry policy requires a service with boxed errors.
fn buffered(
    service: impl Service<
        Request<Body>,
        Response = Response<ApiBody>,
        Error = std::io::Error,
        Future: Send + 'static,
    > + Clone,
) -> impl Service<Request<Body>, Response = Response<ApiBody>, Error = tower::BoxError, Future: Send + 'static>
+ Clone {
    ServiceBuilder::new().map_err(tower::BoxError::from).service(service)
}

#[tokio::test(start_paused = true)]
async fn p08_trouble_before_the_first_list_is_waited_out() {
    for trouble in troubles() {
        for server in [server(), paging_server()] {
            populate(&server, 20, 1);
            server.inject(Fault::new(trouble.action.clone()).times(5));
            let indexed = start(kept(&server));
            let status = stale(&indexed, trouble.is).await;
            assert!(!status.synced && indexed.informer.snapshot().is_empty());
            indexed.informer.synced().await.unwrap();
            recovered(&indexed, &server).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p08_trouble_at_a_later_page_never_shows_half_a_list() {
    for trouble in troubles() {
        let server = paging_server();
        populate(&server, 20, 1);
        let indexed = start(kept(&server).config(kube_informer::Config::new().page_size(7)));
        agree(&indexed, &server).await;
        settle().await;
        for at in 0..20 {
            set(&server, "a", &name(at), 2);
        }
        server.inject(Fault::new(trouble.action.clone()).verb("list").after(2).times(2));
        let mut changes = indexed.informer.subscribe();
        next(&mut changes).await;
        force_relist(&server);
        let batch = next(&mut changes).await;
        assert_eq!(batch.changes().count(), 20, "{:?}: all at once", trouble.action);
        let error = indexed.informer.status().last_error.unwrap();
        assert!((trouble.is)(&error), "{:?}: {error}", trouble.action);
        recovered(&indexed, &server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p08_an_expired_page_is_followed_by_a_list_in_one_piece() {
    let server = paging_server();
    populate(&server, 20, 1);
    server.inject(Fault::new(respond(410)).verb("list").after(1));
    let indexed = start(kept(&server).config(kube_informer::Config::new().page_size(7)));
    agree(&indexed, &server).await;
    let requests = server.requests();
    let lists: Vec<_> = requests.recent().filter(|request| request.verb == "list").collect();
    let limits: Vec<_> = lists.iter().map(|request| request.path.contains("limit=7")).collect();
    assert_eq!(limits, [true, true, false], "{lists:?}");
}

#[tokio::test(start_paused = true)]
async fn p08_trouble_at_the_start_of_a_watch() {
    for trouble in troubles() {
        // Lists in pages, so that the relists themselves succeed.
        let server = paging_server();
        populate(&server, 20, 1);
        let indexed = start(kept(&server));
        agree(&indexed, &server).await;
        settle().await;
        server.inject(Fault::new(trouble.action.clone()).verb("watch").times(4));
        server.disconnect_watches();
        set(&server, "a", "w003", 2);
        stale(&indexed, trouble.is).await;
        recovered(&indexed, &server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p08_trouble_within_a_watch() {
    let event = |line: &'static str| FaultAction::Insert(line.into());
    let trouble = |action, is| Trouble { action, is };
    let any: fn(&Error) -> bool = |_| true;
    for trouble in [
        trouble(FaultAction::CutStream, Error::is_transport),
        trouble(FaultAction::ErrorEvent(410), Error::is_expired),
        trouble(FaultAction::ErrorEvent(429), Error::is_too_many_requests),
        trouble(FaultAction::ErrorEvent(500), any),
        trouble(event("no event\n"), is_protocol),
        trouble(event("{\"type\":\"ADDED\"}\n"), is_protocol),
        trouble(event("{\"type\":\"SURPRISE\",\"object\":{}}\n"), is_protocol),
        trouble(event("{\"type\":\"BOOKMARK\",\"object\":[]}\n"), is_protocol),
        trouble(event("{\"type\":\"DELETED\",\"object\":{\"metadata\":{}}}\n"), is_protocol),
        // A bare Status, as some proxies send.
        trouble(event("{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}\n"), Error::is_expired),
    ] {
        let about = format!("{:?}", trouble.action);
        for server in [server(), paging_server()] {
            populate(&server, 20, 1);
            let indexed = start(kept(&server));
            agree(&indexed, &server).await;
            settle().await;
            server.inject(Fault::new(trouble.action.clone()).verb("watch").times(3));
            for round in 2..12 {
                for at in 0..3 {
                    set(&server, "a", &name(at), round);
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let status = recovered(&indexed, &server).await;
            let error = status.last_error.unwrap();
            assert!((trouble.is)(&error), "{about}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p08_retry_after_is_obeyed() {
    for server in [server(), paging_server()] {
        populate(&server, 3, 1);
        let indexed = start(kept(&server));
        agree(&indexed, &server).await;
        settle().await;
        let busy = FaultAction::Respond { code: 429, retry_after: Some(120) };
        server.inject(Fault::new(busy).times(2));
        set(&server, "a", "w001", 2);
        force_relist(&server);
        for _ in 0..2 {
            let status = stale(&indexed, Error::is_too_many_requests).await;
            assert_eq!(status.last_error.unwrap().retry_after(), Some(Duration::from_secs(120)));
            server.reset_requests();
            tokio::time::sleep(Duration::from_secs(110)).await;
            assert_eq!(server.requests().total(), 0, "asked again before its time");
            tokio::time::sleep(Duration::from_secs(12)).await;
            assert!(server.requests().total() > 0, "not asked again");
        }
        recovered(&indexed, &server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p08_waits_grow_with_the_outage_with_jitter_and_stay_below_8_seconds() {
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let (asking, server) = (asked.clone(), server());
    let service = service_fn(move |_: Request<Body>| {
        asking.lock().unwrap().push(Instant::now());
        async { Err::<Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
    });
    let gaps = async || {
        asked.lock().unwrap().clear();
        let informer = Informer::builder(Api::<Widget>::all(Client::new(service.clone(), "default"))).start();
        tokio::time::sleep(Duration::from_secs(600)).await;
        informer.shutdown().await;
        let asked = asked.lock().unwrap();
        asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect::<Vec<_>>()
    };
    let (one, two) = (gaps().await, gaps().await);
    assert!(one[0] < 0.1, "the first is short: {one:?}");
    assert!(one[60..].iter().all(|gap| (2.4..7.6).contains(gap)), "the later ones are long: {one:?}");
    let sum = |gaps: &[f64]| gaps.iter().sum::<f64>();
    let growing = [&one[..10], &one[10..20], &one[20..30], &one[30..40]].map(sum);
    assert!(growing.is_sorted(), "they grow: {one:?}");
    // Short waits may be equal by chance, since the clock counts milliseconds.
    let alike = one.iter().zip(&two).filter(|(one, two)| (**one - **two).abs() <= 0.001).count();
    assert!(alike < one.len() / 4, "{alike} of {} alike: {one:?} {two:?}", one.len());
    drop(server);
}

/// A client whose streams can be stalled: they stay open, but nothing arrives.
fn half_open(server: &ApiServer, dead: &Arc<AtomicBool>) -> Client {
    let (service, dead) = (server.service(), dead.clone());
    let service = service_fn(move |request: Request<Body>| {
        let (mut service, dead) = (service.clone(), dead.clone());
        async move {
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let response = service.call(request).await?;
            let still = watches && dead.load(Ordering::Relaxed);
            Ok::<_, std::io::Error>(response.map(|body| -> UnsyncBoxBody<bytes::Bytes, std::io::Error> {
                if still { StreamBody::new(stream::pending()).boxed_unsync() } else { body.boxed_unsync() }
            }))
        }
    });
    Client::new(service, "default")
}

#[tokio::test(start_paused = true)]
async fn p08_a_watch_that_hears_nothing_is_found_out() {
    let (server, dead) = (server(), Arc::new(AtomicBool::new(false)));
    populate(&server, 5, 1);
    let api = Api::<Widget>::all(half_open(&server, &dead));
    let indexed = start(Informer::builder(api).project(Kept::from));
    agree(&indexed, &server).await;
    settle().await;
    dead.store(true, Ordering::Relaxed);
    server.disconnect_watches();
    settle().await;
    assert_eq!(indexed.informer.status().stale_since, None, "it looks like a watch");
    set(&server, "a", "w001", 2);
    let lost = Instant::now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    dead.store(false, Ordering::Relaxed);
    agree(&indexed, &server).await;
    let took = lost.elapsed();
    assert!(took < Duration::from_secs(200), "found out after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn p08_a_streaming_list_that_never_ends_is_given_up_for_pages() {
    let (server, dead) = (server(), Arc::new(AtomicBool::new(true)));
    populate(&server, 5, 1);
    let api = Api::<Widget>::all(half_open(&server, &dead));
    let began = Instant::now();
    let indexed = start(Informer::builder(api).project(Kept::from));
    indexed.informer.synced().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "ten seconds of silence are enough");
    dead.store(false, Ordering::Relaxed);
    agree(&indexed, &server).await;
    let requests = server.requests();
    let streams = requests.recent().filter(|request| request.path.contains("sendInitialEvents")).count();
    assert_eq!(streams, 1, "not tried again at once");
}

#[tokio::test(start_paused = true)]
async fn p08_missing_bookmarks_cost_a_relist_at_most() {
    let quiet = ApiServer::builder().without_built_ins().kind(widgets());
    let quiet = quiet.bookmark_interval(Duration::from_secs(1_000_000)).build();
    populate(&quiet, 5, 1);
    let indexed = start(kept(&quiet));
    agree(&indexed, &quiet).await;
    for round in 2..6 {
        // Longer than the duration of a watch.
        tokio::time::sleep(Duration::from_secs(1000)).await;
        set(&quiet, "a", "w001", round);
        quiet.compact_all();
        agree(&indexed, &quiet).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p08_an_absent_kind_is_a_state_and_its_installation_the_start() {
    let server = ApiServer::builder().without_built_ins().build();
    let indexed = start(kept(&server));
    settle().await;
    for _ in 0..10 {
        server.reset_requests();
        tokio::time::sleep(Duration::from_secs(80)).await;
        let asked = server.requests().total();
        assert!((7..=11).contains(&asked), "{asked} requests in 80 s");
        let status = indexed.informer.status();
        assert_eq!(status.phase, Phase::Absent);
        assert!(status.last_error.unwrap().is_kind_absent() && !status.synced);
    }
    server.install(widgets()).unwrap();
    let installed = Instant::now();
    populate(&server, 3, 1);
    indexed.informer.synced().await.unwrap();
    assert!(installed.elapsed() <= Duration::from_secs(11));
    let mut changes = indexed.informer.subscribe();
    assert_eq!(next(&mut changes).await.changes().count(), 3);
    recovered(&indexed, &server).await;

    // The kind is deleted with its objects, which are reported as deletes. Then it is absent, and may be
    // installed again.
    server.uninstall(WIDGETS);
    assert_eq!(next(&mut changes).await.changes().filter(|change| change.new().is_none()).count(), 0);
    until(&indexed.informer, "its objects are gone", |view| view.is_empty()).await;
    eventually("it is absent", || (indexed.informer.status().phase == Phase::Absent).then_some(())).await;
    server.install(widgets()).unwrap();
    populate(&server, 2, 5);
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_a_vanished_kind_is_given_up_only_where_that_was_asked_for() {
    let server = server();
    populate(&server, 5, 1);
    let keeping = start(kept(&server));
    let emptying =
        start(kept(&server).config(kube_informer::Config::new().absent(kube_informer::Absent::Clear)));
    let before = agree(&keeping, &server).await;
    agree(&emptying, &server).await;
    let mut changes = emptying.informer.subscribe();
    next(&mut changes).await;
    settle().await;
    // The kind vanishes for both informers: 404 for its paths, and no watch to report deletes.
    server.inject(Fault::new(respond(404)).verb("list").resource(WIDGETS).times(0));
    server.inject(Fault::new(respond(404)).verb("watch").resource(WIDGETS).times(0));
    server.disconnect_watches();
    tokio::time::sleep(Duration::from_secs(600)).await;
    // Discovery still lists the kind, as behind a broken load balancer.
    assert_eq!(content(&emptying.informer.snapshot()), content(&before));
    server.uninstall(WIDGETS);
    let gone = next(&mut changes).await;
    assert_eq!(gone.changes().filter(|change| matches!(change, Change::Deleted(_))).count(), 5);
    emptying.assert_consistent(gone.snapshot());
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(content(&keeping.informer.snapshot()), content(&before));
    assert!(keeping.informer.status().stale_since.is_some());
    let status = emptying.informer.status();
    assert!(status.stale_since.is_none() && status.phase == Phase::Absent && status.synced, "{status:?}");
    server.clear_faults();
    server.install(widgets()).unwrap();
    populate(&server, 2, 5);
    agree(&keeping, &server).await;
    agree(&emptying, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_an_optional_kind_counts_as_synced_and_empty_while_absent() {
    let server = ApiServer::builder().without_built_ins().build();
    let indexed =
        start(kept(&server).config(kube_informer::Config::new().absent(kube_informer::Absent::Empty)));
    indexed.informer.synced_or_blocked().await.unwrap();
    let mut changes = indexed.informer.subscribe();
    let first = next(&mut changes).await;
    assert!(first.is_initial() && first.snapshot().is_empty() && first.snapshot().is_synced());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let status = indexed.informer.status();
    assert!(
        status.phase == Phase::Absent && status.stale_since.is_none() && status.failures == 0,
        "{status:?}"
    );
    server.install(widgets()).unwrap();
    populate(&server, 3, 1);
    assert!(next(&mut changes).await.changes().all(|change| matches!(change, Change::Added(_))));
    agree(&indexed, &server).await;
    // After it was installed once, the kind is handled like any other.
    server.inject(Fault::new(respond(404)).times(0));
    server.disconnect_watches();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(indexed.informer.snapshot().len() == 3 && indexed.informer.status().stale_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn p08_a_kind_that_is_not_found_any_more_keeps_its_state() {
    let server = server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    let before = agree(&indexed, &server).await;
    settle().await;
    // As with a broken load balancer, or an API version that is no longer served.
    server.inject(Fault::new(respond(404)).times(0));
    server.disconnect_watches();
    eventually("it is absent", || (indexed.informer.status().phase == Phase::Absent).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(content(&indexed.informer.snapshot()), content(&before));
    assert!(indexed.informer.status().stale_since.is_some());
    server.clear_faults();
    recovered(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_a_right_to_list_alone_is_enough_to_sync_and_to_be_stale() {
    let server = server();
    server.deny(Rule::all().verb("watch"));
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    indexed.informer.synced_or_blocked().await.unwrap();
    agree(&indexed, &server).await;
    stale(&indexed, Error::is_forbidden).await;
    set(&server, "a", "w001", 2);
    let written = Instant::now();
    agree(&indexed, &server).await;
    assert!(written.elapsed() < Duration::from_secs(62), "listed again and again");
    server.allow(Rule::all());
    recovered(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_status_changes_tell_of_trouble_and_recovery() {
    use futures_util::StreamExt;
    let server = server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    let statuses = indexed.informer.status_changes();
    let collected = tokio::spawn(statuses.collect::<Vec<Status>>());
    agree(&indexed, &server).await;
    settle().await;
    server.inject(Fault::new(respond(500)).times(6));
    server.disconnect_watches();
    set(&server, "a", "w001", 2);
    agree(&indexed, &server).await;
    settle().await;
    indexed.informer.shutdown().await;
    let all = collected.await.unwrap();
    assert!(all.iter().any(|status| status.stale_since.is_some() && status.failures > 2));
    assert_eq!(all.last().unwrap().phase, Phase::Stopped);
    let last_well = all.iter().rev().find(|status| status.phase == Phase::Watching).unwrap();
    assert!(last_well.stale_since.is_none() && last_well.synced);
}

/// Uses real sockets and the real clock, so the waits take a second or two.
#[tokio::test]
async fn p08_a_server_that_goes_away_and_comes_back_over_http() {
    for default_retry in [false, true] {
        let server = server();
        populate(&server, 10, 1);
        let serving = server.serve().await.unwrap();
        let mut config = Config::new(serving.url().parse().unwrap());
        config.default_retry = default_retry;
        let client = Client::try_from(config).unwrap();
        let indexed = start(Informer::builder(Api::<Widget>::all(client)).project(Kept::from));
        agree(&indexed, &server).await;
        server.inject(Fault::new(respond(503)).times(2));
        server.inject(Fault::new(FaultAction::Reset).after(2));
        set(&server, "a", "w001", 2);
        force_relist(&server);
        agree(&indexed, &server).await;
        let before = indexed.informer.snapshot();
        serving.shutdown().await;
        stale(&indexed, Error::is_transport).await;
        assert_eq!(indexed.informer.snapshot().revision(), before.revision());
        indexed.informer.shutdown().await;
    }
}
