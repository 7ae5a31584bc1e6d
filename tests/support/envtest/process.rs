//! A child process that cannot outlive the tests.
//!
//! Dropping a value is not enough: a test process that is killed or aborts runs no destructor, and what
//! would end its children then (`PR_SET_PDEATHSIG`) needs unsafe code. So each server runs below a few
//! lines of shell that end it when the pipe from the test process closes, which the kernel sees to.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

const GUARD: &str = include_str!("guard.sh");
/// How often the end of a process is looked for; a server takes milliseconds to seconds to end.
const POLL: Duration = Duration::from_millis(10);
/// What of a log is shown when its server fails.
const TAIL_LINES: usize = 30;

/// A running server; ended and reaped when dropped.
pub(crate) struct Process {
    name: &'static str,
    log: PathBuf,
    child: Child,
    /// Signals go down this pipe; closing it kills.
    signals: Option<ChildStdin>,
}

// === impl Process ===

impl Process {
    /// Starts a program with its output appended to `log`, and what `prepare` sets besides.
    pub(crate) fn spawn<A>(
        name: &'static str,
        program: &Path,
        args: A,
        log: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self>
    where
        A: IntoIterator,
        A::Item: AsRef<OsStr>,
    {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, name]).arg(program).args(args);
        command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
        prepare(&mut command);
        let mut child = command.spawn().with_context(|| format!("cannot run sh, which runs {name}"))?;
        let signals = child.stdin.take();
        Ok(Self { name, log: log.to_owned(), child, signals })
    }

    /// Sends a signal by its name ("TERM", "INT", "STOP", "CONT"); one that has ended already gets none.
    pub(crate) fn signal(&mut self, signal: &str) {
        if let Some(pipe) = &mut self.signals {
            // A broken pipe is an ended server.
            let _ = writeln!(pipe, "{signal}");
        }
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end, waits that long, then kills it.
    pub(crate) async fn stop(mut self, patience: Duration) -> Result<()> {
        self.signal("TERM");
        let deadline = Instant::now() + patience;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                let log = self.log_tail();
                self.kill();
                bail!("{} did not end within {patience:?} of SIGTERM and was killed\n{log}", self.name);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Ends it at once, as `kill -9` does, and waits for that.
    pub(crate) fn kill(&mut self) {
        self.signals = None;
        // Blocks for the milliseconds that the kernel and the shell take. It cannot fail in a way that
        // something could be done about.
        let _ = self.child.wait();
    }

    /// The last lines of its log, to go below an error.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("--- the end of {}'s log:\n{}\n---", self.name, tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
