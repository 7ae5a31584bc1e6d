//! The informers of the controller, their indexes, and the order in which they start.

use kube_client::{Api, Client};
use kube_informer::index::{self, AnnotationKey};
use kube_informer::{Error, Index, Informer};

use crate::nad::Nad;
use crate::types::{LOGICAL_SWITCH, NetworkAttachmentDefinition, Pod, Subnet};

/// What the controller knows of the cluster, in memory.
#[derive(Clone)]
pub struct Caches {
    pub nads: Informer<Nad>,
    pub nads_by_provider: Index<Nad, String>,
    pub nads_by_namespace: Index<Nad, String>,
    pub subnets: Informer<Subnet>,
    pub subnets_by_provider: Index<Subnet, String>,
    pub pods: Informer<Pod>,
    /// By (provider, subnet).
    pub pods_by_network: Index<Pod, AnnotationKey>,
    /// The cluster did not serve NADs at the start. Once it does, they are here.
    pub without_nads: bool,
}

impl Caches {
    /// Starts the informers and waits until they know all there is.
    ///
    /// NADs and pods come first: a subnet handled before they are known would be found to have none, and be
    /// told so in its status.
    ///
    /// # Errors
    ///
    /// When the API server refuses to list or watch a kind, or does not serve it. NADs are optional.
    pub async fn start(client: &Client) -> Result<Self, Error> {
        let mut nads =
            Informer::builder(Api::<NetworkAttachmentDefinition>::all(client.clone())).project(Nad::from_crd);
        let nads_by_provider = nads.index_many(|nad: &Nad| nad.providers().to_vec());
        let nads_by_namespace = nads.index_by(index::namespace());
        let mut pods = Informer::builder(Api::<Pod>::all(client.clone())).project_some(Pod::unless_ended);
        let pods_by_network = pods.index_by(index::annotation_suffix(LOGICAL_SWITCH));
        let mut subnets = Informer::builder(Api::<Subnet>::all(client.clone()));
        let subnets_by_provider = subnets.index(|subnet: &Subnet| subnet.provider().to_owned());

        let (nads, pods) = (nads.start(), pods.start());
        let without_nads = match nads.synced_or_blocked().await {
            Err(error) if error.is_kind_absent() => true,
            synced => synced.map(|()| false)?,
        };
        pods.synced_or_blocked().await?;
        let subnets = subnets.start();
        subnets.synced_or_blocked().await?;
        Ok(Self {
            nads,
            nads_by_provider,
            nads_by_namespace,
            subnets,
            subnets_by_provider,
            pods,
            pods_by_network,
            without_nads,
        })
    }

    /// Stops the informers and waits until their tasks have ended.
    pub async fn shutdown(self) {
        self.subnets.shutdown().await;
        self.pods.shutdown().await;
        self.nads.shutdown().await;
    }
}
