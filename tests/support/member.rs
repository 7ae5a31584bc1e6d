//! An application that follows the shares of a member.

use kube_informer::shard::Member;
use tokio::task::JoinHandle;

/// Starts an application that has everything cached at once, and no keys to finish.
pub(crate) fn follow(member: &Member) -> JoinHandle<()> {
    let member = member.clone();
    tokio::spawn(async move {
        let mut shares = member.shares();
        while let Some(share) = shares.next().await {
            member.cached(&share);
            member.finished(&share);
        }
    })
}
