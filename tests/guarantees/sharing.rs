//! Promises 11 and 12: each version is projected once, and unchanged objects keep their allocation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Config, Informer, Obj, Snapshot};

use crate::support::*;

/// How often each version of each object was projected.
type Projected = Arc<Mutex<BTreeMap<(String, String), usize>>>;

fn note(projected: &Projected, widget: &Widget) {
    let meta = &widget.metadata;
    let version = (meta.name.clone().unwrap(), meta.resource_version.clone().unwrap());
    *projected.lock().unwrap().entry(version).or_default() += 1;
}

/// Everything that makes an informer receive objects again.
async fn turmoil(server: &ApiServer, mut settled: impl AsyncFnMut()) {
    for round in 1..=8 {
        set(server, "a", "w001", round);
        set(server, "a", "w002", 100 + round);
        match round % 4 {
            0 => server.disconnect_watches(),
            1 => force_relist(server),
            2 => server.inject(Fault::new(FaultAction::ErrorEvent(410)).verb("watch")),
            _ => server.inject(Fault::new(FaultAction::CutStream).verb("watch")),
        }
        settled().await;
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p11_each_version_is_projected_and_indexed_once() {
    for server in [server(), paging_server()] {
        populate(&server, 30, 0);
        let (projected, indexed) = (Projected::default(), Arc::new(AtomicUsize::new(0)));
        let (projecting, indexing) = (projected.clone(), indexed.clone());
        let mut builder =
            Informer::builder(api(&server)).config(Config::new().page_size(10)).project(move |widget| {
                note(&projecting, &widget);
                Kept::from(widget)
            });
        builder.index(move |kept: &Kept| {
            indexing.fetch_add(1, Ordering::Relaxed);
            kept.number
        });
        let informer = builder.start();
        informer.synced().await.unwrap();
        turmoil(&server, async || {
            until(&informer, "it follows", |view| content(view) == truth(&server)).await;
        })
        .await;
        assert!(informer.stats().lists >= 4, "there were relists");
        let versions = projected.lock().unwrap().len();
        assert_eq!(versions, 30 + 2 * 8, "every version was seen");
        assert!(projected.lock().unwrap().values().all(|times| *times == 1), "some were projected again");
        assert_eq!(indexed.load(Ordering::Relaxed), versions);

        // Removing an object runs no application code.
        for at in 0..30 {
            server.delete(WIDGETS, "a", &name(at)).unwrap();
        }
        until(&informer, "all are gone", |view| view.is_empty()).await;
        assert_eq!(indexed.load(Ordering::Relaxed), versions);
        assert_eq!(projected.lock().unwrap().len(), versions);
    }
}

#[tokio::test(start_paused = true)]
async fn p11_what_is_kept_out_costs_a_projection_and_nothing_else() {
    let server = server();
    populate(&server, 30, 0);
    let projected = Projected::default();
    let projecting = projected.clone();
    let informer = Informer::builder(api(&server))
        .project_some(move |widget| {
            note(&projecting, &widget);
            (widget.spec.number >= 100).then(|| Kept::from(widget))
        })
        .start();
    informer.synced().await.unwrap();
    assert_eq!((informer.snapshot().len(), informer.stats().objects), (0, 0));
    assert_eq!(projected.lock().unwrap().len(), 30, "all were looked at");
    turmoil(&server, async || {
        let newest = server.get(WIDGETS, "a", "w002").unwrap()["spec"]["number"].as_u64();
        until(&informer, "it follows", |view| {
            view.get(("a", "w002")).is_some_and(|kept| Some(kept.number) == newest)
        })
        .await;
    })
    .await;
    assert_eq!(informer.snapshot().len(), 1);
    assert_eq!((informer.stats().invalid_objects, informer.snapshot().invalid_len()), (0, 0), "not invalid");
    let projected = projected.lock().unwrap();
    let once = projected.iter().filter(|((name, _), _)| name == "w002").all(|(_, times)| *times == 1);
    assert!(once, "a kept version was projected again");
}

/// The names of the objects whose allocation differs between `before` and `after`.
fn copied(before: &Snapshot<Kept>, after: &Snapshot<Kept>) -> Vec<String> {
    let same = |object: &&Obj<Kept>| {
        before.get(Obj::key(object)).is_some_and(|earlier| Obj::ptr_eq(earlier, object))
    };
    let mut names: Vec<_> =
        after.iter().filter(|object| !same(object)).map(|object| Obj::name(object).to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn p12_unchanged_objects_keep_their_allocation_through_relists() {
    for server in [server(), paging_server()] {
        populate(&server, 200, 0);
        let indexed = start(kept(&server).config(Config::new().page_size(50)));
        let first = agree(&indexed, &server).await;
        settle().await;
        // A relist without changes publishes no change.
        server.create(widget("a", "brief", 1)).unwrap();
        server.delete(WIDGETS, "a", "brief").unwrap();
        force_relist(&server);
        eventually("it is relisted", || (indexed.informer.stats().lists == 2).then_some(())).await;
        let second = indexed.informer.snapshot();
        assert_eq!(second.revision(), first.revision());
        assert_ne!(second.resource_version(), first.resource_version());
        assert!(copied(&first, &second).is_empty());
        // A relist with some changes copies only these objects, also in the indexes.
        settle().await;
        set(&server, "a", "w007", 1);
        server.create(widget("a", "new", 0)).unwrap();
        server.delete(WIDGETS, "a", "w100").unwrap();
        force_relist(&server);
        let third = agree(&indexed, &server).await;
        assert_eq!(indexed.informer.stats().lists, 3);
        assert_eq!(copied(&second, &third), ["new", "w007"]);
    }
}

#[tokio::test(start_paused = true)]
async fn p12_an_update_leaves_all_other_objects_where_they_are() {
    let server = server();
    populate(&server, 500, 0);
    let indexed = start(kept(&server));
    let mut before = agree(&indexed, &server).await;
    for round in 1..50 {
        let at = name(round * 7);
        set(&server, "a", &at, round as u64);
        let after = agree(&indexed, &server).await;
        assert_eq!(copied(&before, &after), [at]);
        before = after;
    }
}
