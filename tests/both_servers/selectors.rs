//! Label selectors: evaluated on a snapshot, and by the server in a list request.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{
    Api, Error,
    api::{ListParams, PostParams},
};
use kube_informer::{Informer, Obj, Selector, index};
use serde_json::json;

use crate::support::{
    follow::{synced, until},
    objects::{config_map, create, create_namespace, merge},
    world::Ctx,
};

/// All forms a selector has, with blanks where the grammar allows them.
const SELECTORS: [&str; 26] = [
    "",
    "app",
    "!app",
    "app=web",
    "app==web",
    "app != web",
    "app=",
    "app!=",
    "app in (web, db)",
    "app in (web,)",
    "app in ()",
    "app notin (web,db)",
    "app notin ( )",
    "size>9",
    "size<10",
    "size > 9,size < 11",
    "app=web,size",
    "app=web,!size",
    "app!=web,app!=db",
    "app in (web),tier notin (front)",
    "example.com/team=a",
    "!example.com/team, app",
    "app=web,app=db",
    "in in (in,notin)",
    "tier=front.end_1-a",
    "nowhere in (a),nowhere notin (b)",
];

/// What is no selector.
const REFUSED: [&str; 28] = [
    ",",
    "app,",
    "app==",
    "app===web",
    "app=!web",
    "!app=web",
    "app web",
    "app in",
    "app in web",
    "app in (web",
    "app in (web db)",
    "app is (web)",
    "size>",
    "size>x",
    "size>-1",
    "-app",
    "a_/b",
    "a-very-long-name-of-more-than-sixty-three-characters-that-no-label-may-have",
    "a=b_",
    "x in (a,-b)",
    "x=a-very-long-value-of-more-than-sixty-three-characters-that-no-label-has",
    "/a",
    "a/",
    "!a-",
    "a>b_",
    "a=b/c",
    "app=-web",
    "a/b/c",
];

pub(super) async fn a_snapshot_selects_what_the_server_lists(ctx: &Ctx) -> Result<()> {
    let other = format!("{}-b", ctx.namespace);
    create_namespace(&Api::all(ctx.client.clone()), &other).await?;
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &ctx.namespace);
    let labels = [
        json!(null),
        json!({}),
        json!({ "app": "" }),
        json!({ "app": "web" }),
        json!({ "app": "web", "size": "9", "tier": "front" }),
        json!({ "app": "web", "size": "10", "example.com/team": "a" }),
        json!({ "app": "db", "size": "11", "example.com/team": "b" }),
        json!({ "app": "db", "size": "big", "tier": "front.end_1-a" }),
        json!({ "app": "cache", "size": "08", "in": "notin" }),
        json!({ "size": "9999999999999999999" }),
    ];
    for (at, labels) in labels.iter().enumerate() {
        let map = config_map(&format!("map-{at}"), json!({ "labels": labels }), "")?;
        api.create(&PostParams::default(), &map).await?;
    }
    let elsewhere = config_map("map-0", json!({ "labels": { "app": "web", "size": "10" } }), "")?;
    Api::namespaced(ctx.client.clone(), &other).create(&PostParams::default(), &elsewhere).await?;

    let mut maps = Informer::builder(Api::<ConfigMap>::all(ctx.client.clone()));
    let by_namespace = maps.index(index::namespace());
    let by_app = maps.index(index::label("app"));
    let maps = maps.start();
    let snapshot = synced(&maps).await?;
    let here = ctx.namespace.as_str();
    let mut matched = 0;
    for text in SELECTORS {
        let listed = api.list(&ListParams::default().labels(text)).await.with_context(|| text.to_owned())?;
        let listed: Vec<_> = listed.items.into_iter().filter_map(|map| map.metadata.name).collect();
        matched += listed.len();
        let selector: Selector = text.parse()?;
        let hits = snapshot.by_index(&by_namespace, here).select(&selector);
        ensure!(hits.map(Obj::name).eq(&listed), "{text:?}: the server lists {listed:?}");
        let all = snapshot.select(&selector).filter(|map| Obj::namespace(map) == here);
        ensure!(
            all.map(Obj::name).collect::<BTreeSet<_>>() == listed.iter().map(String::as_str).collect(),
            "{text:?}"
        );
        // What it prints is the same selector, to the server too.
        let printed = api.list(&ListParams::default().labels(&selector.to_string())).await?;
        ensure!(printed.items.len() == listed.len(), "{text:?} is not {selector}");
        let by_both =
            snapshot.by_index(&by_namespace, here).and(snapshot.by_index(&by_app, "web")).select(&selector);
        let web = listed.iter().filter(|name| ["map-3", "map-4", "map-5"].contains(&name.as_str()));
        ensure!(by_both.map(Obj::name).eq(web), "{text:?} of those under web");
    }
    ensure!(matched > 60, "only {matched} in all");
    for text in REFUSED {
        let listed = api.list(&ListParams::default().labels(text)).await;
        let refused = matches!(&listed, Err(Error::Api(status)) if status.code == 400);
        ensure!(refused == text.parse::<Selector>().is_err(), "{text:?}: refused by the server: {refused}");
    }

    // A later version of the labels is another answer; a held snapshot gives the old one.
    let web: Selector = "app=web".parse()?;
    merge(&api, "map-3", json!({ "metadata": { "labels": { "app": "db" } } })).await?;
    create(&api, "unlabelled", "").await?;
    let later =
        until(&maps, "both are there", |view| view.by_index(&by_namespace, here).select(&web).count() == 2)
            .await?;
    ensure!(
        later.by_index(&by_namespace, here).and(later.by_index(&by_app, "db")).count() == 3,
        "not under its new label"
    );
    ensure!(snapshot.by_index(&by_namespace, here).select(&web).count() == 3, "a held snapshot has changed");
    maps.shutdown().await;
    Ok(())
}
