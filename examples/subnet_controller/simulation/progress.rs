//! The progress of a run: a bar on a terminal, else a line every 5 seconds. On standard error, separate from the
//! result.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::report::thousands;
use crate::cli::Mode;

/// Between two lines.
const LINE: Duration = Duration::from_secs(5);

/// See the [module](self).
pub enum Progress {
    None,
    Bar(ProgressBar),
    Lines { mode: Mode, length: Duration, next: Mutex<Duration> },
}

// === impl Progress ===

impl Progress {
    pub fn none() -> Self {
        Self::None
    }

    pub fn new(mode: Mode, length: Duration) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { mode, length, next: Mutex::new(LINE) };
        }
        let bar = ProgressBar::new(length.as_millis().try_into().unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{prefix:6} {bar:30} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(mode.to_string());
        Self::Bar(bar)
    }

    /// Called every few milliseconds.
    pub fn update(&self, elapsed: Duration, reconciles: u64, changes: u64, depth: usize) {
        let message = || {
            let (changes, reconciles) = (thousands(changes as f64), thousands(reconciles as f64));
            format!("{changes} changes, {reconciles} reconciles, queue {depth}")
        };
        match self {
            Self::None => {}
            Self::Bar(bar) => {
                bar.set_position(elapsed.as_millis().try_into().unwrap_or(u64::MAX));
                bar.set_message(message());
            }
            Self::Lines { mode, length, next } => {
                let mut next = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if elapsed >= *next {
                    *next += LINE;
                    let (at, of) = (elapsed.as_secs(), length.as_secs_f64());
                    eprintln!("{mode}: {at} s of {of} s: {}", message());
                }
            }
        }
    }

    pub fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
