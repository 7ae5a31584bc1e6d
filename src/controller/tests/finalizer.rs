//! Finalizers, when the cache is behind or the `Api` is another one.

use super::*;
use crate::controller::{Event, FinalizerError, finalizer};

const NAME: &str = "example.dev/cleanup";

fn with_finalizers(name: &str, finalizers: &[&str]) -> Value {
    let mut map = map(name, "1");
    map["metadata"]["finalizers"] = json!(finalizers);
    map
}

fn finalizers(bench: &Bench, namespace: &str) -> Value {
    bench.server.get("configmaps", namespace, "m").unwrap()["metadata"]["finalizers"].take()
}

async fn run(
    api: &Api<ConfigMap>,
    object: &Obj<ConfigMap>,
) -> Result<Action, FinalizerError<std::io::Error>> {
    finalizer(api, NAME, object, async |event| match event {
        Event::Apply(_) | Event::Cleanup(_) => Ok(Action::await_change()),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_same_name_keeps_its_finalizer_when_the_one_before_is_cleaned_up() {
    let bench = Bench::new();
    bench.server.create(with_finalizers("m", &[NAME])).unwrap();
    bench.server.delete("configmaps", "default", "m").unwrap();
    bench.maps.synced().await.unwrap();
    let deleting = bench.maps.get(("default", "m")).unwrap();
    assert!(deleting.metadata.deletion_timestamp.is_some());
    // Something else removes the finalizer, and the object is created again.
    let none = json!({ "metadata": { "finalizers": null } });
    bench.server.merge_patch("configmaps", "default", "m", none).unwrap();
    bench.server.create(with_finalizers("m", &[NAME])).unwrap();
    assert!(matches!(run(&bench.api(), &deleting).await, Err(FinalizerError::Remove(_))));
    assert_eq!(finalizers(&bench, "default"), json!([NAME]));
}

#[tokio::test(start_paused = true)]
async fn an_api_of_another_namespace_changes_no_object_there() {
    for others in [&[][..], &["example.dev/other"]] {
        let bench = Bench::new();
        bench.server.create(with_finalizers("m", others)).unwrap();
        let mut there = with_finalizers("m", others);
        there["metadata"]["namespace"] = json!("kube-public");
        bench.server.create(there).unwrap();
        bench.maps.synced().await.unwrap();
        let object = bench.maps.get(("default", "m")).unwrap();
        let before = finalizers(&bench, "kube-public");
        let api = Api::namespaced(bench.client.clone(), "kube-public");
        assert!(matches!(run(&api, &object).await, Err(FinalizerError::Add(_))));
        assert_eq!(finalizers(&bench, "kube-public"), before);
        assert!(run(&bench.api(), &object).await.is_ok());
        let expected: Vec<_> = others.iter().copied().chain([NAME]).collect();
        assert_eq!(finalizers(&bench, "default"), json!(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_behind_loses_no_finalizer() {
    let bench = Bench::new();
    bench.server.create(with_finalizers("m", &["example.dev/a", NAME])).unwrap();
    bench.server.delete("configmaps", "default", "m").unwrap();
    bench.maps.synced().await.unwrap();
    let behind = bench.maps.get(("default", "m")).unwrap();
    let fewer = json!({ "metadata": { "finalizers": [NAME] } });
    bench.server.merge_patch("configmaps", "default", "m", fewer).unwrap();
    assert!(matches!(run(&bench.api(), &behind).await, Err(FinalizerError::Remove(_))));
    assert_eq!(finalizers(&bench, "default"), json!([NAME]));
}
