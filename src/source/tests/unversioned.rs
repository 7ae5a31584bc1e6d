//! Kinds without versions: metrics, ComponentStatus, aggregated servers without storage.

use super::*;

const NONE: [&str; 3] = ["", r#","resourceVersion":null"#, r#","resourceVersion":"""#];

fn object(name: &str, none: &str, data: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"n"{none}}},"data":{data}}}"#)
}

fn content(object: &str) -> ResourceVersion {
    ResourceVersion::of_content(object.as_bytes())
}

#[tokio::test]
async fn a_list_may_have_no_version() {
    let metadata = [
        "",
        r#","metadata":null"#,
        r#","metadata":{}"#,
        r#","metadata":{"resourceVersion":null}"#,
        r#","metadata":{"resourceVersion":"","continue":null}"#,
    ];
    for metadata in metadata {
        let page =
            list(answering(data(&format!(r#"{{"kind":"PodMetricsList","items":[]{metadata}}}"#)))).await;
        let page = page.unwrap();
        assert!(page.resource_version.is_empty(), "{metadata}");
        assert_eq!(page.continue_token, None);
    }
}

#[tokio::test]
async fn an_object_without_a_version_has_that_of_its_content() {
    for none in NONE {
        let objects = [object("a", none, "{}"), object("b", none, "{}"), object("b", none, r#"{"k":"v"}"#)];
        let page = format!(r#"{{"items":[{}],"metadata":{{"resourceVersion":""}}}}"#, objects.join(" , "));
        let listed = list(answering(data(&page))).await.unwrap().items;
        let versions: Vec<_> = listed.map(|item| item.unwrap().meta.resource_version).collect();
        assert_eq!(versions, objects.each_ref().map(|object| content(object)));
        assert!(versions.iter().all(ResourceVersion::is_of_content));
        assert!(versions[0] != versions[1] && versions[1] != versions[2]);

        let lines: String =
            objects.iter().map(|object| format!(r#"{{"type":"ADDED","object":{object}}}"#)).collect();
        let mut watch = answering(data(&lines)).watch(&watching()).await.unwrap();
        for version in versions {
            let Some(Ok(WatchEvent::Applied(Ok(item)))) = watch.next().await else { panic!() };
            assert_eq!(item.meta.resource_version, version, "the same, however it came");
        }
    }
}

#[tokio::test]
async fn deletions_and_bookmarks_may_have_no_version() {
    for none in NONE {
        let gone = object("a", none, "{}");
        let end = r#","annotations":{"k8s.io/initial-events-end":"true"}"#;
        let body = [
            format!(r#"{{"type":"DELETED","object":{gone}}}"#),
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"creationTimestamp":null{none}}}}}}}"#),
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"x":null{none}{end}}}}}}}"#),
            String::from(r#"{"type":"BOOKMARK","object":{}}{"type":"BOOKMARK","object":{"metadata":null}}"#),
        ];
        let seen = events(answering(data(&body.concat()))).await;
        let gone = format!("deleted n/a {}", content(&gone));
        assert_eq!(seen, [&gone, "bookmark  false", "bookmark  true", "bookmark  false", "bookmark  false"]);
    }
}
