//! List and watch over HTTP. This uses only `kube_client::Client::send`, because kube's other helpers log
//! response bodies.

mod discovery;
mod shard;

use std::any::TypeId;

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{Request, Response};
use kube_client::Client;
use kube_client::client::Body;
use kube_core::{DynamicResourceScope, Resource};
use tokio::time::{Instant, timeout};

use super::answer::api_error;
use super::body::read_page;
use super::call::Call;
use super::page::parse_page;
use super::sharding::Sharding;
use super::watch::HttpWatch;
use super::{Json, Limits, ListRequest, Page, Source, WatchRequest};
use crate::error::Error;
use crate::scope::Part;
use crate::shard::{Filter, Shard};

const JSON: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One kind of an API server, in one namespace or all.
pub(crate) struct HttpSource {
    client: Client,
    url: String,
    /// The URL at cluster scope, if `url` has a namespace but the kind may be cluster-scoped.
    url_of_cluster: Option<String>,
    /// [`resource_name`].
    resource: String,
    group: String,
    plural: String,
    part: Part,
    sharding: Sharding,
    /// The server refuses the shard, or applies it wrongly: until then, it is not asked to.
    asks_no_shard_until: Option<Instant>,
    limits: Limits,
    /// Whether to request metadata only.
    metadata_only: bool,
}

/// The name of a kind in errors and logs: `subnets.kubeovn.io`, as in `kubectl`.
pub(crate) fn resource_name<K: Resource>(dyntype: &K::DynamicType) -> String {
    let (plural, group) = (K::plural(dyntype), K::group(dyntype));
    if group.is_empty() { plural.into_owned() } else { format!("{plural}.{group}") }
}

// === impl HttpSource ===

impl HttpSource {
    /// Lists and watches the objects of `part`, with the client of `api`. `dyntype` is the one that `api`
    /// was made with.
    pub(crate) fn new<K: Resource>(
        api: kube_client::Api<K>,
        dyntype: &K::DynamicType,
        part: Part,
        limits: Limits,
    ) -> Self
    where
        K::Scope: 'static,
    {
        let (mut url, mut url_of_cluster) = (api.resource_url().to_owned(), None);
        if part.namespace.as_deref() != api.namespace() {
            url = K::url_path(dyntype, part.namespace.as_deref());
            let at_run_time = TypeId::of::<K::Scope>() == TypeId::of::<DynamicResourceScope>();
            url_of_cluster = (part.namespace.is_some() && at_run_time).then(|| K::url_path(dyntype, None));
        }
        Self {
            url,
            url_of_cluster,
            client: api.into_client(),
            resource: resource_name::<K>(dyntype),
            group: K::group(dyntype).into_owned(),
            plural: K::plural(dyntype).into_owned(),
            sharding: Sharding::new(part.shard.clone()),
            asks_no_shard_until: None,
            part,
            limits,
            metadata_only: K::metadata_api(),
        }
    }

    fn call(&self, verb: &'static str) -> Call {
        Call { verb, resource: self.resource.as_str().into() }
    }

    /// Sends a GET and returns the response, if it is a success.
    async fn get(
        &mut self,
        call: &Call,
        query: String,
        accept: &'static str,
    ) -> Result<Response<Body>, Error> {
        match self.get_url(call, &format!("{}?{query}", self.url), accept).await {
            Err(error) if error.is_kind_absent() && self.leave_namespace().await => {
                self.get_url(call, &format!("{}?{query}", self.url), accept).await
            }
            answer => answer,
        }
    }

    /// Switches to cluster scope, if the 404 for a namespace only means that the kind has none.
    async fn leave_namespace(&mut self) -> bool {
        if self.is_without_namespaces().await
            && let Some(url) = self.url_of_cluster.take()
        {
            self.url = url;
            return true;
        }
        false
    }

    async fn get_url(&self, call: &Call, url: &str, accept: &'static str) -> Result<Response<Body>, Error> {
        let mut request = Request::get(url).header(ACCEPT, accept);
        if call.verb == "watch" {
            // A compressed watch has one gzip member per flush, and decoders stop after the first.
            request = request.header(ACCEPT_ENCODING, "identity");
        }
        let request = request.body(Body::empty()).map_err(|error| call.unanswered(error))?;
        let response = match timeout(self.limits.head_time, self.client.send(request)).await {
            Ok(sent) => sent.map_err(|error| call.failed(error))?,
            Err(_) => return Err(call.timeout(self.limits.head_time)),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(api_error(call, response, &self.limits).await)
        }
    }

    fn list_query(&self, request: &ListRequest) -> String {
        self.list_query_of(request, self.asked_shard())
    }

    fn list_query_of(&self, request: &ListRequest, shard: Option<&Shard>) -> String {
        let mut query = self.selected(shard);
        if let Some(limit) = request.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(token) = &request.continue_token {
            query.append_pair("continue", token);
        } else if let Some(version) = &request.resource_version {
            // Set explicitly: with a limit, a version without a match rule means exactly that version.
            query.append_pair("resourceVersion", &version.to_string());
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        query.finish()
    }

    fn watch_query(&self, request: &WatchRequest) -> String {
        let mut query = self.selected(self.asked_shard());
        query.append_pair("watch", "true");
        query.append_pair("allowWatchBookmarks", "true");
        query.append_pair("timeoutSeconds", &request.timeout.as_secs().to_string());
        if let Some(version) = &request.resource_version {
            query.append_pair("resourceVersion", &version.to_string());
        }
        if request.initial_events {
            query.append_pair("sendInitialEvents", "true");
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        query.finish()
    }

    fn selected(&self, shard: Option<&Shard>) -> form_urlencoded::Serializer<'static, String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, selector) in [("labelSelector", &self.part.labels), ("fieldSelector", &self.part.fields)] {
            if !selector.is_empty() {
                query.append_pair(name, selector);
            }
        }
        if let Some(shard) = shard {
            query.append_pair("shardSelector", &shard.selector());
        }
        query
    }
}

impl Source for HttpSource {
    type Payload = Json;
    type Watch = HttpWatch;

    fn resource(&self) -> &str {
        &self.resource
    }

    async fn list(&mut self, request: &ListRequest) -> Result<Page<Json>, Error> {
        let accept = if self.metadata_only { METADATA_LIST } else { JSON };
        let call = self.call("list");
        if request.continue_token.is_none() {
            self.sharding.begin();
        }
        let response = match self.get(&call, self.list_query(request), accept).await {
            Err(error) if self.is_shard_refused(&error) => {
                self.get(&call, self.list_query(request), accept).await?
            }
            answer => answer?,
        };
        let body = timeout(self.limits.page_time, read_page(&call, response.into_body(), &self.limits))
            .await
            .map_err(|_| call.timeout(self.limits.page_time))??;
        Ok(self.sharding.page(parse_page(&call, body, self.limits.object_bytes).await?))
    }

    async fn watch(&mut self, request: &WatchRequest) -> Result<HttpWatch, Error> {
        let call = self.call("watch");
        let accept = if self.metadata_only { METADATA } else { JSON };
        if request.initial_events {
            self.sharding.begin();
        }
        let response = match self.get(&call, self.watch_query(request), accept).await {
            Err(error) if self.is_shard_refused(&error) => {
                self.get(&call, self.watch_query(request), accept).await?
            }
            answer => answer?,
        };
        Ok(HttpWatch::new(call, response.into_body(), &self.limits, self.sharding.clone()))
    }

    fn shard_filter(&self) -> Option<Filter> {
        self.sharding.filter()
    }

    async fn find_shard_filter(&mut self) {
        self.find_filter().await;
    }

    fn wrong_shard(&mut self) -> Option<Error> {
        self.stop_if_contradicted()
    }

    async fn served(&mut self) -> Result<bool, Error> {
        self.is_served().await
    }
}
