//! Selectors turned round: which objects select a Pod, while both change.

use anyhow::{Result, ensure};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube_client::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use kube_informer::{Index, Informer, Obj, View, index, index::SelectorKey};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{
    follow::{synced, until},
    objects::create_namespace,
    world::Ctx,
};

pub(super) async fn services_and_policies_that_select_a_pod_are_found(ctx: &Ctx) -> Result<()> {
    let (here, there) = (ctx.namespace.as_str(), format!("{}-b", ctx.namespace));
    create_namespace(&Api::all(ctx.client.clone()), &there).await?;
    let selector = |selector: Value| json!({ "selector": selector, "ports": [{ "port": 80 }] });
    let services = Api::<Service>::namespaced(ctx.client.clone(), here);
    create(&services, "web", selector(json!({ "app": "web" }))).await?;
    create(&services, "front", selector(json!({ "app": "web", "tier": "front" }))).await?;
    create(&services, "db", selector(json!({ "app": "db" }))).await?;
    create(&services, "none", selector(json!(null))).await?;
    create(&services, "empty", selector(json!({}))).await?;
    let elsewhere = Api::<Service>::namespaced(ctx.client.clone(), &there);
    create(&elsewhere, "web", selector(json!({ "app": "web" }))).await?;
    let budgets = Api::<PodDisruptionBudget>::namespaced(ctx.client.clone(), here);
    let term = |key: &str, operator: &str, values: Value| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
    create(&budgets, "in", json!({ "selector": term("app", "In", json!(["web", "cache"])) })).await?;
    create(&budgets, "not-in", json!({ "selector": term("app", "NotIn", json!(["web"])) })).await?;
    create(&budgets, "exists", json!({ "selector": term("tier", "Exists", json!(null)) })).await?;
    create(&budgets, "absent", json!({ "selector": term("tier", "DoesNotExist", json!(null)) })).await?;
    create(&budgets, "empty", json!({ "selector": {} })).await?;
    create(&budgets, "none", json!({})).await?;
    let policies = Api::<NetworkPolicy>::namespaced(ctx.client.clone(), here);
    create(&policies, "all", json!({ "podSelector": {} })).await?;
    create(&policies, "web", json!({ "podSelector": { "matchLabels": { "app": "web" } } })).await?;
    let pods = Api::<Pod>::namespaced(ctx.client.clone(), here);
    let containers = json!([{ "name": "main", "image": "none" }]);
    let pod = json!({ "metadata": { "name": "p", "labels": { "app": "web" } }, "spec": { "containers": containers } });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;

    let mut informer = Informer::builder(Api::<Service>::all(ctx.client.clone()));
    let by_selector =
        informer.index(index::selector(|service: &Service| service.spec.as_ref()?.selector.clone()));
    let services_informer = informer.start();
    let mut informer = Informer::builder(budgets.clone());
    let budgets_by_selector = informer
        .index(index::selector(|budget: &PodDisruptionBudget| budget.spec.as_ref()?.selector.clone()));
    let budgets_informer = informer.start();
    let policies_informer = Informer::builder(policies.clone()).start();
    let pods_informer = Informer::builder(pods.clone()).start();
    let services_of = synced(&services_informer).await?;
    let budgets_of = synced(&budgets_informer).await?;
    synced(&policies_informer).await?;
    // An index of selectors can be added late, too.
    let policies_by_selector = policies_informer
        .add_index(index::selector(|policy: &NetworkPolicy| {
            policy.spec.as_ref().map(|spec| spec.pod_selector.clone().unwrap_or_default())
        }))
        .await?;
    let policies_of = policies_informer.snapshot();
    let pod = synced(&pods_informer).await?.get((here, "p")).expect("it was created").clone();

    ensure!(
        names(&services_of, &by_selector, &pod) == ["web"],
        "{:?}",
        names(&services_of, &by_selector, &pod)
    );
    let found = names(&budgets_of, &budgets_by_selector, &pod);
    ensure!(found == ["absent", "empty", "in"], "{found:?}");
    let found = names(&policies_of, &policies_by_selector, &pod);
    ensure!(found == ["all", "web"], "{found:?}");
    let found: Vec<_> =
        services_of.selecting(&by_selector, &there, [("app", "web")]).map(Obj::name).collect();
    ensure!(found == ["web"], "in the other namespace: {found:?}");

    // The labels of the Pod change.
    let patch = json!({ "metadata": { "labels": { "tier": "front" } } });
    pods.patch("p", &PatchParams::default(), &Patch::Merge(patch)).await?;
    let labelled = |view: &View<Pod>| {
        view.get((here, "p"))
            .is_some_and(|pod| pod.meta().labels.as_ref().is_some_and(|labels| labels.len() == 2))
    };
    let relabelled = until(&pods_informer, "the pod has its label", labelled).await?;
    let relabelled = relabelled.get((here, "p")).expect("it is there");
    let found = names(&services_of, &by_selector, relabelled);
    ensure!(found == ["front", "web"], "{found:?}");
    let found = names(&budgets_of, &budgets_by_selector, relabelled);
    ensure!(found == ["empty", "exists", "in"], "{found:?}");

    // The selectors change.
    let select = |selector: Value| Patch::Merge(json!({ "spec": { "selector": selector } }));
    services.patch("db", &PatchParams::default(), &select(json!({ "app": "web" }))).await?;
    services.patch("web", &PatchParams::default(), &select(json!({ "app": "other" }))).await?;
    services.patch("none", &PatchParams::default(), &select(json!({ "tier": "front" }))).await?;
    services.delete("front", &DeleteParams::default()).await?;
    let expected = ["db", "none"];
    let later = until(&services_informer, "the selectors are others", |view| {
        names(view, &by_selector, relabelled) == expected
    })
    .await?;
    ensure!(names(&later, &by_selector, &pod) == ["db"], "of the old version of the pod");
    let found = names(&services_of, &by_selector, relabelled);
    ensure!(found == ["front", "web"], "a held snapshot has changed: {found:?}");
    policies.delete("web", &DeleteParams::default()).await?;
    until(&policies_informer, "the policy is gone", |view| {
        names(view, &policies_by_selector, &pod) == ["all"]
    })
    .await?;
    services_informer.shutdown().await;
    budgets_informer.shutdown().await;
    policies_informer.shutdown().await;
    pods_informer.shutdown().await;
    Ok(())
}

/// The names of the objects that select the pod.
fn names<T: Send + Sync + 'static>(
    view: &View<T>,
    index: &Index<T, SelectorKey>,
    pod: &Obj<Pod>,
) -> Vec<String> {
    view.selecting_object(index, pod).map(|object| Obj::name(object).to_owned()).collect()
}

async fn create<K>(api: &Api<K>, name: &str, spec: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    let object = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec }))?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}
