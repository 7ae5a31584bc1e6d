//! Faults on demand: the one place that is asked before a request is answered and before an event is written.
//!
//! Only what tests of a reflector need first is here; a scripted sequence can be laid over
//! [`ApiServer::inject`](super::ApiServer::inject) without touching the server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::status::Status;

/// What goes wrong. See [`Fault`] for when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultAction {
    /// The request is answered with this status code, and `Retry-After` when given (seconds).
    Respond {
        /// HTTP status code, also of the Status in the body.
        code: u16,
        /// Value of the `Retry-After` header and of `details.retryAfterSeconds`.
        retry_after: Option<u64>,
    },
    /// The request is answered 200 with this body, whatever it was.
    Garbage(Bytes),
    /// The request is never answered.
    Hang,
    /// The connection is closed instead of an answer (in process: an error).
    Reset,
    /// The watch stream ends cleanly instead of the next event.
    EndStream,
    /// The connection is cut instead of the next event.
    CutStream,
    /// The watch stream ends with an ERROR event of this code instead of the next event; 410 is `Expired`.
    ErrorEvent(u16),
    /// These bytes are written into the stream before the next event.
    Insert(Bytes),
}

/// A fault with the requests it meets: any verb and any resource, once, unless told otherwise.
///
/// ```
/// use kube_informer::testing::{ApiServer, Fault, FaultAction};
///
/// let server = ApiServer::new();
/// let busy = FaultAction::Respond { code: 429, retry_after: Some(1) };
/// server.inject(Fault::new(busy).verb("list").resource("pods").times(3));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    verb: Option<String>,
    resource: Option<String>,
    skip: u64,
    times: u64,
    action: FaultAction,
}

/// The faults waiting for their request.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: AtomicUsize,
    list: Mutex<Vec<Fault>>,
}

/// What a request is, as far as faults are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) verb: String,
    pub(super) resource: String,
}

/// How a watch stream ends early.
#[derive(Debug)]
pub(super) enum EventFault {
    End,
    Cut,
    Error(Status),
}

/// What happens instead of, or before, an event.
#[derive(Debug)]
pub(super) enum EventAction {
    Stop(EventFault),
    Insert(Bytes),
}

impl Fault {
    /// Meets the next request (or event) of any kind, once.
    #[must_use]
    pub fn new(action: FaultAction) -> Self {
        Self { verb: None, resource: None, skip: 0, times: 1, action }
    }

    /// Only this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        Self { verb: Some(verb.to_owned()), ..self }
    }

    /// Only this resource: `pods`, `subnets.kubeovn.io`.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    /// Lets this many pass first.
    #[must_use]
    pub fn after(self, passes: u64) -> Self {
        Self { skip: passes, ..self }
    }

    /// Meets this many in a row; 0 stands for all that come.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: if times == 0 { u64::MAX } else { times }, ..self }
    }

    fn meets(&self, scope: &Scope) -> bool {
        self.verb.as_ref().is_none_or(|verb| *verb == scope.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == scope.resource)
    }
}

impl FaultAction {
    fn is_of_stream(&self) -> bool {
        matches!(self, Self::EndStream | Self::CutStream | Self::ErrorEvent(_) | Self::Insert(_))
    }
}

impl Faults {
    pub(super) fn inject(&self, fault: Fault) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(fault);
        self.armed.store(list.len(), Ordering::Release);
    }

    pub(super) fn clear(&self) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.clear();
        self.armed.store(0, Ordering::Release);
    }

    /// The fault that meets this request; it is used up by one.
    pub(super) fn on_request(&self, scope: &Scope) -> Option<FaultAction> {
        self.take(scope, false)
    }

    /// The fault that meets the next event of this watch.
    pub(super) fn on_event(&self, scope: &Scope) -> Option<EventAction> {
        Some(match self.take(scope, true)? {
            FaultAction::CutStream => EventAction::Stop(EventFault::Cut),
            FaultAction::ErrorEvent(code) => {
                EventAction::Stop(EventFault::Error(Status::scripted(code, None)))
            }
            FaultAction::Insert(bytes) => EventAction::Insert(bytes),
            _ => EventAction::Stop(EventFault::End),
        })
    }

    fn take(&self, scope: &Scope, of_stream: bool) -> Option<FaultAction> {
        if self.armed.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let place =
            list.iter().position(|fault| fault.action.is_of_stream() == of_stream && fault.meets(scope))?;
        let fault = list.get_mut(place)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let action = fault.action.clone();
        if fault.times != u64::MAX {
            fault.times -= 1;
        }
        if fault.times == 0 {
            list.remove(place);
        }
        self.armed.store(list.len(), Ordering::Release);
        Some(action)
    }
}
