//! Members of a group, who divide the hashes among themselves by Leases.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{coordination::v1::Lease, rbac::v1::PolicyRule};
use kube_client::{Api, Client, api::ListParams};
use kube_informer::shard::{Member, Ranges};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::support::{follow::SOON, member::follow, wait::wait_until, world::Ctx};

/// The shortest one.
const LEASE: Duration = Duration::from_secs(3);
/// Hashes that the referee looks at.
const HASHES: u64 = 128;

/// A member, and an application that has cached and finished everything at once.
struct Replica {
    name: &'static str,
    member: Member,
    follows: JoinHandle<()>,
}

/// Looks again and again whether two members hold one hash.
struct Referee {
    members: Arc<Mutex<Vec<(&'static str, Member)>>>,
    watches: JoinHandle<Result<()>>,
}

// === impl Replica ===

impl Replica {
    fn join(client: Client, ctx: &Ctx, referee: &Referee, name: &'static str) -> Self {
        let builder = Member::builder(client, "group").namespace(&ctx.namespace).name(name).lease(LEASE);
        let member = builder.start();
        referee.members().push((name, member.clone()));
        let follows = follow(&member);
        Self { name, member, follows }
    }

    /// As a process that is killed: nothing is released.
    async fn kill(self, referee: &Referee) {
        referee.forget(self.name);
        self.follows.abort();
        let _ = self.follows.await;
    }

    async fn leave(self, referee: &Referee) -> Result<()> {
        timeout(SOON, self.member.leave()).await.context("it does not end")?;
        timeout(SOON, self.follows).await.context("its shares do not end")??;
        ensure!(self.member.share().held().is_empty(), "{:?}", self.member);
        referee.forget(self.name);
        Ok(())
    }
}

// === impl Referee ===

impl Referee {
    fn new() -> Self {
        let members = Arc::new(Mutex::new(Vec::new()));
        let watches = tokio::spawn(watch(members.clone()));
        Self { members, watches }
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Member)>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, name: &str) {
        self.members().retain(|(known, _)| *known != name);
    }

    async fn end(self) -> Result<()> {
        ensure!(self.members().is_empty(), "some have not ended");
        // It ends by itself only if it has found two.
        self.watches.abort();
        match self.watches.await {
            Ok(found) => found,
            Err(_) => Ok(()),
        }
    }
}

async fn watch(members: Arc<Mutex<Vec<(&'static str, Member)>>>) -> Result<()> {
    loop {
        let known = members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for number in 0..HASHES {
            let hash = number << 57;
            let holders: Vec<_> = known.iter().filter(|(_, member)| member.holds(hash)).collect();
            ensure!(holders.len() < 2, "two hold {hash:#x}: {holders:?}");
        }
        drop(known);
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until these hold everything, each about the same.
async fn until_split(replicas: &[&Replica]) -> Result<()> {
    let part = 1.0 / replicas.len() as f64;
    let is_split = async || {
        let shares: Vec<Ranges> =
            replicas.iter().map(|replica| replica.member.share().held().clone()).collect();
        let all: Ranges = shares.iter().flat_map(Ranges::iter).collect();
        Ok(all.is_all() && shares.iter().all(|share| (share.fraction() - part).abs() < 0.02))
    };
    let names: Vec<_> = replicas.iter().map(|replica| replica.name).collect();
    wait_until(&format!("{names:?} have a share each"), is_split)
        .await
        .with_context(|| format!("{:?}", replicas.iter().map(|replica| &replica.member).collect::<Vec<_>>()))
}

async fn until_leases(ctx: &Ctx, count: usize) -> Result<()> {
    let leases = Api::<Lease>::namespaced(ctx.client.clone(), &ctx.namespace);
    wait_until(&format!("there are {count} Leases"), async || {
        Ok(leases.list(&ListParams::default()).await?.items.len() == count)
    })
    .await
}

/// All that a member needs.
fn rights() -> Vec<PolicyRule> {
    let verbs = ["get", "list", "watch", "create", "update", "delete"].map(str::to_owned);
    vec![PolicyRule {
        api_groups: Some(vec!["coordination.k8s.io".to_owned()]),
        resources: Some(vec!["leases".to_owned()]),
        verbs: verbs.to_vec(),
        ..PolicyRule::default()
    }]
}

pub(super) async fn members_share_all_hashes_as_they_join_leave_and_are_killed(ctx: &Ctx) -> Result<()> {
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, rights()).await?;
    let client = ctx.world.client_of(user).await?;
    let referee = Referee::new();
    let join = |name| Replica::join(client.clone(), ctx, &referee, name);
    let (a, b, c) = (join("a"), join("b"), join("c"));
    until_split(&[&a, &b, &c]).await?;
    until_leases(ctx, 3).await?;
    let names: BTreeSet<usize> = [&a, &b, &c].map(|replica| replica.member.live()).into();
    ensure!(names == BTreeSet::from([3]), "{names:?} live members");

    c.leave(&referee).await?;
    until_split(&[&a, &b]).await?;
    until_leases(ctx, 2).await?;

    b.kill(&referee).await;
    until_split(&[&a]).await?;
    wait_until("no hash is uncovered", async || Ok(a.member.uncovered(Duration::ZERO).is_empty())).await?;
    // The Lease that was left behind is deleted.
    until_leases(ctx, 1).await?;

    // One takes the place of another at the same time.
    let d = join("d");
    until_split(&[&a, &d]).await?;
    let (left, e) = tokio::join!(a.leave(&referee), async { join("e") });
    left?;
    until_split(&[&d, &e]).await?;
    d.leave(&referee).await?;
    e.leave(&referee).await?;
    until_leases(ctx, 0).await?;
    referee.end().await
}

pub(super) async fn a_member_without_rights_says_403_and_joins_once_it_has_them(ctx: &Ctx) -> Result<()> {
    let user = ctx.namespace.as_str();
    ctx.world.set_rights(user, Vec::new()).await?;
    let client = ctx.world.client_of(user).await?;
    let referee = Referee::new();
    let a = Replica::join(ctx.client.clone(), ctx, &referee, "a");
    let b = Replica::join(client, ctx, &referee, "b");
    until_split(&[&a]).await?;
    let is_forbidden = async || Ok(b.member.last_error().is_some_and(|error| error.is_forbidden()));
    wait_until("b says that it has no rights", is_forbidden).await?;
    ensure!(b.member.last_error().and_then(|error| error.http_code()) == Some(403), "{:?}", b.member);
    ensure!(
        b.member.share().held().is_empty() && b.member.uncovered(Duration::ZERO).is_all(),
        "{:?}",
        b.member
    );

    // It sees the others, but may not have a Lease.
    let mut readable = rights();
    readable[0].verbs = ["get", "list", "watch"].map(str::to_owned).to_vec();
    ctx.world.set_rights(user, readable).await?;
    wait_until("b sees a", async || Ok(b.member.live() == 1)).await?;
    let is_forbidden = async || {
        let error = b.member.last_error().map(|error| error.to_string());
        Ok(error.is_some_and(|error| error.contains("create") && error.contains("leases")))
    };
    wait_until("b says that it may not write", is_forbidden).await?;
    ensure!(a.member.share().held().is_all(), "{:?}", a.member);

    ctx.world.set_rights(user, rights()).await?;
    until_split(&[&a, &b]).await?;
    ensure!(b.member.last_error().is_none(), "{:?}", b.member.last_error());
    b.leave(&referee).await?;
    a.leave(&referee).await?;
    until_leases(ctx, 0).await?;
    referee.end().await
}
