//! From a kubeconfig to a client, with a check that the context is the intended one.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube_client::api::ListParams;
use kube_client::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube_client::{Api, Client, Config};

use super::log::say;
use crate::cli::ClusterArgs;
use crate::controller::{Brief, Pod};

/// How long the first response of the API server may take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The context of a pod's own service account.
const IN_CLUSTER: &str = "in-cluster";

/// A client of the intended cluster, after the API server has responded once.
///
/// # Errors
///
/// When the kubeconfig is invalid, the context is not confirmed, or the API server is unreachable.
pub async fn connect(args: &ClusterArgs) -> anyhow::Result<Client> {
    let (context, mut config) = match kubeconfig(args)? {
        Some(kubeconfig) => {
            let context = context_of(&kubeconfig, args)?;
            let options = KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            let config = config.map_err(|error| anyhow!("context `{context}`: {}", describe(&error)))?;
            (context, config)
        }
        None => {
            let none = "no kubeconfig ($KUBECONFIG, ~/.kube/config), and this is not a pod of a cluster";
            (IN_CLUSTER.to_owned(), Config::incluster().map_err(|_| anyhow!(none))?)
        }
    };
    // By default, kube's client retries after 429, 503 and 504, for minutes and without a log line. Informers and
    // work queues have a visible backoff of their own.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    say!("context `{context}`, {url}");
    confirm(&context, args.context.as_deref())?;

    let client = Client::try_from(config).with_context(|| format!("context `{context}`"))?;
    match tokio::time::timeout(FIRST_ANSWER, client.apiserver_version()).await {
        Err(_) => bail!("the API server at {url} has not responded within {} s", FIRST_ANSWER.as_secs()),
        Ok(Ok(version)) => say!("Kubernetes {}.{}", version.major, version.minor),
        // The server is reachable. If the controller needs more rights, the informers report it.
        Ok(Err(kube_client::Error::Api(status))) if status.code == 403 => {}
        Ok(Err(error)) => bail!("the API server at {url}: {}", Brief(&error)),
    }
    Ok(client)
}

/// Two controllers would overwrite each other's statuses forever.
///
/// # Errors
///
/// When a kube-ovn-controller runs here, or the API server refuses the check.
pub async fn refuse_beside_kube_ovn(client: &Client) -> anyhow::Result<()> {
    let cannot = |error: &kube_client::Error| {
        anyhow!("check for a kube-ovn-controller in this cluster: {} (manifests/rbac.yaml)", Brief(error))
    };
    let named = ListParams::default().fields("metadata.name=kube-ovn-controller").limit(1);
    let deployments = match Api::<Deployment>::all(client.clone()).list_metadata(&named).await {
        Err(kube_client::Error::Api(status)) if status.code == 404 => 0, // no such kind
        answer => answer.map_err(|error| cannot(&error))?.items.len(),
    };
    let labelled = ListParams::default().labels("app=kube-ovn-controller").limit(1);
    let pods = Api::<Pod>::all(client.clone()).list_metadata(&labelled).await;
    if deployments + pods.map_err(|error| cannot(&error))?.items.len() > 0 {
        bail!("a kube-ovn-controller runs in this cluster: the two would overwrite each other's statuses");
    }
    Ok(())
}

/// The kubeconfig of the command line, or the default one; `None` if there is none.
fn kubeconfig(args: &ClusterArgs) -> anyhow::Result<Option<Kubeconfig>> {
    if let Some(path) = &args.kubeconfig {
        let read = Kubeconfig::read_from(path);
        return read
            .map(Some)
            .map_err(|error| anyhow!("--kubeconfig {}: {}", path.display(), describe(&error)));
    }
    if let Some(paths) = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()) {
        let read = Kubeconfig::from_env();
        return read.map_err(|error| anyhow!("KUBECONFIG={}: {}", paths.display(), describe(&error)));
    }
    match Kubeconfig::read() {
        Ok(kubeconfig) => Ok(Some(kubeconfig)),
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(anyhow!("~/.kube/config: {}", describe(&error))),
    }
}

/// The context of the command line, or the current one.
fn context_of(kubeconfig: &Kubeconfig, args: &ClusterArgs) -> anyhow::Result<String> {
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let wanted =
        args.context.as_deref().or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty());
    match wanted {
        Some(name) if known.contains(&name) => Ok(name.to_owned()),
        Some(name) => bail!("the kubeconfig has no context `{name}`; it has: {}", known.join(", ")),
        None => {
            bail!("the kubeconfig has no current context; choose one with --context: {}", known.join(", "))
        }
    }
}

/// A context that is not kind's must be named on the command line.
fn confirm(context: &str, named: Option<&str>) -> anyhow::Result<()> {
    if context.starts_with("kind-") || named == Some(context) {
        return Ok(());
    }
    bail!("this is not a kind cluster; to use it, add --context {context}")
}

/// Without the content of the file: a YAML error would show the lines around it, and they may be credentials.
fn describe(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "is not a kubeconfig".to_owned(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::LoadContext(name) => format!("there is no context `{name}`"),
        KubeconfigError::LoadClusterOfContext(name) => format!("there is no cluster `{name}`"),
        KubeconfigError::ParseClusterUrl(_) => "the URL of the cluster is invalid".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    const TWO: &str = "
apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: u, user: {token: secret}}]
contexts:
- {name: prod, context: {cluster: c, user: u}}
- {name: kind-dev, context: {cluster: c, user: u}}
";

    fn args(text: &str) -> ClusterArgs {
        crate::cli::Cli::parse_from(format!("x --cluster {text}").split_whitespace()).cluster
    }

    #[test]
    fn a_context_that_is_not_kinds_has_to_be_named() {
        let kubeconfig = Kubeconfig::from_yaml(TWO).unwrap();
        let check = |text: &str| {
            let args = args(text);
            context_of(&kubeconfig, &args)
                .and_then(|context| confirm(&context, args.context.as_deref()).map(|()| context))
        };
        let error = check("").unwrap_err().to_string();
        assert!(error.ends_with("add --context prod"), "{error}");
        assert_eq!(check("--context prod").unwrap(), "prod");
        assert_eq!(check("--context kind-dev").unwrap(), "kind-dev");
        let error = check("--context staging").unwrap_err().to_string();
        assert_eq!(error, "the kubeconfig has no context `staging`; it has: prod, kind-dev");
    }

    #[test]
    fn a_broken_kubeconfig_is_named_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        let error = |content: Option<&str>| {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = kubeconfig(&args(&format!("--kubeconfig {}", path.display()))).unwrap_err();
            format!("{error:#}")
        };
        let missing = error(None);
        assert!(missing.contains("config: No such file"), "{missing}");
        let broken = error(Some("users: [{name: u, user: {token: s3cr3t"));
        assert!(broken.ends_with("is not a kubeconfig") && !broken.contains("s3cr3t"), "{broken}");
    }

    #[tokio::test]
    async fn a_server_out_of_reach_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        // A port that was free a moment ago: nobody listens.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        std::fs::write(&path, TWO.replace("https://127.0.0.1:1", &format!("http://127.0.0.1:{port}")))
            .unwrap();
        let args = args(&format!("--kubeconfig {} --context kind-dev", path.display()));
        let Err(error) = connect(&args).await else { panic!("nobody listens at {port}") };
        let error = format!("{error:#}");
        assert!(error.contains(&port.to_string()) && error.contains("refused"), "{error}");
    }
}
