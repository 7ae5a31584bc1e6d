//! The part of a NetworkAttachmentDefinition (NAD) that the cache keeps: its providers and its CNI type.
//!
//! `spec.config` is JSON in a string, and to parse it is the expensive part of a look-up. The informer runs
//! [`Nad::from_crd`] once for each version of each object.

use std::fmt;

use kube_core::ResourceExt as _;
use kube_informer::registry::Projected;
use kube_informer::{Absent, Stored};
use serde::Deserialize;

use super::types::NetworkAttachmentDefinition;

/// The part of a NetworkAttachmentDefinition that the cache keeps.
///
/// An invalid config is stored as a value; it is not a decoding error. The status of a subnet that needs the NAD
/// reports it.
#[derive(Clone, Debug)]
pub struct Nad {
    /// The type of its first plugin, or the reason why there is none.
    pub cni_type: Result<String, ConfigError>,
    /// The providers by which a subnet may name it.
    providers: Vec<String>,
    /// `metadata.generation`: counts the versions of the spec.
    generation: i64,
}

/// The reason why a `spec.config` is invalid. It never contains the config itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    Empty,
    NotJson,
    NoPlugins,
    NoType,
}

/// Both forms of a CNI configuration: one plugin, or a list of them.
#[derive(Deserialize)]
struct CniConfig {
    #[serde(default, rename = "type")]
    cni_type: String,
    plugins: Option<Vec<CniPlugin>>,
}

#[derive(Deserialize)]
struct CniPlugin {
    #[serde(default, rename = "type")]
    cni_type: String,
}

// === impl Nad ===

impl Stored for Nad {
    type Object = NetworkAttachmentDefinition;

    /// A cluster without NADs still has the subnets of the default network.
    const ABSENT: Absent = Absent::Empty;

    fn project(nad: NetworkAttachmentDefinition) -> Projected<Self> {
        Ok(Some(Self::from_crd(nad)))
    }
}

impl Nad {
    /// The projection from the object to what the cache keeps.
    pub fn from_crd(nad: NetworkAttachmentDefinition) -> Self {
        let cni_type = cni_type(&nad.spec.config);
        let plain = format!("{}.{}", nad.name_any(), nad.namespace().unwrap_or_default());
        let providers = match &cni_type {
            // A dot in the name would make another NAD's provider of it; Kube-OVN cannot address it either.
            _ if nad.name_any().contains('.') => vec![],
            Ok(kube_ovn) if kube_ovn == "kube-ovn" => vec![format!("{plain}.ovn")],
            Ok(_) => vec![plain],
            // The type is unknown, so subnets may name it either way, and both must be reconciled.
            Err(_) => vec![format!("{plain}.ovn"), plain],
        };
        Self { cni_type, providers, generation: nad.metadata.generation.unwrap_or_default() }
    }

    /// The providers by which a subnet may name it: one; two if its config is invalid; none if its name has a dot.
    pub fn providers(&self) -> &[String] {
        &self.providers
    }

    /// Whether the change from this version to the next one received is irrelevant to every subnet.
    ///
    /// Equal projections alone are not enough: of several quick changes only the last is delivered, and a reconcile
    /// may have read one in between that differed. So the generation may grow by at most one.
    pub fn means_the_same_as(&self, newer: &Self) -> bool {
        self.cni_type == newer.cni_type && newer.generation - self.generation <= 1
    }
}

/// The namespace and name of the NAD that a provider names: `name.namespace.ovn` or `name.namespace`. Others,
/// such as `ovn` alone, name none.
pub fn nad_of_provider(provider: &str) -> Option<(&str, &str)> {
    let mut fields = provider.split('.');
    let (name, namespace, third, more) = (fields.next()?, fields.next()?, fields.next(), fields.next());
    let named =
        matches!(third, None | Some("ovn")) && more.is_none() && !name.is_empty() && !namespace.is_empty();
    named.then_some((namespace, name))
}

/// The type of the (first) plugin of a CNI configuration.
fn cni_type(config: &str) -> Result<String, ConfigError> {
    if config.trim().is_empty() {
        return Err(ConfigError::Empty);
    }
    // serde_json's message would quote the config.
    let config: CniConfig = serde_json::from_str(config).map_err(|_| ConfigError::NotJson)?;
    let cni_type = match config.plugins {
        None => config.cni_type,
        Some(plugins) => plugins.into_iter().next().ok_or(ConfigError::NoPlugins)?.cni_type,
    };
    if cni_type.is_empty() { Err(ConfigError::NoType) } else { Ok(cni_type) }
}

// === impl ConfigError ===

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "spec.config is empty",
            Self::NotJson => "spec.config is not the JSON of a CNI configuration",
            Self::NoPlugins => "spec.config has an empty list of plugins",
            Self::NoType => "spec.config names no CNI type",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nad(name: &str, config: &str, generation: i64) -> Nad {
        let nad = json!({
            "metadata": {"namespace": "default", "name": name, "generation": generation},
            "spec": {"config": config},
        });
        Nad::from_crd(serde_json::from_value(nad).unwrap())
    }

    #[test]
    fn the_provider_ends_in_ovn_for_kube_ovn_only() {
        let single = nad("net1", r#"{"cniVersion":"0.3.1","name":"n","type":"kube-ovn","mtu":1400}"#, 1);
        assert_eq!(single.cni_type.as_deref(), Ok("kube-ovn"));
        assert_eq!(single.providers(), ["net1.default.ovn"]);

        let list = nad("net1", r#"{"name":"n","plugins":[{"type":"macvlan"},{"type":"tuning"}]}"#, 1);
        assert_eq!(list.cni_type.as_deref(), Ok("macvlan"));
        assert_eq!(list.providers(), ["net1.default"]);
    }

    #[test]
    fn a_config_of_no_use_says_why_and_keeps_both_providers() {
        for (config, why) in [
            ("", ConfigError::Empty),
            (" \n", ConfigError::Empty),
            ("{", ConfigError::NotJson),
            ("[1]", ConfigError::NotJson),
            (r#"{"type":7}"#, ConfigError::NotJson),
            (r#"{"plugins":{}}"#, ConfigError::NotJson),
            (r#"{"plugins":[]}"#, ConfigError::NoPlugins),
            (r#"{"plugins":[{}]}"#, ConfigError::NoType),
            (r#"{"name":"n"}"#, ConfigError::NoType),
        ] {
            let nad = nad("net1", config, 1);
            assert_eq!(nad.cni_type, Err(why), "{config}");
            assert_eq!(nad.providers(), ["net1.default.ovn", "net1.default"], "{config}");
        }
    }

    #[test]
    fn every_provider_of_a_nad_leads_back_to_it() {
        for config in ["", r#"{"type":"kube-ovn"}"#, r#"{"type":"bridge"}"#] {
            for provider in nad("net1", config, 1).providers() {
                assert_eq!(nad_of_provider(provider), Some(("default", "net1")), "{provider}");
            }
        }
        assert!(nad("a.b", r#"{"type":"kube-ovn"}"#, 1).providers().is_empty());
    }

    #[test]
    fn other_providers_name_no_nad() {
        for provider in ["", "ovn", "a.b.c", "a.b.ovn.d", ".b", "a.", "a..ovn", "."] {
            assert_eq!(nad_of_provider(provider), None, "{provider}");
        }
    }

    #[test]
    fn two_versions_mean_the_same_only_if_none_can_lie_unseen_between() {
        let (old, reformatted) =
            (nad("n", r#"{"type":"a"}"#, 4), nad("n", r#"{ "type": "a", "mtu": 1 }"#, 5));
        assert!(old.means_the_same_as(&reformatted));
        assert!(!old.means_the_same_as(&nad("n", r#"{"type":"b"}"#, 5)));
        assert!(!old.means_the_same_as(&nad("n", r#"{"type":"a"}"#, 6)));
        assert!(!old.means_the_same_as(&nad("n", "", 5)));
    }
}
