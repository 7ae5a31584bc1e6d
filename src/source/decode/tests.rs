use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube_core::{ApiResource, DynamicObject, GroupVersionKind, metadata::PartialObjectMeta};
use serde_json::json;

use super::*;

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
    assert!(matches!(item.payload, Json::Whole(json) if json == object.as_bytes()));

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
    let error = Decoder::<ConfigMap>::new(&(), false).decode(item).unwrap_err();
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
        Decoder::<ConfigMap>::new(&(), keep).decode(parse(&object.to_string()).unwrap()).unwrap().1.metadata
    };
    assert!(decode(false).managed_fields.is_none() && decode(false).labels.is_some());
    assert_eq!(decode(true).managed_fields.unwrap()[0].manager.as_deref(), Some("m"));
}

#[test]
fn objects_of_a_list_are_given_the_type_that_lists_leave_out() {
    let object = r#" {"metadata":{"name":"a","resourceVersion":"7"},"data":{"k":"djE="}}"#;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let (_, dynamic) = Decoder::<DynamicObject>::new(&kind, false).decode(parse(object).unwrap()).unwrap();
    let types = dynamic.types.unwrap();
    assert_eq!((types.api_version.as_str(), types.kind.as_str()), ("v1", "Secret"));
    assert_eq!(dynamic.data["data"]["k"], "djE=");

    let decoder = Decoder::<PartialObjectMeta<Secret>>::new(&(), false);
    let (_, partial) = decoder.decode(parse(object).unwrap()).unwrap();
    assert_eq!(partial.types.unwrap().kind, "PartialObjectMetadata");

    let (meta, secret) = Decoder::<Secret>::new(&(), false).decode(parse(object).unwrap()).unwrap();
    assert_eq!(secret.data.unwrap()["k"].0, b"v1");
    assert_eq!(meta.key, ObjectKey::cluster("a"));
}

#[test]
fn a_type_that_is_there_is_left_alone() {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("g", "v1", "Foo"));
    let decoder = Decoder::<DynamicObject>::new(&kind, false);
    let object = r#"{"apiVersion":"g/v2","kind":"Foo","metadata":{"name":"a","resourceVersion":"7"}}"#;
    assert_eq!(decoder.decode(parse(object).unwrap()).unwrap().1.types.unwrap().api_version, "g/v2");
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
        let error = Decoder::<ConfigMap>::new(&(), false).decode(item).unwrap_err();
        assert_eq!(error.key(), Some(&ObjectKey::new("n", "a")), "{text}");
    }
}
