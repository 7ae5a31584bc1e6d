//! The run loop on a scripted source, a model of a store, and paused time.

mod absence;
mod command;
mod counts;
mod list;
mod outage;
mod status;
mod stop;
mod streaming;
mod unversioned;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Command, Gate, Recorder, Regression, RelistCause, Report, Reuse, Settings, Sink, Status, Tally, run,
};
use crate::error::{DecodeError, Error, ErrorKind};
use crate::key::ObjectKey;
use crate::source::stub::{Answer, Probe, Step, Stub};
use crate::source::{Item, Items, Listed, Meta, Page, Payload, WatchEvent};
use crate::version::ResourceVersion;

/// A simple store that records its calls.
#[derive(Default)]
struct Model {
    objects: BTreeMap<String, u64>,
    /// Whether a list is being collected.
    listing: bool,
    invalid: usize,
    held: Option<ResourceVersion>,
    /// All calls except those for single objects.
    calls: Vec<String>,
}

struct ModelSink {
    model: Arc<Mutex<Model>>,
    held: Option<ResourceVersion>,
}

/// A list that records in the model if it is dropped before its commit.
struct ModelList {
    objects: BTreeMap<String, u64>,
    model: Arc<Mutex<Model>>,
    committed: bool,
}

/// A running reflector.
struct Harness {
    source: Probe<()>,
    model: Arc<Mutex<Model>>,
    status: latest::Receiver<Status>,
    tally: Arc<Tally>,
    commands: mpsc::Sender<Command<&'static str>>,
    stop: CancellationToken,
    task: JoinHandle<ModelSink>,
}

// === impl ModelSink ===

impl Model {
    fn take<P>(objects: &mut BTreeMap<String, u64>, invalid: &mut usize, item: Listed<P>) {
        match item {
            Ok(item) => {
                let version = item.meta.resource_version.as_number().unwrap();
                objects.insert(item.meta.key.to_string(), version);
            }
            Err(_) => *invalid += 1,
        }
    }

    fn remove(objects: &mut BTreeMap<String, u64>, deleted: Result<Meta, DecodeError>) {
        let key = deleted.map_or_else(|error| error.key.unwrap(), |meta| meta.key);
        objects.remove(&key.to_string());
    }
}

impl Drop for ModelList {
    fn drop(&mut self) {
        if !self.committed {
            let mut model = self.model.lock().unwrap();
            model.calls.push(String::from("abort"));
            model.listing = false;
        }
    }
}

impl<P: Payload> Sink<P> for ModelSink {
    type AddIndex = &'static str;
    type List = ModelList;

    fn held(&self) -> Option<ResourceVersion> {
        self.held.clone()
    }

    fn begin_list(&mut self, reuse: Reuse) -> ModelList {
        let call = match reuse {
            Reuse::Unchanged => "begin",
            Reuse::Same => "begin as told",
            Reuse::Nothing => "begin anew",
            Reuse::NewEpoch => "new epoch",
        };
        let mut model = self.model.lock().unwrap();
        assert!(!model.listing, "a list while another one is collected");
        model.calls.push(call.to_owned());
        model.invalid = 0;
        model.listing = true;
        ModelList { objects: BTreeMap::new(), model: self.model.clone(), committed: false }
    }

    fn upsert(&mut self, list: &mut ModelList, item: Listed<P>) {
        Model::take(&mut list.objects, &mut self.model.lock().unwrap().invalid, item);
    }

    fn delete(&mut self, list: &mut ModelList, deleted: Result<Meta, DecodeError>) {
        Model::remove(&mut list.objects, deleted);
    }

    fn begin_epoch(&mut self, _: &mut ModelList) {
        self.model.lock().unwrap().calls.push(String::from("of a new epoch"));
    }

    async fn commit(
        &mut self,
        mut list: ModelList,
        version: Option<ResourceVersion>,
    ) -> Result<(), Regression> {
        list.committed = true;
        let mut model = self.model.lock().unwrap();
        model.calls.push(
            version.as_ref().map_or_else(|| String::from("commit"), |version| format!("commit {version}")),
        );
        model.objects = std::mem::take(&mut list.objects);
        model.listing = false;
        model.held = version.clone();
        self.held = version;
        Ok(())
    }

    async fn commit_absence(&mut self) {
        let mut model = self.model.lock().unwrap();
        assert!(!model.listing, "an absence during a list");
        model.calls.push(String::from("absent"));
        model.objects.clear();
        model.held = None;
        self.held = None;
    }

    async fn add_index(&mut self, index: &'static str) {
        let mut model = self.model.lock().unwrap();
        assert!(!model.listing, "an index during a list");
        model.calls.push(index.to_owned());
    }

    async fn apply(&mut self, events: &mut Vec<WatchEvent<P>>) -> Result<(), Regression> {
        let model = &mut *self.model.lock().unwrap();
        assert!(!model.listing, "an event during a list");
        model.calls.push(format!("apply {}", events.len()));
        for event in events.drain(..) {
            let version = match &event {
                WatchEvent::Applied(Ok(item)) => Some(&item.meta.resource_version),
                WatchEvent::Deleted(Ok(meta)) => Some(&meta.resource_version),
                WatchEvent::Bookmark { resource_version, .. } => Some(resource_version),
                WatchEvent::Applied(Err(error)) | WatchEvent::Deleted(Err(error)) => error.resource_version(),
            };
            if let (Some(version), Some(held)) = (version.cloned(), self.held.clone()) {
                if version < held {
                    return Err(Regression { held, received: version });
                }
                self.held = Some(version.clone());
                model.held = Some(version);
            }
            match event {
                WatchEvent::Applied(item) => Model::take(&mut model.objects, &mut model.invalid, item),
                WatchEvent::Deleted(deleted) => Model::remove(&mut model.objects, deleted),
                WatchEvent::Bookmark { .. } => {}
            }
        }
        Ok(())
    }

    async fn apply_unordered(&mut self, events: &mut Vec<WatchEvent<P>>) {
        let model = &mut *self.model.lock().unwrap();
        assert!(!model.listing, "an event during a list");
        model.calls.push(format!("apply {} unordered", events.len()));
        for event in events.drain(..) {
            match event {
                WatchEvent::Applied(item) => Model::take(&mut model.objects, &mut model.invalid, item),
                WatchEvent::Deleted(deleted) => Model::remove(&mut model.objects, deleted),
                WatchEvent::Bookmark { .. } => {}
            }
        }
    }
}

// === impl Harness ===

impl Harness {
    fn start(script: Vec<Answer<()>>, settings: Settings) -> Self {
        Self::with(Stub::new(script), Arc::default(), settings)
    }

    /// A reflector on a server that responds with the result of `respond`.
    fn answered(respond: impl FnMut(&str) -> Answer<()> + Send + 'static, settings: Settings) -> Self {
        Self::with(Stub::answered(respond), Arc::default(), settings)
    }

    fn with((source, probe): (Stub<()>, Probe<()>), gate: Arc<Gate>, settings: Settings) -> Self {
        let model = Arc::new(Mutex::new(Model::default()));
        let sink = ModelSink { model: model.clone(), held: None };
        let (sender, status) = latest::channel(Status::new());
        let (commands, taken) = mpsc::channel(8);
        let (tally, stop) = (Arc::new(Tally::new()), CancellationToken::new());
        let record = Recorder::new(tally.clone());
        let task = tokio::spawn(run(
            source,
            sink,
            Report::alone(sender),
            record,
            taken,
            stop.clone(),
            settings,
            gate,
        ));
        Self { source: probe, model, status, tally, commands, stop, task }
    }

    /// Lists by streaming.
    fn streaming(script: Vec<Answer<()>>) -> Self {
        Self::start(script, Settings::default())
    }

    /// Lists in pages.
    fn paged(script: Vec<Answer<()>>) -> Self {
        Self::start(script, Settings { streaming: false, ..Settings::default() })
    }

    /// Lets the reflector run for this time. The clock is paused.
    async fn work(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        assert!(!self.task.is_finished(), "the reflector has ended");
    }

    #[track_caller]
    fn asked(&self, requests: &[&str]) {
        assert_eq!(self.source.requests(), requests);
    }

    /// Checks that the script was played to its end, the requests, and the content of the store.
    #[track_caller]
    fn played(&self, requests: &[&str], objects: &[(&str, u64)], held: u64) {
        self.asked(requests);
        assert_eq!(self.source.unplayed(), 0, "not all of the script was played");
        self.holds(objects, held);
    }

    #[track_caller]
    fn holds(&self, objects: &[(&str, u64)], held: u64) {
        let model = self.model.lock().unwrap();
        let expected: BTreeMap<String, u64> =
            objects.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect();
        assert_eq!(model.objects, expected);
        assert_eq!(model.held, Some(ResourceVersion::from_number(held)));
    }

    fn calls(&self) -> Vec<String> {
        self.model.lock().unwrap().calls.clone()
    }

    fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The seconds between consecutive requests.
    fn gaps(&self) -> Vec<f64> {
        self.source.times().windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
    }
}

// --- parts of scripts ---

fn meta(name: &str, version: u64) -> Meta {
    Meta {
        key: ObjectKey::cluster(name),
        uid: format!("uid of {name}").into(),
        resource_version: ResourceVersion::from_number(version),
    }
}

fn items(items: impl IntoIterator<Item = Listed<()>>) -> Items<()> {
    Box::new(items.into_iter().collect::<Vec<_>>().into_iter())
}

fn item(name: &str, version: u64) -> Listed<()> {
    Ok(Item { meta: meta(name, version), payload: () })
}

fn broken(name: Option<&str>, version: Option<u64>) -> DecodeError {
    DecodeError {
        key: name.map(ObjectKey::cluster),
        uid: None,
        resource_version: version.map(ResourceVersion::from_number),
        path: "spec".into(),
        mismatch: "broken".into(),
        source: None,
    }
}

fn page(version: u64, objects: &[(&str, u64)], next: Option<&str>) -> Answer<()> {
    Answer::Page(Page {
        items: items(objects.iter().map(|(name, version)| item(name, *version))),
        resource_version: ResourceVersion::from_number(version),
        continue_token: next.map(str::to_owned),
        is_sharded: false,
    })
}

fn put(name: &str, version: u64) -> Step<()> {
    Step::Event(WatchEvent::Applied(item(name, version)))
}

fn gone(name: &str, version: u64) -> Step<()> {
    Step::Event(WatchEvent::Deleted(Ok(meta(name, version))))
}

fn bookmark(version: u64) -> Step<()> {
    let resource_version = ResourceVersion::from_number(version);
    Step::Event(WatchEvent::Bookmark { resource_version, initial_events_end: false })
}

fn end_of_list(version: u64) -> Step<()> {
    let resource_version = ResourceVersion::from_number(version);
    Step::Event(WatchEvent::Bookmark { resource_version, initial_events_end: true })
}

fn pause(seconds: f64) -> Step<()> {
    Step::Pause(Duration::from_secs_f64(seconds))
}

fn later(answer: Answer<()>) -> Answer<()> {
    Answer::After(Duration::from_millis(100), Box::new(answer))
}

fn api(code: u16, reason: &str) -> Error {
    Error::answer(code, reason)
}

fn asks_for(code: u16, reason: &str, retry_after: Option<u64>) -> Error {
    Error::answer_with(code, reason, retry_after, false)
}

fn expired() -> Error {
    api(410, "Expired")
}

fn too_large() -> Error {
    Error::answer_with(504, "Timeout", Some(1), true)
}

fn refused() -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    ErrorKind::Transport {
        verb: "watch",
        resource: String::from("stubs"),
        answered: false,
        source: source.into(),
    }
    .into()
}

/// A response that broke off.
fn cut() -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    ErrorKind::Transport {
        verb: "watch",
        resource: String::from("stubs"),
        answered: true,
        source: source.into(),
    }
    .into()
}

fn timeout() -> Error {
    ErrorKind::Timeout { verb: "watch", resource: String::from("stubs"), after: Duration::from_secs(30) }
        .into()
}

fn garbage() -> Error {
    ErrorKind::Protocol { verb: "watch", resource: String::from("stubs"), what: "garbage" }.into()
}

fn times<K>(count: usize, answer: impl Fn() -> Answer<K>) -> impl Iterator<Item = Answer<K>> {
    (0..count).map(move |_| answer())
}
