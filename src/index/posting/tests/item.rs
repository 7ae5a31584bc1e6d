//! The element of the tests. It counts its references and the calls of the posting, and can panic in them.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

use super::Ordered;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
    static CALLS_TO_PANIC: Cell<Option<usize>> = const { Cell::new(None) };
}

#[derive(Debug)]
pub(super) struct Item(Arc<(u32, u32)>);

impl Item {
    pub(super) fn new(key: u32, value: u32) -> Self {
        Self(Arc::new((key, value)))
    }

    pub(super) fn key(&self) -> u32 {
        self.0.0
    }

    pub(super) fn value(&self) -> u32 {
        self.0.1
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Ordered for Item {
    fn cmp_key(&self, other: &Self) -> Ordering {
        LOOKS.set(LOOKS.get() + 1);
        panic_when_due();
        self.0.0.cmp(&other.0.0)
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        LOOKS.set(LOOKS.get() + 1);
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp_key(other).is_eq()
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
            // Unwinds without printing anything.
            std::panic::resume_unwind(Box::new("scripted panic"))
        }
    }
}

/// Runs `f`; the `calls`-th call from now that can panic does.
pub(super) fn panic_after<R>(calls: usize, f: impl FnOnce() -> R) -> std::thread::Result<R> {
    CALLS_TO_PANIC.set(Some(calls));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    CALLS_TO_PANIC.set(None);
    result
}

/// Runs `f` and returns how often it compared items.
pub(super) fn looks<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = LOOKS.get();
    let result = f();
    (LOOKS.get() - before, result)
}

/// A seeded generator: SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % u64::from(bound)) as u32
    }
}
