//! The status of an informer, made of those of the parts of its scope.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::status::{PartStatus, Phase, Status};
use crate::error::Error;
use crate::scope::Scope;
use crate::shard::Filter;

/// The parts of an informer, each with its status, and the channel that has the status of the whole.
pub(crate) struct Board {
    whole: watch::Sender<Status>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    parts: Vec<Entry>,
    last_error: Option<Error>,
}

struct Entry {
    id: u32,
    /// Whether readers see the objects of the part.
    present: bool,
    shown: Arc<PartStatus>,
}

/// The status of one part, for its reflector.
pub(crate) struct Report {
    own: Status,
    id: u32,
    board: Arc<Board>,
}

// === impl Board ===

impl Board {
    pub(crate) fn new(whole: watch::Sender<Status>) -> Arc<Self> {
        Arc::new(Self { whole, known: Mutex::default() })
    }

    /// Adds a part. Until it is `present`, it is only listed.
    pub(crate) fn add(self: &Arc<Self>, id: u32, scope: Scope, present: bool) -> Report {
        let shown = Arc::new(PartStatus { scope, status: Status::new() });
        self.lock().parts.push(Entry { id, present, shown });
        self.show(false);
        Report { own: Status::new(), id, board: self.clone() }
    }

    /// Removes all parts but these, of which `is_present` is true for those that readers see now.
    pub(crate) fn retain(&self, stays: impl Fn(u32) -> bool, is_present: impl Fn(u32) -> bool) {
        let mut known = self.lock();
        known.parts.retain(|part| stays(part.id));
        known.parts.iter_mut().for_each(|part| part.present = is_present(part.id));
        drop(known);
        self.show(true);
    }

    /// Returns whether the first lists of all parts are now complete.
    fn put(&self, id: u32, status: &Status, news: bool) -> bool {
        {
            let mut known = self.lock();
            let Some(entry) = known.parts.iter_mut().find(|entry| entry.id == id) else { return false };
            let failed = status.failures > entry.shown.status.failures;
            let scope = entry.shown.scope.clone();
            entry.shown = Arc::new(PartStatus { scope, status: status.clone() });
            if failed {
                known.last_error.clone_from(&status.last_error);
            }
        }
        self.show(news)
    }

    /// O(parts).
    fn show(&self, news: bool) -> bool {
        let known = self.lock();
        let mut became_synced = false;
        self.whole.send_if_modified(|whole| {
            let was_synced = whole.synced;
            *whole = known.whole(was_synced);
            became_synced = whole.synced && !was_synced;
            news
        });
        became_synced
    }

    /// Not held while a receiver of the status runs.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Known ===

impl Known {
    /// The status of the whole: as its worst part.
    fn whole(&self, was_synced: bool) -> Status {
        let present = || self.parts.iter().filter(|part| part.present).map(|part| &part.shown.status);
        let parts = match &self.parts[..] {
            [Entry { present: true, .. }] => None,
            parts => Some(parts.iter().map(|part| part.shown.clone()).collect()),
        };
        Status {
            phase: present()
                .map(|part| part.phase)
                .max_by_key(|phase| rank(*phase))
                .unwrap_or(Phase::Watching),
            synced: was_synced || present().all(|part| part.synced),
            stale_since: present().filter_map(|part| part.stale_since).min(),
            last_error: self.last_error.clone(),
            failures: present().map(|part| part.failures).max().unwrap_or_default(),
            ordered_versions: present().all(|part| part.ordered_versions),
            unversioned: present().any(|part| part.unversioned),
            shard_filter: {
                let filters = || present().filter_map(|part| part.shard_filter);
                filters().find(|filter| *filter == Filter::Here).or(filters().next())
            },
            parts,
        }
    }
}

/// How far a phase is from following the server.
fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Stopped => 0,
        Phase::Watching => 1,
        Phase::Idle => 2,
        Phase::Polling => 3,
        Phase::Listing => 4,
        Phase::Absent => 5,
        Phase::BackingOff => 6,
    }
}

// === impl Report ===

impl Report {
    /// The only part of an informer.
    #[cfg(test)]
    pub(crate) fn alone(whole: watch::Sender<Status>) -> Self {
        Board::new(whole).add(0, Scope::all(), true)
    }

    pub(super) fn status(&self) -> &Status {
        &self.own
    }

    pub(super) fn modify(&mut self, change: impl FnOnce(&mut Status)) {
        self.modify_if(|status| {
            change(status);
            true
        });
    }

    /// Changes the status. Wakes its receivers if `change` returns true.
    pub(super) fn modify_if(&mut self, change: impl FnOnce(&mut Status) -> bool) {
        let news = change(&mut self.own);
        self.board.put(self.id, &self.own, news);
    }

    /// The first list is complete. Returns true if it was the last one that was missing.
    pub(super) fn sync(&mut self) -> bool {
        self.own.synced = true;
        self.board.put(self.id, &self.own, true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_whole_is_as_its_worst_part_and_names_each() {
        let (whole, status) = watch::channel(Status::new());
        let board = Board::new(whole);
        let mut a = board.add(1, Scope::namespace("a"), true);
        assert_eq!(status.borrow().parts().len(), 0, "one part is the whole");
        let mut b = board.add(2, Scope::namespace("b"), true);
        a.modify(|status| status.phase = Phase::Watching);
        assert!(!a.sync());
        let since = Instant::now();
        b.modify(|status| {
            (status.phase, status.failures) = (Phase::BackingOff, 3);
            (status.stale_since, status.last_error) = (Some(since), Some(Error::answer(403, "Forbidden")));
        });
        tokio::time::advance(Duration::from_secs(1)).await;
        a.modify(|status| status.stale_since = Some(Instant::now()));
        {
            let status = status.borrow();
            assert_eq!((status.phase, status.synced, status.failures), (Phase::BackingOff, false, 3));
            assert_eq!(status.stale_since, Some(since));
            assert_eq!(status.blocked().and_then(Error::http_code), Some(403));
            let parts: Vec<_> =
                status.parts().map(|part| (part.scope.to_string(), part.status.synced)).collect();
            assert_eq!(parts, [("in a".to_owned(), true), ("in b".to_owned(), false)]);
        }
        // A part that starts is listed, and does not make the whole worse.
        let mut c = board.add(3, Scope::namespace("c"), false);
        assert!(b.sync());
        c.modify(|status| status.failures = 9);
        assert_eq!((status.borrow().failures, status.borrow().parts().len()), (3, 3));
        board.retain(|id| id == 3, |_| true);
        assert_eq!((status.borrow().failures, status.borrow().parts().len()), (9, 0));
        assert!(status.borrow().synced, "it stays so");
        a.modify(|status| status.failures = 99);
        assert_eq!(status.borrow().failures, 9, "of a part that is gone");
        board.retain(|_| false, |_| false);
        assert_eq!((status.borrow().phase, status.borrow().failures), (Phase::Watching, 0));
    }
}
