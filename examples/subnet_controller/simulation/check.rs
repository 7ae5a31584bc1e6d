//! Checks the statuses: computes each one again from the objects of the server, by scans, and compares them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use super::objects::{NADS, PODS, SUBNETS};
use super::server::Server;
use crate::controller::{Nad, NetworkAttachmentDefinition, Pod, PodNetworks, Subnet, desired_status};

/// The outcome of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    pub subnets: usize,
    /// The names of subnets with a wrong status, in order.
    pub wrong: Vec<String>,
}

/// Compares the statuses in the server with the desired ones.
///
/// # Errors
///
/// When the server does not hand out its objects.
pub fn check(server: &Server) -> anyhow::Result<Checked> {
    Ok(compare(&decode(server, SUBNETS)?, &decode(server, NADS)?, decode(server, PODS)?))
}

fn decode<T: DeserializeOwned>(server: &Server, resource: &str) -> anyhow::Result<Vec<T>> {
    let objects = server.objects(resource)?.into_iter().map(serde_json::from_value);
    objects.collect::<Result<_, _>>().with_context(|| format!("decode {resource}"))
}

fn compare(subnets: &[Subnet], nads: &[NetworkAttachmentDefinition], pods: Vec<Pod>) -> Checked {
    let nads: Vec<Nad> = nads.iter().cloned().map(Nad::from_crd).collect();
    let mut using: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pod in pods.into_iter().filter_map(PodNetworks::of) {
        for (provider, subnet) in pod.networks() {
            *using.entry((provider.to_owned(), subnet.to_owned())).or_default() += 1;
        }
    }
    let wrong = subnets.iter().filter(|subnet| {
        let (provider, name) = (subnet.provider(), subnet.metadata.name.clone().unwrap_or_default());
        let nad = nads.iter().find(|nad| nad.providers().iter().any(|its| its == provider));
        let pods = using.get(&(provider.to_owned(), name)).copied().unwrap_or_default();
        subnet.status != Some(desired_status(subnet, nad, pods))
    });
    let mut wrong: Vec<_> = wrong.map(|subnet| subnet.metadata.name.clone().unwrap_or_default()).collect();
    wrong.sort();
    Checked { subnets: subnets.len(), wrong }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::objects::{self, Config};
    use serde_json::{Value, from_value};

    #[test]
    fn a_status_that_differs_is_named() {
        let nads: Vec<NetworkAttachmentDefinition> = (0..3)
            .map(|nad| from_value(objects::nad(nad, Config::Plugin(objects::home_type(nad), 0))).unwrap())
            .collect();
        let pods: Vec<Pod> = (0..4).map(|pod| from_value(objects::pod(pod, 1, 3)).unwrap()).collect();
        let subnet = |number: usize, status: Option<Value>| -> Subnet {
            let mut subnet = objects::subnet(number, 3);
            subnet["status"] = status.into();
            from_value(subnet).unwrap()
        };
        let mut subnets: Vec<Subnet> = (0..3).map(|number| subnet(number, None)).collect();
        let checked = compare(&subnets, &nads, pods.clone());
        assert_eq!(checked.wrong, ["subnet-00000", "subnet-00001", "subnet-00002"]);

        for (number, using) in [(0, 0), (1, 4), (2, 0)] {
            let nad = Nad::from_crd(nads[number].clone());
            subnets[number].status = Some(desired_status(&subnets[number], Some(&nad), using));
        }
        assert_eq!(compare(&subnets, &nads, pods.clone()), Checked { subnets: 3, wrong: vec![] });
        assert_eq!(compare(&subnets, &nads, pods[1..].to_vec()).wrong, ["subnet-00001"]);
        assert_eq!(compare(&subnets, &nads[..2], pods).wrong, ["subnet-00002"]);
    }
}
