//! Faults on demand. The server checks them before each response and before each event.
//!
//! These are the faults that tests of a reflector need. A scripted sequence of faults can be built on
//! [`ApiServer::inject`](super::ApiServer::inject).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::query::is_true;
use super::request::{RequestInfo, Verb};
use super::status::ApiStatus;

/// The effect of a [`Fault`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultAction {
    /// The server responds with this status code, and with `Retry-After` if it is set.
    Respond {
        /// The HTTP status code, also of the Status in the body.
        code: u16,
        /// The value of the `Retry-After` header and of `details.retryAfterSeconds`, in seconds.
        retry_after: Option<u64>,
    },
    /// The server responds with 504 and the text "Too large resource version", but without the structured cause.
    /// Servers older than Kubernetes 1.19 and many aggregated servers do this.
    TooLargeVersion,
    /// The server responds to any request with 200 and this body.
    Garbage(Bytes),
    /// The server never responds, not even with a head.
    Hang,
    /// The server closes the connection without a response. (In process, the service returns an error.)
    Reset,
    /// The server sends the head and this many bytes of the body (of a list, or of the events of a watch), and then
    /// cuts the connection.
    CutAfter(u64),
    /// The server sends the head and this many bytes of the body, and then nothing, as over a half-open connection.
    StallAfter(u64),
    /// The server never marks the initial events of a streaming list as complete. It continues with changes and
    /// bookmarks.
    NoInitialEventsEnd,
    /// The server ends the watch cleanly in place of the next event.
    EndStream,
    /// The server cuts the connection in place of the next event.
    CutStream,
    /// The server ends the watch with an ERROR event of this code in place of the next event. 410 is `Expired`.
    ErrorEvent(u16),
    /// The server sends these bytes before the next event.
    Insert(Bytes),
}

/// A fault, and the requests to which it applies. By default it applies once, to any verb and any resource.
///
/// ```
/// use kube_informer::testing::{ApiServer, Fault, FaultAction};
///
/// let server = ApiServer::new();
/// let busy = FaultAction::Respond { code: 429, retry_after: Some(1) };
/// server.inject(Fault::new(busy).verb("list").resource("pods").times(3));
///
/// // From now on, the only lists that succeed are in pages and without a version.
/// let broken = FaultAction::Respond { code: 500, retry_after: None };
/// for fault in [Fault::new(broken.clone()).streaming(), Fault::new(broken.clone()).unpaged()] {
///     server.inject(fault.times(0));
/// }
/// server.inject(Fault::new(broken).paged().versioned().times(0));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    verb: Option<String>,
    resource: Option<String>,
    form: Option<Form>,
    versioned: Option<bool>,
    skip: u64,
    times: u64,
    action: FaultAction,
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: AtomicUsize,
    list: Mutex<Vec<Fault>>,
}

/// The parts of a request that decide which faults apply.
#[derive(Clone, Debug)]
pub(super) struct RequestScope {
    verb: &'static str,
    resource: String,
    /// `None` if the request neither lists nor watches.
    form: Option<Form>,
    /// Whether the request names a version; `None` for a further page, which has the version of the first page.
    versioned: Option<bool>,
}

/// How objects are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A watch that begins with all objects.
    Streaming,
    /// A watch of changes only.
    Changes,
    /// A list with a limit, and its further pages.
    Paged,
    /// A list in one piece.
    Unpaged,
}

/// The moments at which something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Request,
    Event,
    InitialEventsEnd,
}

/// How a watch stream ends early.
#[derive(Debug)]
pub(super) enum EventFault {
    End,
    Cut,
    Error(ApiStatus),
}

/// The effect of a fault in place of an event, or before it.
#[derive(Debug)]
pub(super) enum EventAction {
    Stop(EventFault),
    Insert(Bytes),
}

impl Fault {
    /// A fault that applies once, to the next request or event.
    #[must_use]
    pub fn new(action: FaultAction) -> Self {
        Self { verb: None, resource: None, form: None, versioned: None, skip: 0, times: 1, action }
    }

    /// Restricts the fault to this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or
    /// `deletecollection`.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        Self { verb: Some(verb.to_owned()), ..self }
    }

    /// Restricts the fault to this resource, such as `pods` or `subnets.kubeovn.io`.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    /// Restricts the fault to streaming lists: watches with `sendInitialEvents`.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { form: Some(Form::Streaming), ..self }
    }

    /// Restricts the fault to watches that are not streaming lists.
    #[must_use]
    pub fn changes(self) -> Self {
        Self { form: Some(Form::Changes), ..self }
    }

    /// Restricts the fault to lists in pages: with a `limit` or `continue`.
    #[must_use]
    pub fn paged(self) -> Self {
        Self { form: Some(Form::Paged), ..self }
    }

    /// Restricts the fault to lists in one piece.
    #[must_use]
    pub fn unpaged(self) -> Self {
        Self { form: Some(Form::Unpaged), ..self }
    }

    /// Restricts the fault to requests with a `resourceVersion`. It does not apply to further pages of a list.
    #[must_use]
    pub fn versioned(self) -> Self {
        Self { versioned: Some(true), ..self }
    }

    /// Restricts the fault to requests without a `resourceVersion`. It does not apply to further pages of a list.
    #[must_use]
    pub fn unversioned(self) -> Self {
        Self { versioned: Some(false), ..self }
    }

    /// Skips this many requests or events first.
    #[must_use]
    pub fn after(self, passes: u64) -> Self {
        Self { skip: passes, ..self }
    }

    /// Sets how many requests or events in a row the fault applies to. 0 means all.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: if times == 0 { u64::MAX } else { times }, ..self }
    }

    fn meets(&self, scope: &RequestScope) -> bool {
        self.verb.as_ref().is_none_or(|verb| *verb == scope.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == scope.resource)
            && self.form.is_none_or(|form| scope.form == Some(form))
            && self.versioned.is_none_or(|versioned| scope.versioned == Some(versioned))
    }
}

impl FaultAction {
    fn moment(&self) -> Moment {
        match self {
            Self::EndStream | Self::CutStream | Self::ErrorEvent(_) | Self::Insert(_) => Moment::Event,
            Self::NoInitialEventsEnd => Moment::InitialEventsEnd,
            _ => Moment::Request,
        }
    }
}

impl RequestScope {
    pub(super) fn of(info: &RequestInfo) -> Self {
        let is_set = |name: &str| !info.parameter(name).is_empty();
        let form = match info.verb {
            Verb::Watch if is_set("sendInitialEvents") && is_true(info.parameter("sendInitialEvents")) => {
                Some(Form::Streaming)
            }
            Verb::Watch => Some(Form::Changes),
            Verb::List if is_set("limit") || is_set("continue") => Some(Form::Paged),
            Verb::List => Some(Form::Unpaged),
            _ => None,
        };
        let versioned = (!is_set("continue")).then(|| is_set("resourceVersion"));
        Self { verb: info.verb.name(), resource: info.resource(), form, versioned }
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

    /// The fault that applies to this request. Counts one use of it.
    pub(super) fn on_request(&self, scope: &RequestScope) -> Option<FaultAction> {
        self.take(scope, Moment::Request)
    }

    /// Whether a fault prevents this watch from reporting that its initial events are complete.
    pub(super) fn on_initial_events_end(&self, scope: &RequestScope) -> bool {
        self.take(scope, Moment::InitialEventsEnd).is_some()
    }

    /// The fault that applies to the next event of this watch.
    pub(super) fn on_event(&self, scope: &RequestScope) -> Option<EventAction> {
        Some(match self.take(scope, Moment::Event)? {
            FaultAction::CutStream => EventAction::Stop(EventFault::Cut),
            FaultAction::ErrorEvent(code) => {
                EventAction::Stop(EventFault::Error(ApiStatus::scripted(code, None)))
            }
            FaultAction::Insert(bytes) => EventAction::Insert(bytes),
            _ => EventAction::Stop(EventFault::End),
        })
    }

    fn take(&self, scope: &RequestScope, moment: Moment) -> Option<FaultAction> {
        if self.armed.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let place = list.iter().position(|fault| fault.action.moment() == moment && fault.meets(scope))?;
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
