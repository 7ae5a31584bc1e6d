//! Errors: the opaque [`Error`] of informers, and errors of single operations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::key::ObjectKey;
use crate::queue::Unfinished;
pub use crate::selector::InvalidSelector;
use crate::version::ResourceVersion;

/// An error of an informer.
///
/// It is opaque: the `is_*` methods classify it. Cloning copies a pointer. Its text never contains a value of an object
/// or a response body, since these may be Secrets. An error returned by a closure of the application is available only
/// as [`source`](std::error::Error::source).
#[derive(Clone)]
pub struct Error(Arc<ErrorKind>);

/// The cause. It is private, so that new causes are no breaking change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error("{verb} {resource}: the API server returned {code} {reason}")]
    Api {
        verb: &'static str,
        resource: String,
        code: u16,
        /// One of the reasons that the Kubernetes API defines, never free text of the server.
        reason: String,
        retry_after: Option<Duration>,
        /// The cause `ResourceVersionTooLarge`, which comes with the code of a timeout (504).
        version_too_large: bool,
        message: Message,
    },
    #[error("{verb} {resource}: the request failed")]
    Transport {
        verb: &'static str,
        resource: String,
        /// Whether the head of a response was received.
        answered: bool,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{verb} {resource}: no response within {} s", .after.as_secs())]
    Timeout { verb: &'static str, resource: String, after: Duration },
    #[error("{verb} {resource}: invalid response: {what}")]
    Protocol { verb: &'static str, resource: String, what: &'static str },
    #[error("{verb} {resource}: a page larger than the limit of {limit} bytes")]
    PageTooLarge { verb: &'static str, resource: String, limit: usize },
    #[error("the stream of events that feeds the informer reported an error")]
    Stream(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the stream that feeds the informer completed two lists that overlap: it merges several watchers, which need an \
         informer each"
    )]
    MergedStreams,
    #[error("the informer has stopped")]
    Stopped,
    #[error("{resource}: the informer has stopped")]
    SharedStopped { resource: String },
    #[error("{resource}: the informer was started; Informer::add_index adds an index to a running informer")]
    AlreadyStarted { resource: String },
    #[error("{resource} cannot wait for {other}, which waits for it")]
    Circular { resource: String, other: String },
    #[error("{resource}: another caller has set {what} for the shared informer")]
    Conflict { resource: String, what: &'static str },
    #[error("the controller runs already")]
    AlreadyRunning,
    #[error("the controller did not end in time")]
    Unfinished(#[source] Unfinished),
    #[error("an informer that is fed by a stream cannot list by itself")]
    Unsupported,
    #[error("the resourceVersions of this kind have no order")]
    Unordered,
    #[error("the API server was restored from a backup: earlier resourceVersions are no longer valid")]
    NewEpoch,
}

/// Free text of the server. It may quote what users sent, so no formatting shows it.
pub(crate) struct Message(Box<str>);

/// The reason why an object could not be stored. It has the key of the object, the JSON path and the kind of mismatch,
/// and never a value.
#[derive(Clone)]
pub struct DecodeError {
    pub(crate) key: Option<ObjectKey>,
    pub(crate) uid: Option<Box<str>>,
    pub(crate) resource_version: Option<ResourceVersion>,
    pub(crate) path: Box<str>,
    pub(crate) mismatch: Box<str>,
    pub(crate) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl DecodeError {
    /// An error about the whole object.
    pub(crate) fn new(
        key: Option<ObjectKey>,
        resource_version: Option<ResourceVersion>,
        mismatch: &str,
    ) -> Self {
        Self { key, uid: None, resource_version, path: "".into(), mismatch: mismatch.into(), source: None }
    }

    /// The key of the object; `None` if its metadata has no name.
    pub fn key(&self) -> Option<&ObjectKey> {
        self.key.as_ref()
    }

    /// The uid of the object, if its metadata could be read.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The version that could not be stored, if its metadata could be read.
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// The JSON path of the mismatch, such as `spec.config`; empty if it concerns the whole object.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The kind of mismatch, such as `string where an integer is expected`.
    pub fn mismatch(&self) -> &str {
        &self.mismatch
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "object {key}")?,
            None => f.write_str("an object without a name")?,
        }
        if let Some(version) = &self.resource_version {
            write!(f, " at version {version}")?;
        }
        if !self.path.is_empty() {
            write!(f, ", at {}", self.path)?;
        }
        write!(f, ": {}", self.mismatch)
    }
}

/// Shows only whether there is a source, not its text: that belongs to the application.
impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("key", &self.key)
            .field("uid", &self.uid)
            .field("resource_version", &self.resource_version)
            .field("path", &self.path)
            .field("mismatch", &self.mismatch)
            .field("source", &self.source.as_ref().map(|_| format_args!("..")))
            .finish()
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

// === impl Error ===

impl Error {
    /// Whether the informer was shut down, or its last handle was dropped.
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0, ErrorKind::Stopped | ErrorKind::SharedStopped { .. })
    }

    /// Whether the shared informer was started, so that its declaration cannot be changed. `Informer::add_index` still
    /// adds an index.
    pub fn is_started(&self) -> bool {
        matches!(*self.0, ErrorKind::AlreadyStarted { .. })
    }

    /// Whether two shared informers would wait for each other
    /// ([`SharedInformer::after`](crate::SharedInformer::after)).
    pub fn is_circular(&self) -> bool {
        matches!(*self.0, ErrorKind::Circular { .. })
    }

    /// Whether another caller has set a different [`Config`](crate::Config) for the shared informer, or has declared it
    /// with different settings ([`Registry::declare_projected`](crate::Registry::declare_projected)).
    pub fn is_conflict(&self) -> bool {
        matches!(*self.0, ErrorKind::Conflict { .. })
    }

    /// Whether the resourceVersions to compare have no order, since they are not decimals (KEP-5504).
    pub fn is_version_unordered(&self) -> bool {
        matches!(*self.0, ErrorKind::Unordered)
    }

    /// Whether the stream that feeds the informer merges several watchers (`select_all`).
    ///
    /// The informer cannot distinguish their events, and has stopped. Make one informer per watcher, or one for all
    /// namespaces with [`Informer::builder`](crate::Informer::builder).
    pub fn is_merged_streams(&self) -> bool {
        matches!(*self.0, ErrorKind::MergedStreams)
    }

    /// Whether the controller runs already. It can run again when that run has ended.
    pub fn is_running(&self) -> bool {
        matches!(*self.0, ErrorKind::AlreadyRunning)
    }

    /// Whether a controller did not end in time after it was stopped: reconciles were aborted, or keys discarded. The
    /// [`source`](std::error::Error::source) is an [`Unfinished`].
    pub fn is_unfinished(&self) -> bool {
        matches!(*self.0, ErrorKind::Unfinished(_))
    }

    /// Whether the informer cannot list on request, because it is fed by a stream (`Informer::from_stream`).
    pub fn is_unsupported(&self) -> bool {
        matches!(*self.0, ErrorKind::Unsupported)
    }

    /// Whether the API server was restored from a backup during a wait for a version.
    pub fn is_new_epoch(&self) -> bool {
        matches!(*self.0, ErrorKind::NewEpoch)
    }

    /// Whether the API server forbids the request (HTTP 403): for example, RBAC rules lack `list` or `watch`.
    pub fn is_forbidden(&self) -> bool {
        self.http_code() == Some(403)
    }

    /// Whether the client is not authenticated (HTTP 401).
    pub fn is_unauthorized(&self) -> bool {
        self.http_code() == Some(401)
    }

    /// Whether the API server does not serve the kind (HTTP 404): for example, its CustomResourceDefinition is not
    /// installed.
    pub fn is_kind_absent(&self) -> bool {
        self.http_code() == Some(404)
    }

    /// Whether the API server no longer has the requested version (HTTP 410, or reason `Expired`).
    pub fn is_expired(&self) -> bool {
        match &*self.0 {
            ErrorKind::Api { code, reason, .. } => *code == 410 || reason == "Expired" || reason == "Gone",
            _ => false,
        }
    }

    /// Whether the requested version is newer than any that the API server knows.
    ///
    /// This is HTTP 504 with the cause `ResourceVersionTooLarge`, or with only its text, as old and aggregated servers
    /// return it. The server lags behind the one that returned the version, or etcd was restored from a backup.
    pub fn is_version_too_large(&self) -> bool {
        matches!(&*self.0, ErrorKind::Api { version_too_large: true, .. })
    }

    /// Whether the API server rejects the request for now (HTTP 429). See [`retry_after`](Self::retry_after).
    pub fn is_too_many_requests(&self) -> bool {
        self.http_code() == Some(429)
    }

    /// Whether the server is overloaded (429, 503), so that the request itself is not at fault.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.http_code(), Some(429 | 503))
    }

    /// Whether a page of a list was larger than [`Limits::page_bytes`](crate::Limits::page_bytes).
    pub(crate) fn is_page_too_large(&self) -> bool {
        matches!(*self.0, ErrorKind::PageTooLarge { .. })
    }

    /// Whether retrying the same request will not help: a 4xx, 501 or 505, except those that are temporary or that
    /// another request avoids.
    pub(crate) fn is_permanent(&self) -> bool {
        match self.http_code() {
            // Timeout, conflict, gone, misdirected, locked, too early, too many requests.
            Some(408 | 409 | 410 | 421 | 423 | 425 | 429) => false,
            Some(code) => matches!(code, 400..=499 | 501 | 505) && !self.is_expired(),
            None => false,
        }
    }

    /// Whether the response does not conform to the Kubernetes API.
    pub(crate) fn is_protocol(&self) -> bool {
        matches!(*self.0, ErrorKind::Protocol { .. })
    }

    /// Whether no response arrived in time. See [`Limits`](crate::Limits).
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, ErrorKind::Timeout { .. })
    }

    /// Whether the connection failed: the request did not reach the API server, or the response broke off.
    pub fn is_transport(&self) -> bool {
        matches!(*self.0, ErrorKind::Transport { .. })
    }

    /// Whether nothing was received: the connection was refused, or broke before the head of a response.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(*self.0, ErrorKind::Transport { answered: false, .. })
    }

    /// Whether the server, or a proxy, sent a response.
    pub(crate) fn is_answered(&self) -> bool {
        match *self.0 {
            ErrorKind::Transport { answered, .. } => answered,
            ErrorKind::Api { .. } | ErrorKind::Protocol { .. } | ErrorKind::PageTooLarge { .. } => true,
            _ => false,
        }
    }

    /// Whether the stream of `Informer::from_stream` reported the error, which is the
    /// [`source`](std::error::Error::source).
    pub fn is_stream(&self) -> bool {
        matches!(*self.0, ErrorKind::Stream(_))
    }

    /// The HTTP status code, if the API server returned an error response.
    pub fn http_code(&self) -> Option<u16> {
        match &*self.0 {
            ErrorKind::Api { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The `message` of the `Status` that the API server returned, at most 4 KiB of it.
    ///
    /// It says, for example, which conversion webhook is down, or which field selector is not supported.
    ///
    /// The text may quote what users sent, so no `Display`, `Debug` or log of this crate contains it. Print it only
    /// where that is acceptable.
    pub fn api_message(&self) -> Option<&str> {
        match &*self.0 {
            ErrorKind::Api { message: Message(text), .. } => Some(&**text).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// The wait that the API server requested (`Retry-After`, or `details.retryAfterSeconds`).
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.0 {
            ErrorKind::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Arc::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

#[cfg(test)]
impl Error {
    /// An error response to a list.
    pub(crate) fn answer(code: u16, reason: &str) -> Self {
        Self::answer_with(code, reason, None, false)
    }

    /// [`answer`](Self::answer) with a `Retry-After`, in seconds, and with the cause `ResourceVersionTooLarge` or not.
    pub(crate) fn answer_with(
        code: u16,
        reason: &str,
        retry_after: Option<u64>,
        version_too_large: bool,
    ) -> Self {
        ErrorKind::Api {
            verb: "list",
            resource: String::from("stubs"),
            code,
            reason: reason.to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
            version_too_large,
            message: "".into(),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeating_does_not_change_is_permanent() {
        let permanent: Vec<u16> = (300..600).filter(|code| Error::answer(*code, "").is_permanent()).collect();
        let passing = [408, 409, 410, 421, 423, 425, 429];
        let refused = (400..500).filter(|code| !passing.contains(code));
        assert_eq!(permanent, refused.chain([501, 505]).collect::<Vec<_>>());
        assert!(!Error::answer(400, "Expired").is_permanent(), "another version may do");
        assert!(!Error::from(ErrorKind::Stopped).is_permanent());
        let after = Duration::ZERO;
        assert!(
            !Error::from(ErrorKind::Timeout { verb: "list", resource: String::new(), after }).is_permanent()
        );
    }
}
