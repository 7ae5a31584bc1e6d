use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_core::{ApiResource, DynamicObject, GroupVersionKind, metadata::PartialObjectMeta};
use proptest::prelude::*;
use serde_json::json;

use super::skim::Skim;
use super::*;
use crate::fuzz::fuzz;

fn parse(object: &str) -> Listed<Json> {
    let bytes = Bytes::copy_from_slice(object.as_bytes());
    parse_item(&bytes, &bytes, usize::MAX)
}

#[test]
fn the_first_stage_reads_who_an_object_is() {
    let object = r#"{"apiVersion":"v1","kind":"X","spec":{"name":7},"metadata":{"uid":"u","labels":null,
        "name":"a\u0062c","namespace":"n\u0073","resourceVersion":"12","generation":3}}"#;
    let item = parse(object).unwrap();
    assert_eq!(item.meta.key, ObjectKey::new("ns", "abc"));
    assert_eq!(&*item.meta.uid, "u");
    assert_eq!(item.meta.resource_version, ResourceVersion::from_number(12));
    assert!(matches!(item.payload, Json::Whole { json, .. } if json == object.as_bytes()));

    let object = r#"{"metadata":{"name":"a","namespace":null,"uid":null,"resourceVersion":"1"}}"#;
    let item = parse(object).unwrap();
    assert_eq!((item.meta.key, &*item.meta.uid), (ObjectKey::cluster("a"), ""));
    assert!(matches!(item.payload, Json::WithoutType(_)));
}

#[test]
fn an_object_is_a_slice_of_its_page_and_not_a_copy() {
    let page = Bytes::from(r#"[ {"metadata":{"name":"a","resourceVersion":"1"}} ]"#);
    let object = &page[2..page.len() - 2];
    let Json::WithoutType(json) = parse_item(&page, object, usize::MAX).unwrap().payload else { panic!() };
    assert_eq!(json.as_ptr(), object.as_ptr());
}

#[test]
fn metadata_that_does_not_read_is_reported_with_what_is_known_of_the_object() {
    let with = |metadata: serde_json::Value| json!({"metadata": metadata, "data": "secret"});
    let rows = [
        (with(json!({"namespace": "n", "resourceVersion": "1"})), None, "metadata.name"),
        (with(json!({"name": "", "resourceVersion": "1"})), None, "metadata.name"),
        (with(json!({"name": 5, "resourceVersion": "1"})), None, "metadata.name"),
        (with(json!({"name": "a", "resourceVersion": ["secret"]})), Some("a"), "metadata.resourceVersion"),
        (with(json!({"name": "a", "resourceVersion": 4})), Some("a"), "metadata.resourceVersion"),
        (
            with(json!({"name": "a", "resourceVersion": "1", "namespace": ["secret"]})),
            None,
            "metadata.namespace",
        ),
        (with(json!({"name": "a", "resourceVersion": "1", "uid": 5})), Some("a"), "metadata.uid"),
        (with(json!("secret")), None, "metadata"),
        (json!({"spec": 1}), None, "metadata"),
        (json!({"metadata": null}), None, "metadata"),
        (json!(["secret"]), None, ""),
        (json!(null), None, ""),
    ];
    for (object, key, path) in rows {
        let text = object.to_string();
        let error = parse(&text).err().unwrap_or_else(|| panic!("reads: {text}"));
        assert_eq!(error.key().map(ToString::to_string).as_deref(), key, "{text}");
        assert_eq!(error.path(), path, "{text}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert!(parse_meta(text.as_bytes()).is_err());
    }
}

#[test]
fn an_object_that_does_not_fit_is_named_with_place_and_kind_of_mismatch() {
    let object = json!({"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"},
        "data": {"password": {"nested": "secret"}}});
    let item = parse(&object.to_string()).unwrap();
    let error = Decoder::<ConfigMap>::new(&(), false).decode_item(item).unwrap_err();
    assert_eq!(
        error.to_string(),
        "object n/a at version 7, at data.password: an object where a string is expected"
    );
}

#[test]
fn managed_fields_are_dropped_unless_asked_for() {
    let object = json!({"metadata": {"name": "a", "resourceVersion": "7", "labels": {"x": "y"},
        "managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:data": {}}}]}});
    let decode = |keep| {
        Decoder::<ConfigMap>::new(&(), keep)
            .decode_item(parse(&object.to_string()).unwrap())
            .unwrap()
            .1
            .metadata
    };
    assert!(decode(false).managed_fields.is_none() && decode(false).labels.is_some());
    assert_eq!(decode(true).managed_fields.unwrap()[0].manager.as_deref(), Some("m"));
}

#[test]
fn objects_of_a_list_are_given_the_type_that_lists_leave_out() {
    let object = r#" {"metadata":{"name":"a","resourceVersion":"7"},"data":{"k":"djE="}}"#;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let (_, dynamic) =
        Decoder::<DynamicObject>::new(&kind, false).decode_item(parse(object).unwrap()).unwrap();
    let types = dynamic.types.unwrap();
    assert_eq!((types.api_version.as_str(), types.kind.as_str()), ("v1", "Secret"));
    assert_eq!(dynamic.data["data"]["k"], "djE=");

    let decoder = Decoder::<PartialObjectMeta<Secret>>::new(&(), false);
    let (_, partial) = decoder.decode_item(parse(object).unwrap()).unwrap();
    assert_eq!(partial.types.unwrap().kind, "PartialObjectMetadata");

    let (meta, secret) = Decoder::<Secret>::new(&(), false).decode_item(parse(object).unwrap()).unwrap();
    assert_eq!(secret.data.unwrap()["k"].0, b"v1");
    assert_eq!(meta.key, ObjectKey::cluster("a"));
}

#[test]
fn a_type_that_is_there_is_left_alone() {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("g", "v1", "Foo"));
    let decoder = Decoder::<DynamicObject>::new(&kind, false);
    let object = r#"{"apiVersion":"g/v2","kind":"Foo","metadata":{"name":"a","resourceVersion":"7"}}"#;
    assert_eq!(decoder.decode_item(parse(object).unwrap()).unwrap().1.types.unwrap().api_version, "g/v2");
}

#[test]
fn the_first_stage_ends_once_it_knows_the_object() {
    // What comes after the version is not read, so it may be anything.
    let object = r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1",%%%"#;
    let item = parse(object).unwrap();
    assert_eq!((item.meta.key, &*item.meta.uid), (ObjectKey::new("n", "a"), "u"));
    let object = r#"{"apiVersion":"v1","kind":"X","metadata":{"labels":{},"name":"a","uid":"u","resourceVersion":"1"},%%%"#;
    assert_eq!(parse(object).unwrap().meta.key, ObjectKey::cluster("a"));
    // Without the type, or a uid, the end has to be there.
    for object in [
        r#"{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"},%%%"#,
        r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","namespace":"n","resourceVersion":"1"},%%%"#,
        r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","uid":"u","resourceVersion":"1",%%%"#,
    ] {
        assert!(parse(object).is_err(), "{object}");
    }
}

#[test]
fn an_object_of_two_identities_is_invalid() {
    let rows = [
        r#"{"name":"a","namespace":"n","uid":"u","resourceVersion":"1","name":"b"}"#,
        r#"{"name":"a","namespace":"n","uid":"u","resourceVersion":"1","namespace":"m"}"#,
        r#"{"name":"a","namespace":"n","uid":"u","resourceVersion":"1","resourceVersion":"2"}"#,
        r#"{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"},"metadata":{"name":"b","namespace":"n","uid":"u"}"#,
        r#"{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"},"metadata":{"name":"a","namespace":"n","uid":"v"}"#,
    ];
    for metadata in rows {
        let text = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{metadata}}}"#);
        let item = parse(&text).unwrap();
        let error = Decoder::<ConfigMap>::new(&(), false).decode_item(item).unwrap_err();
        assert_eq!(error.key(), Some(&ObjectKey::new("n", "a")), "{text}");
    }
}

/// What `decode` is called with for an object, and what comes of it. It fails on text that serde_json does not read.
fn decoded_by_hand(object: &[u8], keep_managed_fields: bool) -> (Vec<String>, Result<(), DecodeError>) {
    let object = Bytes::copy_from_slice(object);
    let item = parse_item(&object, &object, usize::MAX).unwrap();
    let mut texts = Vec::new();
    let decoder = Decoder::<ConfigMap>::new(&(), keep_managed_fields);
    let decoded = decoder.decode_with(&item.meta, &item.payload, |json| {
        texts.push(json.to_owned());
        serde_json::from_str::<serde_json::Value>(json).map(drop).map_err(|error| Arc::new(error) as _)
    });
    (texts, decoded)
}

#[test]
fn an_application_decodes_the_text_as_it_was_sent_but_with_its_type() {
    let whole = r#" {"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","managedFields":[{}]}}"#;
    let (texts, decoded) = decoded_by_hand(whole.as_bytes(), true);
    assert_eq!((texts, decoded.is_ok()), (vec![whole.to_owned()], true));
    let listed = br#" {"metadata":{"name":"a","managedFields":[{}]}}"#;
    let rows = [
        (true, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","managedFields":[{}]}}"#),
        (false, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","managedFields":null}}"#),
    ];
    for (keep, expected) in rows {
        let (texts, _) = decoded_by_hand(listed, keep);
        assert_eq!(texts, [expected]);
    }
}

#[test]
fn an_application_decodes_valid_text_and_is_asked_again_if_it_can_be_repaired() {
    let object = |fields: &str, data: &[u8]| {
        let head = format!(
            r#"{{"kind":"X","apiVersion":"v1","metadata":{{"name":"a","namespace":"n","uid":"u","resourceVersion":"1","managedFields":{fields}}},"data":""#
        );
        [head.as_bytes(), data, b"\"}"].concat()
    };
    let one = "\u{fffd}";
    let rows = [(b"\xff".as_slice(), 1, one), (br"\ud800", 2, one), (b"\xff\\ud800", 1, "\u{fffd}\u{fffd}")];
    for (odd, calls, expected) in rows {
        let (texts, decoded) = decoded_by_hand(&object("[]", odd), true);
        assert!(decoded.is_ok() && texts.len() == calls, "{decoded:?}");
        let value: serde_json::Value = serde_json::from_str(&texts[calls - 1]).unwrap();
        assert_eq!(value["data"], expected);
    }
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    let (texts, decoded) = decoded_by_hand(&object(&deep, b""), false);
    assert!(decoded.is_ok(), "{decoded:?}");
    assert_eq!(texts, [String::from_utf8(object("null", b"")).unwrap()], "what is dropped needs no repair");

    // There is nothing more to repair, and the error is that of the application.
    for (object, keep) in
        [(object(&deep, b""), true), (object("[]", br"\x"), true), (object("[]", b"\xff\\x"), true)]
    {
        let (texts, decoded) = decoded_by_hand(&object, keep);
        let error = decoded.unwrap_err();
        assert_eq!((texts.len(), error.key().unwrap().name()), (1, "a"));
        assert!(error.source.unwrap().is::<serde_json::Error>());
    }
}

#[test]
fn an_application_is_not_given_an_object_larger_than_the_limit() {
    let object = Bytes::from_static(br#"{"metadata":{"name":"a","resourceVersion":"1"}}"#);
    let item = parse_item(&object, &object, 10).unwrap();
    let decoder = Decoder::<ConfigMap>::new(&(), false);
    let decoded = decoder.decode_with(&item.meta, &item.payload, |_| -> Result<(), _> { panic!("called") });
    assert_eq!(decoded.unwrap_err().to_string(), "object a at version 1: larger than the limit");
}

#[test]
fn what_is_dropped_is_not_decoded_and_nothing_else_is_dropped() {
    let fields = r#"[{"manager":"m","fieldsV1":{"f:x":{"}":"\""}}}]"#;
    let rows = [
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"labels":{"managedFields":"l"},"managedFields":@,"name":"a","namespace":"n","resourceVersion":"1","uid":"u"}}"#,
        r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"n","resourceVersion":"1","uid":"u","labels":{"managedFields":"l"}, "managedFields" : @ }}"#,
        r#" { "metadata":{"managedFields":@,"labels":{"managedFields":"l"},"name":"a","resourceVersion":"1"}}"#,
        r#"{"data":{"metadata":"d"},"metadata":{"name":"a","labels":{"managedFields":"l"},"managedFields":@,"resourceVersion":"1"}}"#,
        r#"{"metadata":{"name":"a","labels":{"managedFields":"l"},"resourceVersion":"1"},"x":@}"#,
    ];
    for row in rows {
        for fields in [fields, "[]", "null", "[5]", r#"{"a":"}"}"#, "7"] {
            let object = row.replace('@', fields);
            let (_, map) =
                Decoder::<ConfigMap>::new(&(), false).decode_item(parse(&object).unwrap()).unwrap();
            let mut expected: ConfigMap = serde_json::from_str(&row.replace('@', "null")).unwrap();
            expected.metadata.managed_fields = None;
            assert_eq!(map, expected, "{object}");
        }
        let kept =
            Decoder::<ConfigMap>::new(&(), true).decode_item(parse(&row.replace('@', "[{}]")).unwrap());
        assert_eq!(kept.unwrap().1.metadata.managed_fields.is_some(), !row.contains("\"x\""), "{row}");
    }
}

/// Texts of an object, in any order and with a few things missing, wrong or given twice.
fn objects() -> impl Strategy<Value = String> {
    let texts = vec!["a", "n-1", "7", "\u{fc}", "", "a\\u0062", "a\\\"b", "x\ny"];
    let text = move || prop::sample::select(texts.clone()).prop_map(|text| format!("\"{text}\""));
    let odd = prop::sample::select(vec!["null", "7", "[]", "{}", "tru", r#"{"name":"z"}"#, ""]);
    let odd = odd.prop_map(str::to_owned);
    let skipped = r#"[{\[](("[a,:{}\[\]]{0,9}":?|1),){0,3}[}\]]"#;
    let name =
        prop::sample::select(vec!["name", "namespace", "uid", "resourceVersion", "na\\u006de", "kind"]);
    let blank = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let more = prop_oneof![
        4 => skipped.prop_map(|value| ("labels", value)),
        1 => (name, prop_oneof![text(), odd.clone()]),
    ];
    let more = move || (prop::collection::vec(more.clone(), 0..3), any::<prop::sample::Index>());
    let text = prop_oneof![9 => Just("\"b\"".to_owned()), 1 => text(), 1 => odd];
    let texts = prop::collection::vec(text, 6);
    (texts, more(), more(), blank).prop_map(|(mut texts, (fields, inner), (members, outer), blank)| {
        let mut with =
            |names: &[&'static str], more: Vec<(&'static str, String)>, at: prop::sample::Index| {
                let mut members: Vec<_> =
                    names.iter().map(|name| (*name, texts.pop().unwrap_or_default())).collect();
                let at = at.index(members.len() + 1);
                members.splice(at..at, more);
                members
            };
        let text = |members: &[(&str, String)]| {
            let texts =
                members.iter().map(|(name, value)| format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}"));
            format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
        };
        let metadata = with(&["name", "namespace", "uid", "resourceVersion"], fields, inner);
        let mut members = with(&["apiVersion", "kind"], members, outer);
        members.insert(outer.index(members.len() + 1).max(1), ("metadata", text(&metadata)));
        text(&members)
    })
}

/// What both ways to read an object make of it. The quick one may read what is broken further on, and nothing else.
fn same_both_ways(object: &[u8]) -> Result<bool, TestCaseError> {
    let Some(known) = skim(object) else { return Ok(false) };
    let Some(Known { meta, without_type, .. }) = Head::read_whole(object) else { return Ok(true) };
    prop_assert!(!without_type);
    prop_assert_eq!(&meta.key, &ObjectKey::new(known.namespace, known.name));
    prop_assert_eq!(&*meta.uid, known.uid);
    prop_assert_eq!(&meta.resource_version, &ResourceVersion::from(known.resource_version));
    Ok(true)
}

#[test]
fn fuzz_the_first_stage_reads_the_same_with_and_without_the_rest() {
    let quick = std::cell::Cell::new(0);
    fuzz(&objects(), |object| {
        quick.set(quick.get() + usize::from(same_both_ways(object.as_bytes())?));
        Ok(())
    });
    assert!(quick.get() > 20, "only {} objects were read the quick way", quick.get());

    let lines = include_str!("../tests/corpus/watch.jsonl").lines();
    let corpus: Vec<&[u8]> = lines.map(|line| member(line.as_bytes(), "object").unwrap().unwrap()).collect();
    let structure = prop::sample::select(b"\"\\{}[],: 0".to_vec());
    let changes = prop::collection::vec((0.0..1.0, prop_oneof![any::<u8>(), structure]), 0..4);
    fuzz(&(prop::sample::select(corpus), changes), |(object, changes)| {
        let mut object = object.to_vec();
        for (at, byte) in changes {
            let at = (object.len() as f64 * at) as usize;
            object[at] = byte;
        }
        same_both_ways(&object)?;
        Ok(())
    });
}

#[test]
fn an_object_as_servers_write_it_is_read_the_quick_way() {
    let rows = [
        r#"{"kind":"X","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1","labels":{}}}"#,
        r#"{"apiVersion":"g/v1","kind":"X","metadata":{"annotations":{"name":"no\"}"},"generation":3,"labels":{"a":"b"},
            "managedFields":[{"fieldsV1":{"f:x":{}}}],"name":"a","namespace":"n","resourceVersion":"1","uid":"u"},"spec":{}}"#,
        r#"{"apiVersion":"g/v1","data":{"metadata":{}},"kind":"X","metadata":{"name":"a","namespace":"n","resourceVersion":"1","uid":"u"}}"#,
    ];
    let expected = Skim { name: "a", namespace: "n", uid: "u", resource_version: "1", managed_fields: None };
    for object in rows {
        let known = skim(object.as_bytes()).unwrap();
        assert_eq!(known.managed_fields, managed_fields(object.as_bytes()), "{object}");
        assert_eq!(Skim { managed_fields: None, ..known }, expected, "{object}");
    }
    let cluster =
        r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"\u{fc}","uid":"u","resourceVersion":"1"}}"#;
    let cluster = cluster.replace(r"\u{fc}", "\u{fc}");
    assert_eq!(skim(cluster.as_bytes()), Some(Skim { name: "\u{fc}", namespace: "", ..expected }));
}

#[test]
fn what_is_written_in_an_unusual_way_is_read_with_the_rest() {
    let usual = r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"}}"#;
    assert!(skim(usual.as_bytes()).is_some());
    for (part, other) in [
        (r#""a""#, r#""\u0061""#),
        (r#""a""#, "\"a\u{1}\""),
        (r#""a""#, r#""""#),
        (r#""a""#, "7"),
        (r#""n""#, "null"),
        (r#""u""#, "null"),
        (r#""u""#, r#""""#),
        (r#""name""#, r#""n\u0061me""#),
        (r#","uid":"u""#, ""),
        (r#","resourceVersion":"1""#, ""),
        (r#""kind":"X","#, ""),
        (r#""apiVersion":"v1","#, ""),
        (r#""X""#, "null"),
        (r#","metadata":{"#, r#","metadata":[{"#),
        (r#":{"name""#, r#":{,"name""#),
        (r#""a","#, r#""a""#),
        (r#""name":"#, r#""name""#),
    ] {
        let unusual = usual.replacen(part, other, 1);
        assert_ne!(unusual, usual, "{part}");
        assert_eq!(skim(unusual.as_bytes()), None, "{unusual}");
    }
    let invalid = [
        &usual.as_bytes()[..usual.find("\"a\"").unwrap()],
        b"\"\xff",
        &usual.as_bytes()[usual.find("a\",").unwrap() + 1..],
    ]
    .concat();
    assert_eq!(skim(&invalid), None, "no text");
    let late = r#"{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"},"apiVersion":"v1","kind":"X"}"#;
    assert_eq!(skim(late.as_bytes()), None, "in another order");
}
