//! Objects for `--load`, created at the start and deleted at the end.

use anyhow::anyhow;
use kube_client::api::{DeleteParams, PostParams, Preconditions};
use kube_client::{Api, Client};
use kube_core::{ApiResource, DynamicObject, Resource};
use serde_json::{Value, json};

use super::log::say;
use crate::controller::{Brief, NetworkAttachmentDefinition, Pod, Subnet};

/// The label on everything created here.
const LABEL: &str = "subnet-controller-demo";

/// The objects created so far.
pub struct Load {
    client: Client,
    namespace: String,
    /// Distinguishes the objects of this run from those of another.
    run: String,
    created: Vec<Created>,
}

struct Created {
    api: Api<DynamicObject>,
    what: String,
    name: String,
    /// `None` until the API server has confirmed that it was created.
    uid: Option<String>,
}

// === impl Load ===

impl Load {
    pub fn new(client: &Client, namespace: &str) -> Self {
        let run = format!("{:06x}", rand::random::<u32>() & 0xff_ffff);
        Self { client: client.clone(), namespace: namespace.to_owned(), run, created: Vec::new() }
    }

    /// Creates `size` NADs, each with a subnet and a pod in it that no scheduler will ever start.
    ///
    /// # Errors
    ///
    /// When one cannot be created. Those that were stay until [`delete`](Self::delete).
    pub async fn create(&mut self, size: usize) -> anyhow::Result<()> {
        say!("creating {size} NADs, subnets and pods with the label {LABEL}={}", self.run);
        for number in 0..size {
            let name = format!("demo-{}-{number}", self.run);
            self.create_one::<NetworkAttachmentDefinition>(true, &name, nad()).await?;
            self.create_one::<Subnet>(false, &name, self.subnet(&name, number)).await?;
            self.create_one::<Pod>(true, &name, self.pod(&name)).await?;
        }
        Ok(())
    }

    /// Deletes what was created, and nothing else.
    ///
    /// # Errors
    ///
    /// When something cannot be deleted: says what is left and how to find it.
    pub async fn delete(mut self) -> anyhow::Result<()> {
        if self.created.is_empty() {
            return Ok(());
        }
        say!("deleting the {} objects created", self.created.len());
        let (mut left, mut why) = (0, None);
        while let Some(created) = self.created.pop() {
            let preconditions = Preconditions { uid: created.uid.clone(), resource_version: None };
            let params = DeleteParams {
                grace_period_seconds: Some(0),
                preconditions: Some(preconditions),
                ..DeleteParams::default()
            };
            match created.api.delete(&created.name, &params).await {
                Ok(_) => {}
                // Gone, or another object under its name.
                Err(kube_client::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => {
                    left += 1;
                    why = Some(format!("{}: {}", created.what, Brief(&error)));
                }
            }
        }
        match why {
            None => Ok(()),
            Some(why) => Err(anyhow!(
                "{left} of the created objects were not deleted ({why}); delete them with: kubectl delete \
                 pods,network-attachment-definitions,subnets.kubeovn.io --all-namespaces -l {LABEL}={}",
                self.run
            )),
        }
    }

    async fn create_one<K: Resource<DynamicType = ()>>(
        &mut self,
        namespaced: bool,
        name: &str,
        mut content: Value,
    ) -> anyhow::Result<()> {
        let resource = ApiResource::erase::<K>(&());
        let client = self.client.clone();
        let api: Api<DynamicObject> = match namespaced {
            true => Api::namespaced_with(client, &self.namespace, &resource),
            false => Api::all_with(client, &resource),
        };
        let what = format!("{} {name}", resource.kind);
        content["apiVersion"] = resource.api_version.into();
        content["kind"] = resource.kind.into();
        content["metadata"]["name"] = name.into();
        content["metadata"]["labels"] = json!({LABEL: self.run});
        let object: DynamicObject = serde_json::from_value(content)?;
        // Noted before the request: cancelled while it is under way, the object may exist or not.
        self.created.push(Created { api: api.clone(), what: what.clone(), name: name.to_owned(), uid: None });
        match api.create(&PostParams::default(), &object).await {
            Ok(created) => {
                if let Some(noted) = self.created.last_mut() {
                    noted.uid = created.metadata.uid;
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error, kube_client::Error::Api(_)) {
                    self.created.pop(); // refused, so there is nothing
                }
                Err(anyhow!("create {what}: {} (manifests/rbac-load.yaml)", Brief(&error)))
            }
        }
    }

    fn provider(&self, name: &str) -> String {
        format!("{name}.{}.ovn", self.namespace)
    }

    fn subnet(&self, name: &str, number: usize) -> Value {
        // A block no pod ever uses: the addresses are for benchmarks (RFC 2544).
        let (high, low) = (18 + number / 256 % 2, number % 256);
        json!({"spec": {
            "cidrBlock": format!("198.{high}.{low}.0/24"),
            "gateway": format!("198.{high}.{low}.1"),
            "provider": self.provider(name),
            "protocol": "IPv4",
        }})
    }

    fn pod(&self, name: &str) -> Value {
        let logical_switch = format!("{}{}", self.provider(name), crate::controller::LOGICAL_SWITCH);
        json!({
            "metadata": {"annotations": {logical_switch: name}},
            "spec": {
                "schedulerName": "nobody",
                "automountServiceAccountToken": false,
                "containers": [{"name": "never-started", "image": "registry.k8s.io/pause:3.10"}],
            },
        })
    }
}

fn nad() -> Value {
    json!({"spec": {"config": json!({"cniVersion": "0.3.1", "name": "demo", "type": "kube-ovn"}).to_string()}})
}
