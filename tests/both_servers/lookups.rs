//! Finding objects: by key, by index, in one namespace or all, by selectors.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube_client::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_informer::{Informer, Obj, ObjectKey, View, index, iter::Hits};
use kube_runtime::reflector::ObjectRef;
use serde_json::json;

use crate::support::{
    follow::{Seen, next, seen, synced, until},
    objects::{config_map, create, create_namespace, merge, named, value},
    world::Ctx,
};

pub(super) async fn objects_are_found_by_key_and_by_index(ctx: &Ctx) -> Result<()> {
    let (here, there) = (ctx.namespace.clone(), format!("{}-b", ctx.namespace));
    create_namespace(&Api::all(ctx.client.clone()), &there).await?;
    let in_here = Api::<ConfigMap>::namespaced(ctx.client.clone(), &here);
    let in_there = Api::<ConfigMap>::namespaced(ctx.client.clone(), &there);
    // Labels that no other case uses: the informer sees all namespaces.
    let case = here.as_str();
    let switch = "net1.default.ovn.kubernetes.io/logical_switch";
    let owner = create(&in_here, "owner", "0").await?;
    let uid = owner.metadata.uid.context("no uid")?;
    let owned = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid }]);
    let objects = [
        (
            &in_here,
            "a",
            json!({ "labels": { "case": case, "tier": "web" }, "annotations": { "note": "x", switch: "subnet1" }}),
        ),
        (
            &in_here,
            "b",
            json!({ "labels": { "case": case, "tier": "db" }, "annotations": { switch: "subnet2" }, "ownerReferences": owned }),
        ),
        (
            &in_there,
            "a",
            json!({ "labels": { "case": case, "tier": "web" }, "annotations": { "note": "y", switch: "subnet1" }}),
        ),
    ];
    for (api, name, metadata) in objects {
        api.create(&PostParams::default(), &config_map(name, metadata, name)?).await?;
    }

    let mut everywhere = Informer::builder(Api::<ConfigMap>::all(ctx.client.clone()));
    let by_namespace = everywhere.index(index::namespace());
    let by_case = everywhere.index(index::label("case"));
    let by_tier = everywhere.index(|map: &ConfigMap| {
        let labels = map.metadata.labels.as_ref();
        (
            labels.and_then(|labels| labels.get("case").cloned()),
            labels.and_then(|labels| labels.get("tier").cloned()),
        )
    });
    let by_note = everywhere.index(index::annotation("note"));
    let by_switch = everywhere.index(index::annotation_suffix(".kubernetes.io/logical_switch"));
    let by_owner = everywhere.index(index::owner_uid());
    let by_data = everywhere.index(|map: &ConfigMap| {
        map.data.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    });
    let everywhere = everywhere.start();
    let one = Informer::builder(in_here.clone()).start();

    let snapshot = synced(&everywhere).await?;
    let a = snapshot.get((here.as_str(), "a")).context("not found by its name")?;
    ensure!(Obj::namespace(a) == here && Obj::name(a) == "a" && value(a) == "a", "found another");
    let forms = [
        snapshot.get(ObjectKey::new(&here, "a")),
        snapshot.get(Obj::key(a)),
        snapshot.get(ObjectRef::<ConfigMap>::new("a").within(&here)),
    ];
    ensure!(
        forms.iter().all(|found| found.is_some_and(|found| Obj::ptr_eq(found, a))),
        "the forms of a key differ"
    );
    ensure!(snapshot.get("a").is_none(), "found without its namespace");
    ensure!(snapshot.get((here.as_str(), "missing")).is_none(), "found what is not there");

    let both = [(here.as_str(), "a"), (there.as_str(), "a")];
    let in_ours = [(here.as_str(), "a"), (here.as_str(), "b"), (here.as_str(), "owner")];
    is(snapshot.by_index(&by_namespace, here.as_str()), &in_ours)?;
    is(snapshot.by_index(&by_namespace, there.as_str()), &both[1..])?;
    is(snapshot.by_index(&by_case, case), &[in_ours[0], in_ours[1], both[1]])?;
    is(snapshot.by_index(&by_tier, &(Some(case.to_owned()), Some("web".to_owned()))), &both)?;
    is(snapshot.by_index(&by_tier, &(Some(case.to_owned()), Some("cache".to_owned()))), &[])?;
    is(snapshot.by_index(&by_note, "x"), &both[..1])?;
    is(snapshot.by_index(&by_switch, &("net1.default.ovn", "subnet1")), &both)?;
    is(snapshot.by_index(&by_switch, &("net1.default.ovn", "subnet2")), &in_ours[1..2])?;
    is(snapshot.by_index(&by_owner, uid.as_str()), &in_ours[1..2])?;
    is(snapshot.by_index(&by_data, "value=b"), &in_ours[1..2])?;
    let tiers = snapshot.index_keys(&by_tier).filter(|((of, _), _)| of.as_deref() == Some(case));
    let mut tiers: Vec<_> = tiers.map(|((_, tier), count)| (tier.as_deref(), count)).collect();
    tiers.sort();
    ensure!(tiers == [(Some("db"), 1), (Some("web"), 2)], "{tiers:?}");

    let narrow = synced(&one).await?;
    let mut names: Vec<_> = narrow.iter().map(Obj::name).collect();
    names.sort();
    ensure!(names == ["a", "b", "owner"], "one namespace: {names:?}");
    ensure!(narrow.get((there.as_str(), "a")).is_none(), "found in another namespace");

    // The indexes follow; what is held does not.
    merge(&in_here, "a", json!({ "metadata": { "labels": { "tier": "db" }, "annotations": { "note": null, switch: "subnet2" }}})).await?;
    in_there.delete("a", &Default::default()).await?;
    let later = until(&everywhere, "both changes are there", |view| {
        view.get(both[1]).is_none() && view.by_index(&by_note, "x").len() == 0
    })
    .await?;
    is(later.by_index(&by_switch, &("net1.default.ovn", "subnet1")), &[])?;
    is(later.by_index(&by_switch, &("net1.default.ovn", "subnet2")), &in_ours[..2])?;
    is(later.by_index(&by_tier, &(Some(case.to_owned()), Some("db".to_owned()))), &in_ours[..2])?;
    is(later.by_index(&by_namespace, there.as_str()), &[])?;
    is(later.by_index(&by_case, case), &in_ours[..2])?;
    is(snapshot.by_index(&by_switch, &("net1.default.ovn", "subnet1")), &both)?;
    ensure!(
        one.read(|view| view.try_by_index(&by_note, "x").is_err()),
        "found by the handle of another informer"
    );
    everywhere.shutdown().await;
    one.shutdown().await;
    Ok(())
}

/// Whether the hits are these, in order, and know how many they are.
fn is(hits: Hits<'_, ConfigMap>, expected: &[(&str, &str)]) -> Result<()> {
    ensure!(hits.len() == expected.len(), "{} hits instead of {}", hits.len(), expected.len());
    let found: Vec<_> = hits.map(|map| (Obj::namespace(map), Obj::name(map))).collect();
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    Ok(())
}

/// An index that is added while the informer runs.
pub(super) async fn an_index_comes_late_and_has_all_objects(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for (name, value) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        create(&api, name, value).await?;
    }
    let informer = Informer::builder(api.clone()).start();
    let before = synced(&informer).await?;
    let by_value = informer.add_index(|map: &ConfigMap| value(map).to_owned()).await?;
    ensure!(before.try_by_index(&by_value, "red").is_err(), "an older snapshot has it");
    let red = |view: &View<ConfigMap>| {
        view.by_index(&by_value, "red").map(|map| Obj::name(map).to_owned()).collect::<Vec<_>>()
    };
    ensure!(informer.read(red) == ["a", "b"], "not all are in it");
    merge(&api, "b", json!({ "data": { "value": "blue" } })).await?;
    merge(&api, "c", json!({ "data": { "value": "red" } })).await?;
    until(&informer, "it follows changes", |view| red(view) == ["a", "c"]).await?;
    api.delete("a", &Default::default()).await?;
    until(&informer, "it follows deletes", |view| red(view) == ["c"]).await?;
    let refreshed = informer.refresh().await?;
    ensure!(red(&refreshed) == ["c"], "lost by a refresh");
    informer.shutdown().await;
    Ok(())
}

pub(super) async fn objects_leave_a_label_selector(ctx: &Ctx) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    for (name, app) in [("in", "web"), ("out", "db")] {
        let labels = json!({ "labels": { "app": app } });
        api.create(&PostParams::default(), &config_map(name, labels, app)?).await?;
    }
    let maps = Informer::builder(api.clone()).labels("app in (web, proxy)").start();
    let mut changes = maps.subscribe();
    let first = seen(&next(&mut changes).await?, named)?;
    ensure!(first == [Seen::Added(pair("in", "web"))], "{first:?}");

    // A change of labels and content in one: the object that left is reported with the stored value, not with
    // the new one.
    merge(&api, "in", json!({ "metadata": { "labels": { "app": "db" } }, "data": { "value": "gone" } }))
        .await?;
    let left = seen(&next(&mut changes).await?, named)?;
    ensure!(left == [Seen::Deleted(pair("in", "web"))], "{left:?}");
    ensure!(maps.get((ctx.namespace.as_str(), "in")).is_none(), "it is still found");

    merge(&api, "out", json!({ "metadata": { "labels": { "app": "proxy" } } })).await?;
    let came = seen(&next(&mut changes).await?, named)?;
    ensure!(came == [Seen::Added(pair("out", "db"))], "{came:?}");
    maps.shutdown().await;
    Ok(())
}

pub(super) async fn objects_leave_a_field_selector(ctx: &Ctx) -> Result<()> {
    let api = Api::<Pod>::namespaced(ctx.client.clone(), &ctx.namespace);
    for name in ["one", "two"] {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "nodeName": format!("node-{name}"), "containers": [{ "name": "main", "image": "none" }] },
        }))?;
        api.create(&PostParams::default(), &pod).await?;
    }
    let phase = async |name: &str, phase: &str| {
        let patch = Patch::Merge(json!({ "status": { "phase": phase } }));
        api.patch_status(name, &PatchParams::default(), &patch).await
    };
    let pending = Informer::builder(api.clone()).fields("status.phase=Pending").start();
    let on_node = Informer::builder(api.clone()).fields("spec.nodeName=node-two").start();
    ensure!(synced(&on_node).await?.len() == 1, "not one pod on its node");
    ensure!(on_node.get((ctx.namespace.as_str(), "two")).is_some(), "another pod on its node");
    phase("one", "Pending").await?;
    phase("two", "Pending").await?;
    until(&pending, "both pods wait", |view| view.len() == 2).await?;
    let mut changes = pending.subscribe();
    ensure!(next(&mut changes).await?.changes().count() == 2, "the first batch");
    let of = |pod: &Obj<Pod>| {
        (
            Obj::name(pod).to_owned(),
            pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default(),
        )
    };
    phase("one", "Running").await?;
    let left = seen(&next(&mut changes).await?, of)?;
    ensure!(left == [Seen::Deleted(pair("one", "Pending"))], "{left:?}");
    pending.shutdown().await;
    on_node.shutdown().await;
    Ok(())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
