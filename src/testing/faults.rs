//! Faults on demand: the one place that is asked before a request is answered and before an event is written.
//!
//! Only what tests of a reflector need first is here; a scripted sequence can be laid over
//! [`ApiServer::inject`](super::ApiServer::inject) without touching the server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::query::is_true;
use super::request::{RequestInfo, Verb};
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
    /// The request is answered 504 "Too large resource version" in words only, without the structured cause: as
    /// servers older than Kubernetes 1.19 and many aggregated ones say it.
    TooLargeVersion,
    /// The request is answered 200 with this body, whatever it was.
    Garbage(Bytes),
    /// The request is never answered: not even the head comes.
    Hang,
    /// The connection is closed instead of an answer (in process: an error).
    Reset,
    /// The head comes and so many bytes of the body, as of a list or of the events of a watch; then the connection is
    /// cut.
    CutAfter(u64),
    /// The head comes and so many bytes of the body; then nothing more, as from a half-open connection.
    StallAfter(u64),
    /// The streaming list never says that its initial events are complete. It goes on with changes and bookmarks.
    NoInitialEventsEnd,
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
///
/// // Only lists in pages, from no version, work from now on.
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

/// The faults waiting for their request.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: AtomicUsize,
    list: Mutex<Vec<Fault>>,
}

/// What a request is, as far as faults are concerned.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    verb: &'static str,
    resource: String,
    /// `None` of what neither lists nor watches.
    form: Option<Form>,
    /// Whether it names a version; `None` of a further page, which has that of the first.
    versioned: Option<bool>,
}

/// How objects are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A watch that begins with all objects.
    Streaming,
    /// A watch of what changes.
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
    Error(Status),
}

/// What happens instead of, or before, an event.
#[derive(Debug)]
pub(super) enum EventAction {
    Stop(EventFault),
    Insert(Bytes),
}

impl Fault {
    /// Applies to the next request (or event) of any kind, once.
    #[must_use]
    pub fn new(action: FaultAction) -> Self {
        Self { verb: None, resource: None, form: None, versioned: None, skip: 0, times: 1, action }
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

    /// Only streaming lists: watches with `sendInitialEvents`.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { form: Some(Form::Streaming), ..self }
    }

    /// Only watches that are no streaming lists.
    #[must_use]
    pub fn changes(self) -> Self {
        Self { form: Some(Form::Changes), ..self }
    }

    /// Only lists in pages: with a `limit` or `continue`.
    #[must_use]
    pub fn paged(self) -> Self {
        Self { form: Some(Form::Paged), ..self }
    }

    /// Only lists in one piece.
    #[must_use]
    pub fn unpaged(self) -> Self {
        Self { form: Some(Form::Unpaged), ..self }
    }

    /// Only requests that name a `resourceVersion`. Further pages of a list do not count as such.
    #[must_use]
    pub fn versioned(self) -> Self {
        Self { versioned: Some(true), ..self }
    }

    /// Only requests that name no `resourceVersion`. Further pages of a list do not count as such.
    #[must_use]
    pub fn unversioned(self) -> Self {
        Self { versioned: Some(false), ..self }
    }

    /// Skips this many first.
    #[must_use]
    pub fn after(self, passes: u64) -> Self {
        Self { skip: passes, ..self }
    }

    /// Applies to this many in a row; 0 means all.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: if times == 0 { u64::MAX } else { times }, ..self }
    }

    fn meets(&self, scope: &Scope) -> bool {
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

impl Scope {
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

    /// The fault that meets this request; it is used up by one.
    pub(super) fn on_request(&self, scope: &Scope) -> Option<FaultAction> {
        self.take(scope, Moment::Request)
    }

    /// Whether a fault keeps this watch from saying that its initial events are complete.
    pub(super) fn on_initial_events_end(&self, scope: &Scope) -> bool {
        self.take(scope, Moment::InitialEventsEnd).is_some()
    }

    /// The fault that meets the next event of this watch.
    pub(super) fn on_event(&self, scope: &Scope) -> Option<EventAction> {
        Some(match self.take(scope, Moment::Event)? {
            FaultAction::CutStream => EventAction::Stop(EventFault::Cut),
            FaultAction::ErrorEvent(code) => {
                EventAction::Stop(EventFault::Error(Status::scripted(code, None)))
            }
            FaultAction::Insert(bytes) => EventAction::Insert(bytes),
            _ => EventAction::Stop(EventFault::End),
        })
    }

    fn take(&self, scope: &Scope, moment: Moment) -> Option<FaultAction> {
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
