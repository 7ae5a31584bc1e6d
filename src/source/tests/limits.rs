//! Limits on bytes and time.

use tokio::time::{Instant, timeout};

use super::*;

fn config_map(name: &str, bytes: usize) -> String {
    let empty = format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}","resourceVersion":"3"}},"x":""}}"#
    );
    let filled = format!("\"x\":\"{}\"", "y".repeat(bytes - empty.len()));
    empty.replace("\"x\":\"\"", &filled)
}

#[tokio::test]
async fn an_object_larger_than_the_limit_harms_only_itself() {
    let objects = [config_map("a", 200), config_map("b", 201), config_map("c", 5000), config_map("d", 200)];
    let limits = Limits::new().object_bytes(200);
    let expected = [
        format!("applied a 3 {}", objects[0]),
        "applied b 3 too large".into(),
        "applied c 3 too large".into(),
    ];

    let lines: String =
        objects.iter().map(|object| format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n")).collect();
    let seen = events(limited(data(&lines), limits.clone())).await;
    assert_eq!((&seen[..3], seen.len()), (&expected[..], 4));

    let body = format!(r#"{{"items":[{}],"metadata":{{"resourceVersion":"9"}}}}"#, objects.join(","));
    let page = list(limited(data(&body), limits.clone())).await.unwrap();
    let seen: Vec<_> = page.items.map(|item| describe(&Ok(WatchEvent::Applied(item)))).collect();
    assert_eq!((&seen[..3], seen.len()), (&expected[..], 4));

    // The object keeps no part of its page in memory, and is never decoded.
    let page = list(limited(data(&body), limits)).await.unwrap();
    let large = { page.items }.nth(1).unwrap().unwrap();
    assert!(matches!(large.payload, Json::TooLarge));
    let error = Decoder::<ConfigMap>::new(&(), false).decode_item(large).unwrap_err();
    assert_eq!(error.to_string(), "object b at version 3: larger than the limit");
}

#[tokio::test]
async fn a_large_object_without_readable_metadata_is_counted_and_a_large_delete_deletes() {
    let nameless = config_map("a", 500).replace("\"name\"", "\"nama\"");
    let body = [
        format!("{{\"type\":\"ADDED\",\"object\":{nameless}}}\n"),
        format!("{{\"type\":\"DELETED\",\"object\":{}}}\n", config_map("b", 500)),
    ];
    let seen = events(limited(data(&body.concat()), Limits::new().object_bytes(200))).await;
    assert_eq!(
        seen,
        ["invalid: an object without a name at version 3: larger than the limit", "deleted b 3"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_dribbles_is_given_up() {
    // A body that is never silent for long and never ends.
    let drop = [Chunk::Data(Bytes::from_static(b" ")), Chunk::Pause(Duration::from_secs(20))];
    let body: Vec<_> = drop.iter().cycle().take(2000).cloned().collect();
    let begun = Instant::now();
    let error = list(answering(body.clone())).await.err().unwrap();
    assert!(error.is_timeout() && begun.elapsed().as_secs() == 300, "{error} {:?}", begun.elapsed());

    let begun = Instant::now();
    let limits = Limits::new().page_time(Duration::from_secs(50));
    let error = list(limited(body.clone(), limits)).await.err().unwrap();
    assert!(error.is_timeout() && begun.elapsed().as_secs() == 50);

    let begun = Instant::now();
    let error = list(limited(body, Limits::new().body_silence(Duration::from_secs(19)))).await.err().unwrap();
    assert!(error.is_timeout() && begun.elapsed().as_secs() == 19);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_answer_to_begin_can_be_set() {
    let limits = Limits::new().head_time(Duration::from_secs(3));
    let mut source: HttpSource =
        HttpSource::new(Api::<ConfigMap>::all(client(200, &[], None).0), &(), Part::default(), limits);
    let begun = Instant::now();
    assert!(source.list(&ListRequest::default()).await.err().unwrap().is_timeout());
    assert!(source.watch(&watching()).await.err().unwrap().is_timeout());
    assert_eq!(begun.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn zero_is_no_limit() {
    let none = Limits::new()
        .line_bytes(0)
        .page_bytes(0)
        .object_bytes(0)
        .pages(0)
        .head_time(Duration::ZERO)
        .body_silence(Duration::ZERO)
        .page_time(Duration::ZERO)
        .watch_silence(Duration::ZERO);
    let month = Duration::from_secs(30 * 24 * 3600);
    let still = [data("{"), vec![Chunk::Never]].concat();
    assert!(timeout(month, list(limited(still, none.clone()))).await.is_err());
    let (silent, _) = client(200, &[], None);
    let mut silent = HttpSource::new(Api::<ConfigMap>::all(silent), &(), Part::default(), none.clone());
    assert!(timeout(month, silent.watch(&watching())).await.is_err());

    let object = config_map("a", 40 << 20);
    let event = format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n");
    assert!(events(limited(data(&event), Limits::new())).await[0].ends_with("a line longer than the limit"));
    assert!(events(limited(data(&event), none.clone())).await[0].starts_with("applied a 3 {"));
    let body = format!(r#"{{"items":[{object}],"metadata":{{"resourceVersion":"9"}}}}"#);
    assert_eq!(list(limited(data(&body), none.clone())).await.unwrap().items.count(), 1);
    // The times can be added to an instant without overflow.
    assert!(Instant::now() + none.watch_silence > Instant::now() + month);
    assert_eq!(none.pages, u32::MAX);
}
