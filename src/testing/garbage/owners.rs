//! The owner references of an object.

use serde_json::Value;

/// A reference to an owner.
pub(super) struct Reference {
    pub(super) uid: String,
    /// Whether the owner waits for this object when it is deleted in the foreground.
    pub(super) blocks: bool,
}

/// The state of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    There,
    /// It is being deleted in the foreground, after its dependents.
    Waiting,
    /// It is gone, was never there, or is in another namespace.
    Absent,
}

pub(super) fn references(object: &Value) -> Vec<Reference> {
    let list = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|one| {
            let uid = one.get("uid")?.as_str()?.to_owned();
            Some(Reference {
                uid,
                blocks: one.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true),
            })
        })
        .collect()
}
