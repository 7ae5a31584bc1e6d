//! What can go wrong, as one opaque error with predicates, and the one-purpose errors callers match on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::key::ObjectKey;
pub use crate::selector::InvalidSelector;
use crate::version::ResourceVersion;

/// An error of an informer.
///
/// Opaque, cheap to clone (one shared pointer), and free of content: neither an object's values nor a response
/// body is ever part of its text, since they may hold Secrets. What an application's own closure returned is
/// only found as [`source`](std::error::Error::source).
#[derive(Clone)]
pub struct Error(Arc<Kind>);

/// What happened. Private: new causes are no breaking change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("{verb} {resource}: the API server answered {code} {reason}")]
    Api {
        verb: &'static str,
        resource: String,
        code: u16,
        /// One of the reasons the API defines, never text of the server's own.
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
        /// The head of an answer had come before.
        answered: bool,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{verb} {resource}: no answer within {} s", .after.as_secs())]
    Timeout { verb: &'static str, resource: String, after: Duration },
    #[error("{verb} {resource}: invalid response: {what}")]
    Protocol { verb: &'static str, resource: String, what: &'static str },
    #[error("{verb} {resource}: a page larger than the limit of {limit} bytes")]
    PageTooLarge { verb: &'static str, resource: String, limit: usize },
    #[error("the stream of events that feeds the informer reported an error")]
    Stream(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the informer has stopped")]
    Stopped,
    #[error("{resource}: the informer has stopped")]
    SharedStopped { resource: String },
    #[error("{resource}: the informer was started; Informer::add_index adds an index to one that runs")]
    AlreadyStarted { resource: String },
    #[error("{resource} cannot wait for {other}, which waits for it")]
    Circular { resource: String, other: String },
    #[error("{resource}: another caller has given the shared informer a different configuration")]
    Conflict { resource: String },
    #[error("an informer that is fed by a stream cannot list by itself")]
    Unsupported,
    #[error("the API server's versions of this kind cannot be put in order")]
    Unordered,
    #[error("the API server was restored from a backup: earlier resourceVersions are no longer valid")]
    NewEpoch,
}

/// A server's own text. It quotes what users sent, so no formatting shows it.
pub(crate) struct Message(Box<str>);

/// Why one object could not be taken in. It names the object, the place in it and the kind of mismatch, and
/// never a value.
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
    /// Of the whole object.
    pub(crate) fn new(
        key: Option<ObjectKey>,
        resource_version: Option<ResourceVersion>,
        mismatch: &str,
    ) -> Self {
        Self { key, uid: None, resource_version, path: "".into(), mismatch: mismatch.into(), source: None }
    }

    /// The object's key; `None` when its metadata has no name.
    pub fn key(&self) -> Option<&ObjectKey> {
        self.key.as_ref()
    }

    /// The uid of the object, when its metadata was readable.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The version that could not be taken in, when its metadata was readable.
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// The JSON path of the mismatch, such as `spec.config`; empty when it concerns the whole object.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What kind of mismatch it is, such as `string where an integer is expected`.
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

/// Says that there is a source, and leaves what it says to those who ask for it: it is the application's own.
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
    /// The informer was shut down, or its last handle was dropped.
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0, Kind::Stopped | Kind::SharedStopped { .. })
    }

    /// The shared informer was started, so that nothing can be declared on it any more. An index can still be added
    /// to it (`Informer::add_index`).
    pub fn is_started(&self) -> bool {
        matches!(*self.0, Kind::AlreadyStarted { .. })
    }

    /// Two shared informers were told to wait for each other.
    pub fn is_circular(&self) -> bool {
        matches!(*self.0, Kind::Circular { .. })
    }

    /// Another caller has given the shared informer a different [`Config`](crate::Config).
    pub fn is_conflict(&self) -> bool {
        matches!(*self.0, Kind::Conflict { .. })
    }

    /// The versions to compare are not decimals (KEP-5504).
    pub fn is_version_unordered(&self) -> bool {
        matches!(*self.0, Kind::Unordered)
    }

    /// The informer cannot do this: it is fed by a stream (`Informer::from_stream`), which lists when it likes.
    pub fn is_unsupported(&self) -> bool {
        matches!(*self.0, Kind::Unsupported)
    }

    /// The API server was restored from a backup while a version was waited for.
    pub fn is_new_epoch(&self) -> bool {
        matches!(*self.0, Kind::NewEpoch)
    }

    /// The API server forbids the request (HTTP 403): RBAC rules lack `list` or `watch`.
    pub fn is_forbidden(&self) -> bool {
        self.http_code() == Some(403)
    }

    /// The API server does not know the caller (HTTP 401).
    pub fn is_unauthorized(&self) -> bool {
        self.http_code() == Some(401)
    }

    /// The API server does not serve the kind (HTTP 404): its CustomResourceDefinition is not installed.
    pub fn is_kind_absent(&self) -> bool {
        self.http_code() == Some(404)
    }

    /// The requested version is no longer kept (HTTP 410, or reason `Expired`).
    pub fn is_expired(&self) -> bool {
        match &*self.0 {
            Kind::Api { code, reason, .. } => *code == 410 || reason == "Expired" || reason == "Gone",
            _ => false,
        }
    }

    /// The requested version is newer than any the API server knows (HTTP 504 with the cause
    /// `ResourceVersionTooLarge`, or with only the text that goes with it, as old and aggregated servers answer): the
    /// server lags behind the one that gave out the version, or etcd was restored from a backup.
    pub fn is_version_too_large(&self) -> bool {
        matches!(&*self.0, Kind::Api { version_too_large: true, .. })
    }

    /// The API server asks to come back later (HTTP 429).
    pub fn is_too_many_requests(&self) -> bool {
        self.http_code() == Some(429)
    }

    /// The server has too much to do, and says so: what was asked is not at fault.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.http_code(), Some(429 | 503))
    }

    /// A page of a list was larger than [`Limits::page_bytes`](crate::Limits::page_bytes).
    pub(crate) fn is_page_too_large(&self) -> bool {
        matches!(*self.0, Kind::PageTooLarge { .. })
    }

    /// The server refused in a way that repeating the same request does not change: who asks, what is asked for or how
    /// (4xx), or what the server can do (501, 505). Not what passes by itself, or with another request.
    pub(crate) fn is_permanent(&self) -> bool {
        match self.http_code() {
            // Too slow, a conflict, a version no longer kept, another connection's business, locked, too early, too
            // many requests.
            Some(408 | 409 | 410 | 421 | 423 | 425 | 429) => false,
            Some(code) => matches!(code, 400..=499 | 501 | 505) && !self.is_expired(),
            None => false,
        }
    }

    /// The response is not valid in the Kubernetes API.
    pub(crate) fn is_protocol(&self) -> bool {
        matches!(*self.0, Kind::Protocol { .. })
    }

    /// No answer came in time.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Kind::Timeout { .. })
    }

    /// The request never reached the API server, or the answer broke off.
    pub fn is_transport(&self) -> bool {
        matches!(*self.0, Kind::Transport { .. })
    }

    /// Nothing at all came back: the connection was refused, or broke before the head of an answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(*self.0, Kind::Transport { answered: false, .. })
    }

    /// The server, or what stands for it, answered, if not as it should.
    pub(crate) fn is_answered(&self) -> bool {
        match *self.0 {
            Kind::Transport { answered, .. } => answered,
            Kind::Api { .. } | Kind::Protocol { .. } | Kind::PageTooLarge { .. } => true,
            _ => false,
        }
    }

    /// The stream given to `Informer::from_stream` reported an error, found as
    /// [`source`](std::error::Error::source).
    pub fn is_stream(&self) -> bool {
        matches!(*self.0, Kind::Stream(_))
    }

    /// The HTTP status code, when the API server answered with one.
    pub fn http_code(&self) -> Option<u16> {
        match &*self.0 {
            Kind::Api { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What the API server said in its own words (`message` of the `Status` it answered with), at most 4 KiB of it:
    /// which conversion webhook is down, or which field selector is not supported.
    ///
    /// Such a text may quote what users sent, so it is in no `Display`, `Debug` or log of this crate. Who prints it
    /// decides that it may be seen.
    pub fn api_message(&self) -> Option<&str> {
        match &*self.0 {
            Kind::Api { message: Message(text), .. } => Some(&**text).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// How long the API server asked to wait (`Retry-After`, or `details.retryAfterSeconds`).
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.0 {
            Kind::Api { retry_after, .. } => *retry_after,
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

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
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
mod tests {
    use super::*;

    fn answer(code: u16, reason: &str) -> Error {
        let reason = reason.to_owned();
        Kind::Api {
            verb: "list",
            resource: String::new(),
            code,
            reason,
            retry_after: None,
            version_too_large: false,
            message: "".into(),
        }
        .into()
    }

    #[test]
    fn what_repeating_does_not_change_is_permanent() {
        let permanent: Vec<u16> = (300..600).filter(|code| answer(*code, "").is_permanent()).collect();
        let passing = [408, 409, 410, 421, 423, 425, 429];
        let refused = (400..500).filter(|code| !passing.contains(code));
        assert_eq!(permanent, refused.chain([501, 505]).collect::<Vec<_>>());
        assert!(!answer(400, "Expired").is_permanent(), "another version may do");
        assert!(!Error::from(Kind::Stopped).is_permanent());
        let after = Duration::ZERO;
        assert!(!Error::from(Kind::Timeout { verb: "list", resource: String::new(), after }).is_permanent());
    }
}
