//! The source of a subnet's NAD in a reconcile: the only difference between the two modes.

use std::borrow::Cow;
use std::fmt;

use kube_client::{Api, Client};
use kube_informer::Snapshot;

use super::caches::Caches;
use super::nad::{Nad, nad_of_provider};

/// See the [module](self).
#[derive(Clone)]
pub enum NadSource {
    /// A GET and a parse of the response in each reconcile, as Kube-OVN's controller did.
    Direct(Client),
    /// A look-up in the informer's snapshot, where the NAD is already parsed. Sends no request.
    Cached,
}

impl NadSource {
    /// The NAD with this provider, if it exists.
    ///
    /// # Errors
    ///
    /// When the request fails. A look-up in the snapshot cannot fail.
    pub async fn nad<'a>(
        &self,
        caches: &Caches,
        nads: &'a Snapshot<Nad>,
        provider: &str,
    ) -> Result<Option<Cow<'a, Nad>>, kube_client::Error> {
        match self {
            Self::Cached => {
                let nad = nads.by_index(&caches.nads_by_provider, provider).next();
                Ok(nad.map(|nad| Cow::Borrowed(&**nad)))
            }
            Self::Direct(client) => {
                let Some((namespace, name)) = nad_of_provider(provider) else { return Ok(None) };
                let nad = Api::namespaced(client.clone(), namespace).get_opt(name).await?.map(Nad::from_crd);
                Ok(nad.filter(|nad| nad.providers().iter().any(|its| its == provider)).map(Cow::Owned))
            }
        }
    }
}

impl fmt::Display for NadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "direct",
            Self::Cached => "cached",
        })
    }
}
