//! Writes all the time, straight to the API server.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use kube_client::{
    Api, Client, Error, Result,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use kube_informer::ObjectKey;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    object::{GROUP, GROUPS, Held, Kind, NAMESPACES},
    view::Written,
};

/// Of which kind each writer writes.
pub(crate) const WRITERS: [Kind; 6] =
    [Kind::ConfigMap, Kind::ConfigMap, Kind::ConfigMap, Kind::ConfigMap, Kind::Secret, Kind::ServiceAccount];

/// Names that only one writer uses.
const NAMES: usize = 90;
/// Between two writes of one writer, on average: 80 a second by all six.
const PAUSE: Duration = Duration::from_millis(75);
/// Before the next try while the server is down, and how long a try may take.
const RETRY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an object's padding: some are larger than what a stalled connection holds.
const PADDING: usize = 4000;

pub(crate) struct Writer {
    kind: Kind,
    number: usize,
    client: Client,
    random: StdRng,
    /// What is there under each name.
    slots: Vec<Option<Held>>,
}

// === impl Writer ===

impl Writer {
    pub(crate) fn new(number: usize, kind: Kind, client: Client, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64 + 1));
        Self { kind, number, client, random, slots: vec![None; NAMES] }
    }

    /// Until it is cancelled. Hands out each answer.
    pub(crate) async fn run(mut self, wrote: impl Fn(&Written)) {
        loop {
            let pause = PAUSE.mul_f64(self.random.random_range(0.5..1.5));
            let began = Instant::now();
            let slot = self.random.random_range(0..NAMES);
            match self.write(slot).await {
                Ok(written) => wrote(&written),
                // Whether it was done is not known.
                Err(_) => self.read_back(slot).await,
            }
            sleep(pause.saturating_sub(began.elapsed())).await;
        }
    }

    async fn write(&mut self, slot: usize) -> Result<Written> {
        let key = self.key(slot);
        let api = self.api(&key);
        let group = GROUPS[self.random.random_range(0..GROUPS.len())];
        let padding = "x".repeat(self.random.random_range(0..PADDING));
        let metadata = json!({ "labels": { GROUP: group }, "annotations": { "padding": padding } });
        let (held, deleted) = match self.slots[slot].clone() {
            Some(Held { uid, version }) if self.random.random_bool(0.2) => {
                soon(api.delete(key.name(), &DeleteParams::default())).await?;
                (Held { uid, version: version + 1 }, true)
            }
            Some(_) => {
                let patch = Patch::Merge(json!({ "metadata": metadata }));
                let params = PatchParams::default();
                (Held::of(&soon(api.patch_metadata(key.name(), &params, &patch)).await?), false)
            }
            None => {
                let mut object = DynamicObject::new(key.name(), &self.kind.resource());
                object.metadata.labels = Some([(GROUP.to_owned(), group.to_owned())].into());
                object.metadata.annotations = Some([("padding".to_owned(), padding)].into());
                (Held::of(&soon(api.create(&PostParams::default(), &object)).await?), false)
            }
        };
        let at = Instant::now();
        self.slots[slot] = (!deleted).then(|| held.clone());
        Ok(Written { kind: self.kind, key, held, deleted, at })
    }

    async fn read_back(&mut self, slot: usize) {
        let key = self.key(slot);
        loop {
            sleep(RETRY).await;
            if let Ok(found) = soon(self.api(&key).get_metadata_opt(key.name())).await {
                self.slots[slot] = found.as_ref().map(Held::of);
                return;
            }
        }
    }

    fn key(&self, slot: usize) -> ObjectKey {
        ObjectKey::new(NAMESPACES[slot % NAMESPACES.len()], &format!("writer-{}-{slot}", self.number))
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), key.namespace(), &self.kind.resource())
    }
}

async fn soon<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, answer).await.unwrap_or_else(|late| Err(Error::Service(late.into())))
}
