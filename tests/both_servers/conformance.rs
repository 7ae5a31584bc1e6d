//! The script that the in-process server is compared with, sent to a real one again.

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;

use crate::support::conformance::{Recorded, Target, differences, run, script};
use crate::support::world::Ctx;

const NOBODY: &str = "conformance-nobody";
/// Set to a file's path, the answers are written there; that is how `recorded.json` is made.
const RECORD: &str = "KUBE_INFORMER_RECORD";

/// A server of another version than the recorded one shows here what it changed.
pub(super) async fn answers_are_as_recorded(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.cluster()?;
    ctx.world.set_rights(NOBODY, Vec::new()).await?;
    let target = Target {
        admin: cluster.client().await?,
        nobody: ctx.world.client_of(NOBODY).await?,
        nobody_name: format!("system:serviceaccount:default:{NOBODY}"),
        stranger: cluster.client_with_token("unknown").await?,
        compact: Box::new(|| cluster.compact_etcd().map(|compacted| compacted.map(drop)).boxed_local()),
    };
    let mut script = script();
    let answers = run(&target, &script).await?;
    if let Some(path) = std::env::var_os(RECORD) {
        let lines: Result<Vec<String>, _> = answers.iter().map(serde_json::to_string).collect();
        std::fs::write(&path, format!("[\n{}\n]\n", lines?.join(",\n"))).context("the recording")?;
    }
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("../support/conformance/recorded.json"))?;
    // Where the in-process server may differ, a real one may not.
    script.iter_mut().filter(|step| step.differs != MAY_VARY).for_each(|step| step.differs = None);
    let found: Vec<String> = differences(&script, &recorded, &answers)
        .into_iter()
        .filter(|difference| !difference.contains("no longer differs"))
        .collect();
    ensure!(found.is_empty(), "{} answers differ from the recorded ones:\n{}", found.len(), found.join("\n"));
    Ok(())
}

/// The one step whose answer is a matter of the real server's cache.
const MAY_VARY: Option<&str> = Some("a real server may still have the version in its cache");
