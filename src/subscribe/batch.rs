//! The changes between two snapshots.

use std::fmt;

use super::Predicate;
use super::merge::Merge;
use super::selection::{KeySelection, Selection};
use crate::key::Key;
use crate::object::Obj;
use crate::objects;
use crate::snapshot::{Snapshot, View};

/// The changes since the previous batch, and the snapshot that contains them.
///
/// [`changes`](Self::changes) computes them while it is iterated. A batch keeps both snapshots in memory.
pub struct Batch<T> {
    old: Snapshot<T>,
    new: Snapshot<T>,
    initial: bool,
    selection: Selection<T>,
    predicate: Option<Predicate<T>>,
}

/// A change of one object.
pub enum Change<'a, T> {
    /// The object was created, or entered the scope of the informer or the subscription.
    Added(&'a Obj<T>),
    /// The object (same uid) has another version.
    Modified {
        /// The version delivered last.
        old: &'a Obj<T>,
        /// The newest version.
        new: &'a Obj<T>,
    },
    /// The object was deleted, left the scope of the informer or the subscription, or is now skipped by the projection.
    /// Carries the version that this subscription delivered last, which need not be the last version of the object.
    Deleted(&'a Obj<T>),
    /// The object was deleted, and another one (with another uid) was created with its name.
    Replaced {
        /// The version of the deleted object that was delivered last.
        old: &'a Obj<T>,
        /// The object that has the name now.
        new: &'a Obj<T>,
    },
}

/// The changes of a batch, one per object, computed lazily. See [`Batch::changes`].
pub struct Changes<'a, T> {
    differences: Differences<'a, T>,
    predicate: Option<&'a Predicate<T>>,
}

enum Differences<'a, T> {
    Everything(objects::Differences<'a, T>),
    Namespace(objects::Differences<'a, T>, &'a str),
    /// Under an index key with many objects, of which few may have changed.
    Key {
        diff: objects::Differences<'a, T>,
        key: &'a dyn KeySelection<T>,
        old: &'a View<T>,
        new: &'a View<T>,
    },
    /// Under an index key with few objects.
    Few(Box<Merge<'a, T>>),
}

// === impl Batch ===

impl<T> Batch<T> {
    pub(crate) fn new(
        old: Snapshot<T>,
        new: Snapshot<T>,
        initial: bool,
        selection: Selection<T>,
        predicate: Option<Predicate<T>>,
    ) -> Self {
        Self { old, new, initial, selection, predicate }
    }

    /// Iterates over the changes, one [`Change`] per object, in no particular order. Lazy, O(changes) in all; no list
    /// of changes is allocated. May be called any number of times.
    pub fn changes(&self) -> Changes<'_, T> {
        let objects = || self.new.differences(&self.old);
        let differences = match &self.selection {
            Selection::Everything => Differences::Everything(objects()),
            Selection::Namespace(namespace) => Differences::Namespace(objects(), namespace),
            Selection::Key(key) => match Merge::new(key.hits(&self.old), key.hits(&self.new)) {
                few if few.len() as u64 <= self.new.churn.abs_diff(self.old.churn) => {
                    Differences::Few(Box::new(few))
                }
                _ => Differences::Key { diff: objects(), key: &**key, old: &self.old, new: &self.new },
            },
        };
        Changes { differences, predicate: self.predicate.as_ref() }
    }

    /// The snapshot that contains these changes, and nothing newer.
    pub fn snapshot(&self) -> &Snapshot<T> {
        &self.new
    }

    /// The snapshot before these changes: that of the previous batch, or an empty one for the first.
    pub fn previous(&self) -> &Snapshot<T> {
        &self.old
    }

    /// Whether this is the first batch of a subscription, which has all objects, each as `Added`. A batch of
    /// [`Informer::subscribe_from`](crate::Informer::subscribe_from) a synced snapshot is not.
    pub fn is_initial(&self) -> bool {
        self.initial
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = Change<'a, T>;
    type IntoIter = Changes<'a, T>;

    fn into_iter(self) -> Changes<'a, T> {
        self.changes()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} -> {})", self.old.revision(), self.new.revision())
    }
}

// === impl Change ===

impl<'a, T> Change<'a, T> {
    pub(super) fn between(old: Option<&'a Obj<T>>, new: Option<&'a Obj<T>>) -> Option<Self> {
        Some(match (old, new) {
            (None, Some(new)) => Self::Added(new),
            (Some(old), None) => Self::Deleted(old),
            (Some(old), Some(new)) if Obj::same_uid(old, new) => Self::Modified { old, new },
            (Some(old), Some(new)) => Self::Replaced { old, new },
            (None, None) => return None,
        })
    }

    /// The object's key.
    pub fn key(&self) -> Key<'a> {
        match self {
            Self::Added(object) | Self::Deleted(object) => Obj::key(object),
            Self::Modified { new, .. } | Self::Replaced { new, .. } => Obj::key(new),
        }
    }

    /// The object as it was delivered last; `None` for `Added`.
    pub fn old(&self) -> Option<&'a Obj<T>> {
        match self {
            Self::Added(_) => None,
            Self::Deleted(old) | Self::Modified { old, .. } | Self::Replaced { old, .. } => Some(old),
        }
    }

    /// The object as it is in the snapshot of the batch; `None` for `Deleted`.
    #[allow(clippy::new_ret_no_self)] // the other half of `old`
    pub fn new(&self) -> Option<&'a Obj<T>> {
        match self {
            Self::Deleted(_) => None,
            Self::Added(new) | Self::Modified { new, .. } | Self::Replaced { new, .. } => Some(new),
        }
    }
}

impl<T> Clone for Change<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Change<'_, T> {}

/// Prints the change and the key and version of the object, never its content.
impl<T> fmt::Debug for Change<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(new) => write!(f, "Added({new:?})"),
            Self::Modified { old, new } => write!(f, "Modified({old:?} -> {new:?})"),
            Self::Deleted(old) => write!(f, "Deleted({old:?})"),
            Self::Replaced { old, new } => write!(f, "Replaced({old:?} -> {new:?})"),
        }
    }
}

// === impl Changes ===

impl<'a, T> Iterator for Changes<'a, T> {
    type Item = Change<'a, T>;

    fn next(&mut self) -> Option<Change<'a, T>> {
        loop {
            let (old, new) = match &mut self.differences {
                Differences::Everything(diff) => diff.next()?,
                Differences::Namespace(diff, namespace) => diff.find(|(old, new)| {
                    old.or(*new).is_some_and(|object| Obj::namespace(object) == *namespace)
                })?,
                Differences::Key { diff, key, old, new } => {
                    let (before, after) = diff.next()?;
                    let before = before.filter(|object| key.contains(old, object));
                    let after = after.filter(|object| key.contains(new, object));
                    if before.or(after).is_none() {
                        continue;
                    }
                    (before, after)
                }
                Differences::Few(merge) => merge.next()?,
            };
            if self.predicate.is_none_or(|wanted| wanted(old, new)) {
                return Change::between(old, new);
            }
        }
    }
}

impl<T> fmt::Debug for Changes<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes(..)")
    }
}
