//! What may go wrong, each kind of it on its own, so that a failing run can be tried again with fewer kinds.

use std::fmt;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault { $($(#[doc = $doc])* $name),* }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

faults! {
    // --- of a request ---
    /// No connection, or none that brings a head.
    Refuse,
    /// The head never comes.
    Hang,
    /// 401, 403, 404, 410, 429, 5xx.
    Code,
    /// 504 for a version, with the structured cause or without.
    TooLarge,
    /// Success, and a body of something else.
    Garbage,
    /// The head or a piece takes its time.
    Slow,
    // --- of a body ---
    /// Cut in a line, in a page or between events.
    Cut,
    /// Nothing comes any more.
    Stall,
    // --- of a watch ---
    /// An ERROR event.
    ErrorEvent,
    /// Ends in order at once, or after an event or two.
    EndsSoon,
    /// A line that is no event.
    BadLine,
    /// No bookmarks on this watch.
    NoBookmarks,
    /// Events from before the beginning.
    Replay,
    /// An object without a name.
    Nameless,
    // --- of a streaming list ---
    StreamRefused,
    StreamSilent,
    /// Initial events and changes, without the bookmark that ends the list.
    StreamEndless,
    StreamEndsEarly,
    // --- of pages ---
    ExpiredContinue,
    /// A later page is of an older version.
    LowerPage,
    // --- of the server ---
    /// A replica that is behind, within what it may.
    Lag,
    /// A list that is older than it may be.
    StaleList,
    Compact,
    /// Open connections break.
    Restart,
    /// Refuses everything for a time.
    Outage,
    /// Swallows everything for a time.
    Blackhole,
    Restore,
    Vanish,
    /// Objects that do not decode.
    Undecodable,
    /// Objects whose projection fails.
    Disliked,
    /// Objects with bytes that are no UTF-8, where nobody looks.
    Bytes,
    /// A choice of the server's that lasts: see [`Manner`].
    Manners,
}

/// What a server does from the first request to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Usual,
    NoStreaming,
    StreamsSilently,
    StreamsWithoutEnd,
    /// Every `continue` is expired.
    NoLaterPages,
    /// 500 for each list from a version, paged or streamed.
    NoHeldVersions,
    /// As old and aggregated servers say "too large": 504 without the cause.
    AllVersionsTooLarge,
    /// Heads of watches never come.
    WatchesHang,
    /// Watches are cut before their head.
    WatchesCut,
    /// 405 to watches.
    NoWatch,
}

/// A set of kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultSet(u64);

// === impl FaultSet ===

impl FaultSet {
    /// Some of them: runs with few kinds go deeper into each.
    pub(crate) fn some(random: &mut StdRng) -> Self {
        let share = *[0.15, 0.4, 0.8].choose(random).expect("there are three");
        let mut set = Self(0);
        for fault in Fault::ALL {
            if random.random_bool(share) {
                set.0 |= 1 << *fault as u32;
            }
        }
        set
    }

    pub(crate) fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u32 != 0
    }

    pub(crate) fn without(self, fault: Fault) -> Self {
        self.without_all(Self(1 << fault as u32))
    }

    pub(crate) fn without_all(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn parse(names: &str) -> Self {
        let mut set = Self(0);
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let known = Fault::ALL.iter().find(|fault| format!("{fault:?}") == name);
            set.0 |= 1 << *known.unwrap_or_else(|| panic!("no such fault: {name}")) as u32;
        }
        set
    }
}

impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            Fault::ALL.iter().filter(|fault| self.has(**fault)).map(|fault| format!("{fault:?}")).collect();
        f.write_str(&names.join(","))
    }
}

// === impl Manner ===

impl Manner {
    pub(crate) fn some(random: &mut StdRng) -> Self {
        use Manner::*;
        let manners = [
            NoStreaming,
            NoStreaming,
            StreamsSilently,
            StreamsWithoutEnd,
            NoLaterPages,
            NoHeldVersions,
            AllVersionsTooLarge,
            WatchesHang,
            WatchesCut,
            NoWatch,
        ];
        *manners.choose(random).expect("there are some")
    }

    /// Whether watches work, so that an informer can be up to date.
    pub(crate) fn watches(self) -> bool {
        !matches!(self, Self::WatchesHang | Self::WatchesCut | Self::NoWatch)
    }
}

/// One source of chance out of a seed and a purpose: none disturbs another.
pub(crate) fn chance(seed: u64, purpose: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}
