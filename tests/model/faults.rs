//! The kinds of faults. Each can be turned off, so that a failing run can be repeated with fewer kinds.

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
    /// No connection, or one that breaks before the head of a response.
    Refuse,
    /// The head of the response never arrives.
    Hang,
    /// 401, 403, 404, 410, 429, 5xx.
    Code,
    /// 504 for a version, with or without the structured cause.
    TooLarge,
    /// A success with an invalid body.
    Garbage,
    /// The head or a piece is late.
    Slow,
    // --- of a body ---
    /// The connection breaks within a line, within a page or between events.
    Cut,
    /// Sends nothing more.
    Stall,
    // --- of a watch ---
    /// An ERROR event.
    ErrorEvent,
    /// Ends in order at once, or after an event or two.
    EndsSoon,
    /// A line that is not an event.
    BadLine,
    /// No bookmarks on this watch.
    NoBookmarks,
    /// Events from before the requested version.
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
    /// A later page has an older version.
    LowerPage,
    // --- of the server ---
    /// A replica that lags behind, within the guarantees of an API server.
    Lag,
    /// A list that is older than the API allows.
    StaleList,
    Compact,
    /// Open connections break.
    Restart,
    /// Refuses everything for a time.
    Outage,
    /// Ignores every request and connection for a time.
    Blackhole,
    Restore,
    Vanish,
    /// Objects that do not decode.
    Undecodable,
    /// Objects whose projection fails.
    Disliked,
    /// Objects with bytes that are not UTF-8, in a field that is not read.
    Bytes,
    /// A permanent property of the server: see [`Manner`].
    Manners,
}

/// A permanent property of a server.
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
    /// 504 without the cause for each version, as old and aggregated servers report "too large".
    AllVersionsTooLarge,
    /// Heads of watches never arrive.
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
    /// A random subset: runs with few kinds test each of them more.
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

/// An independent random generator for a seed and a purpose.
pub(crate) fn chance(seed: u64, purpose: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}
