//! The element of the tests. It counts its references and the calls of the trie, and can panic in them.

use std::cell::Cell;
use std::sync::Arc;

use super::Element;
use crate::fetch::Counted;

thread_local! {
    static HASHES_READ: Cell<usize> = const { Cell::new(0) };
    static CALLS_TO_PANIC: Cell<Option<usize>> = const { Cell::new(None) };
}

#[derive(Debug)]
pub(super) struct Item(Arc<Record>);

#[derive(Clone, Debug)]
struct Record {
    hash: u64,
    key: u64,
    value: u64,
}

impl Item {
    pub(super) fn new(hash: u64, key: u64, value: u64) -> Self {
        Self(Arc::new(Record { hash, key, value }))
    }

    /// An item with a well-mixed hash.
    pub(super) fn mixed(key: u64, value: u64) -> Self {
        Self::new(mix(key), key, value)
    }

    pub(super) fn key(&self) -> u64 {
        self.0.key
    }

    pub(super) fn value(&self) -> u64 {
        self.0.value
    }

    /// Changes the value, in place if the item is not shared.
    pub(super) fn set_value(&mut self, value: u64) {
        Arc::make_mut(&mut self.0).value = value;
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Counted for Item {
    #[inline]
    fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Element for Item {
    fn hash(&self) -> u64 {
        HASHES_READ.set(HASHES_READ.get() + 1);
        self.0.hash
    }

    fn same_key(&self, other: &Self) -> bool {
        panic_when_due();
        self.0.key == other.0.key
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        panic_when_due();
        Self(self.0.clone())
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_when_due();
        }
    }
}

fn panic_when_due() {
    if let Some(calls) = CALLS_TO_PANIC.get() {
        CALLS_TO_PANIC.set(calls.checked_sub(1));
        if calls == 0 {
            scripted_panic()
        }
    }
}

/// Unwinds without printing anything.
pub(super) fn scripted_panic() -> ! {
    std::panic::resume_unwind(Box::new("scripted panic"))
}

/// Runs `f`; the `calls`-th call from now that can panic does.
pub(super) fn panic_after<R>(calls: usize, f: impl FnOnce() -> R) -> std::thread::Result<R> {
    CALLS_TO_PANIC.set(Some(calls));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    CALLS_TO_PANIC.set(None);
    result
}

/// Runs `f` and returns how many hashes it had to read.
pub(super) fn hashes_read<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = HASHES_READ.get();
    let result = f();
    (HASHES_READ.get() - before, result)
}

/// SplitMix64: a bijection, so distinct keys have distinct hashes unless a test degrades them.
pub(super) fn mix(key: u64) -> u64 {
    let z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seeded generator.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % bound
    }
}
