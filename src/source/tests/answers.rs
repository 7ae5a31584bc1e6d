//! Requests, lists, and error responses.

use super::*;

/// The query of the first request, as pairs.
fn query(seen: &Seen) -> Vec<(String, String)> {
    let seen = seen.lock().unwrap();
    form_urlencoded::parse(seen[0].uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const EMPTY: &str =
    r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}"#;

#[tokio::test]
async fn a_list_asks_for_what_is_wanted_percent_encoded() {
    let (client, seen) = client(200, &[], Some(data(EMPTY)));
    let selection =
        Part { labels: "a in (b, c),d!=ü&".into(), fields: "metadata.name=x".into(), ..Part::default() };
    let source = |namespace| {
        let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        let part = Part { namespace: Some(namespace.to_owned()), ..selection.clone() };
        HttpSource::new(api, &(), part, Limits::default())
    };
    let request = ListRequest {
        limit: Some(500),
        continue_token: Some("a+b/c==&limit=1".into()),
        resource_version: Some(ResourceVersion::from_number(3)),
    };
    // A namespace that makes an invalid URL is not sent to the server.
    assert!(source("team a").list(&request).await.is_err_and(|error| error.is_transport()));
    assert!(seen.lock().unwrap().is_empty());

    source("team").list(&request).await.unwrap();
    let expected = [
        ("labelSelector", "a in (b, c),d!=ü&"),
        ("fieldSelector", "metadata.name=x"),
        ("limit", "500"),
        ("continue", "a+b/c==&limit=1"),
    ];
    assert_eq!(query(&seen), pairs(&expected));
    let parts = &seen.lock().unwrap()[0];
    assert_eq!((parts.method.as_str(), parts.uri.path()), ("GET", "/api/v1/namespaces/team/configmaps"));
    assert_eq!(parts.headers["accept"], "application/json");
}

#[tokio::test]
async fn a_version_is_the_oldest_a_list_may_be() {
    for (version, expected) in [
        (None, pairs(&[("limit", "5")])),
        (
            Some(3),
            pairs(&[("limit", "5"), ("resourceVersion", "3"), ("resourceVersionMatch", "NotOlderThan")]),
        ),
    ] {
        let (client, seen) = client(200, &[], Some(data(EMPTY)));
        let resource_version = version.map(ResourceVersion::from_number);
        let request = ListRequest { limit: Some(5), continue_token: None, resource_version };
        source(client).list(&request).await.unwrap();
        assert_eq!(query(&seen), expected);
    }
}

#[tokio::test]
async fn a_watch_and_a_streaming_list_ask_for_bookmarks() {
    let open = [("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", "300")];
    let streamed = [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")];
    for (version, initial_events) in [(Some(7), false), (None, true), (Some(7), true)] {
        let (client, seen) = client(200, &[], Some(vec![]));
        let resource_version = version.map(ResourceVersion::from_number);
        let request = WatchRequest { resource_version, initial_events, ..watching() };
        source(client).watch(&request).await.unwrap();
        let mut expected = open.to_vec();
        expected.extend(version.map(|_| ("resourceVersion", "7")));
        expected.extend(initial_events.then_some(streamed).into_iter().flatten());
        assert_eq!(query(&seen), pairs(&expected));
        assert_eq!(seen.lock().unwrap()[0].headers["accept-encoding"], "identity");
    }
}

#[tokio::test]
async fn only_metadata_is_asked_for_when_only_that_is_kept() {
    let (client, seen) = client(200, &[], Some(data(EMPTY)));
    let api = Api::<kube_core::metadata::PartialObjectMeta<ConfigMap>>::all(client);
    let mut source = HttpSource::new(api, &(), Part::default(), Limits::default());
    source.list(&ListRequest::default()).await.unwrap();
    source.watch(&watching()).await.unwrap();
    let accept: Vec<_> = seen.lock().unwrap().iter().map(|parts| parts.headers["accept"].clone()).collect();
    assert!(accept[0].to_str().unwrap().contains("as=PartialObjectMetadataList;"));
    assert!(accept[1].to_str().unwrap().contains("as=PartialObjectMetadata;"));
}

#[tokio::test]
async fn a_page_of_a_built_in_kind_has_items_without_a_type() {
    let body = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"next"},
        "items":[{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"3"},"data":{"k":"v"}},
        {"metadata":{"namespace":"n"}}]}"#;
    let page = list(answering(data(body))).await.unwrap();
    assert_eq!(page.resource_version, ResourceVersion::from_number(9));
    assert_eq!(page.continue_token.as_deref(), Some("next"));
    let [Ok(good), Err(invalid)] = &page.items.collect::<Vec<_>>()[..] else {
        panic!("one good and one invalid item")
    };
    assert!(matches!(good.payload, Json::WithoutType(_)));
    assert_eq!(invalid.path(), "metadata.name");
}

#[tokio::test]
async fn a_page_of_custom_resources_has_its_metadata_last() {
    let body = r#"{"apiVersion":"g/v1","items":[{"apiVersion":"g/v1","kind":"Foo","metadata":{"name":"a",
        "resourceVersion":"3"}}],"kind":"FooList","metadata":{"continue":"","resourceVersion":"9"}}"#;
    // Also in chunks of other lengths.
    for length in [1, 2, 7, body.len()] {
        let chunks = body.as_bytes().chunks(length).map(|chunk| Chunk::Data(Bytes::copy_from_slice(chunk)));
        let page = list(answering(chunks.collect())).await.unwrap();
        assert_eq!(page.continue_token, None);
        let items: Vec<_> = page.items.collect();
        assert!(matches!(&items[..], [Ok(Item { payload: Json::Whole { .. }, .. })]));
    }
}

#[tokio::test]
async fn go_writes_an_empty_list_as_null() {
    let page = list(answering(data(r#"{"metadata":{"resourceVersion":"9"},"items":null}"#))).await.unwrap();
    assert_eq!(page.items.count(), 0);
}

#[tokio::test]
async fn what_is_not_a_list_is_a_protocol_error() {
    for body in [
        "",
        "<html>secret</html>",
        "[]",
        "null",
        r#"{"kind":"Status","metadata":{"resourceVersion":"9"},"code":200}"#,
        r#"{"kind":"Table","metadata":{"resourceVersion":"9"},"rows":[]}"#,
        r#"{"metadata":"secret","items":[]}"#,
        r#"{"metadata":{"resourceVersion":["secret"]},"items":[]}"#,
        r#"{"metadata":{"continue":5},"items":[]}"#,
        r#"{"items":[],"items":[]}"#,
        r#"{"items":[],"metadata":{},"metadata":{}}"#,
        r#"{"items":[1,]}"#,
        r#"{"items":[,1]}"#,
        r#"{"items":[1 2]}"#,
        r#"{"items":[]}]"#,
        r#"{"items":[]"#,
        r#"{"items":["#,
        r#"{"items":[{}"#,
        r#"{"items" []}"#,
        r#"{"items":}"#,
        r#"{"items":"secret"}"#,
        r#"{items:[]}"#,
        r#"{"metadata":{"resourceVersion":"9"},"items":{"a":"secret"}}"#,
        r#"{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"secret"#,
    ] {
        let error = list(answering(data(body))).await.err().unwrap_or_else(|| panic!("a list: {body}"));
        assert!(error.is_protocol(), "{error}");
        assert!(!texts(&error).contains("secret"), "{error}");
        let said = body.contains("message").then_some("secret");
        assert_eq!(error.api_message(), said, "only who asks for it is given what the server said");
    }
}

#[tokio::test]
async fn of_a_long_message_the_beginning_is_kept() {
    let message = format!("x{}", "\u{e9}".repeat(3000));
    let body = serde_json::json!({ "kind": "Status", "message": message, "code": 500 }).to_string();
    let error = list(source(client(500, &[], Some(data(&body))).0)).await.err().unwrap();
    let kept = error.api_message().unwrap();
    assert!(kept.len() == 4095 && message.starts_with(kept), "{}", kept.len());
}

#[tokio::test]
async fn a_page_larger_than_the_limit_is_an_error() {
    let body = [data(EMPTY), data("          ")].concat();
    for (room, fits) in [(9, false), (10, true)] {
        let limits = Limits { page_bytes: EMPTY.len() + room, ..Limits::default() };
        let listed = list(limited(body.clone(), limits)).await;
        assert!(listed.is_ok() == fits && listed.err().is_none_or(|error| error.is_page_too_large()));
    }
}

/// Code, body, headers; text of the error, seconds to wait.
type Row = (u16, String, &'static [(&'static str, &'static str)], &'static str, Option<u64>);

#[tokio::test]
async fn an_answer_that_is_no_success_tells_code_reason_and_when_to_come_back() {
    let status = |reason: &str, details: &str| {
        format!(
            r#"{{"kind":"Status","message":"secret","reason":"{reason}","code":999,"details":{details}}}"#
        )
    };
    let rows: [Row; 9] = [
        (403, status("Forbidden", "{}"), &[], "403 Forbidden", None),
        (410, status("Expired", "null"), &[], "410 Expired", None),
        (422, status("Invalid", r#"{"causes":[{"message":"secret"}]}"#), &[], "422 Invalid", None),
        (
            429,
            status("TooManyRequests", r#"{"retryAfterSeconds":7}"#),
            &[("retry-after", "3")],
            "429 TooManyRequests",
            Some(7),
        ),
        (429, String::new(), &[("retry-after", " 30 ")], "429 TooManyRequests", Some(30)),
        (503, "<html>secret".into(), &[("retry-after", "soon, says secret")], "503 ServiceUnavailable", None),
        (404, status("secret", "{}"), &[], "404 NotFound", None),
        (404, "404 page not found\n".into(), &[], "404 NotFound", None),
        (599, "x".repeat(1 << 20), &[], "599 Unknown", None),
    ];
    for (code, body, headers, text, retry_after) in rows {
        let error = list(source(client(code, headers, Some(data(&body))).0)).await.err().unwrap();
        assert_eq!(error.to_string(), format!("list configmaps: the API server returned {text}"));
        assert_eq!(error.retry_after(), retry_after.map(Duration::from_secs));
        assert_eq!(error.http_code(), Some(code));
        assert!(!texts(&error).contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_version_from_the_future_is_told_from_a_timeout() {
    for (message, causes, too_large) in [
        ("", r#"[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}]"#, true),
        // Old and aggregated servers.
        ("Timeout: Too large resource version: 10, current: 5", "[]", true),
        ("the server was unable to return a response in the time allotted", "[]", false),
    ] {
        let body = format!(
            r#"{{"kind":"Status","message":"{message}","reason":"Timeout","details":{{"causes":{causes},"retryAfterSeconds":1}},"code":504}}"#
        );
        let error = list(source(client(504, &[], Some(data(&body))).0)).await.err().unwrap();
        assert_eq!(error.is_version_too_large(), too_large);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        assert!(!error.is_expired());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_given_up_after_30_seconds() {
    let begun = tokio::time::Instant::now();
    let error = list(source(client(200, &[], None).0)).await.err().unwrap();
    assert!(error.is_timeout());
    assert_eq!(begun.elapsed().as_secs(), 30);
    let error = source(client(200, &[], None).0).watch(&watching()).await.err().unwrap();
    assert_eq!(error.to_string(), "watch configmaps: no response within 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let begun = tokio::time::Instant::now();
    let body = [data("{\"metadata\""), vec![Chunk::Never]].concat();
    assert!(list(answering(body.clone())).await.err().unwrap().is_timeout());
    assert_eq!(begun.elapsed().as_secs(), 30);
    // For an error response, the head is enough.
    let error = list(source(client(403, &[], Some(body)).0)).await.err().unwrap();
    assert!(error.is_forbidden());
}

#[tokio::test]
async fn errors_name_the_kind_as_kubectl_does() {
    let (client, _) = client(403, &[], Some(vec![]));
    let api = Api::<k8s_openapi::api::apps::v1::Deployment>::all(client.clone());
    let mut deployments = HttpSource::new(api, &(), Part::default(), Limits::default());
    let error = deployments.list(&ListRequest::default()).await.err().unwrap();
    assert!(error.to_string().starts_with("list deployments.apps: "), "{error}");
    let mut namespaces =
        HttpSource::new(Api::<Namespace>::all(client), &(), Part::default(), Limits::default());
    let error = namespaces.watch(&watching()).await.err().unwrap();
    assert!(error.to_string().starts_with("watch namespaces: "), "{error}");
}

#[tokio::test]
async fn a_broken_body_is_a_transport_error() {
    let error = list(answering([data("{"), vec![Chunk::Broken("cut")]].concat())).await.err().unwrap();
    assert!(error.is_transport() && texts(&error).contains("cut"));
}

#[tokio::test]
async fn a_page_of_any_size_lets_others_run() {
    let objects = vec![r#"{"metadata":{"name":"a","resourceVersion":"1"},"x":[[[{"y":"z"}]]]}"#; 200_000];
    let body = format!(r#"{{"items":[{}],"metadata":{{"resourceVersion":"9"}}}}"#, objects.join(","));
    let call = call::Call { verb: "list", resource: "configmaps".into() };
    let mut page = std::pin::pin!(page::parse_page(&call, body.into(), usize::MAX));
    let mut turns = 1;
    let page = std::future::poll_fn(|cx| {
        let poll = page.as_mut().poll(cx);
        turns += usize::from(poll.is_pending());
        poll
    });
    assert_eq!(page.await.unwrap().items.count(), 200_000);
    assert!(turns > 2, "{turns} for 13 MB");
}
