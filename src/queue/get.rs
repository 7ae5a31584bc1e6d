//! Waiting for a key.

use std::{future, hash::Hash, ops::ControlFlow, pin::pin, sync::Arc};

use tokio::time::{Instant, sleep_until};

use super::{claim::Claim, priority::Priority, shared::Core, work_queue::WorkQueue};

// === impl WorkQueue ===

impl<K: Hash + Eq> WorkQueue<K> {
    /// Waits for the next key and claims it. Returns `None` once the queue is shut down and no key remains.
    ///
    /// Keys come in the order of [`Priority`], and then of the time at which they became ready. A claimed key that was
    /// added again counts as remaining, so a task that shuts down the queue while it holds such a claim must end the
    /// claim before it calls `get` again.
    ///
    /// O(1) if a key is ready. The call yields to the runtime from time to time, so that a busy worker does not starve
    /// other tasks.
    ///
    /// # Cancel safety
    /// Cancel-safe: a key is taken and returned in one step, and a dropped call passes its wake-up on. A call that is
    /// neither polled nor dropped keeps its wake-up.
    ///
    /// # Panics
    /// If keys are delayed and the runtime has no timer.
    pub async fn get(&self) -> Option<Claim<K>> {
        tokio::task::consume_budget().await;
        let mut waiter = Waiter::new(&self.shared);
        let end = match waiter.look() {
            ControlFlow::Break(end) => end,
            ControlFlow::Continue(()) => waiter.wait().await,
        };
        end.map(|(key, priority)| Claim::new(self.clone(), key, priority))
    }
}

/// One call of `get`. At most one waiter watches the clock: only it sleeps until the earliest deadline, so that a due
/// key wakes one worker and not all.
struct Waiter<'a, K: Hash + Eq> {
    shared: &'a Core<K>,
    on_watch: bool,
    /// The deadline for which the waiter that watches the clock waits.
    alarm: Option<Instant>,
}

// === impl Waiter ===

impl<'a, K: Hash + Eq> Waiter<'a, K> {
    fn new(shared: &'a Core<K>) -> Self {
        Self { shared, on_watch: false, alarm: None }
    }

    async fn wait(&mut self) -> Option<(Arc<K>, Priority)> {
        loop {
            // Register before looking, so that any later change wakes this call.
            let mut woken = pin!(self.shared.ready.notified());
            woken.as_mut().enable();
            if let ControlFlow::Break(end) = self.look() {
                return end;
            }
            tokio::select! {
                () = woken => {}
                () = self.clock() => {}
            }
        }
    }

    /// Takes a key or sees the end. Otherwise watches the clock if delayed keys have no watcher.
    fn look(&mut self) -> ControlFlow<Option<(Arc<K>, Priority)>> {
        self.shared.update(|inner, now| {
            if let Some(taken) = inner.state.take(now) {
                inner.recorder.handed_out(taken.waited);
                return ControlFlow::Break(Some((taken.key, taken.priority)));
            }
            if inner.ended() {
                return ControlFlow::Break(None);
            }
            self.alarm = inner.delayed.next();
            if self.alarm.is_some() && !inner.watched {
                inner.watched = true;
                self.on_watch = true;
            }
            ControlFlow::Continue(())
        })
    }

    /// Waits until it is time to look again. Never returns if this waiter does not watch the clock.
    async fn clock(&self) {
        if !self.on_watch {
            return future::pending().await;
        }
        let alarm = async {
            match self.alarm {
                Some(alarm) => sleep_until(alarm).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.earlier.notified() => {}
            () = alarm => {}
        }
    }
}

impl<K: Hash + Eq> Drop for Waiter<'_, K> {
    fn drop(&mut self) {
        if self.on_watch {
            self.shared.update(|inner, _| {
                inner.watched = false;
                inner.reset_clock = true; // another waiter takes over
            });
        }
    }
}
