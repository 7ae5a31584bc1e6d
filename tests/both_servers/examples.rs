//! The examples with `--cluster`: as their users run them, with the rights that their manifests give.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use http::Request;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube_client::{
    Api, Client, Config, Error,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use kube_core::DynamicObject;
use serde_json::json;

use crate::support::{
    crds::{self, Crd},
    manifests,
    programs::Program,
    wait::wait_until,
    world::Ctx,
};

const CONTROLLER: &str = "subnet_controller";
/// The service account of the manifests.
const ACCOUNT: &str = "subnet-controller";

/// What the controller works on, seen by the admin.
struct Objects {
    nads: Api<DynamicObject>,
    subnets: Api<DynamicObject>,
    pods: Api<Pod>,
    kinds: [Crd; 2],
}

/// Ready or why not, then the addresses of IPv4 used and left.
type Standing = Option<(String, f64, f64)>;

// === impl Objects ===

impl Objects {
    fn new(ctx: &Ctx) -> Self {
        let kinds = [crds::network_attachment_definitions(), crds::subnets()];
        let (client, namespace) = (&ctx.client, &ctx.namespace);
        Self {
            nads: Api::namespaced_with(client.clone(), namespace, &kinds[0].resource),
            subnets: Api::all_with(client.clone(), &kinds[1].resource),
            pods: Api::namespaced(client.clone(), namespace),
            kinds,
        }
    }

    /// Waits until the kinds of the manifest are served.
    async fn served(&self) -> Result<()> {
        wait_until("the kinds are served", async || {
            for api in [&self.nads, &self.subnets] {
                match api.list(&ListParams::default().limit(1)).await {
                    Err(Error::Api(status)) if status.code == 404 => return Ok(false),
                    done => drop(done?),
                }
            }
            Ok(true)
        })
        .await
    }

    async fn nad(&self, name: &str, config: &str) -> Result<()> {
        let nad =
            DynamicObject::new(name, &self.kinds[0].resource).data(json!({ "spec": { "config": config } }));
        self.nads.create(&PostParams::default(), &nad).await?;
        Ok(())
    }

    async fn subnet(&self, name: &str, cidr: &str, provider: &str) -> Result<()> {
        let spec = json!({ "spec": { "cidrBlock": cidr, "provider": provider, "protocol": "IPv4" } });
        self.subnets
            .create(&PostParams::default(), &DynamicObject::new(name, &self.kinds[1].resource).data(spec))
            .await?;
        Ok(())
    }

    async fn pod(&self, name: &str, provider: &str, subnet: &str) -> Result<()> {
        let switch = format!("{provider}.kubernetes.io/logical_switch");
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "annotations": { switch: subnet } },
            "spec": { "nodeName": "node-a", "containers": [{ "name": "main", "image": "none" }] },
        }))?;
        self.pods.create(&PostParams::default(), &pod).await?;
        Ok(())
    }

    async fn standing(&self, subnet: &str) -> Result<Standing> {
        let data = self.subnets.get(subnet).await?.data;
        let status = &data["status"];
        let number = |name: &str| status[name].as_f64().unwrap_or(f64::NAN);
        let reason = status["conditions"][0]["reason"].as_str();
        Ok(reason.map(|reason| (reason.to_owned(), number("v4usingIPs"), number("v4availableIPs"))))
    }

    /// Waits until the program has written this status.
    async fn comes_to(
        &self,
        program: &mut Program,
        subnet: &str,
        reason: &str,
        using: f64,
        left: f64,
    ) -> Result<()> {
        let expected = Some((reason.to_owned(), using, left));
        let what = format!("{subnet} is {reason}, {using} used, {left} left");
        program.until(&what, async || Ok(self.standing(subnet).await? == expected)).await
    }

    /// Names and uids of everything, in order.
    async fn everything(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for api in [&self.nads, &self.subnets] {
            let list = api.list(&ListParams::default()).await?;
            all.extend(list.items.into_iter().map(|item| item.metadata));
        }
        all.extend(self.pods.list(&ListParams::default()).await?.items.into_iter().map(|item| item.metadata));
        let mut all: Vec<_> = all
            .into_iter()
            .map(|metadata| {
                format!("{} {}", metadata.name.unwrap_or_default(), metadata.uid.unwrap_or_default())
            })
            .collect();
        all.sort();
        Ok(all)
    }
}

/// Applies the manifests with CRDs and rights, and waits until both are in force.
async fn install(ctx: &Ctx, objects: &Objects) -> Result<()> {
    manifests::apply(&ctx.client, "crds.yaml").await?;
    objects.served().await?;
    install_rights(ctx).await
}

async fn install_rights(ctx: &Ctx) -> Result<()> {
    manifests::apply(&ctx.client, "rbac.yaml").await?;
    manifests::may(&ctx.client, ACCOUNT, "list", "apps", "deployments").await?;
    // Which is no admin.
    let token = ctx.cluster()?.service_account_token("default", ACCOUNT).await?;
    let client = ctx.cluster()?.client_with_token(&token).await?;
    let denied = Api::<ConfigMap>::all(client).list(&ListParams::default()).await;
    ensure!(
        matches!(&denied, Err(Error::Api(status)) if status.code == 403),
        "it may do more than it should"
    );
    Ok(())
}

/// A kubeconfig with a token of that service account, over TLS.
async fn kubeconfig(ctx: &Ctx, context: &str, account: &str) -> Result<PathBuf> {
    let token = ctx.cluster()?.service_account_token("default", account).await?;
    ctx.cluster()?.kubeconfig(context, &token)
}

fn config(cni_type: &str) -> String {
    json!({ "cniVersion": "0.3.1", "name": "net", "type": cni_type }).to_string()
}

pub(super) async fn the_subnet_controller_keeps_statuses_right(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    install(ctx, &objects).await?;
    let provider = |name: &str| format!("{name}.{}.ovn", ctx.namespace);
    objects.nad("good", &config("kube-ovn")).await?;
    objects.nad("broken", "").await?;
    objects.subnet("one", "10.1.0.0/24", &provider("good")).await?;
    objects.subnet("two", "10.2.0.0/24", &provider("broken")).await?;
    objects.subnet("three", "10.3.0.0/24", &provider("missing")).await?;
    objects.subnet("four", "no addresses", "ovn").await?;
    for name in ["a", "b"] {
        objects.pod(name, &provider("good"), "one").await?;
    }
    let versions = async || -> Result<Vec<_>> {
        let list = objects.subnets.list(&ListParams::default()).await?;
        Ok(list.items.into_iter().map(|subnet| subnet.metadata.resource_version).collect())
    };
    let kubeconfig = kubeconfig(ctx, "kind-test", ACCOUNT).await?;

    let before = versions().await?;
    let mut program = Program::start(CONTROLLER, &kubeconfig, &["--cluster", "--dry-run"])?;
    for says in [
        "one: would write Ready, IPv4 2 used 251 left",
        "two: would write InvalidNetworkAttachmentDefinition",
        "three: would write NoNetworkAttachmentDefinition",
        "four: would write InvalidAddresses",
    ] {
        program.says(says).await?;
    }
    program.interrupt().await?;
    ensure!(versions().await? == before, "a dry run has written something");

    let mut program = Program::start(CONTROLLER, &kubeconfig, &["--cluster"])?;
    objects.comes_to(&mut program, "one", "Ready", 2.0, 251.0).await?;
    objects.comes_to(&mut program, "two", "InvalidNetworkAttachmentDefinition", 0.0, 253.0).await?;
    objects.comes_to(&mut program, "three", "NoNetworkAttachmentDefinition", 0.0, 253.0).await?;
    objects.comes_to(&mut program, "four", "InvalidAddresses", 0.0, 0.0).await?;
    let message = objects.subnets.get("three").await?.data["status"]["conditions"][0]["message"].clone();
    ensure!(
        message.as_str().is_some_and(|message| message.contains("missing")),
        "it names no NAD: {message}"
    );

    // Each kind of object moves the subnets that depend on it.
    objects.pods.delete("a", &DeleteParams::default().grace_period(0)).await?;
    objects.comes_to(&mut program, "one", "Ready", 1.0, 252.0).await?;
    let mended = Patch::Merge(json!({ "spec": { "config": config("kube-ovn") } }));
    objects.nads.patch("broken", &PatchParams::default(), &mended).await?;
    objects.comes_to(&mut program, "two", "Ready", 0.0, 253.0).await?;
    objects.nad("missing", &config("kube-ovn")).await?;
    objects.comes_to(&mut program, "three", "Ready", 0.0, 253.0).await?;
    objects.nads.delete("good", &Default::default()).await?;
    objects.comes_to(&mut program, "one", "NoNetworkAttachmentDefinition", 1.0, 252.0).await?;
    let mended = Patch::Merge(json!({ "spec": { "cidrBlock": "10.4.0.0/30" } }));
    objects.subnets.patch("four", &PatchParams::default(), &mended).await?;
    objects.comes_to(&mut program, "four", "Ready", 0.0, 1.0).await?;
    let output = program.interrupt().await?;
    ensure!(output.contains("stopped after") && output.contains(" 0 failures"), "{output}");

    // Where it has left off, nothing is to be done; and with NADs from the API server it comes to the same.
    let before = versions().await?;
    let mut program = Program::start(CONTROLLER, &kubeconfig, &["--cluster", "--mode", "direct"])?;
    objects.nad("good", &config("kube-ovn")).await?;
    objects.comes_to(&mut program, "one", "Ready", 1.0, 252.0).await?;
    program.interrupt().await?;
    let after = versions().await?;
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    ensure!(changed == 1, "{changed} subnets were written");
    Ok(())
}

/// A cluster without Multus.
pub(super) async fn the_subnet_controller_takes_nads_in_once_they_are_served(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    crds::install(ctx.client.clone(), &objects.kinds[1]).await?;
    install_rights(ctx).await?;
    objects.subnet("default", "10.1.0.0/24", "ovn").await?;
    objects.subnet("one", "10.2.0.0/24", &format!("late.{}.ovn", ctx.namespace)).await?;
    objects.subnet("two", "10.3.0.0/24", &format!("never.{}.ovn", ctx.namespace)).await?;
    objects.pod("a", "ovn", "default").await?;
    let mut program =
        Program::start(CONTROLLER, &kubeconfig(ctx, "kind-test", ACCOUNT).await?, &["--cluster"])?;
    program.says("NetworkAttachmentDefinitions are not served here").await?;
    objects.comes_to(&mut program, "default", "Ready", 1.0, 252.0).await?;
    objects.comes_to(&mut program, "one", "NoNetworkAttachmentDefinition", 0.0, 253.0).await?;
    objects.comes_to(&mut program, "two", "NoNetworkAttachmentDefinition", 0.0, 253.0).await?;

    crds::install(ctx.client.clone(), &objects.kinds[0]).await?;
    objects.nad("late", &config("kube-ovn")).await?;
    objects.comes_to(&mut program, "one", "Ready", 0.0, 253.0).await?;
    let output = program.interrupt().await?;
    ensure!(
        output.contains(" 4 statuses written, 0 failures"),
        "not only what had to be was written: {output}"
    );
    Ok(())
}

pub(super) async fn the_subnet_controller_refuses_what_is_not_meant(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    install_rights(ctx).await?;
    let kind = kubeconfig(ctx, "kind-test", ACCOUNT).await?;
    let start = |kubeconfig: &PathBuf, args: &[&str]| Program::start(CONTROLLER, kubeconfig, args);

    start(&kind, &["--cluster"])?.refuses("manifests/crds.yaml").await?;
    manifests::apply(&ctx.client, "crds.yaml").await?;
    objects.served().await?;

    let other = kubeconfig(ctx, "production", ACCOUNT).await?;
    start(&other, &["--cluster"])?.refuses("--context production").await?;
    start(&other, &["--cluster", "--context", "staging"])?.refuses("no context `staging`").await?;
    let mut confirmed = start(&other, &["--cluster", "--context", "production"])?;
    confirmed.says("Ctrl-C ends it").await?;
    confirmed.interrupt().await?;

    let accounts = Api::<ServiceAccount>::namespaced(ctx.client.clone(), "default");
    let nobody: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": "nobody" } }))?;
    accounts.create(&PostParams::default(), &nobody).await?;
    let powerless = kubeconfig(ctx, "kind-test", "nobody").await?;
    start(&powerless, &["--cluster"])?.refuses("manifests/rbac.yaml").await?;
    let stranger = ctx.cluster()?.kubeconfig("kind-test", "of-a-stranger")?;
    start(&stranger, &["--cluster"])?.refuses("401").await?;

    let deployments = Api::<Deployment>::namespaced(ctx.client.clone(), &ctx.namespace);
    let labels = json!({ "app": "kube-ovn-controller" });
    let spec = json!({ "containers": [{ "name": "main", "image": "none" }] });
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "kube-ovn-controller" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    }))?;
    deployments.create(&PostParams::default(), &deployment).await?;
    start(&kind, &["--cluster"])?.refuses("a kube-ovn-controller runs in this cluster").await?;
    deployments.delete("kube-ovn-controller", &Default::default()).await?;
    let pod: Pod =
        serde_json::from_value(json!({ "metadata": { "name": "x", "labels": labels }, "spec": spec }))?;
    objects.pods.create(&PostParams::default(), &pod).await?;
    start(&kind, &["--cluster"])?.refuses("a kube-ovn-controller runs in this cluster").await?;
    objects.pods.delete("x", &DeleteParams::default().grace_period(0)).await?;
    let mut alone = start(&kind, &["--cluster"])?;
    alone.says("Ctrl-C ends it").await?;
    alone.interrupt().await?;
    Ok(())
}

/// The response to a GET: its body, or an error with the status.
async fn get(client: &Client, path: &str) -> kube_client::Result<String> {
    client.request_text(Request::get(path).body(Vec::new()).map_err(Error::HttpError)?).await
}

pub(super) async fn the_subnet_controller_serves_metrics_and_probes(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    install(ctx, &objects).await?;
    objects.subnet("one", "10.1.0.0/24", "ovn").await?;
    let kubeconfig = kubeconfig(ctx, "kind-test", ACCOUNT).await?;
    let mut program = Program::start(CONTROLLER, &kubeconfig, &["--cluster", "--metrics", "127.0.0.1:0"])?;
    program.says("/metrics\n").await?;
    let output = program.output();
    let address = output.split("metrics at http://").nth(1).and_then(|rest| rest.split('/').next());
    let url = format!("http://{}", address.context("it prints no address")?);
    let client = &Client::try_from(Config::new(url.parse()?))?;

    objects.comes_to(&mut program, "one", "Ready", 0.0, 253.0).await?;
    program.until("it is ready", async || Ok(get(client, "/readyz").await.is_ok())).await?;
    ensure!(get(client, "/livez").await? == "ok\n", "it is ready and not alive");
    let value = async |name: &str, labels: &[&str]| -> Result<f64> {
        let text = get(client, "/metrics").await?;
        let found = text.lines().filter(|line| {
            line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
        });
        found.filter_map(|line| line.rsplit_once(' ')).map(|(_, value)| Ok(value.parse::<f64>()?)).sum()
    };
    for kind in ["subnets.kubeovn.io", "pods"] {
        let label = format!("kind=\"{kind}\"");
        ensure!(value("kube_informer_synced", &[&label]).await? == 1.0, "{kind} has not synced");
    }
    let subnets = ["kind=\"subnets.kubeovn.io\""];
    ensure!(value("kube_informer_objects", &subnets).await? == 1.0, "another number of subnets than one");
    let succeeded = ["controller=\"subnets\"", "result=\"succeeded\""];
    let before = value("kube_informer_controller_reconcile_total", &succeeded).await?;
    ensure!(before >= 1.0, "no reconcile has succeeded");
    objects.subnet("two", "10.2.0.0/24", "ovn").await?;
    let total = "kube_informer_controller_reconcile_total";
    program.until("the metrics follow", async || Ok(value(total, &succeeded).await? > before)).await?;
    ensure!(value("kube_informer_objects", &subnets).await? == 2.0, "another number of subnets than two");
    program.interrupt().await?;
    Ok(())
}

pub(super) async fn a_load_is_created_and_deleted_again(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    install(ctx, &objects).await?;
    // Not its own, though it looks like it.
    objects.nad("demo-other", &config("kube-ovn")).await?;
    objects.subnet("demo-other", "10.1.0.0/24", "ovn").await?;
    objects.pod("demo-other", "ovn", "demo-other").await?;
    for api in [&objects.nads, &objects.subnets] {
        let label = Patch::Merge(json!({ "metadata": { "labels": { "subnet-controller-demo": "other" } } }));
        api.patch("demo-other", &PatchParams::default(), &label).await?;
    }
    let before = objects.everything().await?;
    let kubeconfig = kubeconfig(ctx, "kind-test", ACCOUNT).await?;
    let load = |size: &'static str| {
        Program::start(CONTROLLER, &kubeconfig, &["--cluster", "--load", size, "--namespace", &ctx.namespace])
    };
    load("3")?.refuses("manifests/rbac-load.yaml").await?;
    ensure!(objects.everything().await? == before, "without the rights, it has left something");

    manifests::apply(&ctx.client, "rbac-load.yaml").await?;
    manifests::may(&ctx.client, ACCOUNT, "create", "", "pods").await?;
    let mut program = load("5")?;
    let own = ListParams::default().labels("subnet-controller-demo,subnet-controller-demo!=other");
    program
        .until("its subnets are ready, with a pod each", async || {
            let subnets = objects.subnets.list(&own).await?.items;
            let ready = subnets.iter().filter(|subnet| {
                let status = &subnet.data["status"];
                status["conditions"][0]["reason"] == "Ready" && status["v4usingIPs"].as_f64() == Some(1.0)
            });
            Ok(ready.count() == 5)
        })
        .await?;
    ensure!(objects.everything().await?.len() == before.len() + 15, "other numbers than were asked for");
    program.interrupt().await?;
    ensure!(objects.everything().await? == before, "not exactly its own was deleted");

    // In the middle of creating.
    let mut program = load("5000")?;
    program.until("it has begun", async || Ok(!objects.subnets.list(&own).await?.items.is_empty())).await?;
    let output = program.interrupt().await?;
    let count =
        output.lines().find_map(|line| line.strip_prefix("deleting the ")).context("it deleted nothing")?;
    let count: usize = count.split(' ').next().unwrap_or_default().parse()?;
    ensure!((1..15_000).contains(&count), "it was not in the middle: {count}");
    ensure!(objects.everything().await? == before, "not exactly its own was deleted");
    Ok(())
}

pub(super) async fn the_quickstart_follows_a_cluster(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    manifests::apply(&ctx.client, "rbac.yaml").await?;
    manifests::may(&ctx.client, ACCOUNT, "watch", "", "pods").await?;
    for name in ["a", "b"] {
        objects.pod(name, "ovn", "subnet").await?;
    }
    let mut program =
        Program::start("quickstart", &kubeconfig(ctx, "kind-test", ACCOUNT).await?, &["--cluster"])?;
    let namespace = &ctx.namespace;
    program.says(&format!("2 pods in {namespace}\n")).await?;
    program.says(&format!("2 pods on node-a: {namespace}/a, {namespace}/b\n")).await?;
    // Objects created before its subscription are not reported as new, so create them until one is.
    let mut number = 0;
    while !program.output().contains("is new, on node-a") {
        number += 1;
        objects.pod(&format!("new-{number}"), "ovn", "subnet").await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        ensure!(number < 100, "it tells of none:\n{}", program.output());
    }
    objects.pods.delete("a", &DeleteParams::default().grace_period(0)).await?;
    program.says(&format!("{namespace}/a is gone\n")).await?;
    program.interrupt().await?;

    let accounts = Api::<ServiceAccount>::namespaced(ctx.client.clone(), "default");
    let nobody: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": "nobody" } }))?;
    accounts.create(&PostParams::default(), &nobody).await?;
    let powerless = kubeconfig(ctx, "kind-test", "nobody").await?;
    Program::start("quickstart", &powerless, &["--cluster"])?
        .refuses("list pods: the API server returned 403")
        .await?;
    Ok(())
}

/// An account that may list and watch these core kinds.
async fn reader(ctx: &Ctx, name: &str, resources: &[&str]) -> Result<()> {
    let metadata = json!({ "name": name });
    let account = serde_json::from_value(json!({ "metadata": metadata }))?;
    let role = serde_json::from_value(json!({
        "metadata": metadata,
        "rules": [{ "apiGroups": [""], "resources": resources, "verbs": ["list", "watch"] }],
    }))?;
    let binding = serde_json::from_value(json!({
        "metadata": metadata,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": "default" }],
    }))?;
    let (client, params) = (&ctx.client, PostParams::default());
    Api::<ServiceAccount>::namespaced(client.clone(), "default").create(&params, &account).await?;
    Api::<ClusterRole>::all(client.clone()).create(&params, &role).await?;
    Api::<ClusterRoleBinding>::all(client.clone()).create(&params, &binding).await?;
    for resource in resources {
        manifests::may(client, name, "watch", "", resource).await?;
    }
    Ok(())
}

pub(super) async fn the_endpoints_follow_a_cluster(ctx: &Ctx) -> Result<()> {
    let namespace = &ctx.namespace;
    let services = Api::<Service>::namespaced(ctx.client.clone(), namespace);
    let pods = Api::<Pod>::namespaced(ctx.client.clone(), namespace);
    let service = |name: &str, app: &str| -> Result<Service> {
        let spec = json!({ "selector": { "app": app }, "ports": [{ "port": 80 }] });
        Ok(serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec }))?)
    };
    services.create(&PostParams::default(), &service("web", "web")?).await?;
    let pod = |name: &str| {
        let spec = json!({ "nodeName": "node-a", "containers": [{ "name": "main", "image": "none" }] });
        json!({ "metadata": { "name": name, "labels": { "app": "web" } }, "spec": spec })
    };
    let ready = |ip: &str| {
        let conditions = json!([{ "type": "Ready", "status": "True" }]);
        Patch::Merge(json!({ "status": { "podIP": ip, "podIPs": [{ "ip": ip }], "conditions": conditions } }))
    };
    for (name, ip) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        pods.create(&PostParams::default(), &serde_json::from_value(pod(name))?).await?;
        pods.patch_status(name, &PatchParams::default(), &ready(ip)).await?;
    }

    reader(ctx, "half", &["services", "pods"]).await?;
    let half = kubeconfig(ctx, "kind-test", "half").await?;
    Program::start("endpoints", &half, &["--cluster"])?.refuses("nodes").await?;

    reader(ctx, "endpoints", &["services", "pods", "nodes"]).await?;
    let kubeconfig = kubeconfig(ctx, "kind-test", "endpoints").await?;
    let mut program = Program::start("endpoints", &kubeconfig, &["--cluster"])?;
    program.says(&format!("{namespace}/web: 2 of 2 addresses are ready: 10.0.0.1, 10.0.0.2\n")).await?;
    // A selector changes, a pod, and a service.
    services.create(&PostParams::default(), &service("other", "none")?).await?;
    program.says(&format!("{namespace}/other: 0 of 0 addresses are ready\n")).await?;
    let selects = Patch::Merge(json!({ "spec": { "selector": { "app": "web" } } }));
    services.patch("other", &PatchParams::default(), &selects).await?;
    program.says(&format!("{namespace}/other: 2 of 2 addresses are ready: 10.0.0.1, 10.0.0.2\n")).await?;
    pods.delete("a", &DeleteParams::default().grace_period(0)).await?;
    program.says(&format!("{namespace}/web: 1 of 1 addresses are ready: 10.0.0.2\n")).await?;
    program.says(&format!("{namespace}/other: 1 of 1 addresses are ready: 10.0.0.2\n")).await?;
    services.delete("other", &DeleteParams::default()).await?;
    program.says(&format!("{namespace}/other has no endpoints any more\n")).await?;
    let output = program.interrupt().await?;
    ensure!(output.contains("members: ") && output.contains("endpoints: "), "no statistics: {output}");
    Ok(())
}

pub(super) async fn the_inspector_shows_a_cluster(ctx: &Ctx) -> Result<()> {
    let objects = Objects::new(ctx);
    install(ctx, &objects).await?;
    for name in ["a", "b"] {
        objects.pod(name, "ovn", "subnet").await?;
    }
    objects.subnet("shown", "10.1.0.0/24", "ovn").await?;
    let kubeconfig = kubeconfig(ctx, "kind-test", ACCOUNT).await?;
    let inspect = |args: &[&str]| Program::start("inspect", &kubeconfig, &[&["--cluster"], args].concat());
    let namespace = &ctx.namespace;

    let mut once = inspect(&["pod", "subnets.kubeovn.io", "--once", "--namespace", namespace])?;
    let status = once.ended().await?;
    let output = once.output();
    let rows: Vec<Vec<&str>> = output.lines().map(|line| line.split_whitespace().collect()).collect();
    let begins = |words: &[&str]| rows.iter().any(|row| row.starts_with(words));
    let shown = begins(&["NAMESPACE", "NAME", "AGE"])
        && begins(&[namespace, "a"])
        && begins(&[namespace, "b"])
        // Which is in no namespace.
        && begins(&["shown"]);
    let stats = [format!("Informer(pods in {namespace}: "), "Informer(subnets.kubeovn.io: ".to_owned()];
    ensure!(
        status.success() && shown && stats.iter().all(|stats| output.contains(stats)),
        "it ended with {status}, and said:\n{output}"
    );

    let mut program = inspect(&["--interval", "100ms", "--selector", "shown=yes"])?;
    program.says("Informer(pods: watching, 0 objects at version ").await?;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "shown": "yes" } } }));
    objects.pods.patch("a", &PatchParams::default(), &label).await?;
    program.says("Informer(pods: watching, 1 object at version ").await?;
    program.interrupt().await?;

    inspect(&["secrets", "--once"])?.refuses("list secrets: the API server returned 403").await?;
    inspect(&["nothings"])?.refuses("the API server has no `nothings`").await?;
    inspect(&["subnets.nowhere.io"])?.refuses("the API server has no group `nowhere.io`").await?;
    inspect(&["subjectaccessreviews.authorization.k8s.io"])?.refuses("cannot be listed and watched").await?;
    inspect(&["--context", "other"])?.refuses("context `other`").await?;
    Ok(())
}
