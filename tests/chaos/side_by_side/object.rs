//! The objects that are written, and what a list must say of them.

use std::collections::HashMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube_client::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::{ApiResource, DynamicObject},
};
use kube_informer::ObjectKey;

pub(crate) const NAMESPACES: [&str; 3] = ["chaos-a", "chaos-b", "chaos-c"];
/// The label that changes from write to write.
pub(crate) const GROUP: &str = "group";
pub(crate) const GROUPS: [&str; 4] = ["red", "green", "blue", "grey"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
    ServiceAccount,
}

/// The uid and version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) uid: String,
    pub(crate) version: u64,
}

/// Objects by name.
pub(crate) type Objects = HashMap<ObjectKey, Held>;

/// What exists, by a list that went past every cache.
pub(crate) struct Truth(HashMap<Kind, Vec<Listed>>);

pub(crate) struct Listed {
    pub(crate) key: ObjectKey,
    pub(crate) held: Held,
    pub(crate) group: Option<String>,
}

/// The differences between a cache and the objects that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) stale: u64,
    /// Changes that contradict the state they lead away from.
    pub(crate) contradictions: u64,
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::ConfigMap, Self::Secret, Self::ServiceAccount];

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
        }
    }
}

// === impl Held ===

impl Held {
    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        let version = object.resource_version().and_then(|version| version.parse().ok());
        Self { uid: object.uid().unwrap_or_default(), version: version.unwrap_or_default() }
    }
}

pub(crate) fn key(object: &impl ResourceExt) -> ObjectKey {
    ObjectKey::new(&object.namespace().unwrap_or_default(), &object.name_any())
}

// === impl Truth ===

impl Truth {
    pub(crate) async fn read(client: &Client) -> Result<Self> {
        let mut kinds = HashMap::new();
        for kind in Kind::ALL {
            let api = Api::<DynamicObject>::all_with(client.clone(), &kind.resource());
            let list = api.list_metadata(&ListParams::default()).await?;
            let listed = list.items.iter().map(|object| Listed {
                key: key(object),
                held: Held::of(object),
                group: object.labels().get(GROUP).cloned(),
            });
            kinds.insert(kind, listed.collect());
        }
        Ok(Self(kinds))
    }

    /// The objects that are such.
    pub(crate) fn objects(&self, kind: Kind, such: impl Fn(&Listed) -> bool) -> Objects {
        let listed = self.0.get(&kind).into_iter().flatten().filter(|listed| such(listed));
        listed.map(|listed| (listed.key.clone(), listed.held.clone())).collect()
    }

    pub(crate) fn all(&self, kind: Kind) -> Objects {
        self.objects(kind, |_| true)
    }
}

// === impl Difference ===

impl Difference {
    pub(crate) fn between(held: &Objects, truth: &Objects) -> Self {
        let mut difference = Self::default();
        for (key, wanted) in truth {
            match held.get(key) {
                None => difference.missing += 1,
                Some(held) if held != wanted => difference.stale += 1,
                Some(_) => {}
            }
        }
        difference.extra = held.keys().filter(|key| !truth.contains_key(key)).count() as u64;
        difference
    }

    /// Apart from contradictions on the way, which no waiting mends.
    pub(crate) fn agrees(&self) -> bool {
        (self.missing, self.extra, self.stale) == (0, 0, 0)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::iter::Sum for Difference {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            missing: sum.missing + one.missing,
            extra: sum.extra + one.extra,
            stale: sum.stale + one.stale,
            contradictions: sum.contradictions + one.contradictions,
        })
    }
}
