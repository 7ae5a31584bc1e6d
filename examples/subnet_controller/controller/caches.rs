//! The informers of the controller, their indexes, and the order in which they start.

use kube_client::Client;
use kube_informer::index::{self, Pair};
use kube_informer::{Error, Index, Informer, Registry};

use super::nad::Nad;
use super::pod::PodNetworks;
use super::types::Subnet;

/// The controller's caches of the cluster.
#[derive(Clone)]
pub struct Caches {
    pub nads: Informer<Nad>,
    pub nads_by_provider: Index<Nad, String>,
    pub nads_by_namespace: Index<Nad, String>,
    pub pods: Informer<PodNetworks>,
    /// By (provider, subnet).
    pub pods_by_network: Index<PodNetworks, Pair<String, String>>,
    pub subnets: Informer<Subnet>,
    pub subnets_by_provider: Index<Subnet, String>,
    /// All of them, for probes and metrics.
    pub registry: Registry,
}

impl Caches {
    /// Starts the informers and waits until each has listed all its objects.
    ///
    /// # Errors
    ///
    /// When the API server refuses to list or watch a kind, or does not serve it. NADs are optional.
    pub async fn start(client: &Client) -> Result<Self, Error> {
        let caches = Self::declare(Registry::new(client.clone()))?;
        caches.registry.start();
        caches.registry.synced_or_blocked().await?;
        Ok(caches)
    }

    /// Declares the informers and their indexes. Other controllers of the same program declare theirs on the same
    /// registry: equal declarations share one informer.
    fn declare(registry: Registry) -> Result<Self, Error> {
        let nads = registry.declare::<Nad>();
        let pods = registry.declare::<PodNetworks>();
        let subnets = registry.declare::<Subnet>();
        // If subnets came first, reconciles would find no NADs and no pods, and write that to the statuses.
        subnets.after(&nads)?;
        subnets.after(&pods)?;
        Ok(Self {
            nads_by_provider: nads.index(|nad: &Nad| nad.providers().to_vec())?,
            nads_by_namespace: nads.index(index::namespace())?,
            nads: nads.informer(),
            pods_by_network: pods.index(|pod: &PodNetworks| pod.keys().to_vec())?,
            pods: pods.informer(),
            subnets_by_provider: subnets.index(|subnet: &Subnet| subnet.provider().to_owned())?,
            subnets: subnets.informer(),
            registry,
        })
    }

    /// Stops the informers and waits until their tasks have ended.
    pub async fn shutdown(self) {
        self.registry.shutdown().await;
    }
}
