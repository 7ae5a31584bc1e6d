//! Promise 4: an etcd restored from a backup under a kube-apiserver. Versions that were given out are given out
//! again, for other content.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::{Api, api::ListParams};
use kube_informer::{Config, Error, Informer, Limits, Obj, Phase, Snapshot, View};
use tokio::{task::JoinHandle, time::timeout};

use crate::support::{
    envtest::Backup,
    follow::{SOON, Seen, next, seen, synced, until, until_status},
    objects::{create, create_many, named, set_value, value},
    wire::{Sent, Wire},
    world::Ctx,
};

/// Objects that are written once after the backup, in a row, and of which some get the same versions again.
const TWINS: usize = 40;
/// What is written before the twins, and after them: more than kube-apiserver writes by itself when it boots.
const DISTANCE: usize = 150;
const FEW: usize = 5;

/// Name to uid, version and value.
type Content = BTreeMap<String, (String, String, String)>;

pub(super) async fn a_restored_etcd_begins_a_new_epoch(ctx: &Ctx) -> Result<()> {
    let history = History::begin(ctx).await?;
    let silence = Limits::new().watch_silence(Duration::from_secs(3));
    let mut follower =
        Follower::start(&history, |api| Informer::builder(api).config(Config::new().limits(silence)).start())
            .await?;
    let backup = history.back_up().await?;
    history.go_on(&mut [&mut follower]).await?;

    follower.wire.hold();
    let unseen = history.set("filler", "unseen").await?;
    let waiter = follower.wait_for(unseen);
    history.restore(&backup).await?;
    let twins = history.go_another_way(&follower).await?;
    let sent_before = follower.wire.sent().len();
    follower.wire.mend();

    let found_out = until_status(&follower.maps, "the server is found below", |status| {
        status.last_error.as_ref().is_some_and(|error| error.to_string().contains("below the one held"))
    })
    .await?;
    ensure!(found_out.synced && found_out.stale_since.is_some(), "{found_out:?}");
    follower.arrives(&history, &twins, waiter).await?;
    follower.goes_on(&history).await?;

    // The watch from the future was answered, and silent; one object was read, then all, both consistently.
    let held = follower.held.to_string();
    let sent: Vec<_> =
        follower.wire.sent()[sent_before..].iter().filter(|sent| sent.is_ok()).cloned().collect();
    let watched = sent.iter().any(|sent| sent.is_watch() && sent.parameter("resourceVersion") == Some(&held));
    let consistent = |sent: &&Sent| sent.parameter("resourceVersion").is_none();
    let probes = sent.iter().filter(|sent| sent.is_probe()).filter(consistent).count();
    let pages = sent.iter().filter(|sent| sent.is_list()).filter(consistent).count();
    ensure!(watched && probes >= 1 && pages == 1, "{sent:?}");
    follower.maps.shutdown().await;
    Ok(())
}

/// What an informer meets that lists from the version held, as it does when a watch is garbled.
pub(super) async fn a_version_too_large_is_followed_by_a_consistent_read(ctx: &Ctx) -> Result<()> {
    let history = History::begin(ctx).await?;
    let start = |streaming| {
        move |api| Informer::builder(api).config(Config::new().streaming_lists(streaming)).start()
    };
    let mut streaming = Follower::start(&history, start(true)).await?;
    let mut paged = Follower::start(&history, start(false)).await?;
    let backup = history.back_up().await?;
    history.go_on(&mut [&mut streaming, &mut paged]).await?;

    streaming.wire.hold();
    paged.wire.hold();
    let unseen = history.set("filler", "unseen").await?;
    let waiters = [streaming.wait_for(unseen.clone()), paged.wait_for(unseen)];
    history.restore(&backup).await?;
    let twins = &history.go_another_way(&streaming).await?;
    let history = &history;
    // Both at once, and neither is held for longer than an answer may take to begin.
    let arrive = |follower: Follower, waiter| async move {
        follower.wire.garble_a_watch();
        follower.wire.mend();
        let told = until_status(&follower.maps, "the version is too large", |status| {
            status.last_error.as_ref().is_some_and(Error::is_version_too_large)
        })
        .await?;
        ensure!(told.synced && told.stale_since.is_some(), "{told:?}");
        follower.arrives(history, twins, waiter).await?;
        Ok(follower)
    };
    let [first, second] = waiters;
    let (streaming, paged) = try_join(arrive(streaming, first), arrive(paged, second)).await?;
    for follower in [streaming, paged] {
        follower.goes_on(history).await?;
        follower.maps.shutdown().await;
    }
    Ok(())
}

/// What is written before the backup, between it and the restore, and after that.
struct History<'a> {
    ctx: &'a Ctx,
    direct: Api<ConfigMap>,
}

/// An informer behind a wire, and how it was before the restore.
struct Follower {
    wire: Wire,
    maps: Informer<ConfigMap>,
    before: Snapshot<ConfigMap>,
    held: u64,
}

// === impl History ===

impl<'a> History<'a> {
    async fn begin(ctx: &'a Ctx) -> Result<Self> {
        let direct = Api::namespaced(ctx.client.clone(), &ctx.namespace);
        create_many(&direct, TWINS).await?;
        for name in ["unchanged", "changed", "deleted", "filler"] {
            create(&direct, name, "first").await?;
        }
        Ok(Self { ctx, direct })
    }

    async fn back_up(&self) -> Result<Backup> {
        self.ctx.cluster()?.back_up().await
    }

    async fn restore(&self, backup: &Backup) -> Result<()> {
        self.ctx.cluster()?.restore(backup).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<ConfigMap> {
        set_value(&self.direct, name, value).await
    }

    async fn fill(&self, count: usize) -> Result<()> {
        for number in 0..count {
            self.set("filler", &format!("old {number}")).await?;
        }
        Ok(())
    }

    /// What the restore undoes, seen by all followers.
    async fn go_on(&self, followers: &mut [&mut Follower]) -> Result<()> {
        self.set("changed", "old").await?;
        self.direct.delete("deleted", &Default::default()).await?;
        create(&self.direct, "later", "old").await?;
        create(&self.direct, "reborn", "old").await?;
        self.fill(DISTANCE).await?;
        for number in 0..TWINS {
            self.set(&twin(number), "old").await?;
        }
        self.fill(DISTANCE).await?;
        let last = self.set("filler", "old").await?;
        for follower in followers {
            let caught_up = timeout(SOON, follower.maps.at_least(&last));
            follower.before = caught_up.await.context("not caught up in time")??;
            follower.held = number_of(follower.before.resource_version().context("no version")?)?;
            ensure!(content(&follower.before) == self.truth().await?.0, "it differs before the restore");
        }
        Ok(())
    }

    /// Less is written after the restore than was before. Answers with the names of twins that were given other
    /// content at the very versions that are held of them.
    async fn go_another_way(&self, follower: &Follower) -> Result<Vec<String>> {
        let held: BTreeMap<u64, String> = (0..TWINS)
            .map(|number| {
                let object = follower.before.get((self.ctx.namespace.as_str(), twin(number).as_str()));
                let version = Obj::resource_version(object.context("no twin")?);
                Ok((number_of(&version)?, twin(number)))
            })
            .collect::<Result<_>>()?;
        create(&self.direct, "other", "new").await?;
        create(&self.direct, "reborn", "new").await?;
        let (mut twins, mut version, mut writes) = (Vec::new(), 0, 0);
        while twins.len() < FEW {
            let name = held.get(&(version + 1)).map_or("filler", String::as_str);
            let written = self.set(name, &format!("new {writes}")).await?;
            version = written.metadata.resource_version.context("no version")?.parse()?;
            writes += 1;
            // Now and then a version goes to a write of the server's own.
            if held.get(&version).is_some_and(|twin| twin == name) {
                twins.push(name.to_owned());
            }
            ensure!(version < follower.held, "versions do not meet: {twins:?} after {writes} writes");
        }
        Ok(twins)
    }

    /// What the server holds, and its version.
    async fn truth(&self) -> Result<(Content, u64)> {
        let list = self.direct.list(&ListParams::default()).await?;
        let version = list.metadata.resource_version.context("no version")?.parse()?;
        let entries = list.items.into_iter().map(|map| {
            let value = value(&map).to_owned();
            let meta = map.metadata;
            let version = meta.resource_version.unwrap_or_default();
            (meta.name.unwrap_or_default(), (meta.uid.unwrap_or_default(), version, value))
        });
        Ok((entries.collect(), version))
    }
}

// === impl Follower ===

impl Follower {
    async fn start(
        history: &History<'_>,
        start: impl FnOnce(Api<ConfigMap>) -> Informer<ConfigMap>,
    ) -> Result<Self> {
        let wire = Wire::default();
        let client = wire.client(history.ctx.client.clone());
        let maps = start(Api::namespaced(client, &history.ctx.namespace));
        let before = synced(&maps).await?;
        Ok(Self { wire, maps, before, held: 0 })
    }

    /// Waits for a write that the restore undoes before it is seen.
    fn wait_for(&self, unseen: ConfigMap) -> JoinHandle<Result<(), Error>> {
        let maps = self.maps.clone();
        tokio::spawn(async move { maps.at_least(&unseen).await.map(drop) })
    }

    /// It comes to hold just what the restored server does, and says so in every way.
    async fn arrives(
        &self,
        history: &History<'_>,
        twins: &[String],
        waiter: JoinHandle<Result<(), Error>>,
    ) -> Result<()> {
        let mut changes = self.maps.subscribe_from(&self.before);
        let (truth, version) = history.truth().await?;
        ensure!(version < self.held, "{version} is not below {}", self.held);
        let after = until(&self.maps, "it holds what was restored", |view| content(view) == truth).await?;
        let well = until_status(&self.maps, "it is current again", |status| {
            status.stale_since.is_none() && status.phase == Phase::Watching
        })
        .await?;
        let stats = self.maps.stats();
        let held = number_of(stats.resource_version.as_ref().context("no version")?)?;
        ensure!(held < self.held && well.failures == 0 && stats.lists >= 2, "{:?}", self.maps);

        let waited = timeout(SOON, waiter).await.context("a wait without end")??;
        ensure!(waited.as_ref().is_err_and(Error::is_new_epoch), "{waited:?}");

        let batch = next(&mut changes).await?;
        let mut told = BTreeMap::new();
        for change in seen(&batch, named)? {
            let (Seen::Added(new) | Seen::Deleted(new) | Seen::Modified(_, new) | Seen::Replaced(_, new)) =
                change.clone();
            told.insert(new.0, change);
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            ("changed", Seen::Modified(pair("changed", "old"), pair("changed", "first"))),
            ("deleted", Seen::Added(pair("deleted", "first"))),
            ("later", Seen::Deleted(pair("later", "old"))),
            ("other", Seen::Added(pair("other", "new"))),
            ("reborn", Seen::Replaced(pair("reborn", "old"), pair("reborn", "new"))),
        ];
        for (name, expected) in &expected {
            ensure!(told.get(*name) == Some(expected), "{name}: {:?}", told.get(*name));
        }
        // Nothing held is reused, whatever its version.
        let key = |name| (history.ctx.namespace.as_str(), name);
        for name in twins.iter().map(String::as_str).chain(["unchanged"]) {
            let (old, new) = self.before.get(key(name)).zip(after.get(key(name))).context("no twin")?;
            ensure!(Obj::resource_version(old) == Obj::resource_version(new), "{name}: another version");
            ensure!(Obj::same_uid(old, new) && !Obj::ptr_eq(old, new), "{name} is reused");
            let changed = value(old) != value(new);
            ensure!(changed == (name != "unchanged"), "{name}: {} {}", value(old), value(new));
            let expected = Seen::Modified(pair(name, value(old)), pair(name, value(new)));
            ensure!(told.get(name) == Some(&expected), "{name}: {:?}", told.get(name));
        }
        Ok(())
    }

    /// The new epoch continues like any other.
    async fn goes_on(&self, history: &History<'_>) -> Result<()> {
        let written = history.set("filler", &format!("at {:?}", Instant::now())).await?;
        let seen = timeout(SOON, self.maps.at_least(&written)).await.context("the write is not seen")??;
        ensure!(content(&seen) == history.truth().await?.0, "it does not follow");
        Ok(())
    }
}

fn twin(number: usize) -> String {
    format!("object-{number:04}")
}

fn number_of(version: &kube_informer::ResourceVersion) -> Result<u64> {
    Ok(version.to_string().parse()?)
}

fn content(view: &View<ConfigMap>) -> Content {
    let entry = |map: &Obj<ConfigMap>| {
        let (version, value) = (Obj::resource_version(map).to_string(), value(map).to_owned());
        (Obj::name(map).to_owned(), (Obj::uid(map).into_owned(), version, value))
    };
    view.iter().map(entry).collect()
}
