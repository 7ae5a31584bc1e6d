//! What a process uses: memory, CPU time, tasks and connections.

use std::time::Duration;

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What there is in the process.
pub(crate) struct Usage {
    pub(crate) bytes: usize,
    pub(crate) cpu: Duration,
    pub(crate) tasks: usize,
    pub(crate) connections: usize,
}

// === impl Usage ===

impl Usage {
    pub(crate) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            bytes: ALLOCATOR.current_usage(),
            cpu: Duration::new(cpu.tv_sec.unsigned_abs(), cpu.tv_nsec.try_into().unwrap_or_default()),
            tasks: Handle::current().metrics().num_alive_tasks(),
            connections: sockets(),
        }
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(before.bytes),
            cpu: self.cpu.saturating_sub(before.cpu),
            tasks: self.tasks.saturating_sub(before.tasks),
            connections: self.connections.saturating_sub(before.connections),
        }
    }
}

/// The open sockets of this process; 0 where the system does not say.
fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}
