//! The processes of the replicas, and the threads that read their reports.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::unix::board::{Board, Running, name};

/// How often to look whether a process has ended.
const POLL: Duration = Duration::from_millis(20);

/// See the [module](self). They are killed when it is dropped.
pub struct Processes {
    board: Arc<Board>,
    arguments: Vec<String>,
    all: Vec<Process>,
}

struct Process {
    child: Child,
    /// The child ends when it is closed, so it ends with this process.
    _stdin: Option<std::process::ChildStdin>,
    reader: Option<thread::JoinHandle<()>>,
}

// === impl Processes ===

impl Processes {
    /// None yet. The arguments are those of each replica, besides its name.
    pub fn new(board: Arc<Board>, arguments: Vec<String>) -> Self {
        Self { board, arguments, all: Vec::new() }
    }

    /// Starts a replica.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub fn start(&mut self) -> anyhow::Result<usize> {
        let number = self.board.lock().start();
        let mut child = Command::new(std::env::current_exe()?)
            .arg(format!("--name={}", name(number)))
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a replica")?;
        let stdout = child.stdout.take().context("its standard output")?;
        let board = self.board.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                board.lock().line(number, &line);
            }
        });
        let stdin = child.stdin.take();
        self.all.push(Process { child, _stdin: stdin, reader: Some(reader) });
        Ok(number)
    }

    /// Kills a replica (SIGKILL).
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        let child = &mut self.all[number].child;
        child.kill()?;
        child.wait()?;
        self.board.lock().becomes(number, Running::Killed);
        Ok(())
    }

    /// Stops a replica (SIGTERM), and waits until it has ended.
    ///
    /// # Errors
    ///
    /// When it does not end within this time, or not well.
    pub async fn stop(&mut self, number: usize, within: Duration) -> anyhow::Result<()> {
        self.board.lock().becomes(number, Running::Stops);
        self.signal(number, Signal::TERM)?;
        let child = &mut self.all[number].child;
        let ended = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    return anyhow::Ok(status);
                }
                sleep(POLL).await;
            }
        };
        let ended = timeout(within, ended).await;
        let status = ended.with_context(|| format!("{} has not ended in {within:?}", name(number)))??;
        self.board.lock().becomes(number, Running::Stopped);
        well(number, status)
    }

    /// Pauses a replica (SIGSTOP).
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn pause(&self, number: usize) -> anyhow::Result<()> {
        self.signal(number, Signal::STOP)?;
        self.board.lock().becomes(number, Running::Paused);
        Ok(())
    }

    /// Ends a pause (SIGCONT).
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn resume(&self, number: usize) -> anyhow::Result<()> {
        self.board.lock().becomes(number, Running::Runs);
        self.signal(number, Signal::CONT)
    }

    /// Stops all that run, one after the other.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub async fn stop_all(&mut self, within: Duration) -> anyhow::Result<()> {
        let running = self.board.lock().with(Running::Runs);
        for number in running {
            self.stop(number, within).await?;
        }
        // No report is missing after this.
        for process in &mut self.all {
            if let Some(reader) = process.reader.take() {
                drop(reader.join());
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// When a replica has ended by itself, or has printed something else than reports.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let state = self.board.lock();
        if let Some(line) = &state.unreadable {
            bail!("not a report, {line}");
        }
        for number in [state.with(Running::Runs), state.with(Running::Paused)].concat() {
            if let Some(status) = self.all[number].child.try_wait()? {
                bail!("{} has ended by itself: {status}", name(number));
            }
        }
        Ok(())
    }

    fn signal(&self, number: usize, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.all[number].child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("the number of a process")?, signal)
            .with_context(|| format!("signal {}", name(number)))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.all {
            // One that has ended already is no error.
            let _ended = process.child.kill().and_then(|()| process.child.wait());
        }
    }
}

fn well(number: usize, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("{} did not end well: {status}", name(number));
    }
    Ok(())
}
