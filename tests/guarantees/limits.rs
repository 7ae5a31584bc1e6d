//! Promises 8 and 9: endless or oversized responses of a broken or hostile server are bounded.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube_client::client::Body;
use kube_client::{Api, Client};
use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Config, Informer, Limits, Obj};
use serde_json::json;
use tokio::time::Instant;
use tower::{Service, service_fn};

use crate::support::*;

type Answer = UnsyncBoxBody<Bytes, io::Error>;

/// A client whose responses come from `instead` while `broken`, and from the server otherwise.
struct Detour {
    api: Api<Widget>,
    broken: Arc<AtomicBool>,
    /// The number of requests that `instead` answered.
    answered: Arc<AtomicUsize>,
}

impl Detour {
    fn new(
        server: &ApiServer,
        instead: impl Fn(&str, usize) -> Option<Answer> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (broken, answered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (is_broken, count, service) = (broken.clone(), answered.clone(), server.service());
        let service = service_fn(move |request: Request<Body>| {
            let mut service = service.clone();
            let query = request.uri().query().unwrap_or_default();
            let broken = is_broken.load(Ordering::Relaxed);
            let answer = instead(query, count.load(Ordering::Relaxed)).filter(|_| broken);
            count.fetch_add(usize::from(answer.is_some()), Ordering::Relaxed);
            async move {
                match answer {
                    Some(body) => Ok(Response::new(body)),
                    None => Ok::<_, io::Error>(service.call(request).await?.map(BodyExt::boxed_unsync)),
                }
            }
        });
        Self { api: Api::all(Client::new(service, "default")), broken, answered }
    }

    fn start(&self, limits: Limits) -> Indexed {
        start(
            Informer::builder(self.api.clone())
                .config(Config::new().limits(limits).streaming_lists(false))
                .project(Kept::from),
        )
    }

    fn mend(&self) {
        self.broken.store(false, Ordering::Relaxed);
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

fn body(text: String) -> Answer {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn is_watch(query: &str) -> bool {
    query.contains("watch=true")
}

/// Makes an object larger by this many bytes.
fn grow(server: &ApiServer, name: &str, bytes: usize) {
    let annotations = json!({ "metadata": { "annotations": { "x": "y".repeat(bytes) } } });
    server.merge_patch(WIDGETS, "a", name, annotations).unwrap();
}

fn shrink(server: &ApiServer, name: &str) {
    server.merge_patch(WIDGETS, "a", name, json!({ "metadata": { "annotations": null } })).unwrap();
}

async fn says(indexed: &Indexed, what: &str) {
    eventually(what, || {
        let error = indexed.informer.status().last_error?;
        assert!(!format!("{error} {error:?}").contains("yyyy"), "content in {error:?}");
        error.to_string().ends_with(what).then_some(())
    })
    .await;
}

/// Waits until all objects except `large` are as on the server.
async fn all_but(indexed: &Indexed, server: &ApiServer, large: &str) {
    let snapshot = until(&indexed.informer, "all others are current", |view| {
        let (mut mine, mut theirs) = (content(view), truth(server));
        mine.remove(large);
        theirs.remove(large);
        view.is_synced() && mine == theirs && view.invalid_len() == 1
    })
    .await;
    indexed.assert_consistent(&snapshot);
    let invalid = snapshot.invalid().next().unwrap();
    assert_eq!(invalid.key().unwrap().to_string(), large);
    assert_eq!(invalid.mismatch(), "larger than the limit");
    assert_eq!(indexed.informer.stats().invalid_objects, 1);
}

#[tokio::test(start_paused = true)]
async fn p09_an_object_larger_than_allowed_harms_only_itself_and_heals_when_it_shrinks() {
    for server in [server(), paging_server()] {
        populate(&server, 5, 1);
        grow(&server, "w001", 5_000);
        let indexed = start(kept(&server).config(Config::new().limits(Limits::new().object_bytes(4_000))));
        // In a list.
        all_but(&indexed, &server, "a/w001").await;
        assert!(indexed.informer.get(("a", "w001")).is_none());
        shrink(&server, "w001");
        let snapshot = agree(&indexed, &server).await;
        assert_eq!((snapshot.len(), snapshot.invalid_len()), (5, 0));

        // In a watch: the last good version stays, also after a relist.
        settle().await;
        let lists = indexed.informer.stats().lists;
        let good = indexed.informer.get(("a", "w002")).unwrap();
        grow(&server, "w002", 5_000);
        set(&server, "a", "w003", 7);
        all_but(&indexed, &server, "a/w002").await;
        assert_eq!(indexed.informer.stats().lists, lists, "the watch goes on");
        set(&server, "a", "w004", 8);
        force_relist(&server);
        all_but(&indexed, &server, "a/w002").await;
        assert_eq!(indexed.informer.stats().lists, lists + 1);
        assert!(Obj::ptr_eq(&indexed.informer.get(("a", "w002")).unwrap(), &good));
        shrink(&server, "w002");
        assert_eq!(agree(&indexed, &server).await.invalid_len(), 0);

        // Deleted while it is too large.
        grow(&server, "w003", 5_000);
        all_but(&indexed, &server, "a/w003").await;
        server.delete(WIDGETS, "a", "w003").unwrap();
        let snapshot = agree(&indexed, &server).await;
        assert_eq!((snapshot.len(), snapshot.invalid_len()), (4, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn p08_a_page_larger_than_allowed_fails_its_list_and_keeps_the_state() {
    // Refuse streaming lists, which have no pages and would succeed.
    let server = server();
    let refuse = FaultAction::Respond { code: 400, retry_after: None };
    server.inject(Fault::new(refuse).streaming().times(0));
    populate(&server, 5, 1);
    let indexed = start(kept(&server).config(Config::new().limits(Limits::new().page_bytes(5_000))));
    let before = agree(&indexed, &server).await;
    settle().await;
    server.disconnect_watches();
    grow(&server, "w001", 5_000);
    server.compact_all();
    says(&indexed, "a page larger than the limit of 5000 bytes").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(content(&indexed.informer.snapshot()), content(&before));
    assert!(indexed.informer.status().stale_since.is_some());
    shrink(&server, "w001");
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_a_line_without_end_is_given_up_and_listed_instead() {
    let server = paging_server();
    populate(&server, 5, 1);
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let detour = Detour::new(&server, move |query, answered| {
        if !is_watch(query) || answered > 2 {
            return None;
        }
        let counted = counted.clone();
        // In portions, or the server would block the runtime.
        let endless = stream::iter(0..).then(move |at: u32| {
            counted.fetch_add(1_000, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(u64::from(at % 2))).await;
                Ok(Frame::data(Bytes::from(vec![b'{'; 1_000])))
            }
        });
        Some(StreamBody::new(endless).boxed_unsync())
    });
    let indexed = detour.start(Limits::new().line_bytes(50_000));
    says(&indexed, "a line longer than the limit").await;
    // A list follows each of these, so the write arrives anyway.
    set(&server, "a", "w001", 2);
    agree(&indexed, &server).await;
    eventually("all were met", || (detour.answered() == 3).then_some(())).await;
    detour.mend();
    set(&server, "a", "w001", 3);
    agree(&indexed, &server).await;
    let read = read.load(Ordering::Relaxed);
    assert!((150_000..=160_000).contains(&read), "{read} bytes were read");
    assert!(indexed.informer.stats().lists >= 4);
}

#[tokio::test(start_paused = true)]
async fn p08_a_chain_of_pages_without_end_is_given_up() {
    let server = server();
    populate(&server, 5, 1);
    let detour = Detour::new(&server, |query, answered| {
        let list = json!({
            "metadata": { "resourceVersion": "5", "continue": format!("token-{answered}") },
            "items": [widget("a", &format!("y-{answered}"), 1)],
        });
        (!is_watch(query)).then(|| body(list.to_string()))
    });
    let indexed = detour.start(Limits::new().pages(20));
    says(&indexed, "more pages than the limit").await;
    assert_eq!(detour.answered(), 20);
    tokio::time::sleep(Duration::from_secs(200)).await;
    let asked = detour.answered();
    assert!(asked.is_multiple_of(20) && (100..=400).contains(&asked), "{asked}: it backs off");
    assert!(indexed.informer.snapshot().is_empty() && !indexed.informer.is_synced());
    detour.mend();
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_a_body_that_dribbles_is_given_up() {
    let server = server();
    populate(&server, 5, 1);
    let detour = Detour::new(&server, |query, _| {
        let drops = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Frame::data(Bytes::from_static(b" ")))
        });
        (!is_watch(query)).then(|| StreamBody::new(drops).boxed_unsync())
    });
    let began = Instant::now();
    let indexed = detour.start(Limits::new().page_time(Duration::from_secs(40)));
    says(&indexed, "no response within 40 s").await;
    assert!(began.elapsed() < Duration::from_secs(41));
    assert_eq!(detour.answered(), 1);
    detour.mend();
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn p08_how_soon_a_silent_watch_is_looked_into_can_be_set() {
    for (silence, found) in [(10, 9..20), (0, 295..700)] {
        let server = server();
        populate(&server, 5, 1);
        let detour = Detour::new(&server, |query, answered| {
            let first = is_watch(query) && answered == 0;
            first.then(|| StreamBody::new(stream::pending()).boxed_unsync())
        });
        let indexed = detour.start(Limits::new().watch_silence(Duration::from_secs(silence)));
        agree(&indexed, &server).await;
        settle().await;
        assert_eq!(detour.answered(), 1);
        let lost = Instant::now();
        set(&server, "a", "w001", 2);
        agree(&indexed, &server).await;
        assert!(found.contains(&(lost.elapsed().as_secs() + 5)), "{silence}: {:?}", lost.elapsed());
    }
}
