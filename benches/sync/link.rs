//! The process of a peer, and what it says: lines of text on its standard output.
//!
//! ```text
//! synced <seconds> <cpu seconds> <peak KiB> <rest KiB> <rest KiB without files>
//! <version> <nanoseconds since 1970>         for each change, after its standard input has ended
//! done <cpu seconds>
//! ```

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::rounds::Sample;

/// Says to a process which peer it is.
pub(crate) const PEER: &str = "KUBE_INFORMER_SYNC_PEER";

/// Says to it how many objects there are.
pub(crate) const OBJECTS: &str = "KUBE_INFORMER_SYNC_OBJECTS";

pub(crate) struct Link {
    process: Child,
    lines: BufReader<ChildStdout>,
    cpu: f64,
}

// === impl Link ===

impl Link {
    pub(crate) fn start(command: &mut Command, objects: usize) -> Result<Self> {
        command.env(OBJECTS, objects.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let lines = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Self { process, lines, cpu: 0.0 })
    }

    pub(crate) fn synced(&mut self) -> Result<Sample> {
        let line = self.line()?;
        let words: Vec<_> = line.split_whitespace().collect();
        let ["synced", seconds, cpu, peak, rest, heap] = words[..] else {
            bail!("instead of `synced`: {line}")
        };
        self.cpu = cpu.parse()?;
        Ok(vec![
            ("s", seconds.parse()?),
            ("cpu_s", self.cpu),
            ("peak_mib", peak.parse::<f64>()? / 1024.0),
            ("rest_mib", rest.parse::<f64>()? / 1024.0),
            ("heap_mib", heap.parse::<f64>()? / 1024.0),
        ])
    }

    /// Ends it. Returns the CPU time since it was synced and at rest, and when it has seen which versions.
    pub(crate) fn finish(mut self, expected: usize) -> Result<(Duration, HashMap<u64, u128>)> {
        drop(self.process.stdin.take());
        let mut seen = HashMap::with_capacity(expected);
        loop {
            let line = self.line()?;
            let (first, second) = line.split_once(' ').with_context(|| format!("no pair: {line}"))?;
            if first == "done" {
                let cpu = second.parse::<f64>()?;
                return Ok((Duration::from_secs_f64((cpu - self.cpu).max(0.0)), seen));
            }
            seen.insert(first.parse()?, second.parse()?);
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("it has ended");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It has ended by itself, or failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
