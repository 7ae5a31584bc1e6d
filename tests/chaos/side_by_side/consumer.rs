//! A consumer behind a proxy of its own, whatever it is made of.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use futures_util::{Stream, StreamExt as _, future::BoxFuture};
use kube_client::{Client, Config};
use kube_informer::{Informer, Status, Subscription};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    blind::Blinds,
    object::{Difference, Held, Kind, Objects, Truth},
    proxy::Proxy,
    traffic::Traffic,
    view::{self, View, Written},
};

/// What all consumers have in common.
pub(crate) struct World {
    /// Of a client of the API server itself.
    pub(crate) config: Config,
    pub(crate) blinds: Blinds,
}

/// What a consumer is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    Paged,
    Streaming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Ours,
    KubeRuntime,
}

pub(crate) struct Consumer {
    pub(crate) name: &'static str,
    pub(crate) maker: Maker,
    pub(crate) lists: Lists,
    /// How many kinds it follows, each with lists and watches of its own.
    pub(crate) kinds: u64,
    pub(crate) traffic: Traffic,
    pub(crate) proxy: Proxy,
    /// Whose lags count.
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) phases: Phases,
    blinds: Blinds,
    checks: Vec<Check>,
    synced: BoxFuture<'static, Result<()>>,
    end: BoxFuture<'static, ()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What an informer said it was doing, and since when.
#[derive(Clone, Default)]
pub(crate) struct Phases(Arc<Mutex<Vec<(Instant, String)>>>);

type Check = Box<dyn Fn(&Truth) -> Difference + Send + Sync>;

/// Changes of phase that are remembered.
const PHASES: usize = 10_000;

// === impl Consumer ===

impl Consumer {
    /// With nothing in it yet, and its client.
    pub(crate) async fn new(
        name: &'static str,
        maker: Maker,
        lists: Lists,
        world: &World,
    ) -> Result<(Self, Client)> {
        let World { config, blinds } = world;
        let host = config.cluster_url.host().unwrap_or_default();
        let server = format!("{host}:{}", config.cluster_url.port_u16().unwrap_or_default()).parse()?;
        let proxy = Proxy::start(server).await?;
        let mut config = config.clone();
        config.cluster_url = format!("https://{host}:{}", proxy.port()).parse()?;
        config.default_retry = false;
        let traffic = Traffic::default();
        let client = traffic.count(Client::try_from(config)?);
        let consumer = Self {
            name,
            maker,
            lists,
            kinds: 0,
            traffic,
            proxy,
            views: Vec::new(),
            phases: Phases::default(),
            blinds: blinds.clone(),
            checks: Vec::new(),
            synced: Box::pin(async { Ok(()) }),
            end: Box::pin(async {}),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Ok((consumer, client))
    }

    /// Follows an informer of a kind as a whole.
    pub(crate) fn add_informer<T: Send + Sync + 'static>(&mut self, kind: Kind, informer: Informer<T>) {
        let view = self.follow(kind, None, informer.subscribe());
        self.views.push(view.clone());
        self.check(move |truth| view.difference(&truth.all(kind)));
        self.hold(kind, informer);
    }

    /// Waits for an informer, compares its store, notes its phases, and ends it.
    pub(crate) fn hold<T: Send + Sync + 'static>(&mut self, kind: Kind, informer: Informer<T>) {
        self.kinds += 1;
        self.spawn(note(kind, informer.status_changes(), self.phases.clone()));
        let store = informer.clone();
        self.check(move |truth| {
            let held = store.snapshot().iter().map(view::entry).collect();
            Difference::between(&held, &truth.all(kind))
        });
        let waits = informer.clone();
        self.wait(async move { Ok(waits.synced().await?) });
        let before = std::mem::replace(&mut self.end, Box::pin(async {}));
        self.end = Box::pin(async move {
            before.await;
            informer.shutdown().await;
        });
    }

    pub(crate) fn view(&self, kind: Kind, namespace: Option<&'static str>) -> Arc<View> {
        Arc::new(View::new(kind, namespace, self.blinds.clone()))
    }

    /// Rebuilds a state from the changes of a subscription alone.
    pub(crate) fn follow<T: Send + Sync + 'static>(
        &mut self,
        kind: Kind,
        namespace: Option<&'static str>,
        mut changes: Subscription<T>,
    ) -> Arc<View> {
        let view = self.view(kind, namespace);
        let seen = view.clone();
        self.spawn(async move {
            while let Some(batch) = changes.next().await {
                batch.changes().for_each(|change| seen.change(&change));
            }
        });
        view
    }

    pub(crate) fn check(&mut self, check: impl Fn(&Truth) -> Difference + Send + Sync + 'static) {
        self.checks.push(Box::new(check));
    }

    pub(crate) fn wait(&mut self, synced: impl Future<Output = Result<()>> + Send + 'static) {
        let before = std::mem::replace(&mut self.synced, Box::pin(async { Ok(()) }));
        self.synced = Box::pin(async move {
            before.await?;
            synced.await
        });
    }

    /// Ends when the consumer does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.stop.clone().run_until_cancelled_owned(task);
        self.tasks.spawn(task);
    }

    pub(crate) async fn synced(&mut self) -> Result<()> {
        std::mem::replace(&mut self.synced, Box::pin(async { Ok(()) })).await
    }

    pub(crate) fn wrote(&self, written: &Written) {
        self.views.iter().for_each(|view| view.wrote(written));
    }

    /// How its stores, indexes and rebuilt states differ from the truth, all together.
    pub(crate) fn difference(&self, truth: &Truth) -> Difference {
        self.checks.iter().map(|check| check(truth)).sum()
    }

    pub(crate) async fn shutdown(self) {
        self.end.await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.proxy.shutdown().await;
    }
}

async fn note(kind: Kind, mut statuses: impl Stream<Item = Status> + Send + Unpin, phases: Phases) {
    while let Some(status) = statuses.next().await {
        let error = status.last_error.filter(|_| status.failures > 0);
        let error = error.map(|error| format!(" after {}: {error}", status.failures)).unwrap_or_default();
        phases.add(format!("{kind:?} {:?}{error}", status.phase));
    }
}

// === impl Phases ===

impl Phases {
    fn add(&self, phase: String) {
        let mut phases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if phases.last().is_none_or(|(_, last)| *last != phase) && phases.len() < PHASES {
            phases.push((Instant::now(), phase));
        }
    }

    pub(crate) fn all(&self) -> Vec<(Instant, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) fn objects<K: kube_client::ResourceExt>(all: impl IntoIterator<Item = Arc<K>>) -> Objects {
    all.into_iter().map(|object| (super::object::key(&*object), Held::of(&*object))).collect()
}
