//! Objects that have left the store while a part may still send an older version of them. See [`members`](super::members).

use std::sync::Arc;

use super::Writer;
use super::draft::Draft;
use super::members::Grave;
use crate::reflector::Regression;
use crate::version::ResourceVersion;

/// The number of graves that are looked through for the first time.
const FIRST_SWEEP: usize = 16;

/// The most graves that are kept for parts that are far behind, as they fail.
const MOST: usize = 4096;

/// The graves of the published version, for their removal.
pub(super) struct Graves {
    known: Vec<Grave>,
    sweep_at: usize,
    /// The highest version of a grave that was removed although not every part had reached it.
    forgotten: Option<ResourceVersion>,
    /// The lists that are being collected have a clone.
    pub(super) open: Arc<()>,
}

impl Default for Graves {
    fn default() -> Self {
        Self { known: Vec::new(), sweep_at: FIRST_SWEEP, forgotten: None, open: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Writer<T> {
    /// Takes the new graves of a draft, and removes those that are not needed any more: O(1) amortized.
    pub(super) fn dig_graves(&mut self, draft: &mut Draft<T>) {
        self.graves.known.append(&mut draft.graves);
        if self.graves.known.len() < self.graves.sweep_at {
            return;
        }
        let reached = self.parts.reached(draft.epoch);
        self.graves.known.retain(|grave| {
            let keeps = grave.until > reached;
            if !keeps {
                draft.close(grave);
            }
            keeps
        });
        let is_listing = Arc::strong_count(&self.graves.open) > 1;
        if self.graves.known.len() > MOST && !is_listing {
            for grave in self.graves.known.drain(..) {
                draft.close(&grave);
                if grave.until > self.graves.forgotten {
                    self.graves.forgotten = grave.until;
                }
            }
        }
        self.graves.sweep_at = FIRST_SWEEP.max(2 * self.graves.known.len());
    }

    /// In another epoch, versions cannot be compared with these.
    pub(super) fn forget_graves(&mut self, draft: &mut Draft<T>) {
        self.graves.known.append(&mut draft.graves);
        for grave in self.graves.known.drain(..) {
            draft.close(&grave);
        }
        self.graves.forgotten = None;
    }

    /// Removes the graves for which `keeps` returns false.
    pub(super) fn retain_graves(&mut self, draft: &mut Draft<T>, keeps: impl Fn(&Grave) -> bool) {
        self.graves.known.append(&mut draft.graves);
        self.graves.known.retain(|grave| {
            let keeps = keeps(grave);
            if !keeps {
                draft.close(grave);
            }
            keeps
        });
    }

    /// Whether an object of this version, which no part has, may be one that has left and was forgotten.
    ///
    /// # Errors
    ///
    /// If so: the part has to be listed again.
    pub(super) fn check_age(&self, version: Option<&ResourceVersion>) -> Result<(), Regression> {
        match (&self.graves.forgotten, version) {
            (Some(held), Some(received)) if received < held => {
                Err(Regression { held: held.clone(), received: received.clone() })
            }
            _ => Ok(()),
        }
    }
}
