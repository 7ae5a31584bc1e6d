//! Which slots the objects that are not at home may have.
//!
//! An update of an object changes nothing here, and neither does a removal: an entry says only that an object of this
//! hash *may* be in this slot. The reader looks there, in its own version, and compares the key. So all versions of a store
//! can share one table, to which the writer adds entries while readers search it, and old entries do no harm.
//!
//! # Picture
//!
//! Extendible hashing: the first bits of the hash select a page, other bits a cell in it, from which the search goes on to
//! the next empty cell.
//!
//! ```text
//!  Places { directory, bits: 2 }
//!               |
//!               v
//!  directory [ 00 | 01 | 10 | 11 ]      belongs to a version; two entries may have the same page
//!              |     \    /    |
//!              v      v  v     v
//!            page     page    page      shared by versions: cells are only filled
//!                      |
//!                      '-> used: 3   cells [ hash, slot |  -  | hash, slot | hash, slot |  -  | .. ]
//! ```
//!
//! A full page is replaced, in the directory of the next version, by one without the entries that are out of date, by a
//! larger one, or by two. So no change takes longer than it takes to copy a page and the directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use triomphe::ThinArc;

use crate::slab::Slot;

/// A table from hashes to slots.
#[derive(Clone, Default)]
pub(super) struct Places {
    /// `1 << bits` pages; none in an empty table.
    directory: Arc<[Page]>,
    bits: u32,
}

/// The part of a hash that is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prefix(u32);

/// Entries whose hashes begin with the same bits.
#[derive(Clone)]
struct Page(ThinArc<Header, AtomicU64>);

struct Header {
    /// How many cells are filled. Only the writer reads it.
    used: AtomicU32,
    /// How many bits of the hashes are the same.
    depth: u32,
}

/// A prefix and a slot, as the content of a cell. Never zero, which is an empty cell.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

/// The number of cells of the first page.
const LEAST: usize = 8;

/// A page with more cells is divided, unless all of its hashes begin alike.
const MOST: usize = 768;

/// The most bits that select a page. The others are left for the place in it.
const DEEPEST: u32 = 20;

// === impl Places ===

impl Places {
    /// Calls `is_it` with each slot that an object of this hash may have, until it returns a value.
    ///
    /// O(1), does not allocate.
    #[inline]
    pub(super) fn find<R>(&self, prefix: Prefix, mut is_it: impl FnMut(Slot) -> Option<R>) -> Option<R> {
        let page = self.directory.get(prefix.page(self.bits))?;
        for cell in page.cells_from(prefix) {
            // What a cell says is checked in the reader's own version, so it needs no order with other memory.
            let entry = Entry(cell.load(Ordering::Relaxed));
            if entry.is_empty() {
                return None;
            }
            if entry.prefix() == prefix
                && let Some(found) = entry.slot().and_then(&mut is_it)
            {
                return Some(found);
            }
        }
        None
    }

    /// Adds an entry. `is_current` says whether an object of this hash is in this slot: if there is no room, entries for
    /// which it is false are left out of the next page.
    ///
    /// O(1) amortized, and at most O(a page + all pages).
    pub(super) fn insert(&mut self, prefix: Prefix, slot: Slot, is_current: impl Fn(Prefix, Slot) -> bool) {
        let entry = Entry::new(prefix, slot);
        while !self.directory.get(prefix.page(self.bits)).is_some_and(|page| page.insert(entry)) {
            self.make_room(prefix, &is_current);
        }
    }

    /// Replaces the page of this hash by one or two with more room.
    fn make_room(&mut self, prefix: Prefix, is_current: impl Fn(Prefix, Slot) -> bool) {
        let Some(page) = self.directory.get(prefix.page(self.bits)) else {
            self.directory = [Page::new(0, LEAST, &[])].into();
            return;
        };
        let (depth, len) = (page.depth(), page.len());
        let is_current = |entry: &Entry| entry.slot().is_some_and(|slot| is_current(entry.prefix(), slot));
        let kept: Vec<Entry> = page.entries().filter(is_current).collect();
        if kept.len() <= filled(len) / 2 {
            return self.replace(prefix, depth, [Page::new(depth, len, &kept)]);
        }
        if len < MOST {
            let larger = len + len.div_ceil(2);
            return self.replace(prefix, depth, [Page::new(depth, larger, &kept)]);
        }
        let bit = |entry: &Entry| entry.prefix().bit(depth);
        let (ones, zeros): (Vec<Entry>, Vec<Entry>) = kept.iter().partition(|entry| bit(entry));
        if depth == DEEPEST || ones.is_empty() || zeros.is_empty() {
            return self.replace(prefix, depth, [Page::new(depth, 2 * len, &kept)]);
        }
        if depth == self.bits {
            self.directory = self.directory.iter().flat_map(|page| [page.clone(), page.clone()]).collect();
            self.bits += 1;
        }
        let halves = [zeros, ones].map(|half| Page::new(depth + 1, cells_for(half.len()), &half));
        self.replace(prefix, depth, halves);
    }

    /// Puts one or two pages, each in half of the range, in the place of the page of this hash, which has this depth.
    fn replace<const N: usize>(&mut self, prefix: Prefix, depth: u32, pages: [Page; N]) {
        let below = self.bits - depth;
        let first = prefix.page(self.bits) >> below << below;
        let range = Arc::make_mut(&mut self.directory).iter_mut().skip(first).take(1 << below);
        let each = (1 << below) / N;
        for (at, place) in range.enumerate() {
            *place = pages[at / each].clone();
        }
    }

    /// The number of entries, if each page is in the directory once.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.directory.iter().map(|page| page.entries().count()).sum()
    }

    /// Panics unless every invariant holds.
    #[cfg(test)]
    pub(super) fn validate(&self) {
        assert!(self.directory.is_empty() && self.bits == 0 || self.directory.len() == 1 << self.bits);
        for (at, page) in self.directory.iter().enumerate() {
            let below = self.bits.checked_sub(page.depth()).expect("a page is deeper than the directory");
            let first = &self.directory[at >> below << below];
            assert!(std::ptr::eq(page.0.as_ptr(), first.0.as_ptr()), "two pages for the same hashes");
            let used = page.entries().count();
            assert_eq!(used, page.0.header.header.used.load(Ordering::Relaxed) as usize);
            assert!(used <= filled(page.len()), "a page is too full");
            for entry in page.entries() {
                let prefix = entry.prefix();
                assert_eq!(prefix.page(self.bits) >> below, at >> below, "an entry in another page");
                let found = self.find(prefix, |slot| (Entry::new(prefix, slot) == entry).then_some(()));
                assert!(found.is_some(), "an entry that is not found");
            }
        }
    }
}

/// The most entries of a page of so many cells. A search ends at an empty cell.
fn filled(len: usize) -> usize {
    len - len.div_ceil(4)
}

/// The cells of a page for so many entries, and a tenth more.
fn cells_for(entries: usize) -> usize {
    LEAST.max(entries + entries / 2)
}

// === impl Page ===

impl Page {
    /// `entries` must fit.
    fn new(depth: u32, len: usize, entries: &[Entry]) -> Self {
        let header = Header { used: AtomicU32::new(0), depth };
        let page = Self(ThinArc::from_header_and_iter(header, (0..len).map(|_| AtomicU64::default())));
        for entry in entries {
            page.insert(*entry);
        }
        page
    }

    /// Whether the entry is in the page now. False if there is no room. Only the writer calls this.
    fn insert(&self, entry: Entry) -> bool {
        let used = &self.0.header.header.used;
        for cell in self.cells_from(entry.prefix()) {
            let found = Entry(cell.load(Ordering::Relaxed));
            if found == entry {
                return true;
            }
            if found.is_empty() {
                let filled_now = used.load(Ordering::Relaxed);
                if filled_now as usize == filled(self.len()) {
                    return false;
                }
                used.store(filled_now + 1, Ordering::Relaxed);
                cell.store(entry.0, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// All cells, beginning with the one where the search for a hash begins.
    #[inline]
    fn cells_from(&self, prefix: Prefix) -> impl Iterator<Item = &AtomicU64> {
        let cells = &self.0.slice;
        let (before, after) = cells.split_at(prefix.cell(cells.len()));
        after.iter().chain(before)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let entries = self.0.slice.iter().map(|cell| Entry(cell.load(Ordering::Relaxed)));
        entries.filter(|entry| !entry.is_empty())
    }

    fn len(&self) -> usize {
        self.0.slice.len()
    }

    fn depth(&self) -> u32 {
        self.0.header.header.depth
    }
}

// === impl Prefix ===

impl Prefix {
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self((hash >> u32::BITS) as u32)
    }

    /// The first bits.
    #[inline]
    fn page(self, bits: u32) -> usize {
        (u64::from(self.0) >> (u32::BITS - bits)) as usize
    }

    /// A number below `len`, by the other bits.
    #[inline]
    fn cell(self, len: usize) -> usize {
        ((u64::from(self.0.rotate_left(16)) * len as u64) >> u32::BITS) as usize
    }

    /// One of the first bits, the highest of which is 0.
    fn bit(self, at: u32) -> bool {
        self.0 << at >> (u32::BITS - 1) == 1
    }
}

// === impl Entry ===

impl Entry {
    fn new(prefix: Prefix, slot: Slot) -> Self {
        Self(u64::from(prefix.0) << u32::BITS | u64::from(slot.number()))
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    fn prefix(self) -> Prefix {
        Prefix((self.0 >> u32::BITS) as u32)
    }

    /// `None` if the cell is empty.
    #[inline]
    fn slot(self) -> Option<Slot> {
        Slot::from_number(self.0 as u32)
    }
}
