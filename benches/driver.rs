//! A future that the thread of a benchmark runs itself, so that each part of its work can be measured.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// The future, which does not end, and a clock that moves only when asked to.
pub(crate) struct Driver {
    future: Pin<Box<dyn Future<Output = ()>>>,
    awake: Arc<Awake>,
    runtime: Runtime,
}

/// Whether the future wants to be polled again.
#[derive(Default)]
struct Awake(AtomicBool);

// === impl Driver ===

impl Driver {
    /// `build` is called in the context of a runtime.
    pub(crate) fn new<R, F>(build: impl FnOnce() -> (R, F)) -> (R, Self)
    where
        F: Future<Output = ()> + 'static,
    {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (rest, future) = {
            let _context = runtime.enter();
            build()
        };
        (rest, Self { future: Box::pin(future), awake: Arc::default(), runtime })
    }

    /// Runs the future and all that it has spawned, until this is so.
    pub(crate) fn run_until(&mut self, is_so: impl Fn() -> bool) {
        let future = &mut self.future;
        self.runtime.block_on(poll_fn(|context| {
            assert!(future.as_mut().poll(context).is_pending(), "it does not end");
            if is_so() { Poll::Ready(()) } else { Poll::Pending }
        }));
    }

    /// Runs only the future, until it waits for something.
    pub(crate) fn run(&mut self) {
        let _context = self.runtime.enter();
        let waker = Waker::from(self.awake.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            self.awake.0.store(false, Ordering::Relaxed);
            assert!(self.future.as_mut().poll(&mut context).is_pending(), "it does not end");
            if !self.awake.0.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Lets time pass, after which an informer frees what no one holds any more, and runs it until that is done.
    pub(crate) fn free(&mut self) {
        for _ in 0..2 {
            self.runtime.block_on(tokio::time::advance(Duration::from_millis(600)));
            self.run();
        }
    }
}

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
