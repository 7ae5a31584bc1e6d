//! Every wait ends when its informer ends, in every phase and for every kind of end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, future, stream};
use kube_client::Client;
use kube_informer::testing::{Fault, FaultAction};
use kube_informer::{Error, Informer, Phase, Registry, Scope};
use kube_runtime::watcher;
use tokio::time::{sleep, timeout};

use crate::support::*;

/// A timeout. The clock is paused, so it costs no time.
const LONG: Duration = Duration::from_secs(3600);

/// An informer that never syncs, and a future that ends it. The future also owns everything that must stay
/// alive but is not needed for the end.
struct Case {
    informer: Informer<Widget>,
    end: BoxFuture<'static, Box<dyn Send>>,
    registry: Option<Registry>,
}

type Wait = fn(Informer<Widget>) -> BoxFuture<'static, Error>;

const WAITS: [(&str, Wait); 10] = [
    ("synced", |informer| async move { informer.synced().await.unwrap_err() }.boxed()),
    ("synced_or_blocked", |informer| async move { informer.synced_or_blocked().await.unwrap_err() }.boxed()),
    ("wait_until", |informer| async move { informer.wait_until(|_| false).await.unwrap_err() }.boxed()),
    ("at_least", |informer| {
        let mut written = from_json(&widget("a", "w", 1));
        written.metadata.resource_version = Some("7".to_owned());
        async move { informer.at_least(&written).await.unwrap_err() }.boxed()
    }),
    ("add_index", |informer| {
        async move {
            match informer.add_index(|_: &Widget| 0).await {
                Err(error) => error,
                // One that runs has it at once.
                Ok(_) => informer.synced().await.unwrap_err(),
            }
        }
        .boxed()
    }),
    ("set_scope", |informer| {
        async move { informer.set_scope(Scope::namespaces(["a", "b"])).await.unwrap_err() }.boxed()
    }),
    ("refresh", |informer| async move { informer.refresh().await.unwrap_err() }.boxed()),
    ("next", |informer| {
        async move {
            let mut changes = informer.subscribe();
            assert!(changes.next().await.is_none() && changes.end().is_some());
            informer.synced().await.unwrap_err()
        }
        .boxed()
    }),
    ("feed", |informer| {
        async move {
            let queue = kube_informer::queue::WorkQueue::<u32>::new();
            assert!(informer.subscribe().feed(queue, |_, _, emit| emit(0)).await.is_some());
            informer.synced().await.unwrap_err()
        }
        .boxed()
    }),
    ("status_changes", |informer| {
        async move {
            let last = informer.status_changes().fold(None, |_, status| future::ready(Some(status))).await;
            assert_eq!(last.unwrap().phase, Phase::Stopped);
            informer.synced().await.unwrap_err()
        }
        .boxed()
    }),
];

/// An informer whose server never answers.
fn build() -> (Informer<Widget>, BoxFuture<'static, ()>) {
    let server = server();
    server.inject(Fault::new(FaultAction::Hang).times(0));
    let (informer, driver) = Informer::builder(api(&server)).build();
    (informer, driver.boxed())
}

/// An informer of a stream that continues with `then` after its first event.
fn build_from_stream(
    then: impl Future<Output = Option<watcher::Result<watcher::Event<Widget>>>> + Send + 'static,
) -> (Informer<Widget>, BoxFuture<'static, ()>) {
    let events = stream::iter([Ok(watcher::Event::Init)]).chain(stream::once(then).filter_map(future::ready));
    let (informer, driver) = Informer::from_stream(events).build();
    (informer, driver.boxed())
}

fn shut_down(informer: &Informer<Widget>, keep: impl Send + 'static) -> BoxFuture<'static, Box<dyn Send>> {
    let informer = informer.clone();
    async move {
        informer.shutdown().await;
        Box::new(keep) as Box<dyn Send>
    }
    .boxed()
}

fn declared() -> (Registry, kube_informer::SharedInformer<Widget>) {
    let server = server();
    server.inject(Fault::new(FaultAction::Hang).times(0));
    let registry = Registry::new(Client::new(server.service(), "default"));
    let declared = registry.declare::<Widget>();
    (registry, declared)
}

/// Polls a driver for a while, then keeps it without polling.
async fn poll_a_while(mut driver: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    assert!(timeout(Duration::from_secs(3), &mut driver).await.is_err());
    driver
}

async fn case(way: &str) -> Case {
    let pending = || future::pending::<Option<_>>();
    let panics = || async {
        sleep(Duration::from_secs(5)).await;
        std::panic::panic_any(EXPECTED)
    };
    let of = |informer: Informer<Widget>, end: BoxFuture<'static, Box<dyn Send>>| Case {
        informer,
        end,
        registry: None,
    };
    let nothing = || Box::new(()) as Box<dyn Send>;
    match way {
        "shut down, the driver never polled" => {
            let (informer, driver) = build();
            let end = shut_down(&informer, driver);
            of(informer, end)
        }
        "shut down, the driver of a stream never polled" => {
            let (informer, driver) = build_from_stream(pending());
            let end = shut_down(&informer, driver);
            of(informer, end)
        }
        "shut down, the driver left alone" => {
            let (informer, driver) = build();
            let driver = poll_a_while(driver).await;
            let end = shut_down(&informer, driver);
            of(informer, end)
        }
        "shut down, the driver of a stream left alone" => {
            let (informer, driver) = build_from_stream(pending());
            let driver = poll_a_while(driver).await;
            let end = shut_down(&informer, driver);
            of(informer, end)
        }
        "the driver dropped, never polled" => {
            let (informer, driver) = build();
            of(informer, async move { drop(driver) }.map(move |()| nothing()).boxed())
        }
        "the driver dropped" => {
            let (informer, driver) = build();
            let driver = poll_a_while(driver).await;
            of(informer, async move { drop(driver) }.map(move |()| nothing()).boxed())
        }
        "the driver of a stream dropped" => {
            let (informer, driver) = build_from_stream(pending());
            let driver = poll_a_while(driver).await;
            of(informer, async move { drop(driver) }.map(move |()| nothing()).boxed())
        }
        "the driver's task panicked" => {
            let (informer, driver) = build();
            let task = async move { future::select(driver, panics().boxed()).await };
            let task = tokio::spawn(task.map(drop));
            of(informer, async move { task.await.unwrap_err() }.map(move |_| nothing()).boxed())
        }
        "the stream panicked" => {
            let (informer, driver) = build_from_stream(panics());
            let task = tokio::spawn(driver);
            of(informer, async move { task.await.unwrap_err() }.map(move |_| nothing()).boxed())
        }
        "the stream ended" => {
            let (informer, driver) = build_from_stream(async {
                sleep(Duration::from_secs(5)).await;
                None
            });
            of(informer, tokio::spawn(driver).map(move |_| nothing()).boxed())
        }
        "shut down while running" => {
            let (informer, driver) = build();
            let task = tokio::spawn(driver);
            let end = shut_down(&informer, ()).then(|_| task).map(move |_| nothing()).boxed();
            of(informer, end)
        }
        "declared and shut down" => {
            let (registry, declared) = declared();
            let informer = declared.informer();
            let end = shut_down(&informer, (registry.clone(), declared));
            Case { informer, end, registry: Some(registry) }
        }
        "declared, and the registry shut down" => {
            let (registry, declared) = declared();
            let (informer, of) = (declared.informer(), registry.clone());
            let end = async move {
                of.shutdown().await;
                Box::new(declared) as Box<dyn Send>
            };
            Case { informer, end: end.boxed(), registry: Some(registry) }
        }
        "declared, and the registry dropped" => {
            let (registry, declared) = declared();
            let informer = declared.informer();
            of(informer, async move { drop(registry) }.map(move |()| Box::new(declared) as _).boxed())
        }
        "started by its registry and shut down" => {
            let (registry, declared) = declared();
            let informer = declared.informer();
            registry.start();
            let end = shut_down(&informer, (registry.clone(), declared));
            Case { informer, end, registry: Some(registry) }
        }
        other => panic!("no such way: {other}"),
    }
}

const WAYS: [&str; 15] = [
    "shut down, the driver never polled",
    "shut down, the driver of a stream never polled",
    "shut down, the driver left alone",
    "shut down, the driver of a stream left alone",
    "the driver dropped, never polled",
    "the driver dropped",
    "the driver of a stream dropped",
    "the driver's task panicked",
    "the stream panicked",
    "the stream ended",
    "shut down while running",
    "declared and shut down",
    "declared, and the registry shut down",
    "declared, and the registry dropped",
    "started by its registry and shut down",
];

#[tokio::test(start_paused = true)]
async fn p07_every_wait_ends_with_its_informer() {
    quiet_panics();
    let ended = |error: &Error| error.is_stopped() || error.is_unsupported();
    for way in WAYS {
        let Case { informer, end, registry } = case(way).await;
        let waiting: Vec<_> =
            WAITS.iter().map(|(name, wait)| (*name, tokio::spawn(wait(informer.clone())))).collect();
        let all = registry.clone().map(|registry| {
            tokio::spawn(async move { [registry.synced().await, registry.synced_or_blocked().await] })
        });
        sleep(Duration::from_secs(1)).await;
        // Some are refused by informers of a stream or of a registry.
        let of_streams = ["refresh", "feed", "set_scope"];
        for (name, wait) in &waiting {
            assert!(!wait.is_finished() || of_streams.contains(name), "{way}: {name} does not wait");
        }
        let _kept = timeout(LONG, end).await.unwrap_or_else(|_| panic!("{way}: the end does not come"));
        for (name, wait) in waiting {
            let error = timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{way}: {name} waits for ever"));
            assert!(ended(&error.unwrap()), "{way}: {name}");
        }
        if let Some(all) = all {
            let all = timeout(LONG, all).await.unwrap_or_else(|_| panic!("{way}: the registry waits"));
            assert!(all.unwrap().into_iter().all(|synced| synced.unwrap_err().is_stopped()), "{way}");
        }
        let status = informer.status();
        assert_eq!(status.phase, Phase::Stopped, "{way}");
        assert!(status.stale_since.is_some(), "{way}");
        // Later waits return at once.
        for (name, wait) in WAITS {
            let error = timeout(LONG, wait(informer.clone())).await;
            assert!(ended(&error.unwrap_or_else(|_| panic!("{way}: {name} waits later"))), "{way}: {name}");
        }
        let shutdown = timeout(LONG, informer.shutdown()).await;
        assert!(shutdown.is_ok(), "{way}: shutdown waits");
    }
}

/// When its handles are dropped, an informer ends even if no task polls its driver.
#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_an_unpolled_driver_with_it() {
    for polled in [false, true] {
        let held = Arc::new(());
        let server = server();
        server.inject(Fault::new(FaultAction::Hang).times(0));
        let captured = held.clone();
        let project = move |widget: Widget| {
            let _ = &captured;
            widget
        };
        let (informer, driver) = Informer::builder(api(&server)).project(project).build();
        let mut driver = driver.boxed();
        if polled {
            driver = poll_a_while(driver).await;
        }
        let status = tokio::spawn(informer.status_changes().count());
        drop(informer);
        timeout(LONG, status).await.expect("the status ends").unwrap();
        assert_eq!(Arc::strong_count(&held), 1, "nothing of it is left in the driver");
        timeout(LONG, driver).await.expect("the driver ends when it is polled again");
    }
}
