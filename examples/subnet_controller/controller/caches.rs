//! The informers of the controller, their indexes, and the order in which they start.

use kube_client::Client;
use kube_informer::index::{self, AnnotationKey};
use kube_informer::{Error, Index, Informer, Registry};

use super::nad::Nad;
use super::pod::PodNetworks;
use super::types::Subnet;

/// What the controller knows of the cluster, in memory.
#[derive(Clone)]
pub struct Caches {
    pub nads: Informer<Nad>,
    pub nads_by_provider: Index<Nad, String>,
    pub nads_by_namespace: Index<Nad, String>,
    pub pods: Informer<PodNetworks>,
    /// By (provider, subnet).
    pub pods_by_network: Index<PodNetworks, AnnotationKey>,
    pub subnets: Informer<Subnet>,
    pub subnets_by_provider: Index<Subnet, String>,
    registry: Registry,
}

impl Caches {
    /// Starts the informers and waits until they know all there is.
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

    /// Says what is needed. Other controllers of the same program would use the same registry, and share what they
    /// need too.
    fn declare(registry: Registry) -> Result<Self, Error> {
        let nads = registry.declare::<Nad>();
        let pods = registry.declare::<PodNetworks>();
        let subnets = registry.declare::<Subnet>();
        // A subnet handled before NADs and pods are known would be found to have none, and be told so in its status.
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
