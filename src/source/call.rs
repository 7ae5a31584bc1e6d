//! The request that an error is about, and the ways in which it can fail.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use kube_core::response::reason;

use crate::error::{Error, ErrorKind};

/// The verb and the resource, with which every error begins.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) resource: Arc<str>,
}

/// The most bytes of a message that are kept.
const MESSAGE_BYTES: usize = 4096;

/// The message about a version that is too large, from servers that do not send the cause: those before 1.16,
/// and aggregated ones.
const TOO_LARGE: &str = "Too large resource version";

// === impl Call ===

impl Call {
    /// The response broke off.
    pub(super) fn transport(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let (verb, resource) = (self.verb, self.resource());
        ErrorKind::Transport { verb, resource, answered: true, source: source.into() }.into()
    }

    /// No response began.
    pub(super) fn unanswered(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let (verb, resource) = (self.verb, self.resource());
        ErrorKind::Transport { verb, resource, answered: false, source: source.into() }.into()
    }

    pub(super) fn page_too_large(&self, limit: usize) -> Error {
        ErrorKind::PageTooLarge { verb: self.verb, resource: self.resource(), limit }.into()
    }

    pub(crate) fn timeout(&self, after: Duration) -> Error {
        ErrorKind::Timeout { verb: self.verb, resource: self.resource(), after }.into()
    }

    pub(super) fn protocol(&self, what: &'static str) -> Error {
        ErrorKind::Protocol { verb: self.verb, resource: self.resource(), what }.into()
    }

    /// Converts an error of `Client::send`.
    pub(crate) fn failed(&self, error: kube_client::Error) -> Error {
        match error {
            // No layer of kube returns this, but a layer of the application may.
            kube_client::Error::Api(status) => {
                self.api(status.code, &status.reason, &status.message, None, false)
            }
            error => self.unanswered(error),
        }
    }

    pub(super) fn api(
        &self,
        code: u16,
        why: &str,
        message: &str,
        retry_after: Option<Duration>,
        too_large: bool,
    ) -> Error {
        let reason = if reason::is_known(why) { why.to_owned() } else { reason_of(code) };
        ErrorKind::Api {
            verb: self.verb,
            resource: self.resource(),
            code,
            reason,
            retry_after,
            version_too_large: too_large || (code == 504 && message.contains(TOO_LARGE)),
            message: beginning(message).into(),
        }
        .into()
    }

    fn resource(&self) -> String {
        self.resource.as_ref().to_owned()
    }
}

/// The standard phrase for a code, in the form of API reasons.
fn reason_of(code: u16) -> String {
    let words = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or("Unknown");
    words.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The part of a message that is kept.
fn beginning(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
