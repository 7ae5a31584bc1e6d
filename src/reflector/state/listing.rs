//! How to list: the form, the version to begin from, and the next choice after a failure.

use tokio::time::Instant;

use super::{Effect, Form, Origin};
use crate::reflector::settings::Settings;

/// Objects per page if a list in one piece was configured and is too large.
const PAGE_SIZE: u32 = 500;

/// The weight of a failed list in the choice of the next way. `TELLING`: the failure is probably caused by
/// the way the list was made. `SLIGHT`: it is probably not, as the server is busy or unreachable.
pub(super) const TELLING: u32 = 3;
pub(super) const SLIGHT: u32 = 1;

/// How to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listing {
    /// From where the next list begins unless lists have failed.
    pub(super) from: Origin,
    /// Failures since the last list that succeeded, in units of 1/[`TELLING`].
    pub(super) failures: u32,
    /// Until this time, a streaming list is not the first choice.
    pub(super) no_streaming_until: Option<Instant>,
    /// The next attempt is in one piece, because a `continue` token has expired.
    pub(super) whole_once: bool,
    /// A list in one piece was larger than the limit: pages come first.
    pub(super) whole_too_large: bool,
    /// Objects per page, set once the usual number was too large.
    pub(super) page_size: Option<u32>,
    /// A 410 was followed by a list at once, and no watch has settled since.
    pub(super) expired: bool,
    /// Set after a read below the cached version, which is repeated consistently. Counts the consistent reads
    /// that were below, too.
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

    /// All ways to list, the best one first. A way may be listed twice, because a single failure may be
    /// chance.
    fn ways(&self, now: Instant, settings: &Settings, held: bool) -> Vec<(Form, Origin)> {
        use Form::{Pages, Stream, Whole};
        use Origin::{Newest, Reuse};
        let plain =
            if self.from == Reuse && !self.whole_too_large { (Whole, Reuse) } else { (Pages, Newest) };
        let streams = self.no_streaming_until.is_none_or(|until| now >= until);
        let mut ways = Vec::with_capacity(9);
        // The first page already shows a version below the cached one; a stream shows it only at its end.
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

    /// A list succeeded: resets the choices for the next one.
    pub(super) fn listed(&mut self, versioned: bool) {
        self.from = if versioned { Origin::Reuse } else { Origin::Newest };
        self.failures = 0;
        self.whole_once = false;
        self.below = None;
    }

    /// A list in one piece, or a page, was too large: uses pages, or pages of half the size, from now on.
    /// Returns false if the size cannot be halved.
    pub(super) fn halve(&mut self, form: Form, settings: &Settings) -> bool {
        if form == Form::Whole && !std::mem::replace(&mut self.whole_too_large, true) {
            return true;
        }
        let size = self.page_size.unwrap_or(settings.page_size);
        // Zero means no paging.
        self.page_size = Some(if size == 0 { PAGE_SIZE } else { (size / 2).max(1) });
        size != 1
    }
}
