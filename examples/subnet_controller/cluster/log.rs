//! Prints the work of the controller as lines on standard output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::controller::{Observe, Outcome, ReconcileError, Run, Subnet, SubnetStatus};

/// Like `println!`, but does not panic when standard output is closed: the load must still be deleted.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _unread = writeln!(std::io::stdout(), $($text)*);
    }};
}
pub(super) use say;

/// See the [module](self).
#[derive(Clone, Default)]
pub struct Log(Arc<Counts>);

#[derive(Default)]
struct Counts {
    reconciles: AtomicU64,
    written: AtomicU64,
    failures: AtomicU64,
}

// === impl Log ===

impl Log {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn summary(&self) -> String {
        let [reconciles, written, failures] = [&self.0.reconciles, &self.0.written, &self.0.failures];
        let [reconciles, written, failures] =
            [reconciles, written, failures].map(|count| count.load(Ordering::Relaxed));
        format!("{reconciles} reconciles, {written} statuses written, {failures} failures")
    }
}

impl Observe for Log {
    fn reconciled(&self, run: &Run<'_>) {
        self.0.reconciles.fetch_add(1, Ordering::Relaxed);
        match run.outcome {
            Outcome::Gone | Outcome::Unchanged => {}
            Outcome::Written(subnet) => {
                self.0.written.fetch_add(1, Ordering::Relaxed);
                say!("{}: {}", run.subnet, line(subnet));
            }
            Outcome::WouldWrite(subnet) => say!("{}: would write {}", run.subnet, line(subnet)),
        }
    }

    fn failed(&self, subnet: &str, error: &ReconcileError) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        eprintln!("{subnet}: {error}; retries later");
    }
}

/// A status in a line. The condition's message is left out: it quotes the spec.
fn line(subnet: &Subnet) -> String {
    let status = subnet.status.clone().unwrap_or_default();
    let SubnetStatus { conditions, v4_available, v4_using, v6_available, v6_using } = &status;
    let reason = conditions.first().map_or("", |condition| condition.reason.as_str());
    format!("{reason}, IPv4 {v4_using} used {v4_available} left, IPv6 {v6_using} used {v6_available} left")
}
