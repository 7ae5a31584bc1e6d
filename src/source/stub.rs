//! A source that plays a script and records the requests.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::{ListRequest, Page, Payload, Source, WatchEvent, WatchRequest};
use crate::error::Error;

/// The response to one request.
pub(crate) enum Answer<K> {
    Page(Page<K>),
    /// A watch that plays these steps, then ends in order.
    Watch(Vec<Step<K>>),
    /// An error, for a list or a watch.
    Error(Error),
    /// Whether the kind is served.
    Served(bool),
    /// No response.
    Never,
    /// The response after a delay.
    After(Duration, Box<Answer<K>>),
}

/// A step of an open watch.
pub(crate) enum Step<K> {
    Event(WatchEvent<K>),
    /// Ends the watch.
    Error(Error),
    Pause(Duration),
    /// Sends nothing more and does not end.
    Never,
}

/// Plays a script. Requests after its end get no response.
pub(crate) struct Stub<K> {
    script: Arc<Mutex<Script<K>>>,
}

/// Computes the response to a request after the end of the script.
type Respond<K> = Box<dyn FnMut(&str) -> Answer<K> + Send>;

struct Script<K> {
    answers: VecDeque<Answer<K>>,
    respond: Respond<K>,
    requests: Vec<(Duration, String)>,
    /// The number of steps that were not played, of all opened watches. Silences do not count.
    unplayed: usize,
    open: usize,
    started: Instant,
}

pub(crate) struct StubWatch<K> {
    script: Arc<Mutex<Script<K>>>,
    steps: VecDeque<Step<K>>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Inspects a script while it is played.
pub(crate) struct Probe<K>(Arc<Mutex<Script<K>>>);

// === impl Stub ===

impl<K> Stub<K> {
    pub(crate) fn new(answers: Vec<Answer<K>>) -> (Self, Probe<K>) {
        let (stub, probe) = Self::answered(|_| Answer::Never);
        probe.script().answers = answers.into();
        (stub, probe)
    }

    /// Responds to each request with the result of `respond`.
    pub(crate) fn answered(respond: impl FnMut(&str) -> Answer<K> + Send + 'static) -> (Self, Probe<K>) {
        let script = Script {
            answers: VecDeque::new(),
            respond: Box::new(respond),
            requests: Vec::new(),
            unplayed: 0,
            open: 0,
            started: Instant::now(),
        };
        let script = Arc::new(Mutex::new(script));
        (Self { script: script.clone() }, Probe(script))
    }

    async fn ask(&self, request: &str) -> Answer<K> {
        let mut answer = {
            let mut script = self.script.lock().unwrap();
            let at = script.started.elapsed();
            script.requests.push((at, request.to_owned()));
            match script.answers.pop_front() {
                Some(answer) => answer,
                None => (script.respond)(request),
            }
        };
        while let Answer::After(time, later) = answer {
            sleep(time).await;
            answer = *later;
        }
        answer
    }
}

impl<K: Payload + Unpin> Source for Stub<K> {
    type Payload = K;
    type Watch = StubWatch<K>;

    fn resource(&self) -> &str {
        "stubs"
    }

    async fn list(&mut self, request: &ListRequest) -> Result<Page<K>, Error> {
        let mut text = String::from("list");
        if let Some(limit) = request.limit {
            text += &format!(" limit={limit}");
        }
        if let Some(token) = &request.continue_token {
            text += &format!(" continue={token}");
        }
        if let Some(version) = &request.resource_version {
            text += &format!(" from={version}");
        }
        match self.ask(&text).await {
            Answer::Page(page) => Ok(page),
            Answer::Error(error) => Err(error),
            Answer::Never | Answer::After(..) => pending().await,
            Answer::Watch(_) | Answer::Served(_) => {
                panic!("the script has no list where it was asked to {text}")
            }
        }
    }

    async fn watch(&mut self, request: &WatchRequest) -> Result<StubWatch<K>, Error> {
        let mut text = String::from(if request.initial_events { "stream" } else { "watch" });
        if let Some(version) = &request.resource_version {
            text += &format!(" from={version}");
        }
        assert!((300..=600).contains(&request.timeout.as_secs()), "a timeout of {:?}", request.timeout);
        match self.ask(&text).await {
            Answer::Watch(steps) => {
                let mut script = self.script.lock().unwrap();
                script.unplayed += steps.iter().filter(|step| !matches!(step, Step::Never)).count();
                script.open += 1;
                Ok(StubWatch { script: self.script.clone(), steps: steps.into(), pause: None })
            }
            Answer::Error(error) => Err(error),
            Answer::Never | Answer::After(..) => pending().await,
            Answer::Page(_) | Answer::Served(_) => {
                panic!("the script has no watch where it was asked to {text}")
            }
        }
    }

    async fn served(&mut self) -> Result<bool, Error> {
        match self.ask("served?").await {
            Answer::Served(served) => Ok(served),
            Answer::Error(error) => Err(error),
            Answer::Never | Answer::After(..) => pending().await,
            Answer::Page(_) | Answer::Watch(_) => {
                panic!("the script does not say whether the kind is served")
            }
        }
    }
}

impl<K: Unpin> Stream for StubWatch<K> {
    type Item = Result<WatchEvent<K>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if matches!(self.steps.front(), Some(Step::Never)) {
                return Poll::Pending;
            }
            let Some(step) = self.steps.pop_front() else { return Poll::Ready(None) };
            self.script.lock().unwrap().unplayed -= 1;
            match step {
                Step::Event(event) => return Poll::Ready(Some(Ok(event))),
                Step::Error(error) => {
                    assert!(self.steps.is_empty(), "steps after an error");
                    return Poll::Ready(Some(Err(error)));
                }
                Step::Pause(time) => self.pause = Some(Box::pin(sleep(time))),
                Step::Never => unreachable!(),
            }
        }
    }
}

impl<K> Drop for StubWatch<K> {
    fn drop(&mut self) {
        self.script.lock().unwrap().open -= 1;
    }
}

// === impl Probe ===

impl<K> Probe<K> {
    fn script(&self) -> MutexGuard<'_, Script<K>> {
        self.0.lock().unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.script().requests.iter().map(|(_, request)| request.clone()).collect()
    }

    /// The time of each request since the stub was made.
    pub(crate) fn times(&self) -> Vec<Duration> {
        self.script().requests.iter().map(|(at, _)| *at).collect()
    }

    /// The number of open watches.
    pub(crate) fn open(&self) -> usize {
        self.script().open
    }

    /// The number of responses and steps that were not played. Silences do not count.
    pub(crate) fn unplayed(&self) -> usize {
        let script = self.script();
        script.answers.len() + script.unplayed
    }
}
