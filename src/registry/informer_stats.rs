//! The informers of a registry as an operator sees them.

use std::fmt;
use std::time::Duration;

use crate::informer::{Health, Stats};
use crate::reflector::Status;
use crate::scope::Scope;

/// One informer of a registry: what it lists, its health and its statistics. See
/// [`Registry::stats`](crate::Registry::stats).
///
/// `Display` prints one line, such as `pods in shop: watching, 3 objects at version 42, ..`, without any content of
/// objects. The last error is part of it while the informer is stale.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InformerStats {
    /// The kind, such as `subnets.kubeovn.io`.
    pub kind: String,
    /// The objects of the kind that are cached.
    pub scope: Scope,
    /// The name of the stored type, without its modules. It differs between informers of one kind and scope.
    pub stored: String,
    /// The health of the informer.
    pub status: Status,
    /// The statistics of the informer.
    pub stats: Stats,
}

// === impl InformerStats ===

impl InformerStats {
    /// Returns for how long the state may have been behind the API server; zero while a watch keeps it current, and
    /// before the first request has failed.
    #[must_use]
    pub fn stale_for(&self) -> Duration {
        self.status.stale_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl fmt::Display for InformerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.scope != Scope::all() {
            write!(f, " {}", self.scope)?;
        }
        write!(f, ": {}, {}", Health(self.status.clone()), self.stats)?;
        match &self.status.last_error {
            Some(error) if self.status.stale_since.is_some() => write!(f, "; {error}"),
            _ => Ok(()),
        }
    }
}

/// The name of a type without the modules of it and of its parameters.
pub(super) fn short_name(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        match part.strip_suffix(':') {
            // Either half of `::`; only in front of a name.
            Some(_) => {}
            None => short += part,
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn a_type_is_named_without_its_modules() {
        for (name, short) in [
            ("u8", "u8"),
            ("app::nad::Nad", "Nad"),
            (
                "kube_core::metadata::PartialObjectMeta<kube_core::dynamic::DynamicObject>",
                "PartialObjectMeta<DynamicObject>",
            ),
            ("(a::B, [c::D; 4])", "(B, [D; 4])"),
        ] {
            assert_eq!(short_name(name), short);
        }
    }
}
