//! The driver of an informer, which the application may poll, keep without polling, or drop.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;

/// A future that perhaps no task polls, so that cancelling its stop token would not end it.
pub(crate) trait Abandon: Send + Sync {
    /// Drops the future, at once or after the poll that is running.
    fn abandon(&self);
}

/// The future that [`build`](super::Builder::build) returns.
///
/// `shutdown` drops its content while it is not polled, so that every wait ends with the informer, even if no task
/// polls the driver any more.
pub(crate) struct Driver(Arc<Driven>);

/// The part of the driver that the informer has a reference to.
pub(crate) struct Driven(Mutex<State>);

struct State {
    /// `None` while it is being polled and after its end.
    future: Option<BoxFuture<'static, ()>>,
    /// The task that polls the driver.
    waker: Option<Waker>,
    abandoned: bool,
}

// === impl Driver ===

impl Driver {
    pub(crate) fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        let state = State { future: Some(Box::pin(future)), waker: None, abandoned: false };
        Self(Arc::new(Driven(Mutex::new(state))))
    }

    pub(crate) fn driven(&self) -> &Arc<Driven> {
        &self.0
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let taken = self.0.lock().future.take();
        let Some(mut future) = taken else { return Poll::Ready(()) };
        // Poll without the lock, because this runs application closures. If one panics, the future is not
        // polled again.
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut state = self.0.lock();
        if state.abandoned {
            drop(state);
            return Poll::Ready(());
        }
        state.future = Some(future);
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

// === impl Driven ===

impl Driven {
    /// Do not run or drop anything of the application under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Abandon for Driven {
    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let (future, waker) = (state.future.take(), state.waker.take());
        drop(state);
        drop(future);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
