//! Shards: what is requested of a server, and what is taken of its responses.

use http::Request;

use super::*;
use crate::shard::{By, Range, Shard};

/// Two uids from a kube-apiserver: of the lower and of the upper half of the hashes.
const LOW: &str = "c9cb767e-5a66-4052-a8d5-ae334925713a";
const HIGH: &str = "2dcb14d8-8f82-4818-bac7-e0dcaa18d5f8";

fn lower_half(by: By) -> Part {
    Part { shard: Some(Shard::new(by, Range::of(0, 2).unwrap().into())), ..Part::default() }
}

fn object(name: &str, uid: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"a","uid":"{uid}","resourceVersion":"{version}"}}}}"#
    )
}

fn page(objects: &[String], shard_info: bool) -> String {
    let info = if shard_info { r#","shardInfo":{"selector":"..."}"# } else { "" };
    format!(r#"{{"metadata":{{"resourceVersion":"9"{info}}},"items":[{}]}}"#, objects.join(","))
}

/// A server that responds to the queries of requests, which it records, decoded.
fn server(
    respond: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (Client, Arc<Mutex<Vec<String>>>) {
    let queries = Arc::new(Mutex::new(Vec::new()));
    let (seen, respond) = (queries.clone(), Arc::new(respond));
    let service = tower::service_fn(move |request: Request<Body>| {
        let pairs = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
        let query = pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let (code, body) = respond(&query);
        seen.lock().unwrap().push(query);
        let chunks = Chunks { chunks: data(&body).into(), pause: None };
        async move { Ok::<_, Infallible>(Response::builder().status(code).body(chunks).unwrap()) }
    });
    (Client::new(service, "default"), queries)
}

fn sharded(client: Client, by: By) -> HttpSource {
    HttpSource::new(Api::<ConfigMap>::all(client), &(), lower_half(by), Limits::default())
}

async fn names(source: &mut HttpSource) -> Vec<String> {
    let page = source.list(&ListRequest::default()).await.unwrap();
    page.items.map(|item| item.unwrap().meta.key.name().to_owned()).collect()
}

const SELECTOR: &str =
    "shardSelector=shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')";

#[tokio::test]
async fn a_list_of_a_server_without_shards_is_filtered_here() {
    let all = [object("low", LOW, 1), object("high", HIGH, 2), r#"{"metadata":{}}"#.to_owned()];
    let (client, queries) = server(move |_| (200, page(&all, false)));
    let mut source = sharded(client, By::Uid);
    let items: Vec<_> = source.list(&ListRequest::default()).await.unwrap().items.collect();
    assert_eq!(items.len(), 2, "an object without a name is of every shard");
    assert_eq!(items[0].as_ref().unwrap().meta.key.name(), "low");
    assert_eq!(source.shard_filter(), Some(Filter::Here));
    assert!(source.wrong_shard().is_none());
    assert_eq!(*queries.lock().unwrap(), [SELECTOR]);
}

#[tokio::test]
async fn an_invalid_object_is_of_the_shard_of_its_uid() {
    let bad = |uid: &str| {
        format!(r#"{{"metadata":{{"name":"x","namespace":"a","uid":"{uid}","resourceVersion":7}}}}"#)
    };
    let all = [bad(LOW), bad(HIGH)];
    let (client, _) = server(move |_| (200, page(&all, false)));
    let items: Vec<_> = sharded(client, By::Uid).list(&ListRequest::default()).await.unwrap().items.collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].as_ref().err().and_then(DecodeError::uid), Some(LOW));
}

#[tokio::test]
async fn a_list_says_that_the_server_filters() {
    let (client, _) = server(|_| (200, page(&[object("low", LOW, 1)], true)));
    let mut source = sharded(client, By::Uid);
    assert_eq!(names(&mut source).await, ["low"]);
    assert_eq!(source.shard_filter(), Some(Filter::Server));
    assert!(source.wrong_shard().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_filters_by_another_hash_is_not_asked_to() {
    let (client, queries) = server(|query| {
        (200, page(&[object("low", LOW, 1), object("high", HIGH, 2)], query.contains("shard")))
    });
    let mut source = sharded(client, By::Uid);
    assert_eq!(names(&mut source).await, ["low"]);
    let error = source.wrong_shard().unwrap();
    assert!(error.is_protocol() && error.to_string().contains("outside of the shard"), "{error}");
    assert_eq!(names(&mut source).await, ["low"]);
    assert!(source.wrong_shard().is_none(), "one that sends all");
    assert_eq!(source.shard_filter(), Some(Filter::Here));
    assert_eq!(*queries.lock().unwrap(), [SELECTOR, ""]);
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    names(&mut source).await;
    assert_eq!(queries.lock().unwrap()[2], SELECTOR, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_selector_is_left_out() {
    let refuses = |query: &str| match query.contains("shard") {
        true => (500, r#"{"kind":"Status","code":500,"message":"invalid shard selector: no"}"#.to_owned()),
        false if query.contains("watch") => (200, String::new()),
        false => (200, page(&[object("low", LOW, 1)], false)),
    };
    let (client, queries) = server(refuses);
    let mut source = sharded(client, By::Uid);
    assert_eq!(names(&mut source).await, ["low"]);
    source.find_shard_filter().await;
    assert_eq!(source.shard_filter(), Some(Filter::Here));
    assert_eq!(*queries.lock().unwrap(), [SELECTOR, ""]);
    source.watch(&watching()).await.unwrap();
    assert!(!queries.lock().unwrap()[2].contains("shard"));
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    source.watch(&watching()).await.unwrap();
    assert_eq!(queries.lock().unwrap()[3..].iter().filter(|query| query.contains("shard")).count(), 1);
    assert_eq!(queries.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn an_event_of_another_shard_is_a_deletion() {
    let event = |kind: &str, object: &str| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
    let lines = [
        event("ADDED", &object("m", LOW, 8)),
        event("DELETED", &object("m", LOW, 9)),
        event("ADDED", &object("m", HIGH, 10)),
        event("MODIFIED", &object("m", HIGH, 11)),
    ];
    let (client, queries) = server(move |_| (200, lines.concat()));
    let mut source = sharded(client, By::Uid);
    let watch = source.watch(&watching()).await.unwrap();
    assert_eq!(source.shard_filter(), None, "a watch does not say it");
    let events: Vec<_> = watch.map(|event| describe(&event)).collect().await;
    assert!(events[0].starts_with("applied a/m 8"), "{events:?}");
    assert_eq!(events[1..], ["deleted a/m 9", "deleted a/m 10", "deleted a/m 11"]);
    assert_eq!(source.shard_filter(), Some(Filter::Here));
    assert!(queries.lock().unwrap()[0].starts_with(SELECTOR));
}

#[tokio::test]
async fn the_namespace_decides_in_shards_by_namespace() {
    let all = |namespace: &str| object("m", LOW, 1).replace("\"a\"", &format!("\"{namespace}\""));
    // hash("a") is in the upper half, hash("shop") is not.
    let (client, queries) = server(move |_| (200, page(&[all("a"), all("shop")], false)));
    let mut source = sharded(client, By::Namespace);
    let items: Vec<_> = source.list(&ListRequest::default()).await.unwrap().items.collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].as_ref().unwrap().meta.key.namespace(), "shop");
    assert!(queries.lock().unwrap()[0].contains("object.metadata.namespace"));
}

/// What a server sends for one object of all other shards, after a list of this one that does not show who filters.
#[tokio::test]
async fn one_object_of_another_shard_shows_who_filters() {
    const OTHERS: &str =
        "shardSelector=shardRange(object.metadata.uid, '0x8000000000000000', '0x10000000000000000')&limit=1";
    let (low, high) = (|| object("low", LOW, 1), || object("high", HIGH, 2));
    for (listed, other, expected) in [
        (vec![low()], vec![high()], Some(Filter::Server)),
        (vec![low()], vec![], Some(Filter::Server)),
        (vec![low()], vec![low()], Some(Filter::Here)),
        (vec![], vec![high()], Some(Filter::Server)),
        (vec![], vec![], None),
    ] {
        let (list, others) = (listed.clone(), other.clone());
        let (client, queries) =
            server(move |query| (200, page(if query == OTHERS { &others } else { &list }, false)));
        let mut source = sharded(client, By::Uid);
        names(&mut source).await;
        assert_eq!(source.shard_filter(), None);
        source.find_shard_filter().await;
        assert_eq!(source.shard_filter(), expected, "{listed:?}, and {other:?}");
        assert_eq!(*queries.lock().unwrap(), [SELECTOR, OTHERS]);
    }
    // Where the list shows it, nothing is requested.
    for (listed, info) in [(vec![low()], true), (vec![low(), high()], false)] {
        let (client, queries) = server(move |_| (200, page(&listed, info)));
        let mut source = sharded(client, By::Uid);
        names(&mut source).await;
        source.find_shard_filter().await;
        assert_eq!(source.shard_filter(), Some(if info { Filter::Server } else { Filter::Here }));
        assert_eq!(queries.lock().unwrap().len(), 1);
    }
    let (client, queries) = server(move |_| (200, page(&[low()], false)));
    let mut whole = HttpSource::new(Api::<ConfigMap>::all(client), &(), Part::default(), Limits::default());
    names(&mut whole).await;
    whole.find_shard_filter().await;
    assert_eq!((whole.shard_filter(), queries.lock().unwrap().len()), (None, 1), "there is no shard");
}

/// A request that only shows who filters delays nothing for long.
#[tokio::test(start_paused = true)]
async fn an_informer_does_not_wait_for_who_filters() {
    let (client, _) = client(200, &[], None);
    let begun = tokio::time::Instant::now();
    let mut source = sharded(client, By::Uid);
    source.find_shard_filter().await;
    assert_eq!((source.shard_filter(), begun.elapsed()), (None, Duration::from_secs(5)));
}
