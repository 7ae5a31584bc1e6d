//! The crate's own API server as a [`World`], on loopback HTTP: connections are real there too.

use anyhow::{Context, Result, bail};
use futures_util::{FutureExt, future::LocalBoxFuture};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_client::{Client, Config, config::AuthInfo};
use kube_informer::testing::{ApiServer, Rule, Serving};

use super::{envtest::TestCluster, world::World};

/// A server of one case.
pub(crate) struct InProcessWorld {
    server: ApiServer,
    serving: Serving,
}

// === impl InProcessWorld ===

impl InProcessWorld {
    /// `shards`: whether it knows `shardSelector`.
    pub(crate) async fn start(shards: bool) -> Result<Self> {
        let server = ApiServer::builder().managed_fields(true).shards(shards).build();
        // Without tokens, every request is allowed.
        server.add_token(&token_of("admin"), "admin");
        let serving = server.serve().await?;
        Ok(Self { server, serving })
    }

    fn client_with(&self, user: &str, default_retry: bool) -> Result<Client> {
        let mut config = Config::new(self.serving.url().parse()?);
        config.auth_info = AuthInfo { token: Some(token_of(user).into()), ..AuthInfo::default() };
        config.default_retry = default_retry;
        Ok(Client::try_from(config)?)
    }
}

impl World for InProcessWorld {
    fn real(&self) -> Option<&TestCluster> {
        None
    }

    fn client(&self) -> LocalBoxFuture<'_, Result<Client>> {
        async { self.client_with("admin", false) }.boxed_local()
    }

    fn retrying_client(&self) -> LocalBoxFuture<'_, Result<Client>> {
        async { self.client_with("admin", true) }.boxed_local()
    }

    fn set_rights<'a>(&'a self, user: &'a str, rules: Vec<PolicyRule>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            self.server.add_token(&token_of(user), user);
            // The newest rule that fits decides: first nothing but what is no resource (`/version`,
            // discovery), which a real server lets every user see, then what is given.
            self.server.deny(Rule::all().user(user));
            self.server.allow(Rule::all().user(user).verb("other"));
            for rule in &rules {
                self.server.allow(translate(user, rule)?);
            }
            Ok(())
        }
        .boxed_local()
    }

    fn set_rights_in<'a>(
        &'a self,
        user: &'a str,
        rule: PolicyRule,
        namespaces: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            self.set_rights(user, Vec::new()).await?;
            for namespace in namespaces {
                self.server.allow(translate(user, &rule)?.namespace(namespace));
            }
            Ok(())
        }
        .boxed_local()
    }

    fn client_of<'a>(&'a self, user: &'a str) -> LocalBoxFuture<'a, Result<Client>> {
        async move { self.client_with(user, false) }.boxed_local()
    }

    fn stranger(&self) -> LocalBoxFuture<'_, Result<Client>> {
        async { self.client_with("a stranger", false) }.boxed_local()
    }

    fn compact(&self) -> LocalBoxFuture<'_, Result<()>> {
        async {
            self.server.compact_all();
            Ok(())
        }
        .boxed_local()
    }

    fn set_shards(&self, known: bool) -> LocalBoxFuture<'_, Result<()>> {
        async move {
            self.server.set_shards(known);
            self.server.disconnect_watches();
            Ok(())
        }
        .boxed_local()
    }

    fn shutdown(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        self.serving.shutdown().boxed_local()
    }
}

fn token_of(user: &str) -> String {
    format!("token-of-{user}")
}

/// One rule of RBAC in the server's terms, or an error for what has none there.
fn translate(user: &str, rule: &PolicyRule) -> Result<Rule> {
    if rule.resource_names.is_some() || rule.non_resource_urls.is_some() {
        bail!("the in-process server has no rules for single objects or paths");
    }
    let mut translated = rule
        .verbs
        .iter()
        .filter(|verb| *verb != "*")
        .fold(Rule::all().user(user), |translated, verb| translated.verb(verb));
    for group in rule.api_groups.as_ref().context("a rule without apiGroups")? {
        for resource in rule.resources.as_ref().context("a rule without resources")? {
            if group == "*" || resource == "*" {
                bail!("the in-process server has no rules for all of a group");
            }
            translated = translated.resource(&qualified(group, resource));
        }
    }
    Ok(translated)
}

/// `subnets/status` of `kubeovn.io` is `subnets.kubeovn.io/status` there.
fn qualified(group: &str, resource: &str) -> String {
    match resource.split_once('/') {
        _ if group.is_empty() => resource.to_owned(),
        Some((plural, subresource)) => format!("{plural}.{group}/{subresource}"),
        None => format!("{resource}.{group}"),
    }
}
