//! The examples as programs of their own, as their users start them.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{envtest::Process, wait::wait_until};

/// To say something, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// They would send what is meant for loopback elsewhere.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// A running example; killed when dropped.
pub(crate) struct Program {
    process: Process,
    output: PathBuf,
    /// Holds the output.
    _dir: TempDir,
}

/// Builds the examples, the first time. `cargo test` does so too, but not `cargo test --test real`, and a binary
/// of an earlier build would be tested unseen.
pub(crate) fn build() -> Result<(), String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT.get_or_init(|| try_build().map_err(|err| format!("{err:#}"))).clone()
}

fn try_build() -> Result<()> {
    let folder = folder()?;
    let (target, profile) =
        (folder.parent().context("no target folder")?, folder.file_name().unwrap_or_default());
    let profile = if profile == "debug" { OsStr::new("dev") } else { profile };
    let mut cargo = Command::new(env!("CARGO"));
    // Set by the outer cargo for this process. Build scripts that read them (ring's does) would be run again, by this
    // cargo and then by the next outer one, and all that depends on them would be built again.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    let out = cargo
        .args(["build", "--quiet", "--example", "subnet_controller", "--example", "quickstart"])
        .args(["--example", "inspect", "--example", "endpoints", "--profile"])
        .arg(profile)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    ensure!(out.status.success(), "the examples do not build:\n{}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

/// `target/debug` or the like: tests are in its folder `deps`.
fn folder() -> Result<PathBuf> {
    let me = env::current_exe()?;
    Ok(me.ancestors().nth(2).context("the test is nowhere")?.to_owned())
}

// === impl Program ===

impl Program {
    /// Starts an example with this kubeconfig.
    pub(crate) fn start(name: &'static str, kubeconfig: &Path, args: &[&str]) -> Result<Self> {
        let program = folder()?.join("examples").join(name);
        let dir = tempfile::tempdir()?;
        let output = dir.path().join("output");
        let process = Process::spawn(name, &program, args, &output, |command| {
            for proxy in PROXIES {
                command.env_remove(proxy);
            }
            command.env("KUBECONFIG", kubeconfig);
        })?;
        Ok(Self { process, output, _dir: dir })
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed this.
    pub(crate) async fn says(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.output().contains(text) {
            let ended = self.process.ended()?;
            if (ended.is_some() && !self.output().contains(text)) || Instant::now() > deadline {
                bail!("it has not said {text:?} ({ended:?}), but:\n{}", self.output());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it has not ended within {PATIENCE:?}, and said:\n{}", self.output());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it has given up, and checks that it said why.
    pub(crate) async fn refuses(mut self, why: &str) -> Result<()> {
        let status = self.ended().await?;
        let output = self.output();
        ensure!(status.code() == Some(1), "it ended with {status}, and said:\n{output}");
        ensure!(output.contains("rror: ") && output.contains(why), "it does not say {why:?}, but:\n{output}");
        ensure!(!output.contains("panicked"), "it panicked:\n{output}");
        Ok(())
    }

    /// Ends it as Ctrl-C does, and checks that it takes that well. Answers what it has said.
    pub(crate) async fn interrupt(mut self) -> Result<String> {
        ensure!(self.process.ended()?.is_none(), "it has ended before:\n{}", self.output());
        self.process.signal("INT");
        let status = self.ended().await?;
        let output = self.output();
        ensure!(status.success(), "after Ctrl-C it ended with {status}, and said:\n{output}");
        ensure!(!output.contains("panicked"), "it panicked:\n{output}");
        Ok(output)
    }

    /// Waits until `check` says yes, for as long as the program runs.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut check: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let done = wait_until(what, async || {
            let ended = self.process.ended()?;
            ensure!(ended.is_none(), "it has ended: {ended:?}");
            check().await
        });
        done.await.with_context(|| format!("it said:\n{}", self.output()))
    }
}
