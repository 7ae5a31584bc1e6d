//! What a case needs of an API server, whichever it runs on.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use k8s_openapi::api::{core::v1::Namespace, rbac::v1::PolicyRule};
use kube_client::{Api, Client, api::PostParams};
use kube_core::ObjectMeta;

use super::envtest::TestCluster;

/// An API server under test.
pub(crate) trait World {
    /// The cluster behind it, for cases that only a real server can serve.
    fn real(&self) -> Option<&TestCluster>;

    /// An admin's client that leaves retries to us, as the examples advise.
    fn client(&self) -> LocalBoxFuture<'_, Result<Client>>;

    /// An admin's client as kube makes it by default: it retries some answers by itself.
    fn retrying_client(&self) -> LocalBoxFuture<'_, Result<Client>>;

    /// Gives a user exactly these rights, in all namespaces, and takes what it had. In force on return.
    fn set_rights<'a>(&'a self, user: &'a str, rules: Vec<PolicyRule>) -> LocalBoxFuture<'a, Result<()>>;

    /// Gives a user these rights in these namespaces, and takes those that it had in all. In force on return.
    fn set_rights_in<'a>(
        &'a self,
        user: &'a str,
        rule: PolicyRule,
        namespaces: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<()>>;

    /// A client of a user that [`set_rights`](Self::set_rights) has named.
    fn client_of<'a>(&'a self, user: &'a str) -> LocalBoxFuture<'a, Result<Client>>;

    /// A client with a token that the server does not know.
    fn stranger(&self) -> LocalBoxFuture<'_, Result<Client>>;

    /// Makes the server forget every version before this call: watches and pages from them answer 410.
    /// Watches that run may be cut.
    fn compact(&self) -> LocalBoxFuture<'_, Result<()>>;

    /// Makes the server know `shardSelector` from now on, or not, as an upgrade or a downgrade does: watches end.
    fn set_shards(&self, known: bool) -> LocalBoxFuture<'_, Result<()>>;

    /// Ends what belongs to this world alone, and waits for it.
    fn shutdown(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

/// What a case is given.
pub(crate) struct Ctx {
    pub(crate) world: Box<dyn World>,
    /// [`World::client`].
    pub(crate) client: Client,
    /// Exists, and belongs to this case alone.
    pub(crate) namespace: String,
}

// === impl Ctx ===

impl Ctx {
    /// Prepares a server for one case.
    pub(crate) async fn new(world: Box<dyn World>, case: &str) -> Result<Self> {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        // Names of namespaces are DNS labels: 63 characters, no underscore.
        let case: String = case.replace('_', "-").chars().take(50).collect();
        let namespace = format!("{}-{number}", case.trim_end_matches('-'));
        let client = world.client().await?;
        let object = Namespace {
            metadata: ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
        Ok(Self { world, client, namespace })
    }

    /// The cluster of a case that runs on real servers only.
    pub(crate) fn cluster(&self) -> Result<&TestCluster> {
        self.world.real().ok_or_else(|| anyhow::anyhow!("this case needs a real API server"))
    }
}
