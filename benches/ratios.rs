//! Ratios that survive a busy machine: all peers in turn, in many short rounds.

use std::time::Duration;

use crate::data::{Data, Projected, Value};
use crate::peers::{self, Candidate, FLOOR, HELD, Op, Timed};

/// Rounds per operation; odd, so that the median is one of them.
const ROUNDS: usize = 31;

/// Least time of a peer in a round: long beside a clock's resolution, short beside a neighbour's compile job.
const SLICE: Duration = Duration::from_millis(8);

/// Prints one Markdown table: time per operation, and how it compares.
pub(crate) fn print(sizes: &[usize]) {
    println!("| value | op | n | peer | median ns | least ns | x {FLOOR} | ns over {HELD} |");
    println!("|---|---|---|---|---|---|---|---|");
    for &n in sizes {
        rows(n, &peers::all());
        rows(n, &peers::any::<Projected>());
    }
}

fn rows<T: Value>(n: usize, candidates: &[Candidate<T>]) {
    let data = Data::new(n);
    let mut peers: Vec<_> = candidates.iter().map(|candidate| (candidate.fill)(&data)).collect();
    let place_of = |name| candidates.iter().position(|other| other.name == name).expect("a candidate");
    let (floor, held) = (place_of(FLOOR), place_of(HELD));
    for op in Op::ALL {
        let rounds = measure(&mut peers, op, &data);
        let middle = |f: &dyn Fn(&[f64]) -> f64| median(rounds.iter().map(|round| f(round)).collect());
        for (place, candidate) in candidates.iter().enumerate() {
            println!(
                "| {} | {} | {n} | {} | {:.1} | {:.1} | {:.2} | {:+.1} |",
                T::NAME,
                op.name(),
                candidate.name,
                middle(&|round| round[place]),
                rounds.iter().map(|round| round[place]).fold(f64::INFINITY, f64::min),
                middle(&|round| round[place] / round[floor]),
                middle(&|round| round[place] - round[held]),
            );
        }
    }
}

/// Nanoseconds per operation: by round, then by peer.
fn measure<T>(peers: &mut [Box<dyn Timed<T>>], op: Op, data: &Data<T>) -> Vec<Vec<f64>> {
    let counts: Vec<u64> = peers.iter_mut().map(|peer| count_for(&mut **peer, op, data)).collect();
    let mut rounds = vec![vec![0.0; peers.len()]; ROUNDS];
    for (number, round) in rounds.iter_mut().enumerate() {
        for turn in 0..peers.len() {
            // Forwards and backwards by turns: nobody always follows the same neighbour.
            let place = if number % 2 == 0 { turn } else { peers.len() - 1 - turn };
            let (peer, count) = (&mut peers[place], counts[place]);
            // Once through all keys: what the others left in the caches is not this one's doing.
            let all = if op == Op::IndexHit { count / 4 } else { data.keys.len() as u64 };
            peer.time(op, data, 0, all.max(1));
            let took = peer.time(op, data, number * count as usize, count);
            round[place] = took.as_nanos() as f64 / count as f64;
        }
    }
    rounds
}

/// How many operations fill a slice. Three of three must: one may have been interrupted.
fn count_for<T>(peer: &mut dyn Timed<T>, op: Op, data: &Data<T>) -> u64 {
    let mut count = 1;
    while (0..3).any(|_| peer.time(op, data, 0, count) < SLICE) {
        count *= 2;
    }
    count
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
