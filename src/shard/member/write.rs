//! Writes of the own Lease, one at a time.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube_client::api::{DeleteParams, PostParams, Preconditions};
use kube_client::{Api, Error as ClientError};
use kube_core::ObjectMeta;
use tokio::time::timeout;

use crate::error::Error;
use crate::source::Call;

const LEASES: &str = "leases.coordination.k8s.io";

/// How a write ended.
pub(super) enum Written {
    /// The Lease has this metadata now.
    Done(ObjectMeta),
    /// Someone else has written it, so the write has to be made again from here.
    Changed(ObjectMeta),
    /// It does not exist.
    Gone,
}

/// Creates the Lease, or replaces the version that `lease` names: a write that arrives late, after another one, fails.
pub(super) async fn write(leases: Api<Lease>, lease: Lease, within: Duration) -> Result<Written, Error> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let exists = lease.metadata.resource_version.is_some();
    let written = async {
        let parameters = PostParams::default();
        let written = match exists {
            true => leases.replace(&name, &parameters, &lease).await,
            false => leases.create(&parameters, &lease).await,
        };
        match written {
            Ok(lease) => Ok(Written::Done(lease.metadata)),
            Err(ClientError::Api(status)) if status.code == 409 => {
                let found = leases.get_opt(&name).await?;
                Ok(found.map_or(Written::Gone, |found| Written::Changed(found.metadata)))
            }
            Err(ClientError::Api(status)) if status.code == 404 && exists => Ok(Written::Gone),
            Err(error) => Err(error),
        }
    };
    in_time(if exists { "update" } else { "create" }, within, written).await
}

/// Deletes a version of a Lease. It is no error if that version is gone.
pub(super) async fn delete(leases: Api<Lease>, metadata: ObjectMeta, within: Duration) -> Result<(), Error> {
    let ObjectMeta { name, uid, resource_version, .. } = metadata;
    let only = Preconditions { resource_version, uid };
    let parameters = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
    let deleted = async {
        match leases.delete(&name.unwrap_or_default(), &parameters).await {
            Err(ClientError::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            deleted => deleted.map(drop),
        }
    };
    in_time("delete", within, deleted).await
}

async fn in_time<T>(
    verb: &'static str,
    within: Duration,
    request: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, Error> {
    let call = Call { verb, resource: LEASES.into() };
    match timeout(within, request).await {
        Ok(done) => done.map_err(|error| call.failed(error)),
        Err(_) => Err(call.timeout(within)),
    }
}
