//! Random scopes: namespaces, and parts that overlap.

use kube_informer::Scope;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::history::{Selection, Wanted};

const NAMESPACES: [&str; 3] = ["a", "b", "c"];

/// A scope of up to three parts.
pub(crate) fn some(kind: usize, random: &mut StdRng) -> Wanted {
    let mut parts = Vec::new();
    if random.random_bool(0.4) {
        let group = random.random_bool(0.3).then(|| group(random));
        let namespaces = NAMESPACES.iter().filter(|_| random.random_bool(0.6));
        let part =
            |namespace: &&str| Selection { kind, namespace: Some((*namespace).into()), group: group.clone() };
        parts.extend(namespaces.map(part));
    } else {
        for _ in 0..random.random_range(1..4) {
            let namespace = NAMESPACES.choose(random).filter(|_| random.random_bool(0.6));
            let group = random.random_bool(0.5).then(|| group(random));
            parts.push(Selection { kind, namespace: namespace.map(|name| (*name).into()), group });
        }
    }
    parts.sort();
    parts.dedup();
    Wanted { kind, parts }
}

fn group(random: &mut StdRng) -> String {
    format!("g{}", random.random_range(0..3))
}

impl Wanted {
    pub(crate) fn scope(&self) -> Scope {
        Scope::any(self.parts.iter().map(Selection::scope))
    }
}

impl Selection {
    pub(crate) fn scope(&self) -> Scope {
        let scope = self.namespace.as_ref().map_or(Scope::all(), Scope::namespace);
        match &self.group {
            Some(group) => scope.labels(format!("group={group}")),
            None => scope,
        }
    }
}
