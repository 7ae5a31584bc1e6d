//! The task of a graph: waits for changes of the sources, and runs ticks.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::any_node::AnyNode;
use super::running::Shared;
use super::source::AnySource;
use super::step::AnySnapshot;
use super::tick::Tick;
use super::view::GraphView;
use crate::reflector::{Phase, Status, Turn};

/// See the [module](self).
pub(super) struct Driver {
    pub(super) graph: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) published: watch::Sender<Arc<GraphView>>,
    pub(super) sources: Vec<(u32, Box<dyn AnySource>)>,
    pub(super) nodes: Vec<(u32, Box<dyn AnyNode>)>,
    /// The newest versions, by node.
    pub(super) snapshots: Vec<Arc<dyn AnySnapshot>>,
    pub(super) ticks: u64,
    #[cfg(test)]
    pub(super) checked: bool,
}

/// What the task does next.
enum Next {
    Tick,
    /// Obey a command to this node.
    Obey(usize),
    End,
}

impl Driver {
    /// Runs until `stop` is cancelled, or nothing can change any more.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let sweeps = join_all(self.nodes.iter_mut().map(|(_, node)| node.sweep()));
        let finishes: Vec<_> = self.nodes.iter_mut().map(|(_, node)| node.finish()).collect();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.follow() => {}
            _ = sweeps => {}
        }
        // Readers see the end.
        drop(self);
        join_all(finishes).await;
    }

    async fn follow(&mut self) {
        let mut turn = Turn::new();
        self.report();
        loop {
            match poll_fn(|cx| self.poll_next(cx)).await {
                Next::Tick => self.tick().await,
                Next::Obey(at) => self.obey(at).await,
                Next::End => return,
            }
            turn.pass().await;
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut is_news = false;
        for (_, source) in &mut self.sources {
            is_news |= source.poll_news(cx);
        }
        if is_news {
            self.report();
        }
        for (at, (_, node)) in self.nodes.iter_mut().enumerate() {
            if node.poll_command(cx).is_ready() {
                return Poll::Ready(Next::Obey(at));
            }
        }
        let mut sources = self.sources.iter().map(|(_, source)| source);
        let is_synced = sources.clone().all(|source| source.is_synced());
        if is_synced && (self.ticks == 0 || sources.clone().any(|source| source.is_behind())) {
            return Poll::Ready(Next::Tick);
        }
        let over = !self.sources.is_empty() && sources.clone().all(|source| source.has_ended());
        if over || sources.any(|source| source.has_ended() && !source.is_synced()) {
            return Poll::Ready(Next::End);
        }
        Poll::Pending
    }

    async fn tick(&mut self) {
        let began = std::time::Instant::now();
        let mut tick = Tick::new(self.ticks + 1, self.graph, self.snapshots.len());
        for (id, source) in &mut self.sources {
            tick.set(*id, source.pin());
        }
        for (id, node) in &mut self.nodes {
            let step = node.compute(&tick).await;
            tick.set(*id, step);
        }
        for (id, snapshot) in (0..).zip(&mut self.snapshots) {
            if let Some(step) = tick.step(id) {
                *snapshot = step.snapshot();
            }
        }
        // No other task and no shutdown comes in between: either all of the tick is published, or nothing.
        self.ticks += 1;
        let view = self.view();
        self.shared.newest.store(view.clone());
        for (_, node) in &mut self.nodes {
            node.publish();
        }
        #[cfg(test)]
        if self.checked {
            self.nodes.iter_mut().for_each(|(_, node)| node.validate());
        }
        if self.ticks == 1 {
            tracing::info!("synced");
            self.report();
        }
        // Before the waiters wake up, who may read the statistics.
        self.shared.tally.ticked(began.elapsed());
        self.published.send_replace(view);
        tracing::debug!(tick = self.ticks, took = ?began.elapsed(), "published");
    }

    /// Obeys a command, which adds an index to a node.
    async fn obey(&mut self, at: usize) {
        let Some((id, node)) = self.nodes.get_mut(at) else { return };
        let (id, snapshot) = (*id as usize, node.obey().await);
        if let (Some(place), Some(snapshot)) = (self.snapshots.get_mut(id), snapshot) {
            *place = snapshot;
            let view = self.view();
            self.shared.newest.store(view.clone());
            self.published.send_replace(view);
        }
    }

    fn view(&self) -> Arc<GraphView> {
        Arc::new(GraphView {
            graph: self.graph,
            tick: self.ticks,
            snapshots: self.snapshots.iter().cloned().collect(),
        })
    }

    /// Gives the nodes the health of the sources.
    fn report(&mut self) {
        let status = self.status();
        for (_, node) in &mut self.nodes {
            node.report(&status);
        }
    }

    /// Before the first tick, the status of a source that has not synced; then, that of the one that is stale for the
    /// longest time.
    fn status(&self) -> Status {
        let statuses = self.sources.iter().map(|(_, source)| source.status());
        let worst = match self.ticks {
            0 => statuses.filter(|status| !status.synced).max_by_key(|status| status.failures),
            _ => {
                statuses.filter(|status| status.stale_since.is_some()).min_by_key(|status| status.stale_since)
            }
        };
        let phase = match worst {
            // A source that has ended does not end the graph.
            Some(Status { phase: phase @ (Phase::BackingOff | Phase::Absent | Phase::Polling), .. }) => {
                *phase
            }
            _ if self.ticks == 0 => Phase::Listing,
            _ => Phase::Watching,
        };
        let mut status = Status::new();
        status.phase = phase;
        status.synced = self.ticks > 0;
        status.stale_since = worst.and_then(|status| status.stale_since);
        status.last_error = worst.and_then(|status| status.last_error.clone());
        status.failures = worst.map_or(0, |status| status.failures);
        status
    }
}
