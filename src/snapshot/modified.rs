//! The index keys of objects that have another version than in an earlier view.

use super::View;
use crate::index::SharedKey;
use crate::object::Obj;

impl<T> View<T> {
    /// The keys in one index of the objects that have another version than in an older view. Those that have the key in
    /// both views do not change the index. O(changes); a key occurs once for each of its objects.
    ///
    /// The index must be in both views: then the keys are stored with each newer object.
    pub(crate) fn modified_keys<'a>(
        &'a self,
        older: &'a Self,
        slot: u32,
    ) -> impl Iterator<Item = &'a SharedKey> + Send + use<'a, T>
    where
        T: Send + Sync,
    {
        let modified = self.differences(older).filter(|(before, _)| before.is_some());
        let of = move |new: &'a Obj<T>| Obj::index_keys(new).of_index(slot, &self.keys);
        modified.filter_map(|(_, after)| after).flat_map(of)
    }
}
