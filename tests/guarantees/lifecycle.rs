//! Promise 7, and the start and end of an informer.

use std::time::Duration;

use futures_util::FutureExt;
use kube_client::{Api, Client};
use kube_informer::testing::{ApiServer, Fault, FaultAction, Rule};
use kube_informer::{Config, End, Informer, Phase, Registry};
use tokio::time::timeout;

use crate::support::*;

fn always(action: FaultAction) -> Fault {
    Fault::new(action).times(0)
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn p07_synced_means_every_page_is_in_the_snapshot_and_its_indexes() {
    for (server, lists) in [(paging_server(), 10), (server(), 0)] {
        populate(&server, 95, 4);
        server.set_latency(Duration::from_millis(50));
        let indexed = start(kept(&server).config(Config::new().page_size(10)));
        let mut looks = 0;
        let early = async {
            loop {
                let snapshot = indexed.informer.snapshot();
                assert!(snapshot.is_synced() || snapshot.is_empty());
                assert!(!indexed.informer.status().synced || snapshot.is_synced());
                looks += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = early => {}
            synced = indexed.informer.synced() => synced.unwrap(),
        }
        let snapshot = indexed.informer.snapshot();
        assert_eq!(content(&snapshot), truth(&server));
        indexed.assert_consistent(&snapshot);
        assert_eq!(snapshot.by_index(&indexed.by_number, &4).len(), 95);
        assert!(looks >= 50, "{looks} looks before it was synced");
        assert_eq!(server.requests().count("list", WIDGETS), lists);
    }
}

#[tokio::test(start_paused = true)]
async fn p07_every_waiter_wakes() {
    let server = server();
    populate(&server, 5, 1);
    server.set_latency(Duration::from_secs(5));
    let informer = kept(&server).start();
    let waiters: Vec<_> = (0..300)
        .map(|at| {
            let informer = informer.clone();
            tokio::spawn(async move {
                match at % 3 {
                    0 => informer.synced().await.unwrap(),
                    1 => informer.synced_or_blocked().await.unwrap(),
                    _ => drop(next(&mut informer.subscribe()).await),
                }
                informer.snapshot().len()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "they wait");
    for waiter in waiters {
        assert_eq!(timeout(Duration::from_secs(60), waiter).await.expect("woken").unwrap(), 5);
    }
    // Late callers do not wait.
    assert!(informer.synced().now_or_never().unwrap().is_ok());
    assert!(informer.synced_or_blocked().now_or_never().unwrap().is_ok());
    informer.shutdown().await;
    assert!(informer.synced().await.is_ok(), "synced it was, and stays");
}

#[tokio::test(start_paused = true)]
async fn p07_waiting_ends_with_an_error_only_when_the_informer_stops() {
    let answers = [401, 403, 404, 410, 429, 500, 503]
        .map(|code| FaultAction::Respond { code, retry_after: None })
        .into_iter();
    let others = [FaultAction::Reset, FaultAction::Hang, FaultAction::Garbage("{}".into())];
    for action in answers.chain(others) {
        let server = server();
        server.inject(always(action.clone()));
        let informer = kept(&server).start();
        let waiter = tokio::spawn({
            let informer = informer.clone();
            async move { informer.synced().await }
        });
        let mut changes = informer.subscribe();
        let wait = timeout(Duration::from_secs(3600), changes.next()).await;
        assert!(wait.is_err() && !waiter.is_finished(), "{action:?}: an hour of it ends no wait");
        assert!(!informer.is_synced() && informer.status().last_error.is_some());
        informer.shutdown().await;
        let error = waiter.await.unwrap().unwrap_err();
        assert!(error.is_stopped(), "{action:?}: {error}");
        assert!(informer.synced_or_blocked().await.unwrap_err().is_stopped());
        assert!(changes.next().await.is_none());
        assert_eq!(changes.end(), Some(End::Stopped));
    }
}

#[tokio::test(start_paused = true)]
async fn p07_synced_or_blocked_tells_what_the_server_said() {
    let blocked = async |server: &ApiServer| {
        let informer = kept(server).start();
        let error = timeout(Duration::from_secs(60), informer.synced_or_blocked())
            .await
            .expect("it says so at once")
            .unwrap_err();
        (informer, error)
    };
    let server = server();
    server.deny(Rule::all().verb("list").verb("watch").resource(WIDGETS));
    let (informer, error) = blocked(&server).await;
    assert!(error.is_forbidden() && error.to_string().contains(WIDGETS), "{error}");
    // The informer continues to retry, and other waiters continue to wait.
    let waiter = tokio::spawn(async move { informer.synced().await.map(|()| informer) });
    tokio::time::sleep(Duration::from_secs(300)).await;
    server.allow(Rule::all());
    timeout(Duration::from_secs(60), waiter).await.expect("it recovers by itself").unwrap().unwrap();

    server.add_token("secret", "somebody else");
    let (_, error) = blocked(&server).await;
    assert!(error.is_unauthorized(), "{error}");

    let without = ApiServer::builder().without_built_ins().build();
    let (informer, error) = blocked(&without).await;
    assert!(error.is_kind_absent(), "{error}");
    assert_eq!(informer.status().phase, Phase::Absent);
}

/// For every form of list, and also for the informer of a registry.
#[tokio::test(start_paused = true)]
async fn p07_synced_or_blocked_ends_on_every_refusal_that_repeating_does_not_change() {
    let soon = Duration::from_secs(60);
    for code in [400, 401, 402, 403, 404, 405, 406, 407, 412, 413, 414, 415, 422, 431, 451, 501, 505] {
        for streaming in [true, false] {
            let server = server();
            server.inject(always(FaultAction::Respond { code, retry_after: None }));
            let informer = kept(&server).config(Config::new().streaming_lists(streaming)).start();
            let blocked = timeout(soon, informer.synced_or_blocked()).await;
            let error = blocked.unwrap_or_else(|_| panic!("it waits on {code}")).unwrap_err();
            assert_eq!(error.http_code(), Some(code));
        }
        let server = server();
        server.inject(always(FaultAction::Respond { code, retry_after: None }));
        let registry = Registry::new(Client::new(server.service(), "default"));
        let _declared = registry.declare::<Widget>();
        registry.start();
        let blocked = timeout(soon, registry.synced_or_blocked()).await;
        let error = blocked.unwrap_or_else(|_| panic!("a registry waits on {code}")).unwrap_err();
        assert_eq!(error.http_code(), Some(code));
    }
    // Common mistakes: an unsupported field selector, and a server that refuses streaming lists but serves
    // pages.
    let informer = kept(&server()).fields("spec.number=1").start();
    let error = timeout(soon, informer.synced_or_blocked()).await.expect("it says so").unwrap_err();
    assert_eq!(error.http_code(), Some(400));
    kept(&paging_server()).start().synced_or_blocked().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p07_synced_or_blocked_waits_through_what_passes_by_itself() {
    for code in [408, 409, 410, 421, 423, 425, 429, 500, 502, 503, 504] {
        let server = server();
        server.inject(Fault::new(FaultAction::Respond { code, retry_after: None }).times(3));
        let informer = kept(&server).start();
        informer.synced_or_blocked().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn handles_and_subscriptions_keep_it_running_and_snapshots_do_not() {
    let server = server();
    let informer = kept(&server).start();
    let mut changes = informer.subscribe();
    let other = informer.clone();
    drop(informer);
    next(&mut changes).await;
    server.create(widget("a", "x", 1)).unwrap();
    assert_eq!(next(&mut changes).await.changes().count(), 1);
    drop(changes);
    server.create(widget("a", "y", 1)).unwrap();
    eventually("a handle keeps it running", || (other.snapshot().len() == 2).then_some(())).await;
    let snapshot = other.snapshot();
    drop(other);
    eventually("its tasks are gone", || (tasks() == 0).then_some(())).await;
    assert_eq!(snapshot.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_joins_whatever_the_informer_is_doing() {
    let ways: [fn(&ApiServer); 5] = [
        |_| {},
        |server| server.set_latency(Duration::from_secs(20)),
        |server| server.inject(always(FaultAction::Hang)),
        |server| server.inject(always(FaultAction::Reset)),
        |server| assert!(server.uninstall(WIDGETS)),
    ];
    for (way, prepare) in ways.into_iter().enumerate() {
        for after in [0, 10, 5_000, 100_000] {
            let server = server();
            populate(&server, 5, 1);
            prepare(&server);
            let client = Client::new(server.service(), "default");
            tokio::task::yield_now().await;
            let before = tasks();
            let informer = Informer::builder(Api::<Widget>::all(client.clone())).start();
            tokio::time::sleep(Duration::from_millis(after)).await;
            let (one, two) = (informer.clone(), informer.clone());
            let stop = async { tokio::join!(one.shutdown(), two.shutdown(), informer.shutdown()) };
            timeout(Duration::from_millis(1), stop).await.unwrap_or_else(|_| panic!("way {way}, {after} ms"));
            assert_eq!(tasks(), before, "way {way}: a task is left after {after} ms");
            assert_eq!(informer.status().phase, Phase::Stopped);
            informer.shutdown().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_runs_where_it_is_polled_and_ends_with_its_informer() {
    let server = server();
    populate(&server, 5, 1);
    let (informer, driver) = kept(&server).build();
    assert_eq!(server.requests().total(), 0, "nothing is asked before it is polled");
    assert_eq!(informer.status().phase, Phase::Idle);
    let user = async move {
        informer.synced().await.unwrap();
        assert_eq!(informer.snapshot().len(), 5);
    };
    // When the user ends, the last handle is dropped, so the driver ends.
    let both = async { tokio::join!(driver, user) };
    timeout(Duration::from_secs(60), both).await.expect("the driver ends by itself");
}

#[test]
fn start_outside_a_runtime_panics_as_documented() {
    quiet_panics();
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The client also needs a runtime.
    let api = runtime.block_on(async { api(&server) });
    let builder = Informer::builder(api);
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(builder.start())));
    assert!(started.is_err());
}
