//! Commands to a running informer: add an index, and refresh (promises 1, 2, 11).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kube_informer::index::{self, MissingIndex};
use kube_informer::testing::ApiServer;
use kube_informer::{Absent, Change, Config, Informer, Obj};
use tokio::time::timeout;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn p01_an_index_added_late_has_all_objects_and_follows_them() {
    for server in [server(), paging_server()] {
        populate(&server, 300, 0);
        let indexed = start(kept(&server));
        agree(&indexed, &server).await;
        for at in 0..300 {
            set(&server, "a", &name(at), at as u64 % 7);
        }
        let before = agree(&indexed, &server).await;
        let informer = &indexed.informer;
        let by_rest = informer.add_index(|kept: &Kept| kept.number % 3).await.unwrap();
        let by_two = informer.add_index(|kept: &Kept| [kept.number % 2, kept.number + 10]).await.unwrap();
        let by_namespace = informer.add_index(index::namespace()).await.unwrap();
        let now = informer.snapshot();
        assert_eq!(now.revision(), before.revision(), "no object has changed");
        assert_eq!(before.try_by_index(&by_rest, &0).unwrap_err(), MissingIndex::Later);
        let check = |view: &kube_informer::View<Kept>| {
            assert_index(view, &by_rest, |object| vec![object.number % 3]);
            assert_index(view, &by_two, |object| vec![object.number % 2, object.number + 10]);
            assert_index(view, &by_namespace, |object| vec![Obj::namespace(object).to_owned()]);
        };
        check(&now);

        // Changed, deleted, new and unchanged objects; a relist, and one that is aborted.
        for at in 0..100 {
            set(&server, "a", &name(at), 5 + at as u64 % 5);
        }
        for at in 50..150 {
            server.delete(WIDGETS, "a", &name(at)).unwrap();
        }
        server.create(widget("b", "new", 4)).unwrap();
        check(&*agree(&indexed, &server).await);
        settle().await;
        server.delete(WIDGETS, "a", &name(200)).unwrap();
        set(&server, "a", &name(201), 77);
        force_relist(&server);
        let relisted = agree(&indexed, &server).await;
        check(&relisted);
        check(&now);
        assert!(informer.stats().lists >= 2);

        // Its handle works like that of any other index.
        let mut changes = informer.subscribe().in_index(&by_rest, 1);
        assert_eq!(next(&mut changes).await.changes().count(), relisted.by_index(&by_rest, &1).len());
        set(&server, "b", "new", 6);
        let batch = next(&mut changes).await;
        assert!(matches!(batch.changes().next(), Some(Change::Deleted(gone)) if Obj::name(gone) == "new"));
    }
}

#[tokio::test(start_paused = true)]
async fn p01_an_index_can_be_added_before_the_first_list_and_while_nothing_answers() {
    let server = ApiServer::builder().without_built_ins().build();
    let indexed = start(kept(&server));
    settle().await;
    let by_rest = timeout(Duration::from_secs(1), indexed.informer.add_index(|kept: &Kept| kept.number % 3));
    let by_rest = by_rest.await.expect("it waits for no server").unwrap();
    assert!(!indexed.informer.is_synced());
    let mut changes = indexed.informer.subscribe().in_index(&by_rest, 1);
    server.install(widgets()).unwrap();
    populate(&server, 10, 4);
    let snapshot = agree(&indexed, &server).await;
    assert_eq!(snapshot.by_index(&by_rest, &1).len(), 10);
    assert!(next(&mut changes).await.is_initial());
}

#[tokio::test(start_paused = true)]
async fn p10_an_index_added_late_that_panics_harms_only_the_object() {
    quiet_panics();
    let server = server();
    populate(&server, 10, 1);
    set(&server, "a", "w003", 13);
    let indexed = start(kept(&server));
    agree(&indexed, &server).await;
    let picky = |kept: &Kept| {
        if kept.number == 13 {
            std::panic::panic_any(EXPECTED);
        }
        kept.number
    };
    let index = indexed.informer.add_index(picky).await.unwrap();
    let snapshot = indexed.informer.snapshot();
    assert_eq!(snapshot.len(), 10, "it stays in everything else");
    indexed.assert_consistent(&snapshot);
    let invalid: Vec<_> = snapshot.invalid().map(|error| error.key().unwrap().to_string()).collect();
    assert_eq!(invalid, ["a/w003"]);
    assert_eq!((snapshot.by_index(&index, &13).len(), snapshot.by_index(&index, &1).len()), (0, 9));
    set(&server, "a", "w003", 1);
    let healed = until(&indexed.informer, "it heals", |view| view.invalid_len() == 0).await;
    assert_eq!(healed.by_index(&index, &1).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_an_informer_that_stops_ends_with_an_error() {
    let server = server();
    let informer = kept(&server).start();
    informer.synced().await.unwrap();
    informer.shutdown().await;
    assert!(informer.add_index(|kept: &Kept| kept.number).await.unwrap_err().is_stopped());
    assert!(informer.refresh().await.unwrap_err().is_stopped());
    // Also if the informer stops during the wait.
    let absent = ApiServer::builder().without_built_ins().build();
    let informer = kept(&absent).start();
    let waiting = tokio::spawn({
        let informer = informer.clone();
        async move { informer.refresh().await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    informer.shutdown().await;
    assert!(waiting.await.unwrap().unwrap_err().is_stopped());
}

#[tokio::test(start_paused = true)]
async fn p11_a_refresh_decodes_and_projects_everything_anew() {
    for server in [server(), paging_server()] {
        populate(&server, 20, 1);
        let (factor, projected) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicUsize::new(0)));
        let (times, counted) = (factor.clone(), projected.clone());
        let mut builder =
            Informer::builder(api(&server)).config(Config::new().page_size(6)).project(move |widget| {
                counted.fetch_add(1, Ordering::Relaxed);
                let kept = Kept::from(widget);
                Kept { number: kept.number * times.load(Ordering::Relaxed), ..kept }
            });
        let by_number = builder.index(|kept: &Kept| kept.number);
        let informer = builder.start();
        let mut changes = informer.subscribe();
        next(&mut changes).await;
        let before = informer.snapshot();
        factor.store(10, Ordering::Relaxed);
        let after = informer.refresh().await.unwrap();
        assert_eq!(projected.load(Ordering::Relaxed), 40, "each once more");
        assert_eq!((before.by_index(&by_number, &1).len(), after.by_index(&by_number, &10).len()), (20, 20));
        assert_eq!(after.index_keys(&by_number).len(), 1);
        for (old, new) in before.iter().map(|old| (old, after.get(Obj::key(old)).unwrap())) {
            assert_eq!(Obj::resource_version(old), Obj::resource_version(new));
            assert!(Obj::same_uid(old, new) && !Obj::ptr_eq(old, new));
        }
        let batch = next(&mut changes).await;
        assert_eq!(batch.changes().filter(|change| matches!(change, Change::Modified { .. })).count(), 20);
        // Only this list decodes everything; the next one decodes nothing again.
        settle().await;
        set(&server, "a", "w001", 2);
        force_relist(&server);
        until(&informer, "it is followed", |view| view.by_index(&by_number, &20).len() == 1).await;
        assert_eq!(projected.load(Ordering::Relaxed), 41);
    }
}

#[tokio::test(start_paused = true)]
async fn p11_a_refresh_that_is_cancelled_or_shared_costs_one_list() {
    let server = server();
    populate(&server, 5, 1);
    let indexed = start(kept(&server));
    agree(&indexed, &server).await;
    let lists = || indexed.informer.stats().lists;
    let all = futures_util::future::join_all((0..5).map(|_| indexed.informer.refresh())).await;
    assert!(all.into_iter().all(|refreshed| refreshed.is_ok()));
    assert!((2..=3).contains(&lists()), "{} lists", lists());
    let before = lists();
    assert!(timeout(Duration::ZERO, indexed.informer.refresh()).await.is_err());
    settle().await;
    assert!(lists() <= before + 1);
    agree(&indexed, &server).await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_an_optional_kind_that_is_absent_asks_and_answers() {
    let server = ApiServer::builder().without_built_ins().build();
    let informer = kept(&server).config(Config::new().absent(Absent::Empty)).start();
    let soon = Duration::from_secs(1);
    // Before the first list, and repeatedly after it.
    for _ in 0..4 {
        let refreshed =
            timeout(Duration::from_secs(60), informer.refresh()).await.expect("it answers").unwrap();
        assert!(refreshed.is_synced() && refreshed.is_empty());
    }
    let asked = server.requests().total();
    timeout(soon, informer.refresh()).await.expect("at once").unwrap();
    assert!(server.requests().total() > asked, "the server is asked");
    server.install(widgets()).unwrap();
    populate(&server, 5, 1);
    assert_eq!(timeout(soon, informer.refresh()).await.expect("at once").unwrap().len(), 5);
}
