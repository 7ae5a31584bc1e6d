//! [`ApiService`]: from a request to its response.
//!
//! ```text
//! latency -> token (401) -> fault? -> rules (403) -> body -> route -> state (one lock, no await) -> answer, log
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use super::accept::{Shape, shape};
use super::answer::Answer;
use super::body::{ApiBody, Clip};
use super::discovery;
use super::faults::{FaultAction, RequestScope};
use super::object::to_bytes;
use super::request::RequestInfo;
use super::requests::RequestRecord;
use super::route;
use super::shared::Shared;
use super::status::ApiStatus;

/// kube-apiserver's limit of a request body.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// An [`ApiServer`](super::ApiServer) as a tower service for any request body. From
/// [`ApiServer::service`](super::ApiServer::service).
///
/// It is always ready. A call returns an error only if a fault closes the connection. Cancel-safe: if the future is
/// dropped, its write is either complete or was not begun.
#[derive(Clone, Debug)]
pub struct ApiService {
    shared: Arc<Shared>,
}

impl ApiService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<ApiBody>, std::io::Error>> + Send + use<B>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let shared = self.shared.clone();
        async move {
            let (head, body) = request.into_parts();
            let info = RequestInfo::parse(&head.method, &head.uri);
            let mut record = RequestRecord {
                method: head.method.to_string(),
                path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                user: String::new(),
                verb: info.verb.name(),
                resource: if info.plural.is_empty() { String::new() } else { info.scoped_resource() },
                code: 0,
            };
            let latency = shared.latency();
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let user = shared.access().authenticate(authorization);
            if let Ok(user) = &user {
                record.user.clone_from(user);
            }
            let scope = RequestScope::of(&info);
            let fault = shared.faults.on_request(&scope);
            let clip = fault.as_ref().and_then(Clip::of);
            let answer = match fault {
                Some(FaultAction::Hang) => {
                    shared.log().record(record);
                    std::future::pending::<()>().await;
                    return Err(std::io::ErrorKind::ConnectionReset.into());
                }
                Some(FaultAction::Reset) => {
                    shared.log().record(record);
                    return Err(std::io::ErrorKind::ConnectionReset.into());
                }
                Some(FaultAction::Respond { code, retry_after }) => {
                    Err(ApiStatus::scripted(code, retry_after))
                }
                Some(FaultAction::TooLargeVersion) => Err(ApiStatus::too_large_version_in_words()),
                Some(FaultAction::Garbage(bytes)) => Ok(Answer::Json(200, bytes)),
                _ => match user {
                    Ok(user) => {
                        respond(&shared, &user, &info, &head.method, &head.headers, scope, body).await
                    }
                    Err(status) => Err(status),
                },
            };
            let response = into_response(answer, &head.method).map(|body| body.clipped(clip));
            record.code = response.status().as_u16();
            shared.log().record(record);
            Ok(response)
        }
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ApiBody>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.answer(request))
    }
}

async fn respond<B>(
    shared: &Arc<Shared>,
    user: &str,
    info: &RequestInfo,
    method: &http::Method,
    headers: &HeaderMap,
    scope: RequestScope,
    body: B,
) -> Result<Answer, ApiStatus>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let public = matches!(info.path.as_str(), "/readyz" | "/livez" | "/healthz" | "/version");
    if !public {
        shared.access().authorize(user, info)?;
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(ApiStatus::new(
                413,
                "RequestEntityTooLarge",
                "Request entity too large: limit is 3145728",
            ));
        }
        Err(_) => return Err(ApiStatus::bad_request("the request's body did not arrive")),
    };
    if info.plural.is_empty() {
        return discovery::answer(&shared.state(), method, &info.path);
    }
    let shape = shape(headers)?;
    route::answer(shared, info, headers, shape, scope, &body)
}

fn into_response(answer: Result<Answer, ApiStatus>, method: &http::Method) -> Response<ApiBody> {
    let (code, media_type, body, retry_after) = match answer {
        Ok(Answer::Json(code, bytes)) => (code, "application/json", ApiBody::whole(bytes), None),
        Ok(Answer::Text(code, bytes)) => (code, "text/plain; charset=utf-8", ApiBody::whole(bytes), None),
        Ok(Answer::Watch(watch)) => (200, "application/json", ApiBody::watch(*watch), None),
        Err(status) if status.is_plain() => {
            let text = Bytes::copy_from_slice(status.message().as_bytes());
            (status.code(), "text/plain; charset=utf-8", ApiBody::whole(text), None)
        }
        Err(status) => {
            let body = ApiBody::whole(to_bytes(&status.to_value()));
            (status.code(), "application/json", body, status.retry_after())
        }
    };
    let body = if method == http::Method::HEAD { ApiBody::whole(Bytes::new()) } else { body };
    let mut response = Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl Shape {
    /// Whether the response to a list may have this shape.
    pub(super) fn for_list(self) -> Result<bool, ApiStatus> {
        match self {
            Self::Whole => Ok(false),
            Self::PartialList => Ok(true),
            Self::Partial => Err(ApiStatus::new(
                406,
                "NotAcceptable",
                "you requested PartialObjectMetadata, but the requested object is a list \
                 (*unstructured.UnstructuredList)",
            )),
        }
    }
}
