//! A broken object affects no other object, in a page and in a watch.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube_core::{ApiResource, DynamicObject, GroupVersionKind};

use super::*;

fn good(name: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"n","uid":"u-{name}","resourceVersion":"3"}},"data":{{"k":"v"}}}}"#)
        .into_bytes()
}

/// An object with `@` replaced.
fn object(template: &str, with: &[u8]) -> Vec<u8> {
    let (before, after) = template.split_once('@').unwrap();
    [before.as_bytes(), with, after.as_bytes()].concat()
}

fn page_of(objects: &[Vec<u8>]) -> Vec<Chunk> {
    let items = objects.join(b",".as_slice());
    let body = [br#"{"items":["#.as_slice(), &items, br#"],"metadata":{"resourceVersion":"9"}}"#].concat();
    vec![Chunk::Data(body.into())]
}

fn watch_of(objects: &[Vec<u8>]) -> Vec<Chunk> {
    let line = |object: &Vec<u8>| [br#"{"type":"ADDED","object":"#.as_slice(), object, b"}\n"].concat();
    vec![Chunk::Data(objects.iter().flat_map(line).collect::<Vec<_>>().into())]
}

/// The outcome of each object: `n/a`, or the error. `None` if the page or the watch failed.
async fn outcomes<K>(body: Vec<Chunk>, dyntype: &K::DynamicType, is_page: bool) -> Vec<Option<String>>
where
    K: kube_core::Resource + serde::de::DeserializeOwned + Send + 'static,
    K::DynamicType: Clone,
{
    let client = client(200, &[], Some(body)).0;
    let api = Api::<K>::all_with(client, dyntype);
    let mut source = HttpSource::new(api, dyntype, Part::default(), Limits::default());
    let decoder = Decoder::<K>::new(dyntype, false);
    let outcome = |item: Listed<Json>| match item.and_then(|item| decoder.decode_item(item)) {
        Ok((meta, _)) => Some(meta.key.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if is_page {
        match source.list(&ListRequest::default()).await {
            Ok(page) => page.items.map(outcome).collect(),
            Err(_) => vec![None],
        }
    } else {
        let events = source.watch(&watching()).await.unwrap();
        let read = events.map(|event| match event {
            Ok(WatchEvent::Applied(item)) => outcome(item),
            _ => None,
        });
        read.collect().await
    }
}

/// Puts the object between two valid ones, in a page and in a watch.
async fn beside<K>(object: &[u8], dyntype: &K::DynamicType, expected: &str)
where
    K: kube_core::Resource + serde::de::DeserializeOwned + Send + 'static,
    K::DynamicType: Clone,
{
    let objects = [good("a"), object.to_vec(), good("c")];
    for (body, is_page) in [(page_of(&objects), true), (watch_of(&objects), false)] {
        let seen = outcomes::<K>(body, dyntype, is_page).await;
        let expected = ["n/a", expected, "n/c"].map(|text| Some(text.to_owned()));
        assert_eq!(seen, expected, "page: {is_page}, {}", String::from_utf8_lossy(object));
    }
}

fn dynamic() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("g", "v1", "X"))
}

const IN_MANAGED_FIELDS: &str = r#"{"metadata":{"managedFields":[{"fieldsType":"FieldsV1","fieldsV1":{"f:x@":{}}}],"name":"b","namespace":"n","resourceVersion":"3","uid":"u"}}"#;
const IN_DATA: &str = r#"{"metadata":{"name":"b","namespace":"n","resourceVersion":"3","uid":"u"},"revision":1,"data":{"k":"x@"}}"#;
const RAW: &str = r#"{"metadata":{"managedFields":@,"name":"b","namespace":"n","resourceVersion":"3","uid":"u"},"revision":1,"data":{"k":"x"}}"#;
const RAW_DATA: &str =
    r#"{"metadata":{"name":"b","namespace":"n","resourceVersion":"3","uid":"u"},"revision":1,"data":@}"#;

#[tokio::test]
async fn bytes_that_are_no_text_harm_nothing() {
    let odd: [&[u8]; 6] = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x80", br"\ud800", br"\udc00\ud800"];
    for bytes in odd {
        for template in [IN_MANAGED_FIELDS, IN_DATA] {
            let object = object(template, bytes);
            beside::<ConfigMap>(&object, &(), "n/b").await;
            beside::<DynamicObject>(&object, &dynamic(), "n/b").await;
        }
        beside::<ControllerRevision>(&object(IN_DATA, bytes), &(), "n/b").await;
    }
    let json = object(IN_DATA, b"\xff\\ud800");
    let item = list(answering(page_of(&[json]))).await.unwrap().items.next().unwrap().unwrap();
    let (_, read) = Decoder::<ConfigMap>::new(&(), false).decode_item(item).unwrap();
    assert_eq!(read.data.unwrap()["k"], "x\u{fffd}\u{fffd}", "as Go reads it");
}

#[tokio::test]
async fn each_byte_in_an_object_harms_no_other() {
    for byte in (0..=u8::MAX).filter(|byte| !b"\"\\\n".contains(byte)) {
        let odd = object(IN_DATA, &[byte]);
        let expected = if byte < 0x20 { "object n/b at version 3: not JSON" } else { "n/b" };
        beside::<ConfigMap>(&odd, &(), expected).await;
    }
}

#[tokio::test]
async fn nesting_of_any_depth_harms_only_its_object() {
    let deep = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat().into_bytes();
    for levels in [100, 126, 1000, 100_000] {
        // Dropped without being decoded.
        beside::<ConfigMap>(&object(RAW, &deep(levels)), &(), "n/b").await;
        beside::<DynamicObject>(&object(RAW, &deep(levels)), &dynamic(), "n/b").await;
    }
    let too_deep = "object n/b at version 3: nested too deeply, or a number out of range";
    for (levels, expected) in [(120, "n/b"), (1000, too_deep), (100_000, too_deep)] {
        let object = object(RAW_DATA, &deep(levels));
        beside::<DynamicObject>(&object, &dynamic(), expected).await;
        beside::<ControllerRevision>(&object, &(), expected).await;
    }
}

#[tokio::test]
async fn what_is_no_json_harms_only_its_object_where_its_end_is_known() {
    let not_json = "object n/b at version 3: not JSON";
    for garbage in ["NaN", "{\"a\":}", "[1,,2]", "{1:2}", "\"\\x\"", "0x10", "tru", "[}", "{]"] {
        beside::<ConfigMap>(&object(RAW_DATA, garbage.as_bytes()), &(), not_json).await;
    }
    for item in ["5", "null", "\"x\"", "[]", "NaN"] {
        beside::<ConfigMap>(item.as_bytes(), &(), "an object without a name: not a JSON object").await;
    }
    // If the end of the object is unknown, the page fails, and a watch loses the line.
    let open = object(RAW_DATA, br#"{"a":"b"c"}"#);
    let objects = [good("a"), open, good("c")];
    assert_eq!(outcomes::<ConfigMap>(page_of(&objects), &(), true).await, [None]);
    let seen = outcomes::<ConfigMap>(watch_of(&objects), &(), false).await;
    assert_eq!(seen, ["n/a", not_json, "n/c"].map(|text| Some(text.to_owned())));
}

/// The error of a broken object has its identity, as far as it can be read.
#[tokio::test]
async fn errors_say_who_the_object_is() {
    let who = r#""name":"b","namespace":"n","resourceVersion":"3","uid":"u""#;
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    let large = "x".repeat(3000);
    // The metadata, the text after it, and whether key, uid and version are known.
    let rows = [
        (who.to_owned(), r#","data":5"#.to_owned(), [true; 3]),
        (who.to_owned(), format!(r#","data":"{large}""#), [true; 3]),
        (who.to_owned(), format!(r#","data":{deep}"#), [true; 3]),
        (who.to_owned(), r#","data":{"k":1e999}"#.to_owned(), [true; 3]),
        (who.to_owned(), r#","data":NaN"#.to_owned(), [true; 3]),
        (who.to_owned(), r#","data""#.to_owned(), [true; 3]),
        (format!(r#"{who},"labels":5"#), String::new(), [true; 3]),
        (who.replace(r#""b""#, "5"), String::new(), [false, true, true]),
        (who.replace(r#""b""#, r#""""#), String::new(), [false, true, true]),
        (who.replace(r#""n""#, "[]"), String::new(), [false, true, true]),
        (who.replace(r#""u""#, "5"), String::new(), [true, false, true]),
        (who.replace(r#""3""#, "3"), String::new(), [true, true, false]),
        (who.replace(r#""u""#, "5"), format!(r#","data":"{large}""#), [true, false, true]),
        (who.replace(r#""u""#, "5"), format!(r#","data":{deep}"#), [true, false, true]),
        (who.replace(r#""u""#, "5"), r#","data":NaN"#.to_owned(), [true, false, true]),
        (who.replace(r#""3""#, &deep), String::new(), [true, true, false]),
        (format!(r#""x":NaN,{who}"#), String::new(), [true; 3]),
        (format!(r#"{who},5"#), String::new(), [true; 3]),
        (r#""name":"b",5"#.to_owned(), String::new(), [false; 3]),
    ];
    for (metadata, more, expected) in rows {
        let object = format!(r#"{{"metadata":{{{metadata}}}{more}}}"#);
        let line = format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n");
        let broken = line.trim_end().strip_suffix("}}").map(|line| format!("{line}\n{{}}"));
        let page = format!(r#"{{"items":[{object}],"metadata":{{"resourceVersion":"9"}}}}"#);
        let limits = Limits::default().object_bytes(2500);
        let mut found: Vec<_> = list(limited(data(&page), limits.clone())).await.unwrap().items.collect();
        for body in [line, broken.unwrap()] {
            let mut watch = limited(data(&body), limits.clone()).watch(&watching()).await.unwrap();
            let Some(Ok(WatchEvent::Applied(item))) = watch.next().await else { panic!("{body}") };
            found.push(item);
        }
        for item in found {
            let decoded = item.and_then(|item| Decoder::<ConfigMap>::new(&(), false).decode_item(item));
            let error = decoded.err().unwrap_or_else(|| panic!("reads: {object}"));
            let said = [
                error.key().is_some_and(|key| key.to_string() == "n/b"),
                error.uid() == Some("u"),
                error.resource_version() == Some(&ResourceVersion::from("3")),
            ];
            assert_eq!(said, expected, "{object}: {error:?}");
            assert_eq!(error.key().is_some(), expected[0], "another object's key: {object}");
        }
    }
}
