//! Watches: lines, events, and how they end.

use proptest::prelude::*;

use super::*;

fn object(name: &str, version: u64, more: &str) -> String {
    format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"n","uid":"u","resourceVersion":"{version}"}}{more}}}"#
    )
}

fn line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn bookmark(metadata: &str) -> String {
    line("BOOKMARK", &format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{metadata}}}"#))
}

const EXPIRED: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"secret","reason":"Expired","code":410}"#;

#[tokio::test]
async fn each_line_is_an_event() {
    let (added, modified) = (object("a", 1, r#","data":{"k":"ü\n\\"}"#), object("a", 2, ""));
    let body = [
        line("ADDED", &added),
        line("MODIFIED", &modified),
        line("DELETED", &object("a", 3, "")),
        bookmark(r#"{"resourceVersion":"4","creationTimestamp":null}"#),
        bookmark(r#"{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}"#),
        bookmark(r#"{"resourceVersion":"6","annotations":{"k8s.io/initial-events-end":"false"}}"#),
        String::from("\r\n \n"),
        line("ERROR", EXPIRED),
        line("ADDED", "{}"),
    ];
    let expected = [
        &format!("applied n/a 1 {added}"),
        &format!("applied n/a 2 {modified}"),
        "deleted n/a 3",
        "bookmark 4 false",
        "bookmark 5 true",
        "bookmark 6 false",
        "error: watch configmaps: the API server returned 410 Expired",
    ];
    assert_eq!(events(answering(data(&body.concat()))).await, expected);
}

#[tokio::test]
async fn a_stream_is_a_sequence_of_documents_and_not_of_lines() {
    let (one, two) = (object("a", 1, ""), object("b", 2, ""));
    let pretty = r#"
        {
          "object":
          {
            "metadata":
              {"name" : "c", "resourceVersion" : "3"}
            ,
            "x" : [

              {}
            ]
          }
          , "type" :
          "ADDED"
        }"#;
    let on_one_line = [line("ADDED", &one).trim_end(), " ", line("MODIFIED", &two).trim_end()].concat();
    let body = [on_one_line.as_str(), pretty, line("DELETED", &two).trim_end()].concat();
    for length in [1, 7, 30, body.len()] {
        let chunks = body.as_bytes().chunks(length).map(|chunk| Chunk::Data(Bytes::copy_from_slice(chunk)));
        let seen = events(answering(chunks.collect())).await;
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert_eq!(&seen[..2], [format!("applied n/a 1 {one}"), format!("applied n/b 2 {two}")]);
        assert!(seen[2].starts_with("applied c 3 {"));
        assert_eq!(seen[3], "deleted n/b 2");
    }
}

#[tokio::test]
async fn what_is_broken_costs_its_line() {
    let next = line("ADDED", &object("c", 3, ""));
    let whole = line("ADDED", &object("b", 2, r#","x":"y""#));
    let whole = whole.trim_end();
    let good = |text: &str| text.starts_with("applied n/c 3");
    // A line that is cut off anywhere after the name of the object, followed by the next line.
    for cut in whole.find("\"resourceVersion").unwrap()..whole.len() - 1 {
        for (end, begins) in [("\n", ""), ("\r\n", ""), ("\n\n ", " ")] {
            let body = [&whole[..cut], end, begins, &next].concat();
            for chunk in [1, 64, body.len()] {
                let chunks =
                    body.as_bytes().chunks(chunk).map(|part| Chunk::Data(Bytes::copy_from_slice(part)));
                let seen = events(answering(chunks.collect())).await;
                // After a comma or colon, a document may continue in the next line.
                let goes_on = whole[..cut].ends_with([',', ':', '[']);
                assert!(goes_on || good(seen.last().unwrap()), "{body}: {seen:?}");
                assert!(
                    seen[0].starts_with("invalid: object n/b") || seen.len() == 1 && goes_on,
                    "{body}: {seen:?}"
                );
            }
        }
    }
    let deleted = line("DELETED", &object("b", 2, r#","x":"y"#));
    let seen = events(answering(data(&(deleted + &next)))).await;
    assert!(
        seen[0].starts_with("deleted, invalid: object n/b at version 2: not JSON") && good(&seen[1]),
        "{seen:?}"
    );
}

#[test]
fn a_stream_of_nothing_lets_others_run() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Woken(AtomicUsize);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    for crumb in ["\n", "", " ", "\r\n\r\n"] {
        let crumbs = vec![Chunk::Data(Bytes::from_static(crumb.as_bytes())); 1000];
        let body = [crumbs, data(&line("ADDED", &object("a", 1, "")))].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut watch = runtime.block_on(async { answering(body).watch(&watching()).await.unwrap() });
        let woken = Arc::new(Woken::default());
        let waker = std::task::Waker::from(woken.clone());
        let mut pending = 0;
        while watch.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending() {
            pending += 1;
            assert_eq!(woken.0.load(Ordering::Relaxed), pending, "asleep with work to do");
        }
        assert!(pending > 10, "{pending}");
    }
}

#[tokio::test]
async fn an_error_event_and_a_bare_status_mean_the_same() {
    for body in [line("ERROR", EXPIRED), format!("{EXPIRED}\n"), EXPIRED.to_owned()] {
        let mut source = answering(data(&body));
        let mut watch = source.watch(&watching()).await.unwrap();
        let Some(Err(error)) = watch.next().await else { panic!("an error is expected") };
        assert!(error.is_expired(), "{error}");
        assert!(!texts(&error).contains("secret"));
        assert!(watch.next().await.is_none(), "an error is the last item");
    }
}

#[tokio::test]
async fn too_large_and_too_many_are_known_in_a_stream_as_well() {
    let status = r#"{"kind":"Status","code":504,"reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":2}}"#;
    let mut watch = answering(data(&line("ERROR", status))).watch(&watching()).await.unwrap();
    let Some(Err(error)) = watch.next().await else { panic!("an error is expected") };
    assert!(error.is_version_too_large());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn an_object_that_does_not_read_is_an_event_and_a_line_that_does_not_is_the_end() {
    let body = [
        line("ADDED", r#"{"metadata":{"name":"b","resourceVersion":5}}"#),
        line("ADDED", r#"["secret"]"#),
        line("DELETED", r#"{"metadata":{"name":"c","uid":7}}"#),
        line("ADDED", &object("a", 1, "")),
        String::from("<html>secret\n"),
        line("ADDED", &object("a", 2, "")),
    ];
    let seen = events(answering(data(&body.concat()))).await;
    assert!(seen[0].starts_with("invalid: object b, at metadata.resourceVersion"), "{seen:?}");
    assert!(seen[1].starts_with("invalid: an object without a name"), "{seen:?}");
    assert!(seen[2].starts_with("deleted, invalid: object c"), "{seen:?}");
    assert!(seen[3].starts_with("applied n/a 1"));
    assert!(seen[4].ends_with("a line that is not an event"), "{seen:?}");
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn what_no_api_server_sends_ends_the_watch() {
    for (body, what) in [
        (line("DELETED", r#"{"metadata":{}}"#), "a deletion of an object without a name"),
        (line("WEIRD", "{}"), "an event of an unknown type"),
        (String::from("{\"type\":\"ADDED\"}\n"), "an event without an object"),
        (String::from("{\"object\":{}}\n"), "an event without a type"),
        (bookmark(r#"{"resourceVersion":5}"#), "a bookmark without readable metadata"),
        (bookmark(r#""secret""#), "a bookmark without readable metadata"),
        (line("BOOKMARK", r#"["secret"]"#), "a bookmark without readable metadata"),
        (line("ERROR", r#"{"kind":"Pod"}"#), "an error without a status"),
        (String::from("\u{0}\n"), "a line that is not an event"),
        (String::from("-"), "a line that is not an event"),
        (line("ADDED", "{}").replace("{}", ""), "a line that is not an event"),
    ] {
        let seen = events(answering(data(&body))).await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].ends_with(what), "{seen:?}");
    }
}

#[tokio::test]
async fn a_line_that_is_cut_off_is_a_connection_that_is_cut_off() {
    let whole = line("ADDED", &object("a", 1, ""));
    let rich = line("ADDED", &object("a", 1, r#","x":[true,null,-1.5e+10,"ü\u00fc\\"]"#));
    for (whole, cut) in
        [&whole, &rich].into_iter().flat_map(|line| (1..line.len() - 2).map(move |cut| (line, cut)))
    {
        let mut source = answering(vec![Chunk::Data(Bytes::copy_from_slice(&whole.as_bytes()[..cut]))]);
        let mut watch = source.watch(&watching()).await.unwrap();
        let Some(Err(error)) = watch.next().await else { panic!("cut at {cut}") };
        assert!(error.is_transport(), "cut at {cut}: {error}");
    }
    // A document need not end with its line, and this one is incomplete.
    let open = line("ADDED", "{}").replace("{}", "{");
    assert!(events(answering(data(&open))).await[0].ends_with("the request failed"));
    // Complete except for the newline.
    assert_eq!(events(answering(data(whole.trim_end()))).await.len(), 1);
    let broken = [data(&whole), vec![Chunk::Broken("reset")]].concat();
    let seen = events(answering(broken)).await;
    assert!(seen.len() == 2 && seen[1].ends_with("the request failed"), "{seen:?}");
}

#[tokio::test]
async fn a_last_line_that_never_was_an_event_is_not_called_cut_off() {
    for body in
        ["<html>secret</html>", "no", "-", "{secret", r#"{"type":"ADDED","object":secret"#, "{}}", "\u{0}"]
    {
        let mut source = answering(data(body));
        let mut watch = source.watch(&watching()).await.unwrap();
        let Some(Err(error)) = watch.next().await else { panic!("an error is expected: {body}") };
        assert!(error.is_protocol(), "{body}: {error}");
        assert!(!texts(&error).contains("secret"));
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test]
async fn a_line_longer_than_the_limit_is_an_error_and_not_memory() {
    let event = line("ADDED", &object("a", 1, ""));
    let limit = event.len() - 1;
    for chunk in [1, 10, event.len()] {
        for (limit, fits) in [(limit, true), (limit - 1, false)] {
            let chunks = event.as_bytes().chunks(chunk).map(|part| Chunk::Data(Bytes::copy_from_slice(part)));
            let limits = Limits { line_bytes: limit, ..Limits::default() };
            let seen = events(limited(chunks.collect(), limits)).await;
            assert_eq!(seen[0].starts_with("applied"), fits, "{seen:?}");
            assert_eq!(seen.len(), 1);
        }
    }
    // An endless line is an error as soon as it is too long.
    let endless = [vec![Chunk::Data(Bytes::from(vec![b' '; 1000])); 20], vec![Chunk::Never]].concat();
    let endless = [data("{"), endless].concat();
    let limits = Limits { line_bytes: 10_000, ..Limits::default() };
    assert!(events(limited(endless, limits)).await[0].ends_with("a line longer than the limit"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn events_are_the_same_however_the_stream_is_cut(
        values in prop::collection::vec("[a-z\\PC]{0,40}", 1..8),
        cuts in prop::collection::vec(1_usize..60, 1..200),
    ) {
        let mut body = String::new();
        for (n, value) in values.iter().enumerate() {
            let data = format!(r#","data":{{"k":{}}}"#, serde_json::Value::from(value.as_str()));
            body += &line("ADDED", &object("a", n as u64 + 1, &data));
        }
        body += &line("ERROR", EXPIRED);
        let mut rest = body.as_bytes();
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(Chunk::Data(Bytes::copy_from_slice(chunk)));
            rest = after;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cut = runtime.block_on(async { events(answering(chunks)).await });
        let whole = runtime.block_on(async { events(answering(data(&body))).await });
        prop_assert_eq!(whole.len(), values.len() + 1);
        prop_assert_eq!(cut, whole);
    }
}
