//! A set that mostly has one element.

use std::collections::BTreeSet;

/// A set of at least one element. One needs no allocation.
pub(super) enum Few<E> {
    One(E),
    Many(BTreeSet<E>),
}

impl<E: Ord> Few<E> {
    /// Whether it was added: false if the set had it.
    pub(super) fn insert(&mut self, element: E) -> bool {
        match self {
            Self::One(only) if *only == element => false,
            Self::One(_) => {
                if let Self::One(only) = std::mem::replace(self, Self::Many(BTreeSet::from([element])))
                    && let Self::Many(all) = self
                {
                    all.insert(only);
                }
                true
            }
            Self::Many(all) => all.insert(element),
        }
    }

    /// Removes one of several elements. Returns true if it is the only one: the caller removes the set.
    pub(super) fn remove(&mut self, element: &E) -> bool {
        match self {
            Self::One(only) => only == element,
            Self::Many(all) => {
                all.remove(element);
                if all.len() == 1
                    && let Some(only) = all.pop_first()
                {
                    *self = Self::One(only);
                }
                false
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(all) => all.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        let (one, many) = match self {
            Self::One(only) => (Some(only), None),
            Self::Many(all) => (None, Some(all)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The lowest.
    pub(super) fn first(&self) -> Option<&E> {
        match self {
            Self::One(only) => Some(only),
            Self::Many(all) => all.first(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_grows_and_shrinks() {
        let mut set = Few::One(5);
        assert!(!set.insert(5));
        assert!(set.insert(3) && set.insert(9) && !set.insert(3));
        assert_eq!(set.iter().copied().collect::<Vec<_>>(), [3, 5, 9]);
        assert_eq!(set.first(), Some(&3));
        assert!(!set.remove(&3) && !set.remove(&7) && !set.remove(&9));
        assert!(matches!(set, Few::One(5)));
        assert!(!set.remove(&3) && set.remove(&5));
    }
}
