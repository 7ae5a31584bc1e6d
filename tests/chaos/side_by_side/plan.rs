//! What goes wrong and when, drawn from a seed.

use std::{fmt, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// What a proxy does to the connections through it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// All connections end.
    Cut,
    /// Each connection ends in the middle of what the server sends next.
    HalfChunk,
    /// All connections end, and new ones are reset for so long.
    Refuse(Duration),
    /// Nothing gets through for so long; then connections continue, or end.
    Stall(Duration, Then),
    /// Little gets through for so long.
    Slow(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    GoOn,
    Cut,
}

/// What happens to the API server itself, and so to all consumers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    /// `kill -9` and a restart.
    Kill,
    /// etcd forgets all versions before its current one; then a kill, because the API server would hide that.
    CompactAndKill,
}

/// One run.
pub(crate) struct Plan {
    pub(crate) faults: Vec<(Duration, Fault)>,
    pub(crate) blows: Vec<(Duration, Blow)>,
}

/// Before the first fault.
const QUIET: Duration = Duration::from_secs(1);

// === impl Fault ===

impl Fault {
    fn draw(random: &mut StdRng) -> Self {
        let mut up_to = |most: f64| Duration::from_secs_f64(random.random_range(0.3..most));
        let (refused, stalled, slow) = (up_to(4.0), up_to(6.0), up_to(3.0));
        match random.random_range(0..6) {
            0 => Self::Cut,
            1 => Self::HalfChunk,
            2 => Self::Refuse(refused),
            3 => Self::Stall(stalled, Then::GoOn),
            4 => Self::Stall(stalled, Then::Cut),
            _ => Self::Slow(slow),
        }
    }

    /// Nothing gets through while it lasts.
    pub(crate) fn blinds(self) -> bool {
        matches!(self, Self::Refuse(_) | Self::Stall(..))
    }

    pub(crate) fn length(self) -> Duration {
        match self {
            Self::Cut | Self::HalfChunk => Duration::ZERO,
            Self::Refuse(length) | Self::Stall(length, _) | Self::Slow(length) => length,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::HalfChunk => "half a chunk",
            Self::Refuse(_) => "refused",
            Self::Stall(_, Then::GoOn) => "stalled",
            Self::Stall(_, Then::Cut) => "stalled, then cut",
            Self::Slow(_) => "slow",
        })
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "killed",
            Self::CompactAndKill => "compacted and killed",
        })
    }
}

// === impl Plan ===

impl Plan {
    /// A fault each 2 to 3 s, later where the one before takes longer; 1 to 5 kills in each 120 s, and one compaction.
    pub(crate) fn draw(seed: u64, length: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults = Vec::new();
        let mut at = QUIET;
        while at < length {
            let fault = Fault::draw(&mut random);
            faults.push((at, fault));
            let gap = Duration::from_secs_f64(random.random_range(2.0..3.0));
            at += gap.max(fault.length() + QUIET / 2);
        }
        let most = 5.0 * length.as_secs_f64() / 120.0;
        let kills = random.random_range(1..=(most.round() as usize).max(1));
        // Apart from each other, and with time to boot before the end.
        let part = length.mul_f64(0.8) / kills as u32;
        let compacted = random.random_range(0..kills);
        let blows = (0..kills).map(|number| {
            let at = part * number as u32 + part.mul_f64(random.random_range(0.2..0.8));
            (at, if number == compacted { Blow::CompactAndKill } else { Blow::Kill })
        });
        Self { faults, blows: blows.collect() }
    }
}
