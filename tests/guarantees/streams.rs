//! Promise 5: the changes that subscriptions deliver, case by case. Random consumers are in `streams_model`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use kube_informer::{Batch, Change, End, Informer, Obj};
use serde_json::json;

use crate::support::*;

/// The changes of a batch as text, ordered by key.
fn told(batch: &Batch<Kept>) -> Vec<String> {
    let mut told: Vec<_> = batch
        .changes()
        .map(|change| {
            let key = change.key().to_string();
            match change {
                Change::Added(new) => format!("{key} added {}", new.number),
                Change::Modified { old, new } => format!("{key} {} -> {}", old.number, new.number),
                Change::Deleted(old) => format!("{key} deleted {}", old.number),
                Change::Replaced { old, new } => format!("{key} replaced {} by {}", old.number, new.number),
            }
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(start_paused = true)]
async fn p05_the_first_batch_is_all_that_exists_also_when_that_is_nothing() {
    let server = server();
    let indexed = start(kept(&server));
    let mut early = indexed.informer.subscribe();
    assert!(early.next().now_or_never().is_none(), "nothing before the first list");
    let batch = next(&mut early).await;
    assert!(batch.is_initial() && batch.changes().next().is_none() && batch.snapshot().is_synced());

    let mut scoped = [
        indexed.informer.subscribe().in_namespace("b"),
        indexed.informer.subscribe().in_index(&indexed.by_number, 9),
        indexed.informer.subscribe().filter_changes(|_, _| false),
    ];
    populate(&server, 3, 7);
    assert_eq!(told(&next(&mut early).await), ["a/w000 added 7", "a/w001 added 7", "a/w002 added 7"]);
    for changes in &mut scoped {
        let batch = next(changes).await;
        assert!(batch.is_initial() && batch.changes().next().is_none());
        assert_eq!(batch.snapshot().len(), 3, "the snapshot is the whole informer's");
        assert!(changes.next().now_or_never().is_none(), "nothing more");
    }
    let mut late = indexed.informer.subscribe();
    let batch = late.next().now_or_never().flatten().expect("already synced, so at once");
    assert_eq!((batch.is_initial(), batch.changes().count()), (true, 3));
    assert_eq!(batch.changes().count(), 3, "may be walked again");
}

#[tokio::test(start_paused = true)]
async fn p05_a_delete_found_by_a_relist_carries_the_last_stored_value() {
    for server in [server(), paging_server()] {
        populate(&server, 3, 7);
        let indexed = start(kept(&server));
        let mut changes = indexed.informer.subscribe();
        next(&mut changes).await;
        let stored = indexed.informer.get(("a", "w001")).unwrap();
        settle().await;
        server.delete(WIDGETS, "a", "w001").unwrap();
        set(&server, "a", "w002", 8);
        force_relist(&server);
        let batch = next(&mut changes).await;
        assert_eq!(told(&batch), ["a/w001 deleted 7", "a/w002 7 -> 8"]);
        let deleted = batch.changes().find_map(|change| change.old().filter(|_| change.new().is_none()));
        assert!(Obj::ptr_eq(deleted.unwrap(), &stored), "the very object that was stored");
        assert_eq!(indexed.informer.stats().lists, 2, "it was a relist");
    }
}

#[tokio::test(start_paused = true)]
async fn p05_another_uid_under_one_name_is_replaced_in_one_batch_else_deleted_and_added() {
    let server = server();
    populate(&server, 2, 1);
    let indexed = start(kept(&server));
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    let again = |number| {
        server.delete(WIDGETS, "a", "w000").unwrap();
        server.create(widget("a", "w000", number)).unwrap();
    };
    // Within one batch: the consumer sees only the result.
    again(2);
    agree(&indexed, &server).await;
    assert_eq!(told(&next(&mut changes).await), ["a/w000 replaced 1 by 2"]);
    // By a relist.
    settle().await;
    again(3);
    force_relist(&server);
    assert_eq!(told(&next(&mut changes).await), ["a/w000 replaced 2 by 3"]);
    // With a batch in between.
    server.delete(WIDGETS, "a", "w000").unwrap();
    assert_eq!(told(&next(&mut changes).await), ["a/w000 deleted 3"]);
    server.create(widget("a", "w000", 4)).unwrap();
    assert_eq!(told(&next(&mut changes).await), ["a/w000 added 4"]);
}

#[tokio::test(start_paused = true)]
async fn p05_what_appears_and_vanishes_unseen_is_silent() {
    let server = server();
    populate(&server, 2, 1);
    let indexed = start(kept(&server));
    let mut changes = indexed.informer.subscribe();
    next(&mut changes).await;
    for _ in 0..5 {
        server.create(widget("a", "brief", 1)).unwrap();
        until(&indexed.informer, "it is there", |view| view.get(("a", "brief")).is_some()).await;
        server.delete(WIDGETS, "a", "brief").unwrap();
        until(&indexed.informer, "it is gone", |view| view.get(("a", "brief")).is_none()).await;
    }
    assert!(changes.next().now_or_never().is_none(), "no batch for nothing");
    set(&server, "a", "w000", 2);
    assert_eq!(told(&next(&mut changes).await), ["a/w000 1 -> 2"]);
}

#[tokio::test(start_paused = true)]
async fn p05_what_is_no_longer_selected_or_kept_is_deleted() {
    let server = server();
    let labelled = |name: &str, app: &str, number| {
        let mut widget = widget("a", name, number);
        widget["metadata"]["labels"] = json!({ "app": app });
        widget
    };
    for at in ["x", "y"] {
        server.create(labelled(at, "web", 1)).unwrap();
    }
    server.create(labelled("z", "db", 1)).unwrap();
    let informer = Informer::builder(api(&server))
        .labels("app=web")
        .project_some(|widget| (widget.spec.number < 10).then(|| Kept::from(widget)))
        .start();
    let mut changes = informer.subscribe();
    assert_eq!(told(&next(&mut changes).await), ["a/x added 1", "a/y added 1"]);
    server.merge_patch(WIDGETS, "a", "x", json!({ "metadata": { "labels": { "app": "db" } } })).unwrap();
    assert_eq!(told(&next(&mut changes).await), ["a/x deleted 1"]);
    set(&server, "a", "y", 10);
    assert_eq!(told(&next(&mut changes).await), ["a/y deleted 1"]);
    set(&server, "a", "y", 9);
    assert_eq!(told(&next(&mut changes).await), ["a/y added 9"]);
    // The same, but found by a relist.
    settle().await;
    set(&server, "a", "y", 11);
    force_relist(&server);
    assert_eq!(told(&next(&mut changes).await), ["a/y deleted 9"]);
    assert_eq!(informer.stats().objects, 0);
}

#[tokio::test(start_paused = true)]
async fn p05_entering_a_scope_is_added_and_leaving_it_deleted() {
    let server = server();
    server.create(widget("a", "x", 3)).unwrap();
    server.create(widget("b", "x", 3)).unwrap();
    let indexed = start(kept(&server));
    let mut by_key = indexed.informer.subscribe().in_index(&indexed.by_group, "g0".to_owned());
    let mut by_namespace = indexed.informer.subscribe().in_namespace("b");
    assert_eq!(told(&next(&mut by_key).await), ["a/x added 3", "b/x added 3"]);
    assert_eq!(told(&next(&mut by_namespace).await), ["b/x added 3"]);

    set(&server, "a", "x", 4);
    let batch = next(&mut by_key).await;
    assert_eq!(told(&batch), ["a/x deleted 3"], "with the value it had under the key");
    assert_eq!(batch.snapshot().get(("a", "x")).unwrap().number, 4, "it is there all the same");
    set(&server, "a", "x", 6);
    assert_eq!(told(&next(&mut by_key).await), ["a/x added 6"]);
    set(&server, "b", "x", 6);
    assert_eq!(told(&next(&mut by_key).await), ["b/x 3 -> 6"]);
    assert_eq!(told(&next(&mut by_namespace).await), ["b/x 3 -> 6"], "and nothing of namespace a");
    server.delete(WIDGETS, "b", "x").unwrap();
    assert_eq!(told(&next(&mut by_key).await), ["b/x deleted 6"]);
    assert_eq!(told(&next(&mut by_namespace).await), ["b/x deleted 6"]);
}

#[tokio::test(start_paused = true)]
async fn p05_a_predicate_sees_old_and_new_and_drops_for_good() {
    let server = server();
    populate(&server, 2, 1);
    let indexed = start(kept(&server));
    // Only changes across ten, and objects that appear or disappear.
    let mut changes = indexed.informer.subscribe().filter_changes(|old, new| match (old, new) {
        (Some(old), Some(new)) => (old.number < 10) != (new.number < 10),
        _ => true,
    });
    assert_eq!(next(&mut changes).await.changes().count(), 2);
    set(&server, "a", "w000", 5);
    agree(&indexed, &server).await;
    assert!(changes.next().now_or_never().is_none(), "dropped");
    set(&server, "a", "w001", 20);
    assert_eq!(told(&next(&mut changes).await), ["a/w001 1 -> 20"], "and not delivered later");
    set(&server, "a", "w000", 10);
    assert_eq!(told(&next(&mut changes).await), ["a/w000 5 -> 10"]);
    server.delete(WIDGETS, "a", "w000").unwrap();
    assert_eq!(told(&next(&mut changes).await), ["a/w000 deleted 10"]);
}

#[tokio::test(start_paused = true)]
async fn p05_a_cancelled_next_loses_nothing() {
    let server = server();
    let indexed = start(kept(&server));
    let mut changes = indexed.informer.subscribe();
    let mut told_in_all = Vec::new();
    for round in 0..200_u64 {
        if round % 3 == 0 {
            server.create(widget("a", &format!("n{round:03}"), round)).unwrap();
        }
        // Cancelled before it is polled, while it waits, or just as a batch arrives.
        for patience in [0, round % 4] {
            let wait = Duration::from_millis(patience);
            if let Ok(Some(batch)) = tokio::time::timeout(wait, changes.next()).await {
                told_in_all.extend(told(&batch));
            }
        }
    }
    agree(&indexed, &server).await;
    while let Some(Some(batch)) = changes.next().now_or_never() {
        told_in_all.extend(told(&batch));
    }
    let expected: Vec<_> = (0..200).step_by(3).map(|round| format!("a/n{round:03} added {round}")).collect();
    assert_eq!(told_in_all, expected, "each once, in order");
}

#[tokio::test(start_paused = true)]
async fn p05_subscriptions_are_streams_of_batches_and_say_why_they_end() {
    let server = server();
    populate(&server, 2, 1);
    let informer = kept(&server).start();
    let collected = tokio::spawn({
        let changes = informer.subscribe();
        changes.map(|batch| told(&batch)).collect::<Vec<_>>()
    });
    let mut changes = informer.subscribe();
    next(&mut changes).await;
    assert_eq!(changes.end(), None);
    settle().await;
    set(&server, "a", "w000", 2);
    let seen = until(&informer, "changed", |view| view.get(("a", "w000")).unwrap().number == 2).await;
    informer.shutdown().await;
    // Changes that were published before the end are still delivered.
    let batch = futures_util::StreamExt::next(&mut changes).await.unwrap();
    assert_eq!(batch.snapshot().revision(), seen.revision());
    assert_eq!(told(&batch), ["a/w000 1 -> 2"]);
    assert!(changes.next().await.is_none());
    assert_eq!(changes.end(), Some(End::Stopped));
    assert!(changes.next().await.is_none(), "it stays at its end");
    let all = collected.await.unwrap();
    assert_eq!(
        all,
        [vec!["a/w000 added 1".to_owned(), "a/w001 added 1".into()], vec!["a/w000 1 -> 2".to_owned()]]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p05_every_spawned_consumer_is_woken_for_every_change() {
    let server = server();
    let informer = kept(&server).start();
    let (sender, receiver) = tokio::sync::watch::channel(0_u64);
    let consumers: Vec<_> = (0..50)
        .map(|_| {
            let (mut changes, sender) = (informer.subscribe(), sender.clone());
            tokio::spawn(async move {
                let mut seen = 0;
                while let Some(batch) = changes.next().await {
                    let newest = batch.snapshot().get(("a", "w000")).map_or(0, |object| object.number);
                    assert!(newest >= seen, "forward only");
                    if newest > seen {
                        seen = newest;
                        sender.send_modify(|told| *told += 1);
                    }
                }
                seen
            })
        })
        .collect();
    informer.synced().await.unwrap();
    // Each change is made only after all have received the previous one, so a lost wake-up makes the test
    // hang.
    let mut told = receiver.clone();
    for round in 1..=100_u64 {
        if round == 1 {
            server.create(widget("a", "w000", 1)).unwrap();
        } else {
            set(&server, "a", "w000", round);
        }
        let all = told.wait_for(|told| *told >= round * 50);
        assert!(
            tokio::time::timeout(Duration::from_secs(60), all).await.is_ok(),
            "round {round}: not all woke"
        );
    }
    informer.shutdown().await;
    for consumer in consumers {
        assert_eq!(consumer.await.unwrap(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn p05_changes_are_not_collected_before_they_are_asked_for() {
    let server = server();
    populate(&server, 300, 1);
    let indexed = start(kept(&server));
    let looked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counting = looked.clone();
    let mut changes = indexed.informer.subscribe().filter_changes(move |_, _| {
        counting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        true
    });
    let batch = next(&mut changes).await;
    let before = looked.load(std::sync::atomic::Ordering::Relaxed);
    batch.changes().take(3).for_each(drop);
    assert_eq!(looked.load(std::sync::atomic::Ordering::Relaxed), before + 3);
}
