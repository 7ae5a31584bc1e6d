//! The status of an informer, made of those of the parts of its scope.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::part_statuses::PartStatuses;
use super::status::{PartStatus, Status};
use super::totals::Totals;
use crate::error::Error;
use crate::scope::Scope;

/// The parts of an informer, each with its status, and the channel that has the status of the whole.
pub(crate) struct Board {
    whole: watch::Sender<Status>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// In the order of their numbers.
    parts: Vec<Entry>,
    shown: PartStatuses,
    /// Of the parts that are present.
    totals: Totals,
    last_error: Option<Error>,
}

struct Entry {
    id: u32,
    /// Whether readers see the objects of the part.
    present: bool,
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

    /// Adds a part, whose number is above those of all others. Until it is `present`, it is only listed.
    pub(crate) fn add(self: &Arc<Self>, id: u32, scope: Scope, present: bool) -> Report {
        self.lock().push(Entry { id, present }, Arc::new(PartStatus { scope, status: Status::new() }));
        self.show(false);
        Report { own: Status::new(), id, board: self.clone() }
    }

    /// Removes all parts but these, of which `is_present` is true for those that readers see now. O(parts).
    pub(crate) fn retain(&self, stays: impl Fn(u32) -> bool, is_present: impl Fn(u32) -> bool) {
        let mut known = self.lock();
        let (parts, shown) = (std::mem::take(&mut known.parts), std::mem::take(&mut known.shown));
        known.totals = Totals::default();
        for (place, Entry { id, .. }) in parts.into_iter().enumerate() {
            if stays(id)
                && let Some(shown) = shown.get(place)
            {
                known.push(Entry { id, present: is_present(id) }, shown.clone());
            }
        }
        drop(known);
        self.show(true);
    }

    /// Returns whether the first lists of all parts are now complete. O(log parts).
    fn put(&self, id: u32, status: &Status, news: bool) -> bool {
        if !self.lock().put(id, status) {
            return false;
        }
        self.show(news)
    }

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
    fn push(&mut self, entry: Entry, shown: Arc<PartStatus>) {
        debug_assert!(
            self.parts.last().is_none_or(|last| last.id < entry.id),
            "in the order of their numbers"
        );
        if entry.present {
            self.totals.add(&shown.status);
        }
        self.shown.set(self.parts.len(), shown);
        self.parts.push(entry);
    }

    /// Returns whether the part is one of these.
    fn put(&mut self, id: u32, status: &Status) -> bool {
        let Ok(place) = self.parts.binary_search_by_key(&id, |part| part.id) else { return false };
        let Some(before) = self.shown.get(place).cloned() else { return false };
        if self.parts[place].present {
            self.totals.remove(&before.status);
            self.totals.add(status);
        }
        if status.failures > before.status.failures {
            self.last_error.clone_from(&status.last_error);
        }
        let scope = before.scope.clone();
        self.shown.set(place, Arc::new(PartStatus { scope, status: status.clone() }));
        true
    }

    /// The status of the whole: as its worst part.
    fn whole(&self, was_synced: bool) -> Status {
        let whole = self.totals.whole();
        Status {
            synced: was_synced || whole.synced,
            last_error: self.last_error.clone(),
            parts: match self.parts[..] {
                [Entry { present: true, .. }] => None,
                _ => Some(self.shown.clone()),
            },
            ..whole
        }
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

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::reflector::Phase;
    use crate::shard::Filter;

    /// How the status of a part changes.
    type Step = (Phase, Option<u64>, u32, [bool; 3], Option<Filter>);

    fn step() -> impl Strategy<Value = Step> {
        use Phase::{Absent, BackingOff, Idle, Listing, Polling, Stopped, Watching};
        let phases = vec![Idle, Listing, Watching, BackingOff, Polling, Absent, Stopped];
        let filter = prop::sample::select(vec![Filter::Here, Filter::Server]);
        (
            prop::sample::select(phases),
            prop::option::of(0_u64..3),
            0_u32..3,
            any::<[bool; 3]>(),
            prop::option::of(filter),
        )
    }

    /// All fields that are those of the worst part, computed from all parts.
    fn worst(parts: &[&Status]) -> Status {
        use Phase::{Absent, BackingOff, Idle, Listing, Polling, Stopped, Watching};
        let worse = [BackingOff, Absent, Listing, Polling, Idle, Watching, Stopped];
        let has = |phase: &Phase| parts.iter().any(|part| part.phase == *phase);
        let filters = || parts.iter().filter_map(|part| part.shard_filter);
        Status {
            phase: worse.into_iter().find(has).unwrap_or(Watching),
            synced: parts.iter().all(|part| part.synced),
            stale_since: parts.iter().filter_map(|part| part.stale_since).min(),
            failures: parts.iter().map(|part| part.failures).max().unwrap_or_default(),
            ordered_versions: parts.iter().all(|part| part.ordered_versions),
            unversioned: parts.iter().any(|part| part.unversioned),
            shard_filter: filters().find(|filter| *filter == Filter::Here).or(filters().next()),
            ..Status::new()
        }
    }

    proptest! {
        #[test]
        fn the_whole_is_what_all_parts_say_after_each_change(
            steps in prop::collection::vec((0_u32..5, any::<bool>(), step(), any::<(u8, u8, bool)>()), 1..30),
        ) {
            let (whole, status) = watch::channel(Status::new());
            let board = Board::new(whole);
            let mut model: Vec<(u32, bool, Report)> = Vec::new();
            let (begun, mut was_synced) = (Instant::now(), false);
            for (next, (at, present, (phase, stale, failures, flags, filter), (stays, is_present, cuts))) in
                (0..).zip(steps)
            {
                if at as usize >= model.len() {
                    model.push((next, present, board.add(next, Scope::namespace(next.to_string()), present)));
                } else if cuts {
                    let of = |mask: u8| move |id: u32| mask >> (id % 8) & 1 != 0;
                    board.retain(of(stays), of(is_present));
                    model.retain(|(id, ..)| of(stays)(*id));
                    model.iter_mut().for_each(|(id, present, _)| *present = of(is_present)(*id));
                } else {
                    model[at as usize].2.modify(|status| {
                        (status.phase, status.failures, status.shard_filter) = (phase, failures, filter);
                        status.stale_since = stale.map(|stale| begun + Duration::from_secs(stale));
                        [status.synced, status.ordered_versions, status.unversioned] = flags;
                    });
                }
                let shown = model.iter().filter(|(_, present, _)| *present);
                let expected = worst(&shown.map(|(.., report)| report.status()).collect::<Vec<_>>());
                was_synced |= expected.synced;
                let found = status.borrow().clone();
                let expected = Status {
                    synced: was_synced,
                    parts: found.parts.clone(),
                    last_error: found.last_error.clone(),
                    ..expected
                };
                prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
                let is_single = matches!(&model[..], [(_, true, _)]);
                let each: Vec<_> = found.parts().map(|part| format!("{:?}", part.status)).collect();
                let known: Vec<_> = model.iter().map(|(.., report)| format!("{:?}", report.status())).collect();
                prop_assert_eq!(each, if is_single { Vec::new() } else { known });
            }
        }
    }

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
