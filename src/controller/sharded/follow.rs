//! Follows the share of the member: caches, queues, and finishes.

use futures_core::future::BoxFuture;
use futures_util::future::{OptionFuture, try_join_all};

use super::super::term::Term;
use super::held::Held;
use crate::error::Error;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::queue::Priority;
use crate::shard::Ranges;
use crate::shard::member::Share;

/// Objects that are looked at between two chances for other tasks to run.
const CHUNK: usize = 1024;

/// See the [module](self).
pub(super) struct Follow<'a, T> {
    held: &'a Held<T>,
    term: &'a Term,
    /// The newest one.
    share: Share,
    /// The ranges whose keys have been queued.
    queued: Ranges,
    /// What is cached.
    cached: Option<Ranges>,
    /// What the informers list now.
    listing: Option<Listing>,
    /// Whether reconciles of released ranges may still run.
    is_releasing: bool,
    /// Whether nothing has been queued yet.
    is_first: bool,
}

struct Listing {
    ranges: Ranges,
    done: BoxFuture<'static, Result<(), Error>>,
}

// === impl Follow ===

impl<'a, T: Send + Sync + 'static> Follow<'a, T> {
    pub(super) fn new(held: &'a Held<T>, term: &'a Term) -> Self {
        Self {
            held,
            term,
            share: Share::default(),
            queued: Ranges::new(),
            cached: None,
            listing: None,
            is_releasing: false,
            is_first: true,
        }
    }

    /// Runs until the member has ended, or an informer cannot cache what it should.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let member = &self.held.member;
        let mut shares = member.shares();
        loop {
            if self.is_releasing && self.held.is_idle(self.share.releasing()) {
                self.is_releasing = false;
                member.finished(&self.share);
            }
            let listing = OptionFuture::from(self.listing.as_mut().map(|listing| &mut listing.done));
            tokio::select! {
                biased;
                share = shares.next() => {
                    let Some(share) = share else {
                        self.held.lose(u64::MAX);
                        return Ok(());
                    };
                    self.adopt(share).await;
                }
                Some(listed) = listing => {
                    listed?;
                    self.cached = self.listing.take().map(|listing| listing.ranges);
                    member.cached(&self.share);
                }
                () = self.held.exited.notified() => {}
            }
        }
    }

    async fn adopt(&mut self, share: Share) {
        if self.held.lose(share.losses()) {
            self.queued = Ranges::new();
        }
        let gained = share.held().minus(&self.queued);
        self.queued = share.held().clone();
        self.is_releasing = !share.releasing().is_empty();
        self.share = share;
        self.cache();
        if !gained.is_empty() {
            self.queue(&gained).await;
        }
    }

    /// Has the informers cache what the share says.
    fn cache(&mut self) {
        let ranges = self.share.to_cache();
        match &self.listing {
            Some(listing) if listing.ranges == *ranges => {}
            None if self.cached.as_ref() == Some(ranges) => self.held.member.cached(&self.share),
            _ => {
                self.held.retain(ranges);
                let by = self.held.by;
                let listed = self.held.followers.iter().map(|follower| follower.cache(by, ranges));
                let listed = try_join_all(listed.collect::<Vec<_>>());
                // Until the other informers have synced, the replica could not work on what it would get.
                let synced = self.term.synced.clone();
                let done = Box::pin(async move {
                    listed.await?;
                    synced.cancelled().await;
                    Ok(())
                });
                self.cached = None;
                self.listing = Some(Listing { ranges: ranges.clone(), done });
            }
        }
    }

    /// Queues all keys of ranges that are held from now on.
    async fn queue(&mut self, gained: &Ranges) {
        let view = self.held.primary.snapshot();
        let waited = self.held.take_waiting(gained).into_iter().map(|key| (key, Priority::Normal));
        let mut keys: Vec<_> = waited.collect();
        for (number, object) in view.iter().enumerate() {
            if gained.contains(self.held.by.hash(&Obj::uid(object), Obj::key(object).namespace())) {
                keys.push((Obj::key(object).to_owned(), Priority::Low));
            }
            if number % CHUNK == CHUNK - 1 {
                self.add(&mut keys);
                tokio::task::yield_now().await;
            }
        }
        self.add(&mut keys);
        if std::mem::take(&mut self.is_first) {
            self.term.first.batch_queued();
        }
    }

    fn add(&self, keys: &mut Vec<(ObjectKey, Priority)>) {
        if self.is_first {
            self.term.first.note(keys.iter().map(|(key, _)| key));
        }
        keys.iter().for_each(|(key, _)| self.term.writes.note(key, None));
        self.term.queue.add_all_with_priority(keys.drain(..));
    }
}
