//! The CPU time of the controller: the sum of all threads of the process, except those of the API server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::server::THREADS;

/// Since the process started. `None` where `/proc` does not have it: it exists on Linux only.
pub fn controller() -> Option<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that has just ended has no files any more.
        let Ok(name) = fs::read_to_string(thread.path().join("comm")) else { continue };
        if name.trim_end() != THREADS {
            total += on_cpu(&thread.path()).unwrap_or_default();
        }
    }
    (total > Duration::ZERO).then_some(total)
}

/// The first field of `schedstat`: nanoseconds on a CPU.
fn on_cpu(thread: &Path) -> Option<Duration> {
    let schedstat = fs::read_to_string(thread.join("schedstat")).ok()?;
    Some(Duration::from_nanos(schedstat.split(' ').next()?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    fn burn() {
        let begin = std::time::Instant::now();
        while begin.elapsed() < Duration::from_millis(100) {
            black_box(begin.elapsed());
        }
    }

    #[test]
    fn a_thread_of_the_server_does_not_count() {
        let Some(before) = controller() else { return };
        burn();
        let after = controller().expect("was there before");
        assert!(after > before, "{before:?} {after:?}");

        let server = std::thread::Builder::new().name(THREADS.to_owned());
        let names = server.spawn(|| fs::read_to_string("/proc/thread-self/comm")).unwrap().join().unwrap();
        assert_eq!(names.unwrap().trim_end(), THREADS, "threads keep the whole name");
    }
}
