//! Plans the churn: from a seed, it computes a list of changes of which each is possible after the ones before.
//!
//! The model tracks which objects exist, so it creates no object twice. It also tracks which subnets each change
//! affects, so the measurement can wait for their statuses.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::objects::{self, Config, NADS, PODS, SUBNETS};
use crate::controller::{Nad, NetworkAttachmentDefinition};

/// The number of objects of each kind.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub nads: usize,
    pub subnets: usize,
    pub pods: usize,
}

/// One change, to be applied inside the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub write: Write,
    /// The kind changed: 0 NADs, 1 subnets, 2 pods; the order of `Run::seen`.
    pub kind: usize,
    /// Numbers of the subnets that have to be looked at because of it.
    pub subnets: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Create(Value),
    Patch { resource: &'static str, namespace: Option<String>, name: String, patch: Value },
    Delete { resource: &'static str, namespace: Option<String>, name: String },
}

/// A kind of change, with its share in percent and its text in the report.
struct Share {
    percent: u32,
    what: &'static str,
    make: fn(&mut Model) -> Option<Change>,
}

/// The existing objects, and the source of the next changes.
pub struct Model {
    size: Size,
    random: StdRng,
    nads: Population,
    subnets: Population,
    pods: Population,
    configs: Vec<Config>,
    /// As the API server will count them.
    generations: Vec<u32>,
    subnets_of_nad: Vec<Vec<usize>>,
    subnet_of_pod: Vec<usize>,
    edits: u32,
}

/// Which numbers exist. Picking, adding and removing are O(1).
struct Population {
    members: Vec<usize>,
    absent: Vec<usize>,
    place: Vec<Option<usize>>,
}

const MIX: [Share; 10] = [
    Share { percent: 42, what: "a pod is annotated (nothing to write)", make: Model::touch_pod },
    Share { percent: 10, what: "a pod is created", make: Model::start_pod },
    Share { percent: 10, what: "a pod is deleted", make: Model::end_pod },
    Share {
        percent: 10,
        what: "a NAD's config is edited without effect (no reconcile)",
        make: Model::rewrite_nad,
    },
    Share { percent: 8, what: "a NAD's CNI type is changed (nothing to write)", make: Model::retype_nad },
    Share { percent: 3, what: "a NAD's config becomes invalid, or valid again", make: Model::break_nad },
    Share { percent: 3, what: "a NAD is deleted or created", make: Model::flip_nad },
    Share { percent: 4, what: "a subnet is deleted or created", make: Model::flip_subnet },
    Share { percent: 4, what: "a subnet's excludeIps is edited", make: Model::exclude_ips },
    Share { percent: 6, what: "a subnet's vpc is edited (nothing to write)", make: Model::change_vpc },
];

/// The mix in words, for the report.
pub fn mix() -> Vec<String> {
    MIX.iter().map(|share| format!("{:2} % {}", share.percent, share.what)).collect()
}

/// A random seed; short, because a user may type it again.
pub fn any_seed() -> u64 {
    u64::from(rand::random::<u32>() % 1_000_000)
}

// === impl Model ===

impl Model {
    pub fn new(size: Size, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let subnet_of_pod = (0..size.pods).map(|_| random.random_range(0..size.subnets)).collect();
        let mut subnets_of_nad = vec![Vec::new(); size.nads];
        for subnet in 0..size.subnets {
            if objects::provider(subnet, size.nads) != "ovn" {
                subnets_of_nad[subnet % size.nads].push(subnet);
            }
        }
        Self {
            size,
            random,
            nads: Population::new(size.nads),
            subnets: Population::new(size.subnets),
            pods: Population::new(size.pods),
            configs: (0..size.nads).map(|nad| Config::Plugin(objects::home_type(nad), 0)).collect(),
            generations: vec![1; size.nads],
            subnets_of_nad,
            subnet_of_pod,
            edits: 0,
        }
    }

    /// The objects before the first change.
    pub fn initial(&self) -> impl Iterator<Item = Value> {
        let size = self.size;
        let nads = (0..size.nads).map(|nad| objects::nad(nad, self.configs[nad]));
        let pods = (0..size.pods).map(move |pod| objects::pod(pod, self.subnet_of_pod[pod], size.nads));
        let subnets = (0..size.subnets).map(move |subnet| objects::subnet(subnet, size.nads));
        nads.chain(pods).chain(subnets)
    }

    /// The next change.
    pub fn next_change(&mut self) -> Change {
        loop {
            let mut roll = self.random.random_range(0..100);
            for share in &MIX {
                if roll < share.percent {
                    self.edits = self.edits.wrapping_add(1);
                    // None where there is nothing of the kind, as with all NADs deleted: roll again.
                    if let Some(change) = (share.make)(self) {
                        return change;
                    }
                    break;
                }
                roll -= share.percent;
            }
        }
    }

    fn touch_pod(&mut self) -> Option<Change> {
        let pod = self.pods.pick(&mut self.random)?;
        let checked = json!({"metadata": {"annotations": {"example.com/checked": self.edits.to_string()}}});
        Some(self.patch_pod(pod, checked))
    }

    fn start_pod(&mut self) -> Option<Change> {
        let pod = self.pods.admit(&mut self.random)?;
        self.subnet_of_pod[pod] = self.random.random_range(0..self.size.subnets);
        let write = Write::Create(objects::pod(pod, self.subnet_of_pod[pod], self.size.nads));
        Some(Change { write, kind: 2, subnets: self.existing(&[self.subnet_of_pod[pod]]) })
    }

    fn end_pod(&mut self) -> Option<Change> {
        let pod = self.pods.dismiss(&mut self.random)?;
        let (namespace, name) = objects::pod_name(pod);
        let write = Write::Delete { resource: PODS, namespace: Some(namespace), name };
        Some(Change { write, kind: 2, subnets: self.existing(&[self.subnet_of_pod[pod]]) })
    }

    fn rewrite_nad(&mut self) -> Option<Change> {
        let nad = self.nads.pick(&mut self.random)?;
        match self.configs[nad] {
            Config::Plugin(cni_type, mtu) => Some(self.configure_nad(nad, Config::Plugin(cni_type, mtu + 1))),
            Config::Broken => None,
        }
    }

    fn retype_nad(&mut self) -> Option<Change> {
        let nad = self.nads.pick(&mut self.random)?;
        let other = match self.configs[nad] {
            Config::Plugin("macvlan", _) => "ipvlan",
            Config::Plugin("ipvlan", _) => "macvlan",
            // For Kube-OVN's own another type would be another provider.
            _ => return None,
        };
        Some(self.configure_nad(nad, Config::Plugin(other, self.edits)))
    }

    fn break_nad(&mut self) -> Option<Change> {
        let nad = self.nads.pick(&mut self.random)?;
        let config = match self.configs[nad] {
            Config::Broken => Config::Plugin(objects::home_type(nad), self.edits),
            Config::Plugin(..) => Config::Broken,
        };
        Some(self.configure_nad(nad, config))
    }

    fn flip_nad(&mut self) -> Option<Change> {
        let before = |model: &Self, nad: usize| model.projected(nad, model.configs[nad]);
        if self.random.random_bool(0.5) {
            let nad = self.nads.dismiss(&mut self.random)?;
            let (namespace, name) = objects::nad_name(nad);
            let write = Write::Delete { resource: NADS, namespace: Some(namespace), name };
            Some(Change { write, kind: 0, subnets: self.naming(nad, &[&before(self, nad)]) })
        } else {
            let nad = self.nads.admit(&mut self.random)?;
            self.configs[nad] = Config::Plugin(objects::home_type(nad), self.edits);
            self.generations[nad] = 1;
            let write = Write::Create(objects::nad(nad, self.configs[nad]));
            Some(Change { write, kind: 0, subnets: self.naming(nad, &[&before(self, nad)]) })
        }
    }

    fn flip_subnet(&mut self) -> Option<Change> {
        if self.random.random_bool(0.5) {
            let subnet = self.subnets.dismiss(&mut self.random)?;
            let write =
                Write::Delete { resource: SUBNETS, namespace: None, name: objects::subnet_name(subnet) };
            Some(Change { write, kind: 1, subnets: vec![] })
        } else {
            let subnet = self.subnets.admit(&mut self.random)?;
            let write = Write::Create(objects::subnet(subnet, self.size.nads));
            Some(Change { write, kind: 1, subnets: vec![subnet] })
        }
    }

    fn exclude_ips(&mut self) -> Option<Change> {
        let subnet = self.subnets.pick(&mut self.random)?;
        Some(patch_subnet(subnet, json!({"spec": {"excludeIps": objects::excluded(subnet, self.edits)}})))
    }

    fn change_vpc(&mut self) -> Option<Change> {
        let subnet = self.subnets.pick(&mut self.random)?;
        Some(patch_subnet(subnet, json!({"spec": {"vpc": objects::vpc(self.edits)}})))
    }

    fn patch_pod(&self, pod: usize, patch: Value) -> Change {
        let (namespace, name) = objects::pod_name(pod);
        let write = Write::Patch { resource: PODS, namespace: Some(namespace), name, patch };
        Change { write, kind: 2, subnets: self.existing(&[self.subnet_of_pod[pod]]) }
    }

    fn configure_nad(&mut self, nad: usize, config: Config) -> Change {
        let old = self.projected(nad, self.configs[nad]);
        self.configs[nad] = config;
        self.generations[nad] += 1;
        let new = self.projected(nad, config);
        let (namespace, name) = objects::nad_name(nad);
        let patch = json!({"spec": {"config": objects::config_text(nad, config)}});
        let write = Write::Patch { resource: NADS, namespace: Some(namespace), name, patch };
        let subnets = if old.means_the_same_as(&new) { vec![] } else { self.naming(nad, &[&old, &new]) };
        Change { write, kind: 0, subnets }
    }

    /// The controller's projection of a NAD.
    fn projected(&self, nad: usize, config: Config) -> Nad {
        let mut object = objects::nad(nad, config);
        object["metadata"]["generation"] = self.generations[nad].into();
        let object: NetworkAttachmentDefinition =
            serde_json::from_value(object).expect("the simulation's own NADs have the right form");
        Nad::from_crd(object)
    }

    /// The existing subnets whose provider is one of the NAD's.
    fn naming(&self, nad: usize, versions: &[&Nad]) -> Vec<usize> {
        let names = |subnet: &usize| {
            let provider = objects::provider(*subnet, self.size.nads);
            versions.iter().any(|version| version.providers().contains(&provider))
        };
        let subnets: Vec<usize> = self.subnets_of_nad[nad].iter().copied().filter(names).collect();
        self.existing(&subnets)
    }

    fn existing(&self, subnets: &[usize]) -> Vec<usize> {
        subnets.iter().copied().filter(|subnet| self.subnets.contains(*subnet)).collect()
    }
}

fn patch_subnet(subnet: usize, patch: Value) -> Change {
    let name = objects::subnet_name(subnet);
    let write = Write::Patch { resource: SUBNETS, namespace: None, name, patch };
    Change { write, kind: 1, subnets: vec![subnet] }
}

// === impl Population ===

impl Population {
    fn new(size: usize) -> Self {
        Self { members: (0..size).collect(), absent: Vec::new(), place: (0..size).map(Some).collect() }
    }

    fn contains(&self, number: usize) -> bool {
        self.place[number].is_some()
    }

    fn pick(&self, random: &mut StdRng) -> Option<usize> {
        (!self.members.is_empty()).then(|| self.members[random.random_range(0..self.members.len())])
    }

    /// One that does not exist comes into being.
    fn admit(&mut self, random: &mut StdRng) -> Option<usize> {
        if self.absent.is_empty() {
            return None;
        }
        let number = self.absent.swap_remove(random.random_range(0..self.absent.len()));
        self.place[number] = Some(self.members.len());
        self.members.push(number);
        Some(number)
    }

    /// One that exists ceases to. Nine tenths of all stay, so that there is something to work on.
    fn dismiss(&mut self, random: &mut StdRng) -> Option<usize> {
        if self.absent.len() * 10 >= self.place.len() && !self.absent.is_empty() {
            return None;
        }
        let number = self.pick(random)?;
        let at = self.place[number].take()?;
        self.members.swap_remove(at);
        if let Some(moved) = self.members.get(at) {
            self.place[*moved] = Some(at);
        }
        self.absent.push(number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZE: Size = Size { nads: 20, subnets: 50, pods: 200 };

    fn changes(seed: u64, count: usize) -> Vec<Change> {
        let mut model = Model::new(SIZE, seed);
        (0..count).map(|_| model.next_change()).collect()
    }

    #[test]
    fn a_seed_always_makes_the_same_changes_and_another_seed_others() {
        assert_eq!(changes(7, 500), changes(7, 500));
        assert_ne!(changes(7, 500), changes(8, 500));
    }

    #[test]
    fn the_mix_adds_up() {
        assert_eq!(MIX.iter().map(|share| share.percent).sum::<u32>(), 100);
    }

    #[test]
    fn every_change_is_possible_when_its_turn_comes() {
        for seed in 0..20 {
            let mut model = Model::new(SIZE, seed);
            let id = |object: &Value| {
                let meta = &object["metadata"];
                let part = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
                (object["kind"].as_str().unwrap_or_default().to_owned(), part("namespace"), part("name"))
            };
            let kind = |resource: &str| match resource {
                NADS => "NetworkAttachmentDefinition".to_owned(),
                SUBNETS => "Subnet".to_owned(),
                _ => "Pod".to_owned(),
            };
            let mut exist: BTreeSet<_> = model.initial().map(|object| id(&object)).collect();
            assert_eq!(exist.len(), 270);
            for step in 0..3000 {
                let change = model.next_change();
                let possible = match &change.write {
                    Write::Create(object) => exist.insert(id(object)),
                    Write::Delete { resource, namespace, name } => {
                        exist.remove(&(kind(resource), namespace.clone().unwrap_or_default(), name.clone()))
                    }
                    Write::Patch { resource, namespace, name, .. } => {
                        exist.contains(&(kind(resource), namespace.clone().unwrap_or_default(), name.clone()))
                    }
                };
                assert!(possible, "seed {seed}, step {step}: {change:?}");
                for subnet in &change.subnets {
                    let subnet = ("Subnet".to_owned(), String::new(), objects::subnet_name(*subnet));
                    assert!(exist.contains(&subnet), "seed {seed}, step {step}: {change:?}");
                }
            }
        }
    }

    #[test]
    fn an_edit_that_means_the_same_concerns_no_subnet() {
        let mut model = Model::new(SIZE, 1);
        for _ in 0..100 {
            assert!(model.rewrite_nad().unwrap().subnets.is_empty());
        }
        let retyped: Vec<_> = (0..100).filter_map(|_| model.retype_nad()).collect();
        assert!(retyped.iter().any(|change| !change.subnets.is_empty()));
    }

    #[test]
    fn one_of_each_is_enough() {
        let mut model = Model::new(Size { nads: 1, subnets: 1, pods: 0 }, 3);
        for _ in 0..1000 {
            model.next_change();
        }
    }
}
