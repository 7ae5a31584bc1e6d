//! etcd and kube-apiserver, booted together.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube_client::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{backup::Backup, binaries, process::Process};

/// A server that boots on a busy machine is given this long; 2.5 s is normal.
const BOOT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// kube-apiserver ends requests in flight first; etcd has nothing to wait for.
const STOP: Duration = Duration::from_secs(30);
/// A port that was free may be taken before the server binds it.
const ATTEMPTS: usize = 5;

/// What differs from one cluster to another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Flags for kube-apiserver, after its own, so that they win: watch-cache sizes, feature gates.
    pub(crate) apiserver_flags: Vec<String>,
    /// Whether it knows `shardSelector`, an alpha feature of Kubernetes 1.36.
    pub(crate) shards: bool,
}

/// A running etcd and kube-apiserver. Both are ended when it is dropped, and when the test process dies.
pub(crate) struct TestCluster {
    // In this order they are dropped: without its etcd, kube-apiserver takes a minute to go.
    apiserver: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
    setup: Setup,
}

/// What stays the same when servers are restarted.
struct Setup {
    options: Options,
    shards: AtomicBool,
    binaries: PathBuf,
    etcd_port: u16,
    peer_port: u16,
    apiserver_port: u16,
    admin_token: String,
    dir: TempDir,
}

// === impl TestCluster ===

impl TestCluster {
    /// Boots both servers and waits until they serve.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let binaries = binaries::find().map_err(anyhow::Error::msg)?;
        retry_port_clash(async || Self::start_once(&binaries, &options).await).await
    }

    async fn start_once(binaries: &Path, options: &Options) -> Result<Self> {
        let [etcd_port, peer_port, apiserver_port] = free_ports()?;
        let dir = tempfile::Builder::new().prefix(&dir_prefix()).tempdir()?;
        let admin_token = format!("{:032x}", rand::random::<u128>());
        // Token, user, uid, groups. This group may do everything, whatever RBAC says.
        fs::write(dir.path().join("tokens.csv"), format!("{admin_token},admin,admin,system:masters\n"))?;
        let setup = Setup {
            options: options.clone(),
            shards: AtomicBool::new(options.shards),
            binaries: binaries.to_owned(),
            etcd_port,
            peer_port,
            apiserver_port,
            admin_token,
            dir,
        };
        let (etcd, apiserver) = setup.boot().await?;
        Ok(Self { apiserver: Mutex::new(Some(apiserver)), etcd: Mutex::new(Some(etcd)), setup })
    }

    /// A client of the admin, without kube's own retries, which would hide what the server answers.
    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// A client of the admin as an application has it by default: retries 429, 503 and 504 by itself.
    pub(crate) async fn retrying_client(&self) -> Result<Client> {
        self.setup.client(&self.setup.admin_token, true).await
    }

    /// What a client of the admin is made from, for a client that goes another way.
    pub(crate) async fn config(&self) -> Result<Config> {
        self.setup.config(&self.setup.admin_token, false).await
    }

    /// A client with another token, without kube's own retries.
    pub(crate) async fn client_with_token(&self, token: &str) -> Result<Client> {
        self.setup.client(token, false).await
    }

    /// Writes a kubeconfig with one context of that name and the token, for a program under test.
    pub(crate) fn kubeconfig(&self, context: &str, token: &str) -> Result<PathBuf> {
        let path = self.setup.dir.path().join(format!("kubeconfig-{:016x}", rand::random::<u64>()));
        // JSON is YAML.
        fs::write(&path, serde_json::to_vec_pretty(&self.setup.kubeconfig(context, token))?)?;
        Ok(path)
    }

    /// A token of a service account that exists, as a pod would get it.
    pub(crate) async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": 3600 },
        });
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer = post(&self.client().await?, &path, &request).await?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        Ok(token.context("the TokenRequest was answered without a token")?.to_owned())
    }

    /// Ends kube-apiserver as `kill -9` does; connections are reset.
    pub(crate) fn kill_apiserver(&self) {
        drop(take(&self.apiserver));
    }

    /// Kills kube-apiserver if it runs, and boots it again on the same port with the same certificate.
    pub(crate) async fn restart_apiserver(&self) -> Result<()> {
        self.kill_apiserver();
        let apiserver = retry_port_clash(async || self.setup.boot_apiserver_again().await).await?;
        put(&self.apiserver, apiserver);
        Ok(())
    }

    /// Sets whether kube-apiserver knows `shardSelector` when it boots the next time.
    pub(crate) fn set_shards(&self, known: bool) {
        self.setup.shards.store(known, Ordering::Relaxed);
    }

    /// Copies all that etcd holds, and boots both servers again, which were ended for it. Clients are cut off.
    pub(crate) async fn back_up(&self) -> Result<Backup> {
        self.kill_apiserver();
        if let Some(etcd) = take(&self.etcd) {
            // In order, so that all it holds is in its files.
            etcd.stop(STOP).await?;
        }
        let name = format!("backup-{:016x}", rand::random::<u64>());
        let backup = Backup::of(&self.setup.etcd_data(), self.setup.dir.path().join(name))?;
        self.boot_again().await?;
        Ok(backup)
    }

    /// Ends both servers, puts back what etcd held, and boots them again: what was written since the backup never
    /// was, and its versions are given out once more.
    pub(crate) async fn restore(&self, backup: &Backup) -> Result<()> {
        self.kill_apiserver();
        drop(take(&self.etcd));
        backup.put_back(&self.setup.etcd_data())?;
        self.boot_again().await
    }

    async fn boot_again(&self) -> Result<()> {
        let (etcd, apiserver) = retry_port_clash(async || self.setup.boot().await).await?;
        put(&self.etcd, etcd);
        put(&self.apiserver, apiserver);
        Ok(())
    }

    /// Makes etcd forget all versions before its current one, which it returns.
    ///
    /// That alone is not seen by clients for a while: kube-apiserver answers watches from its watch cache
    /// and further pages from snapshots of it. A restart empties both.
    pub(crate) async fn compact_etcd(&self) -> Result<u64> {
        let uri = format!("http://127.0.0.1:{}", self.setup.etcd_port).parse()?;
        let etcd = Client::try_from(Config::new(uri))?;
        let status = post(&etcd, "/v3/maintenance/status", &json!({})).await?;
        // 64-bit numbers are strings in protobuf's JSON.
        let revision = status.pointer("/header/revision").and_then(Value::as_str);
        let revision = revision.context("etcd's status has no revision")?;
        post(&etcd, "/v3/kv/compaction", &json!({ "revision": revision, "physical": true })).await?;
        Ok(revision.parse()?)
    }

    /// Ends both servers in order, and fails when one does not end by itself or the folder cannot be removed.
    pub(crate) async fn stop(self) -> Result<()> {
        for server in [&self.apiserver, &self.etcd] {
            if let Some(server) = take(server) {
                server.stop(STOP).await?;
            }
        }
        Ok(self.setup.dir.close()?)
    }
}

// === impl Setup ===

impl Setup {
    async fn boot(&self) -> Result<(Process, Process)> {
        let mut etcd = self.spawn_etcd()?;
        let apiserver = self.boot_apiserver(&mut etcd).await?;
        Ok((etcd, apiserver))
    }

    fn etcd_data(&self) -> PathBuf {
        self.dir.path().join("etcd")
    }

    fn spawn_etcd(&self) -> Result<Process> {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let args = [
            format!("--data-dir={}", self.etcd_data().display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        Process::spawn("etcd", &self.binaries.join("etcd"), args, &self.dir.path().join("etcd.log"), |_| {})
    }

    fn spawn_apiserver(&self) -> Result<Process> {
        let dir = self.dir.path().display();
        // The server makes itself a certificate and its RSA key here before it reads any other file, so
        // that key can sign the tokens of service accounts too: no tool is needed to make one.
        let key = format!("{dir}/certs/apiserver.key");
        let own = [
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.apiserver_port),
            format!("--cert-dir={dir}/certs"),
            format!("--token-auth-file={dir}/tokens.csv"),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={key}"),
            // Nothing makes the service account that it would add to each pod.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // Versions go when a test compacts, not when five minutes have passed.
            "--etcd-compaction-interval=0".to_owned(),
        ];
        // Earlier versions do not know the gate.
        let gate = "--feature-gates=ShardedListAndWatch=true".to_owned();
        let gate = Some(&gate).filter(|_| self.shards.load(Ordering::Relaxed));
        let args = own.iter().chain(gate).chain(&self.options.apiserver_flags);
        let program = self.binaries.join("kube-apiserver");
        Process::spawn("kube-apiserver", &program, args, &self.dir.path().join("kube-apiserver.log"), |_| {})
    }

    async fn boot_apiserver(&self, etcd: &mut Process) -> Result<Process> {
        let mut apiserver = self.spawn_apiserver()?;
        self.ready(&mut [etcd, &mut apiserver]).await?;
        Ok(apiserver)
    }

    async fn boot_apiserver_again(&self) -> Result<Process> {
        let mut apiserver = self.spawn_apiserver()?;
        self.ready(&mut [&mut apiserver]).await?;
        Ok(apiserver)
    }

    /// Waits until the API server serves, or one of the servers has ended, or patience has.
    async fn ready(&self, servers: &mut [&mut Process]) -> Result<()> {
        let deadline = Instant::now() + BOOT;
        loop {
            for server in servers.iter_mut() {
                if let Some(status) = server.ended()? {
                    bail!("{} ended while booting ({status})\n{}", server.name(), server.log_tail());
                }
            }
            let answer = self.probe().await;
            let Err(err) = answer else { return Ok(()) };
            if Instant::now() > deadline {
                let logs: Vec<String> = servers.iter().map(|server| server.log_tail()).collect();
                bail!("kube-apiserver was not ready within {BOOT:?}: {err:#}\n{}", logs.join("\n"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Succeeds when requests are served. The namespace `default` is made by a part of the server that
    /// `/readyz` does not wait for.
    async fn probe(&self) -> Result<()> {
        let client = self.client(&self.admin_token, false).await?;
        client.request_text(Request::get("/readyz").body(Vec::new())?).await?;
        Api::<Namespace>::all(client).get("default").await?;
        Ok(())
    }

    async fn client(&self, token: &str, default_retry: bool) -> Result<Client> {
        Ok(Client::try_from(self.config(token, default_retry).await?)?)
    }

    async fn config(&self, token: &str, default_retry: bool) -> Result<Config> {
        let kubeconfig: Kubeconfig = serde_json::from_value(self.kubeconfig("kind-envtest", token))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = default_retry;
        // It may come from the environment, and is nothing for loopback.
        config.proxy_url = None;
        Ok(config)
    }

    fn kubeconfig(&self, context: &str, token: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "envtest",
                "cluster": {
                    "server": format!("https://127.0.0.1:{}", self.apiserver_port),
                    // The server's own certificate, followed by that of the authority it made for it.
                    "certificate-authority": self.dir.path().join("certs/apiserver.crt"),
                },
            }],
            "users": [{ "name": "envtest", "user": { "token": token } }],
            "contexts": [{ "name": context, "context": { "cluster": "envtest", "user": "envtest" } }],
            "current-context": context,
        })
    }
}

fn take(server: &Mutex<Option<Process>>) -> Option<Process> {
    server.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn put(place: &Mutex<Option<Process>>, server: Process) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
}

/// How the folder of each cluster of this process begins: the names of the processes in it tell them apart.
pub(super) fn dir_prefix() -> String {
    format!("kube-informer-envtest-{}-", process::id())
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<Value> {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.body(serde_json::to_vec(body)?)?;
    client.request(request).await.with_context(|| format!("POST {path}"))
}

/// Free ports. All are held until the last is found, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

async fn retry_port_clash<T>(mut boot: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match boot().await {
            Err(err) if attempt < ATTEMPTS && format!("{err:#}").contains("address already in use") => {
                attempt += 1;
                tokio::time::sleep(POLL).await;
            }
            done => return done,
        }
    }
}
