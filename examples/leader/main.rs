//! Two replicas of one controller, of which only the leader reconciles. Both keep their caches warm, so that the other
//! one takes over without a list.
//!
//! ```text
//! cargo run --example leader
//!
//! wait for the lease -> run the controller until the lease is lost -> give the lease up --.
//!         ^-------------------------------------------------------------------------------'
//! ```
//!
//! [`election`] and [`replica`] are meant to be copied. This file is the demonstration: an API server in this process,
//! which rejects the renewals of the leader for a while.

mod election;
mod replica;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use kube_client::Client;
use kube_informer::testing::{ApiServer, Rule};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::election::Election;

const LEASES: &str = "leases.coordination.k8s.io";
/// How long each step may take, besides the duration of a lease.
const WITHIN: Duration = Duration::from_secs(20);

/// Two replicas of a small controller, one of which leads.
///
/// Runs briefly on an API server in this process. The leader loses its lease and regains it; each time, the other
/// replica takes over.
#[derive(Debug, Parser)]
#[command(name = "leader")]
struct Cli {
    /// The duration of the lease; the leader renews it 1 s before its end
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..=60))]
    lease: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = Cli::parse().lease;
    let server = ApiServer::builder().token("a", "a").token("b", "b").build();
    let demo = Demo { server: &server, seconds };

    println!("replica a starts, then b:");
    let (stop_a, a) = demo.start("a").await?;
    demo.until_leads("a").await?;
    let (stop_b, b) = demo.start("b").await?;
    demo.greeted("ann").await?;

    println!("the API server rejects the renewals of a; when its lease has ended, a config map is created:");
    let renewals = Rule::all().user("a").verb("patch").resource(LEASES);
    server.deny(renewals.clone());
    demo.until("a lost its lease", || !demo.leads("a")).await?;
    demo.greeted("bob").await?;

    println!("a is allowed to renew again, and b stops; one more config map is created:");
    server.allow(renewals);
    stop_b.cancel(); // a real replica does this after Ctrl-C or SIGTERM
    b.await??;
    demo.until_leads("a").await?;
    demo.greeted("eve").await?;

    println!("a stops:");
    stop_a.cancel();
    a.await??;
    let reads = |verb: &str, kind: &str, _: &str| kind == "configmaps" && matches!(verb, "list" | "watch");
    println!("{} lists and watches of config maps: the two at the start", server.requests().sum(reads));
    Ok(())
}

struct Demo<'a> {
    server: &'a ApiServer,
    /// The duration of the lease.
    seconds: u64,
}

impl Demo<'_> {
    /// Starts a replica.
    async fn start(
        &self,
        name: &'static str,
    ) -> anyhow::Result<(CancellationToken, JoinHandle<anyhow::Result<()>>)> {
        let (client, stop) = (client(self.server, name)?, CancellationToken::new());
        let election =
            Election::new(client.clone(), "greeter", name, (self.seconds, 1), stop.clone()).await?;
        Ok((stop.clone(), tokio::spawn(replica::run(name, client, election, stop))))
    }

    /// Creates a config map, and waits for its greeting.
    async fn greeted(&self, name: &str) -> anyhow::Result<()> {
        let (metadata, data) = (json!({ "namespace": "default", "name": name }), json!({ "name": name }));
        self.server
            .create(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }))?;
        let map = || self.server.get("configmaps", "default", name);
        let greeting =
            || map().is_ok_and(|map| map["metadata"]["annotations"][replica::GREETING].is_string());
        self.until("the config map was greeted", greeting).await
    }

    async fn until_leads(&self, name: &str) -> anyhow::Result<()> {
        self.until("the other replica led", || self.leads(name)).await
    }

    fn leads(&self, name: &str) -> bool {
        let lease = self.server.get(LEASES, "default", "greeter");
        lease.is_ok_and(|lease| lease["spec"]["holderIdentity"] == name)
    }

    async fn until(&self, what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
        let waits = async {
            while !done() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let within = WITHIN + 3 * Duration::from_secs(self.seconds);
        timeout(within, waits).await.with_context(|| format!("it was not the case that {what}"))
    }
}

/// A client of this user, whose token is the name.
fn client(server: &ApiServer, user: &str) -> anyhow::Result<Client> {
    let bearer: http::HeaderValue = format!("Bearer {user}").parse()?;
    let service = server.service().map_request(move |mut request: http::Request<_>| {
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
        request
    });
    Ok(Client::new(service, "default"))
}
