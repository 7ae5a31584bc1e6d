//! Promise 6: memory is bounded by the live objects and those that readers hold, counted in values of the
//! stored type.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube_informer::testing::{ApiServer, Fault, FaultAction};
use kube_informer::{Config, Informer, builder::Builder};

use crate::support::*;

/// The number of live values, their maximum, and the number of values ever made.
#[derive(Clone, Default)]
struct Census(Arc<[AtomicUsize; 3]>);

/// A value that is counted.
struct Counted {
    number: u64,
    census: Census,
}

impl Census {
    fn value(&self, number: u64) -> Counted {
        let live = self.0[0].fetch_add(1, Ordering::Relaxed) + 1;
        self.0[1].fetch_max(live, Ordering::Relaxed);
        self.0[2].fetch_add(1, Ordering::Relaxed);
        Counted { number, census: self.clone() }
    }

    fn live(&self) -> usize {
        self.0[0].load(Ordering::Relaxed)
    }

    /// The maximum of live values, and the number of values made, since the last call.
    fn peak_and_made(&self) -> (usize, usize) {
        let peak = self.0[1].swap(self.live(), Ordering::Relaxed);
        (peak, self.0[2].swap(0, Ordering::Relaxed))
    }

    fn builder(&self, server: &ApiServer) -> Builder<Widget, Counted> {
        let census = self.clone();
        let mut builder =
            Informer::builder(api(server)).project(move |widget| census.value(widget.spec.number));
        builder.index(|counted: &Counted| counted.number);
        builder
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0[0].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives each of the first `keys` widgets a new number, and waits until the informer has it.
async fn rewrite(server: &ApiServer, informer: &Informer<Counted>, keys: usize, number: u64) {
    for at in 0..keys {
        set(server, "a", &name(at), number);
    }
    until(informer, "rewritten", |view| {
        (0..keys).all(|at| view.get(("a", &*name(at))).unwrap().number == number)
    })
    .await;
}

/// Waits for the time in which promise 3 frees unused memory.
async fn swept() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn p06_idle_subscribers_and_snapshots_pin_one_old_world_each() {
    let (server, census) = (server(), Census::default());
    populate(&server, 100, 0);
    let informer = census.builder(&server).start();
    informer.synced().await.unwrap();
    let never_polled = informer.subscribe();
    assert_eq!(census.live(), 100);

    let mut subscription = informer.subscribe();
    next(&mut subscription).await;
    for round in 1..=200 {
        rewrite(&server, &informer, 5, round).await;
        if round % 20 == 0 {
            swept().await;
            assert_eq!(census.live(), 100 + 5, "round {round}: the subscription pins what it delivered");
        }
    }
    let early = informer.snapshot();
    for round in 201..=300 {
        rewrite(&server, &informer, 10, round).await;
    }
    swept().await;
    // Ten keys have changed since the subscription's snapshot, and ten since the first snapshot; both have
    // the same version of five of them.
    assert_eq!(census.live(), 100 + 10 + 5);
    let snapshot = informer.snapshot();
    for round in 301..=400 {
        rewrite(&server, &informer, 20, round).await;
    }
    swept().await;
    assert_eq!(census.live(), 100 + 20 + 5 + 10);

    // A consumer that advances or is dropped releases its old versions.
    drop(snapshot);
    swept().await;
    assert_eq!(census.live(), 100 + 20 + 5);
    drop(early);
    swept().await;
    assert_eq!(census.live(), 100 + 20);
    drop(next(&mut subscription).await);
    swept().await;
    assert_eq!(census.live(), 100);
    drop((subscription, never_polled));
    informer.shutdown().await;
    assert_eq!(census.live(), 100, "the last state stays readable");
    drop(informer);
    assert_eq!(census.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn p06_nothing_grows_with_time() {
    let (server, census) = (server(), Census::default());
    populate(&server, 20, 0);
    let informer = census.builder(&server).start();
    informer.synced().await.unwrap();
    let mut subscription = informer.subscribe();
    for round in 1..=3000 {
        rewrite(&server, &informer, 2, round).await;
        if round % 10 == 0 {
            next(&mut subscription).await;
        }
        if round % 500 == 0 {
            force_relist(&server);
        }
    }
    let (peak, made) = census.peak_and_made();
    assert_eq!(made, 20 + 2 * 3000);
    // Each rewrite takes 10 ms of the paused clock, so freeing, which may take a second, can lag 100 rounds
    // of 2 values.
    assert!(peak <= 20 + 2 * 100 + 20, "{peak} values at once");
    swept().await;
    assert!(census.live() <= 20 + 2, "{} values are left", census.live());
}

#[tokio::test(start_paused = true)]
async fn p06_a_relist_makes_only_what_changed() {
    for server in [server(), paging_server()] {
        let census = Census::default();
        populate(&server, 1000, 0);
        let informer = census.builder(&server).config(Config::new().page_size(100)).start();
        informer.synced().await.unwrap();
        assert_eq!(census.peak_and_made(), (1000, 1000));
        for round in 1..=3 {
            settle().await;
            let before = informer.stats().lists;
            for at in 0..100 {
                set(&server, "a", &name(at * 10), round);
            }
            force_relist(&server);
            until(&informer, "relisted", |view| {
                (0..100).all(|at| view.get(("a", &*name(at * 10))).unwrap().number == round)
            })
            .await;
            assert_eq!(informer.stats().lists, before + 1);
            assert_eq!(census.peak_and_made(), (1100, 100), "live and changed");
        }
        swept().await;
        assert_eq!(census.live(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn p06_lists_that_break_off_leave_nothing_behind() {
    let (server, census) = (paging_server(), Census::default());
    populate(&server, 200, 0);
    let informer = census.builder(&server).config(Config::new().page_size(50)).start();
    informer.synced().await.unwrap();
    settle().await;
    for at in 0..200 {
        set(&server, "a", &name(at), 1);
    }
    // Thirty lists fail at their second or third page, and no other form of list works.
    let broken = FaultAction::Respond { code: 500, retry_after: None };
    server.inject(Fault::new(broken.clone()).streaming().times(0));
    server.inject(Fault::new(broken.clone()).unpaged().verb("list").times(0));
    for _ in 0..30 {
        server.inject(Fault::new(broken.clone()).verb("list").after(2));
    }
    force_relist(&server);
    until(&informer, "listed at last", |view| view.iter().all(|counted| counted.number == 1)).await;
    swept().await;
    let (peak, made) = census.peak_and_made();
    assert!(made > 200 + 10 * 100, "{made} values: lists broke off");
    assert!(peak <= 400, "{peak} values at once: more than the old world and the new one");
    assert_eq!(census.live(), 200);
}
