//! A real API server as a [`World`].

use std::{fmt::Debug, sync::Arc};

use anyhow::Result;
use futures_util::{FutureExt, future::LocalBoxFuture};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject},
};
use kube_client::{Api, Client, api::PostParams};
use kube_core::{ObjectMeta, Resource};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    envtest::TestCluster,
    wait::{is_conflict, wait_until},
    world::World,
};

/// Where the service accounts of test users are.
const USERS: &str = "default";
/// The API group of rights that mean nothing.
const MARKS: &str = "marks.test";

/// One cluster, perhaps shared by many cases.
pub(crate) struct RealWorld {
    pub(crate) cluster: Arc<TestCluster>,
}

impl World for RealWorld {
    fn real(&self) -> Option<&TestCluster> {
        Some(&self.cluster)
    }

    fn client(&self) -> LocalBoxFuture<'_, Result<Client>> {
        self.cluster.client().boxed_local()
    }

    fn retrying_client(&self) -> LocalBoxFuture<'_, Result<Client>> {
        self.cluster.retrying_client().boxed_local()
    }

    fn set_rights<'a>(&'a self, user: &'a str, rules: Vec<PolicyRule>) -> LocalBoxFuture<'a, Result<()>> {
        async move { set_rights(self.cluster.client().await?, user, rules).await }.boxed_local()
    }

    fn set_rights_in<'a>(
        &'a self,
        user: &'a str,
        rule: PolicyRule,
        namespaces: &'a [&'a str],
    ) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let client = self.cluster.client().await?;
            set_rights(client.clone(), user, Vec::new()).await?;
            set_rights_in(client, user, rule, namespaces).await
        }
        .boxed_local()
    }

    fn client_of<'a>(&'a self, user: &'a str) -> LocalBoxFuture<'a, Result<Client>> {
        async move {
            let token = self.cluster.service_account_token(USERS, user).await?;
            self.cluster.client_with_token(&token).await
        }
        .boxed_local()
    }

    fn stranger(&self) -> LocalBoxFuture<'_, Result<Client>> {
        self.cluster.client_with_token("of-a-stranger").boxed_local()
    }

    fn compact(&self) -> LocalBoxFuture<'_, Result<()>> {
        async move {
            self.cluster.compact_etcd().await?;
            self.cluster.restart_apiserver().await
        }
        .boxed_local()
    }

    fn set_shards(&self, known: bool) -> LocalBoxFuture<'_, Result<()>> {
        async move {
            self.cluster.set_shards(known);
            self.cluster.restart_apiserver().await
        }
        .boxed_local()
    }

    fn shutdown(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        // Whoever started the cluster ends it.
        async {}.boxed_local()
    }
}

/// A service account with a role of its own, which is replaced.
async fn set_rights(client: Client, user: &str, mut rules: Vec<PolicyRule>) -> Result<()> {
    // The authorizer learns of roles by watching them. A right that means nothing, new in each call, tells
    // when it has learnt of these, those that went included.
    let mark = format!("mark-{:016x}", rand::random::<u64>());
    rules.push(PolicyRule {
        api_groups: Some(vec![MARKS.to_owned()]),
        resources: Some(vec![mark.clone()]),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    });
    let metadata = ObjectMeta { name: Some(user.to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata: metadata.clone(), ..ServiceAccount::default() };
    let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules), ..ClusterRole::default() };
    let binding =
        ClusterRoleBinding { metadata, role_ref: role_ref(user), subjects: Some(vec![subject(user)]) };
    put(&Api::namespaced(client.clone(), USERS), account).await?;
    put(&Api::all(client.clone()), role).await?;
    put(&Api::all(client.clone()), binding).await?;

    let right = ResourceAttributes {
        group: Some(MARKS.to_owned()),
        resource: Some(mark),
        verb: Some("get".to_owned()),
        ..ResourceAttributes::default()
    };
    in_force(client, user, right).await
}

/// A role bound in each of these namespaces.
async fn set_rights_in(client: Client, user: &str, rule: PolicyRule, namespaces: &[&str]) -> Result<()> {
    let name = format!("{user}-in-namespaces");
    let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    let role =
        ClusterRole { metadata: metadata.clone(), rules: Some(vec![rule.clone()]), ..ClusterRole::default() };
    put(&Api::all(client.clone()), role).await?;
    let first = |texts: &Option<Vec<String>>| texts.iter().flatten().next().cloned();
    for namespace in namespaces {
        let binding = RoleBinding {
            metadata: metadata.clone(),
            role_ref: role_ref(&name),
            subjects: Some(vec![subject(user)]),
        };
        put(&Api::namespaced(client.clone(), namespace), binding).await?;
        let right = ResourceAttributes {
            namespace: Some((*namespace).to_owned()),
            resource: first(&rule.resources),
            verb: rule.verbs.first().cloned(),
            ..ResourceAttributes::default()
        };
        in_force(client.clone(), user, right).await?;
    }
    Ok(())
}

fn role_ref(name: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: "ClusterRole".to_owned(),
        name: name.to_owned(),
    }
}

fn subject(user: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: user.to_owned(),
        namespace: Some(USERS.to_owned()),
        ..Subject::default()
    }
}

/// Waits until the authorizer knows of a right.
async fn in_force(client: Client, user: &str, right: ResourceAttributes) -> Result<()> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{USERS}:{user}")),
            resource_attributes: Some(right),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(client);
    wait_until("the rights are in force", async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    })
    .await
}

/// Creates an object, or replaces the one of its name.
async fn put<K>(api: &Api<K>, mut object: K) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), &object).await {
        Err(err) if is_conflict(&err) => {
            let name = object.meta().name.clone().unwrap_or_default();
            object.meta_mut().resource_version = api.get(&name).await?.meta().resource_version.clone();
            api.replace(&name, &PostParams::default(), &object).await?;
        }
        done => drop(done?),
    }
    Ok(())
}
