//! A stream of random events, in any order, compared with a model of the expected state.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use kube_runtime::watcher::{self, Event};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::task::yield_now;

use crate::from_stream::{Script, at, follow, indexed, rebuilt};
use crate::support::*;

/// Random events, and the expected state.
#[derive(Default)]
struct Model {
    committed: Content,
    /// The incomplete list.
    listing: Option<Content>,
    /// Whether there was an error since the last `Init`.
    failed: bool,
    /// Whether the last `Init` came before the end of a list, without an error in between.
    repeated: bool,
    synced: bool,
    version: u64,
    /// All committed states, in order.
    history: Vec<Content>,
}

impl Model {
    fn event(&mut self, random: &mut StdRng) -> watcher::Result<Event<Widget>> {
        let roll = random.random_range(0..100);
        let widget = self.widget(random);
        let event = match &self.listing {
            None if !self.synced || roll < 8 => Event::Init,
            None if roll < 12 => return self.fail(),
            // Both are out of place here, and must have no effect on the rest.
            // After a repeated `Init`, a second end would be that of another watcher.
            None if roll < 15 && !self.repeated => Event::InitDone,
            None if roll < 20 => Event::InitApply(widget),
            None if roll < 40 => Event::Delete(widget),
            None => Event::Apply(widget),
            Some(_) if roll < 15 => Event::InitDone,
            Some(_) if roll < 20 => Event::Init,
            Some(_) if roll < 24 => return self.fail(),
            Some(_) if self.synced && roll < 26 => Event::Apply(widget),
            Some(_) => Event::InitApply(widget),
        };
        self.take(&event);
        Ok(event)
    }

    fn fail(&mut self) -> watcher::Result<Event<Widget>> {
        self.failed = true;
        Err(watcher::Error::NoResourceVersion)
    }

    /// An object at its current version, or at a new one.
    fn widget(&mut self, random: &mut StdRng) -> Widget {
        let name = name(random.random_range(0..12));
        match self.committed.get(&format!("a/{name}")) {
            Some((_, version, kept)) if random.random_range(0..2) == 0 => {
                at(&name, version.parse().unwrap(), kept.number)
            }
            _ => {
                self.version += 1;
                at(&name, self.version, random.random_range(0..6))
            }
        }
    }

    fn take(&mut self, event: &Event<Widget>) {
        // If an object is listed twice, the last version wins.
        let put = |content: &mut Content, widget: &Widget| {
            let (uid, version) = (widget.metadata.uid.clone(), widget.metadata.resource_version.clone());
            let new = (uid.unwrap(), version.unwrap(), Kept::from(widget.clone()));
            content.insert(key(widget), new);
        };
        match (event, &mut self.listing) {
            (Event::Init, listing) => {
                self.repeated = listing.is_some() && !self.failed;
                (self.listing, self.failed) = (Some(Content::new()), false);
            }
            (Event::InitApply(widget), Some(listing)) => put(listing, widget),
            (Event::InitDone, Some(listing)) => {
                self.committed = std::mem::take(listing);
                (self.listing, self.synced) = (None, true);
            }
            (Event::InitDone, None) => {}
            (Event::InitApply(widget) | Event::Apply(widget), _) => {
                put(&mut self.committed, widget);
                self.listing = None;
            }
            (Event::Delete(widget), _) => {
                self.committed.remove(&key(widget));
                self.listing = None;
            }
        }
        if self.history.last() != Some(&self.committed) {
            self.history.push(self.committed.clone());
        }
    }

    /// The position of this content in the history, at `from` or later.
    fn place(&self, content: &Content, from: usize) -> usize {
        let place = self.history[from..].iter().position(|then| then == content);
        from + place.expect("never was the state at one moment")
    }
}

fn key(widget: &Widget) -> String {
    format!("a/{}", widget.metadata.name.as_deref().unwrap())
}

/// Promises 1, 2 and 5 together: readers and subscribers always see the state after some event of the stream,
/// never go back, and held snapshots do not change.
#[tokio::test(start_paused = true)]
async fn p01_what_a_stream_says_is_seen_whole_in_order_and_for_good() {
    let (_, mut random) = seeded();
    for _ in 0..30 {
        let mut model = Model { history: vec![Content::new()], ..Model::default() };
        let (script, events) = Script::new();
        let indexed = indexed(events);
        let mut changes = indexed.informer.subscribe();
        let (mut state, mut read, mut told) = (BTreeMap::new(), 0, 0);
        let mut held = Vec::new();
        for _ in 0..60 {
            for _ in 0..random.random_range(1..12) {
                match model.event(&mut random) {
                    Ok(event) => script.send(event),
                    Err(_) => script.fail(),
                }
            }
            for _ in 0..random.random_range(0..4) {
                yield_now().await;
            }
            let snapshot = indexed.informer.snapshot();
            read = model.place(&content(&snapshot), read);
            indexed.assert_consistent(&snapshot);
            held.push((content(&snapshot), snapshot));
            if random.random_range(0..3) == 0
                && let Some(batch) = changes.next().now_or_never().flatten()
            {
                follow(&batch, &mut state);
                told = model.place(&content(batch.snapshot()), told);
            }
        }
        // Events that were sent before the end of the stream are not lost.
        drop(script);
        while let Some(batch) = changes.next().await {
            follow(&batch, &mut state);
        }
        assert!(model.synced && indexed.informer.is_synced());
        assert_eq!(content(&indexed.informer.snapshot()), model.committed);
        assert_eq!(rebuilt(&state), model.committed);
        assert!(
            held.iter().all(|(then, snapshot)| content(snapshot) == *then),
            "a held snapshot has changed"
        );
    }
}
