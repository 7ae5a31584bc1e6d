//! One replica: a controller that runs whenever this replica leads.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::api::{Patch, PatchParams};
use kube_client::{Api, Client};
use kube_core::ResourceExt as _;
use kube_informer::controller::{Action, Context, Controller, Ended};
use kube_informer::{Informer, Obj};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::election::Election;

/// The annotation that the controller owns.
pub(crate) const GREETING: &str = "example.dev/greeting";

/// The data that all reconciles of a replica share.
struct Shared {
    replica: &'static str,
    api: Api<ConfigMap>,
}

/// Greets the name in a config map.
async fn reconcile(map: Obj<ConfigMap>, ctx: Context<Shared>) -> Result<Action, kube_client::Error> {
    if let Some(name) = map.data.as_ref().and_then(|data| data.get("name")) {
        let greeting = format!("Hello, {name}!");
        if map.annotations().get(GREETING) != Some(&greeting) {
            let patch = Patch::Merge(json!({ "metadata": { "annotations": { GREETING: greeting } } }));
            ctx.written(&ctx.api.patch(Obj::name(&map), &PatchParams::default(), &patch).await?);
            println!("  {}: {greeting}", ctx.replica);
        }
    }
    Ok(Action::await_change())
}

/// Runs the controller whenever this replica leads, until it is stopped.
pub(crate) async fn run(
    name: &'static str,
    client: Client,
    election: Election,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let api = Api::default_namespaced(client);
    let maps = Informer::builder(api.clone()).start(); // lists and watches, whoever leads
    let controller = Controller::new(&maps).finish_within(Duration::from_millis(500)); // see `Election::new`
    let (handle, shared) = (controller.handle(), Arc::new(Shared { replica: name, api }));
    let leads = async {
        while election.gained().await {
            println!("  {name} leads");
            let error_policy = |_, _: &_, _| Action::retry();
            let ended = controller.run_until(reconcile, error_policy, shared.clone(), election.lost()).await;
            match &ended {
                Ok(Ended::Stopped) => println!("  {name} stops"),
                _ => println!("  {name} no longer leads"),
            }
            election.resign().await;
            match ended {
                Err(error) if error.is_unfinished() => eprintln!("  {name}: {error}"),
                ended => drop(ended?),
            }
        }
        Ok(())
    };
    let stops = async {
        stop.cancelled().await;
        handle.shut_down(); // for good, also if it is about to lead
        std::future::pending().await
    };
    tokio::select! {
        ended = leads => ended,
        never = stops => never,
    }
}
