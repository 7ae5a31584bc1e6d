//! The progress of a run: a bar on a terminal, else nothing. On standard error, separate from the result.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::side_by_side::Stage;

pub(crate) struct Progress(ProgressBar);

// === impl Progress ===

impl Progress {
    pub(crate) fn new(seed: u64, length: Duration) -> Self {
        // It draws nothing if standard error is not a terminal.
        let bar = ProgressBar::new(length.as_millis().try_into().unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(format!("seed {seed}"));
        Self(bar)
    }

    pub(crate) fn update(&self, stage: Stage) {
        match stage {
            Stage::Boot => self.0.set_message("booting etcd and kube-apiserver"),
            Stage::Sync => self.0.set_message("first lists"),
            Stage::Chaos(elapsed) => {
                self.0.set_position(elapsed.as_millis().try_into().unwrap_or(u64::MAX));
                self.0.set_message(format!("{} s", elapsed.as_secs()));
            }
            Stage::Rest => self.0.set_message("waiting until all consumers agree"),
        }
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
