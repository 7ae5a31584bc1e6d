//! Asks whether a kind is served: the API's list of groups, versions and resources.
//!
//! A 404 for a list is less precise: an unserved version, a removed kind and a proxy without a backend all
//! return it.

use bytes::Bytes;
use serde::Deserialize;
use tokio::time::timeout;

use super::{HttpSource, JSON};
use crate::error::Error;
use crate::source::body::read_page;
use crate::source::call::Call;

/// `GET /apis`.
#[derive(Deserialize)]
struct Groups {
    kind: String,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "groupVersion")]
    group_version: String,
}

/// `GET /api/v1`, `GET /apis/<group>/<version>`.
#[derive(Deserialize)]
struct Resources {
    kind: String,
    resources: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    namespaced: Option<bool>,
}

impl HttpSource {
    /// Checks every version of the group: a kind that only lost the requested version still has its objects.
    pub(super) async fn is_served(&self) -> Result<bool, Error> {
        let call = Call { verb: "discover", resource: self.resource.as_str().into() };
        if self.group.is_empty() {
            return self.is_listed(&call, "/api/v1").await;
        }
        let body = self.read(&call, "/apis").await?;
        let groups = match serde_json::from_slice::<Groups>(&body) {
            Ok(groups) if groups.kind == "APIGroupList" => groups.groups,
            _ => return Err(call.protocol("the body is not a list of API groups")),
        };
        let Some(group) = groups.iter().find(|group| group.name == self.group) else { return Ok(false) };
        for version in &group.versions {
            if self.is_listed(&call, &format!("/apis/{}", version.group_version)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether discovery reports the kind as cluster-scoped in the requested version. False if it does not
    /// list the kind, or fails.
    pub(super) async fn is_without_namespaces(&self) -> bool {
        let Some((version, _)) = self.url_of_cluster.as_ref().and_then(|url| url.rsplit_once('/')) else {
            return false;
        };
        let call = Call { verb: "discover", resource: self.resource.as_str().into() };
        let resources = self.resources(&call, version).await.unwrap_or_default();
        resources.iter().any(|resource| resource.name == self.plural && resource.namespaced == Some(false))
    }

    /// Whether a group's version has the kind among its resources.
    async fn is_listed(&self, call: &Call, url: &str) -> Result<bool, Error> {
        let resources = self.resources(call, url).await?;
        Ok(resources.iter().any(|resource| resource.name == self.plural))
    }

    async fn resources(&self, call: &Call, url: &str) -> Result<Vec<Named>, Error> {
        let body = self.read(call, url).await?;
        match serde_json::from_slice::<Resources>(&body) {
            Ok(resources) if resources.kind == "APIResourceList" => Ok(resources.resources),
            _ => Err(call.protocol("the body is not a list of API resources")),
        }
    }

    async fn read(&self, call: &Call, url: &str) -> Result<Bytes, Error> {
        let response = self.get_url(call, url, JSON).await?;
        timeout(self.limits.page_time, read_page(call, response.into_body(), &self.limits))
            .await
            .map_err(|_| call.timeout(self.limits.page_time))?
    }
}
