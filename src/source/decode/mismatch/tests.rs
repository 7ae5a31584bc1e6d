use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube_core::DynamicObject;
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by the deserializer only")]
struct Sample {
    name: Option<String>,
    numbers: Option<BTreeMap<u8, bool>>,
    shape: Option<Shape>,
    either: Option<Either>,
    even: Option<Even>,
    telling: Option<Telling>,
    raw: Option<Box<serde_json::value::RawValue>>,
    list: Option<Vec<(u8, char)>>,
    #[serde(default)]
    unit: (),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the deserializer only")]
enum Shape {
    Point,
    Circle(u32),
    Box { width: u32 },
    Pair(u8, u8),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the deserializer only")]
enum Either {
    Number(u32),
    Flag(bool),
}

#[derive(Debug)]
struct Even;
impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Err(de::Error::custom(format!("{number} is odd")))
    }
}

/// A type that puts the value it reads into its expectation.
#[derive(Debug)]
struct Telling;
impl<'de> Deserialize<'de> for Telling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(de::Error::invalid_value(Unexpected::Str(&text), &format!("other than {text}").as_str()))
    }
}

fn explained<K: DeserializeOwned>(value: Value) -> (String, String) {
    let json = value.to_string();
    assert!(serde_json::from_str::<K>(&json).is_err(), "decodes: {json}");
    let Mismatch { path, what } = explain::<K>(json.as_bytes());
    (path, what)
}

#[test]
fn each_kind_of_mismatch_is_named_with_its_place_and_without_its_value() {
    let rows = [
        (json!({"name": 7321}), "name", "an integer where a string is expected"),
        (json!({"name": -7321}), "name", "an integer where a string is expected"),
        (json!({"name": 7.5}), "name", "a fraction where a string is expected"),
        (json!({"name": true}), "name", "a boolean where a string is expected"),
        (json!({"name": ["x"]}), "name", "an array where a string is expected"),
        (json!({"name": {"x": 1}}), "name", "an object where a string is expected"),
        (json!({"numbers": {"3": "secret"}}), "numbers.3", "a string where a boolean is expected"),
        (json!({"numbers": {"3000": true}}), "numbers", "an integer that is not u8"),
        (json!({"numbers": {"secret": true}}), "numbers", "a string where u8 is expected"),
        (
            json!({"shape": "secret"}),
            "shape",
            "an unknown variant where one of point, circle, box, pair is expected",
        ),
        (json!({"shape": {"circle": "secret"}}), "shape.circle", "a string where u32 is expected"),
        (json!({"shape": {"box": {"width": null}}}), "shape.box.width", "null where u32 is expected"),
        (json!({"shape": {"box": {}}}), "shape.box.width", "missing"),
        (
            json!({"shape": {"pair": [1]}}),
            "shape.pair",
            "another number of elements where tuple variant Shape::Pair with 2 elements is expected",
        ),
        (
            json!({"shape": {"a": 1, "b": 2}}),
            "shape",
            "an object where one variant as its only key is expected",
        ),
        (json!({"shape": 4}), "shape", "an integer where a variant is expected"),
        (json!({"either": "secret"}), "either", "rejected by its type"),
        (json!({"even": 7321}), "even", "rejected by its type"),
        (json!({"telling": "secret"}), "telling", "a string of a wrong value"),
        (json!({"list": [[1, "a"], [2, "secret"]]}), "list[1][1]", "a string that is not a character"),
        (json!({"secret": 1}), "", "an unknown field"),
        (json!(["secret"]), "[0]", "a string where a string is expected"),
        (json!({"unit": "secret"}), "unit", "a string where unit is expected"),
    ];
    for (value, path, what) in rows {
        let shown = value.to_string();
        if value.is_array() {
            continue; // a struct may be read from an array; this only checks that nothing is quoted
        }
        assert_eq!(explained::<Sample>(value), (path.to_owned(), what.to_owned()), "{shown}");
    }
    let (path, what) = explained::<Sample>(json!(["name", "secret"]));
    assert!(!format!("{path}{what}").contains("secret"));
}

#[test]
fn what_decodes_with_serde_json_decodes_here() {
    for value in [
        json!({}),
        json!({"name": null, "numbers": {"1": true, "255": false}, "shape": "point", "unit": null}),
        json!({"shape": {"circle": 3}, "either": 4, "raw": {"a": [1, 2.5, null]}}),
        json!({"shape": {"box": {"width": 3}}, "either": false, "list": [[1, "x"]]}),
        json!({"shape": {"pair": [3, 4]}}),
        json!({"shape": {"point": null}}),
    ] {
        assert!(serde_json::from_value::<Sample>(value.clone()).is_ok(), "{value}");
        assert!(Sample::deserialize(Node(&value)).is_ok(), "{value}");
    }
}

#[test]
fn kubernetes_types_are_explained() {
    let pod = |spec| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let rows = [
        (
            pod(json!({"containers": [{"name": "c", "ports": [{"containerPort": "secret"}]}]})),
            "spec.containers[0].ports[0].containerPort",
            "a string where i32 is expected",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": {"a.b/c": 5}}}),
            "metadata.annotations[\"a.b/c\"]",
            "an integer where a string is expected",
        ),
        (json!({"apiVersion": "v1", "kind": "secret"}), "", "a string that is not Pod"),
        (
            json!({"metadata": {"creationTimestamp": "secret"}}),
            "metadata.creationTimestamp",
            "rejected by its type",
        ),
    ];
    for (value, path, what) in rows {
        assert_eq!(explained::<Pod>(value), (path.to_owned(), what.to_owned()));
    }
    let (path, what) = explained::<Secret>(json!({"data": {"pass word": "not base64!"}}));
    assert_eq!(path, "data[\"pass word\"]");
    assert!(!what.contains("base64!"), "{what}");
    let (path, _) = explained::<DynamicObject>(json!({"metadata": {"labels": {"x": {}}}}));
    assert_eq!(path, "metadata.labels.x");
}

#[test]
fn what_is_no_json_or_differs_only_in_json_is_still_answered() {
    let deep = [vec![b'['; 1000], vec![b']'; 1000]].concat();
    assert_eq!(explain::<Value>(&deep).what, "nested too deeply, or a number out of range");
    assert_eq!(explain::<Sample>(br#"{"name":"a","name":"b"}"#).what, "does not fit its type");
}

#[test]
fn odd_keys_are_escaped_and_cut() {
    let (path, _) = explained::<BTreeMap<String, u8>>(json!({"a\nb\"c": "x"}));
    assert_eq!(path, r#"["a\nb\"c"]"#);
    let (path, _) = explained::<BTreeMap<String, u8>>(json!({"k".repeat(5000): "x"}));
    assert!(path.len() < 300);
}
