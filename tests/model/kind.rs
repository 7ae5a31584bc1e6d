//! The kinds of the model. They differ only in their names, so one type is enough for all.

use std::borrow::Cow;

use kube_core::{DynamicResourceScope, ObjectMeta, Resource};
use kube_informer::{Stored, registry::Projected};
use serde::Deserialize;

pub(crate) const KINDS: usize = 2;
pub(crate) const GROUP: &str = "model.test";

/// The index of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Which(pub(crate) usize);

/// An object as the server sends it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Thing {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
struct Spec {
    number: u64,
    group: String,
}

/// The projection of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) group: String,
}

/// The result of the projection for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Good,
    /// The projection skips the object.
    Hidden,
    /// The projection fails.
    Invalid,
}

#[derive(Debug, thiserror::Error)]
#[error("a number that the projection does not like")]
pub(crate) struct Disliked;

impl Shown {
    pub(crate) fn of(number: u64) -> Self {
        match number % 10 {
            8 => Self::Hidden,
            9 => Self::Invalid,
            _ => Self::Good,
        }
    }
}

impl Which {
    pub(crate) fn plural(self) -> String {
        format!("things{}", self.0)
    }
}

/// The projection, for builders too.
pub(crate) fn keep(thing: Thing) -> Result<Option<Kept>, Disliked> {
    let Spec { number, group } = thing.spec;
    match Shown::of(number) {
        Shown::Good => Ok(Some(Kept { number, group })),
        Shown::Hidden => Ok(None),
        Shown::Invalid => Err(Disliked),
    }
}

impl Stored for Kept {
    type Object = Thing;

    fn project(thing: Thing) -> Projected<Self> {
        Ok(keep(thing)?)
    }
}

impl Resource for Thing {
    type DynamicType = Which;
    type Scope = DynamicResourceScope;

    fn kind(_: &Which) -> Cow<'_, str> {
        "Thing".into()
    }

    fn group(_: &Which) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &Which) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(which: &Which) -> Cow<'_, str> {
        which.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
