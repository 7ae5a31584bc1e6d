//! How to list: which form from which version, and what follows when one fails.

use tokio::time::Instant;

use super::{Effect, Form, Origin};
use crate::reflector::settings::Settings;

/// Objects per page where all at once, as it was asked for, are too many.
const PAGE_SIZE: u32 = 500;

/// What a failed list counts in the choice of the next way: one that most likely says something about the way it was
/// made, and one that most likely does not, as the server is busy or away.
pub(super) const TELLING: u32 = 3;
pub(super) const SLIGHT: u32 = 1;

/// How to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listing {
    /// From where the next list begins, if it goes as it should.
    pub(super) from: Origin,
    /// Failures since the last list that came through, in parts of [`TELLING`].
    pub(super) failures: u32,
    /// Until when no streaming list is tried first.
    pub(super) no_streaming_until: Option<Instant>,
    /// The next attempt is in one piece, as a `continue` has expired.
    pub(super) whole_once: bool,
    /// A list in one piece was larger than the limit: pages come first.
    pub(super) whole_too_large: bool,
    /// Objects per page, once it was found that the usual number is too many.
    pub(super) page_size: Option<u32>,
    /// A 410 was answered at once, and nothing has gone well since.
    pub(super) expired: bool,
    /// A read was below what is held, and is made again consistently; so many consistent ones were below, too.
    pub(super) below: Option<u32>,
}

// === impl Listing ===

impl Listing {
    pub(super) fn next(&self, now: Instant, settings: &Settings, held: bool) -> Effect {
        let (form, from) = if self.whole_once {
            (Form::Whole, Origin::Newest)
        } else {
            let ways = self.ways(now, settings, held);
            ways[(self.failures / TELLING) as usize % ways.len()]
        };
        let page_size = self.page_size.filter(|_| form == Form::Pages);
        Effect::List { form, from, page_size, new_epoch: self.below > Some(0) && from == Origin::Newest }
    }

    /// All ways to list, the best one first. A way may stand there twice: one failure may be chance.
    fn ways(&self, now: Instant, settings: &Settings, held: bool) -> Vec<(Form, Origin)> {
        use Form::{Pages, Stream, Whole};
        use Origin::{Newest, Reuse};
        let plain =
            if self.from == Reuse && !self.whole_too_large { (Whole, Reuse) } else { (Pages, Newest) };
        let streams = self.no_streaming_until.is_none_or(|until| now >= until);
        let mut ways = Vec::with_capacity(9);
        // A version below what is held shows at the first page, and only at the end of a stream.
        if settings.streaming && streams && self.below.is_none() {
            ways.extend([(Stream, self.from); 2]);
        } else {
            ways.push(plain);
        }
        ways.push(plain);
        for way in [
            (Pages, Newest),
            (Stream, Newest),
            (Whole, Newest),
            (Stream, Reuse),
            (Pages, Reuse),
            (Whole, Reuse),
        ] {
            let possible = (settings.streaming || way.0 != Stream) && (held || way.1 != Reuse);
            if possible && !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// A list came through: the next one goes as it should.
    pub(super) fn listed(&mut self, versioned: bool) {
        self.from = if versioned { Origin::Reuse } else { Origin::Newest };
        self.failures = 0;
        self.whole_once = false;
        self.below = None;
    }

    /// A list in one piece, or a page, was too large: pages are asked for, or half of them, from now on. False where
    /// there is nothing to halve.
    pub(super) fn halve(&mut self, form: Form, settings: &Settings) -> bool {
        if form == Form::Whole && !std::mem::replace(&mut self.whole_too_large, true) {
            return true;
        }
        let size = self.page_size.unwrap_or(settings.page_size);
        // Zero stands for all at once.
        self.page_size = Some(if size == 0 { PAGE_SIZE } else { (size / 2).max(1) });
        size != 1
    }
}
