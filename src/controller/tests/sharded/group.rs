//! An API server and replicas on it, with a referee.

use std::collections::HashMap;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::time::sleep;
use tower::ServiceExt as _;

use super::*;

const NAMESPACES: usize = 20;

/// An API server, and what the replicas of one controller do there.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) server: ApiServer,
    pub(super) by: By,
    pub(super) referee: Referee,
    /// How long a reconcile takes.
    pub(super) takes: Duration,
}

/// Writes down who reconciles what when.
#[derive(Clone, Default)]
pub(super) struct Referee(pub(super) Arc<Mutex<Book>>);

#[derive(Default)]
pub(super) struct Book {
    /// Who works on an object.
    pub(super) works: HashMap<String, String>,
    /// The last version of each object that was reconciled to the end.
    pub(super) done: HashMap<ObjectKey, String>,
    /// Reconciles of deleted objects that have ended.
    pub(super) deleted: usize,
    pub(super) begun: usize,
}

/// A reconcile that runs, until this is dropped.
pub(super) struct Work {
    pub(super) referee: Referee,
    object: String,
    name: String,
}

pub(super) struct Replica {
    pub(super) member: Member,
    pub(super) maps: Informer<ConfigMap>,
    pub(super) handle: Handle,
    pub(super) run: JoinHandle<Result<Ended, Error>>,
}

// === impl Referee ===

impl Referee {
    /// Panics if another replica works on the object.
    pub(super) fn begin(&self, object: String, name: &str) -> Work {
        let mut book = self.0.lock().unwrap();
        let other = book.works.insert(object.clone(), name.to_owned());
        assert_eq!(other, None, "{name} begins {object}");
        book.begun += 1;
        Work { referee: self.clone(), object, name: name.to_owned() }
    }

    pub(super) fn done(&self, by: By, key: &ObjectKey, version: Option<String>) {
        let book = &mut *self.0.lock().unwrap();
        match version {
            Some(version) => drop(book.done.insert(key.clone(), version)),
            None => {
                book.deleted += 1;
                // By uid, another replica may already have reconciled an object that was created again.
                if by == By::Namespace {
                    book.done.remove(key);
                }
            }
        }
    }

    pub(super) fn begun(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().begun)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let ended = self.referee.0.lock().unwrap().works.remove(&self.object);
        assert_eq!(ended.as_deref(), Some(&*self.name));
    }
}

// === impl Group ===

impl Group {
    pub(super) fn new(by: By, objects: usize) -> Self {
        let names = ["a", "b", "c", "d", "e"];
        let server = names.iter().fold(ApiServer::builder(), |server, name| server.token(name, name)).build();
        let group = Self { server, by, referee: Referee::default(), takes: SECOND / 10 };
        for number in 0..NAMESPACES {
            let metadata = json!({ "name": format!("n{number}") });
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
            group.server.create(namespace).unwrap();
        }
        (0..objects).for_each(|number| group.create(number));
        group
    }

    pub(super) fn create(&self, number: usize) {
        let (namespace, name) = place(number);
        let metadata = json!({ "namespace": namespace, "name": name });
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "value": "0" } });
        // In a random test it may exist.
        let _ = self.server.create(map);
    }

    pub(super) fn change(&self, number: usize, value: u64) {
        let (namespace, name) = place(number);
        let patch = json!({ "data": { "value": value.to_string() } });
        let _ = self.server.merge_patch("configmaps", &*namespace, &name, patch);
    }

    pub(super) fn client(&self, name: &str) -> Client {
        let bearer = HeaderValue::from_str(&format!("Bearer {name}")).unwrap();
        let service = self.server.service().map_request(move |mut request: http::Request<_>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        });
        Client::new(service, "default")
    }

    /// Starts a replica. Its reconciles take some time.
    pub(super) fn join(&self, name: &str) -> Replica {
        let client = self.client(name);
        let member = Member::builder(client.clone(), "group").name(name).lease(LEASE).start();
        let maps = Informer::builder(Api::<ConfigMap>::all(client)).scope(Scope::any([])).start();
        let controller = Controller::new(&maps)
            .with_deleted()
            .concurrency(4)
            .finish_within(4 * SECOND)
            .sharded(&member, self.by, Scope::all());
        let handle = controller.handle();
        let (by, referee, takes, name) = (self.by, self.referee.clone(), self.takes, name.to_owned());
        let run = spawn(controller, move |map: Option<Obj<ConfigMap>>, ctx| {
            let (referee, name) = (referee.clone(), name.clone());
            async move {
                // By uid, an object that is created again is another one.
                let object = match (by, &map) {
                    (By::Uid, Some(map)) => Obj::uid(map).into_owned(),
                    (By::Uid, None) => format!("{}, deleted, at {name}", ctx.key()),
                    _ => ctx.key().to_string(),
                };
                let work = referee.begin(object, &name);
                sleep(takes).await;
                referee.done(by, ctx.key(), map.map(|map| Obj::resource_version(&map).to_string()));
                drop(work);
                Reconciled::Ok(Action::await_change())
            }
        });
        Replica { member, maps, handle, run }
    }

    /// Waits until each object was reconciled at its last version.
    pub(super) async fn is_reconciled(&self) {
        let is_reconciled = async {
            while self.missing().is_some() {
                sleep(SECOND / 10).await;
            }
        };
        if timeout(120 * SECOND, is_reconciled).await.is_err() {
            panic!("{:?} was not reconciled", self.missing());
        }
    }

    fn missing(&self) -> Option<ObjectKey> {
        let list = self.server.list("configmaps", None).unwrap();
        let maps = list["items"].as_array().unwrap();
        let book = self.referee.0.lock().unwrap();
        maps.iter().find_map(|map| {
            let text = |field: &str| map["metadata"][field].as_str().unwrap();
            let key = ObjectKey::new(text("namespace"), text("name"));
            let is_done = book.done.get(&key).is_some_and(|version| *version == text("resourceVersion"));
            (!is_done).then_some(key)
        })
    }

    /// Waits until these replicas hold everything, each about the same.
    pub(super) async fn is_split(&self, replicas: &[&Replica]) {
        let is_split = async {
            let share = 1.0 / replicas.len() as f64;
            let even = |replica: &&Replica| (replica.member.share().held().fraction() - share).abs() < 0.01;
            while !replicas.iter().all(even) {
                sleep(SECOND / 10).await;
            }
        };
        if timeout(120 * SECOND, is_split).await.is_err() {
            panic!("{:?}", replicas.iter().map(|replica| &replica.member).collect::<Vec<_>>());
        }
    }
}

// === impl Replica ===

impl Replica {
    /// Ends as a killed process does.
    pub(super) fn kill(self) {
        self.run.abort();
    }

    pub(super) async fn stop(self) -> Result<Ended, Error> {
        self.handle.stop();
        ended(self.run).await
    }
}

pub(super) fn place(number: usize) -> (String, String) {
    (format!("n{}", number % NAMESPACES), format!("m{number}"))
}
