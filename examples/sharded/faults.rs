//! What happens to the replicas.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL: its Lease remains until it ends.
    Kill,
    /// SIGTERM: it hands its ranges over.
    Stop,
    /// One more replica.
    Join,
    /// SIGSTOP, and SIGCONT after this time.
    Pause(Duration),
}

// === impl Fault ===

impl Fault {
    /// The faults of a run that is not random. A pause outlasts the Lease.
    pub fn plan(lease: Duration) -> [Self; 4] {
        [Self::Kill, Self::Stop, Self::Join, Self::Pause(lease * 2)]
    }

    /// A random fault, for so many running replicas. Two keep running at least, and there are `most` at most.
    pub fn random(random: &mut StdRng, running: usize, most: usize, lease: Duration) -> Self {
        let pause = lease.mul_f64(random.random_range(0.2..2.5));
        match random.random_range(0..4) {
            _ if running <= 2 => Self::Join,
            0 => Self::Kill,
            1 => Self::Stop,
            2 if running < most => Self::Join,
            _ => Self::Pause(pause),
        }
    }

    /// The time until the next random fault. Some come before the last one has healed.
    pub fn random_wait(random: &mut StdRng, lease: Duration) -> Duration {
        lease.mul_f64(random.random_range(0.1..1.5))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("is killed"),
            Self::Stop => f.write_str("is stopped"),
            Self::Join => f.write_str("is added"),
            Self::Pause(time) => write!(f, "is paused for {:.0} s", time.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn random_faults_keep_two_replicas_and_are_of_all_kinds() {
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = [0; 4];
        let mut running: usize = 4;
        for _ in 0..1000 {
            let fault = Fault::random(&mut random, running, 6, Duration::from_secs(15));
            let (kind, change) = match fault {
                Fault::Kill => (0, -1),
                Fault::Stop => (1, -1),
                Fault::Join => (2, 1),
                Fault::Pause(_) => (3, 0),
            };
            seen[kind] += 1;
            running = running.checked_add_signed(change).unwrap();
            assert!((2..=6).contains(&running), "{running} after {fault:?}");
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    }
}
