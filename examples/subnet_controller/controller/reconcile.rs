//! The reconcile: from one key to a status in the API server. [`desired_status`] decides, this module does the I/O.

use std::fmt;
use std::time::{Duration, Instant};

use kube_client::Api;
use kube_client::api::{Patch, PatchParams};
use kube_informer::Obj;
use kube_informer::controller::{Action, Context};
use serde_json::json;

use super::caches::Caches;
use super::nad_source::NadSource;
use super::observe::{Observe, Outcome, Run};
use super::status::desired_status;
use super::types::Subnet;

/// The reason why a reconcile failed.
#[derive(Debug)]
pub enum ReconcileError {
    Nad(kube_client::Error),
    Patch(kube_client::Error),
}

/// The data that the reconciles share.
pub struct Shared<O> {
    pub caches: Caches,
    pub subnets: Api<Subnet>,
    pub nad_source: NadSource,
    pub dry_run: bool,
    pub observe: O,
}

/// Compares the status of one subnet with the desired status, and writes it only if they differ.
///
/// # Errors
///
/// When a request fails. The controller tries the key again later.
pub async fn reconcile<O: Observe>(
    subnet: Option<Obj<Subnet>>,
    ctx: Context<Shared<O>>,
) -> Result<Action, ReconcileError> {
    let begin = Instant::now();
    let name = ctx.key().name();
    let (nads, pods) = (ctx.caches.nads.snapshot(), ctx.caches.pods.snapshot());
    let version = subnet.as_ref().map(Obj::resource_version);
    let mut run = Run {
        subnet: name,
        outcome: Outcome::Gone,
        seen: [nads.resource_version(), version.as_ref(), pods.resource_version()],
        nad_took: None,
        took: Duration::ZERO,
        stored_at: begin,
    };
    let Some(subnet) = &subnet else {
        ctx.observe.reconciled(run.end(begin));
        return Ok(Action::await_change());
    };

    let get_nad = Instant::now();
    let nad = ctx.nad_source.nad(&ctx.caches, &nads, subnet.provider()).await.map_err(ReconcileError::Nad)?;
    run.nad_took = Some(get_nad.elapsed());

    let pods = pods.by_index(&ctx.caches.pods_by_network, &(subnet.provider(), name)).len();
    let status = desired_status(subnet, nad.as_deref(), pods);
    if subnet.status.as_ref() == Some(&status) {
        run.outcome = Outcome::Unchanged;
        ctx.observe.reconciled(run.end(begin));
        return Ok(Action::await_change());
    }
    if ctx.dry_run {
        let would = Subnet { status: Some(status), ..Subnet::clone(subnet) };
        run.outcome = Outcome::WouldWrite(&would);
        ctx.observe.reconciled(run.end(begin));
        return Ok(Action::await_change());
    }

    let patch = Patch::Merge(json!({"status": status}));
    let written = match ctx.subnets.patch_status(name, &PatchParams::default(), &patch).await {
        // Deleted in the meantime: the watch delivers the deletion.
        Err(error) if is_not_found(&error) => {
            ctx.observe.reconciled(run.end(begin));
            return Ok(Action::await_change());
        }
        answer => answer.map_err(ReconcileError::Patch)?,
    };
    // A reconcile that compares with an older status could find that there is nothing to write, and leave a wrong
    // status. So the next one waits until the cache has received this write.
    ctx.written(&written);
    run.outcome = Outcome::Written(&written);
    ctx.observe.reconciled(run.end(begin));
    Ok(Action::await_change())
}

fn is_not_found(error: &kube_client::Error) -> bool {
    matches!(error, kube_client::Error::Api(status) if status.code == 404)
}

// === impl ReconcileError ===

impl fmt::Display for ReconcileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nad(error) => write!(f, "get its NetworkAttachmentDefinition: {}", Brief(error)),
            Self::Patch(error) => write!(f, "patch its status: {}", Brief(error)),
        }
    }
}

impl std::error::Error for ReconcileError {}

/// A client error in one line. The messages of API servers and of JSON errors can hold parts of objects.
pub struct Brief<'a>(pub &'a kube_client::Error);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kube_client::Error::Api(status) => {
                write!(f, "the API server returned {} {}", status.code, status.reason)
            }
            kube_client::Error::SerdeError(_) => {
                f.write_str("the API server's response has an unexpected form")
            }
            kube_client::Error::Service(error) => {
                // The outer text is "client error (Connect)"; why is further in.
                let mut error: &dyn std::error::Error = error.as_ref();
                while let Some(source) = error.source() {
                    error = source;
                }
                write!(f, "{error}")
            }
            error => write!(f, "{error}"),
        }
    }
}
