//! Ratios that survive a busy machine: all peers in turn, in many short rounds.

use std::time::Duration;

use crate::data::{Data, Projected, Value};
use crate::peers::{self, Candidate, FLOOR, HELD, Op, Timed};
use crate::rounds::{Options, Report, median};

/// Rounds per operation; odd, so that the median is one of them.
pub(crate) const ROUNDS: usize = 31;

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
    let mut peers = filled(candidates, &data);
    let place_of = |name| candidates.iter().position(|other| other.name == name).expect("a candidate");
    let (floor, held) = (place_of(FLOOR), place_of(HELD));
    for op in Op::ALL {
        let rounds = measure(&mut peers, op, &data, ROUNDS, SLICE);
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

/// The same in the form of the other benchmarks: `lookup/<op>/<n>/<peer>`, and `lookup-projected/..`.
pub(crate) fn report(options: &Options) {
    let mut report = Report::new(options);
    for n in options.sizes() {
        add(&mut report, options, "lookup", n, &peers::all());
        add(&mut report, options, "lookup-projected", n, &peers::any::<Projected>());
    }
    report.print();
}

fn add<T: Value>(report: &mut Report, options: &Options, area: &str, n: usize, candidates: &[Candidate<T>]) {
    let id = |op: Op, name: &str| format!("{area}/{}/{n}/{name}", op.name());
    let wanted = |op: Op| candidates.iter().any(|candidate| options.wants(&id(op, candidate.name)));
    let ops: Vec<Op> = Op::ALL.into_iter().filter(|op| wanted(*op)).collect();
    if ops.is_empty() {
        return;
    }
    let data = Data::new(n);
    let mut peers = filled(candidates, &data);
    let slice = if options.smoke { SLICE / 100 } else { SLICE };
    for op in ops {
        let rounds = measure(&mut peers, op, &data, options.rounds, slice);
        for (place, candidate) in candidates.iter().enumerate() {
            let samples: Vec<_> = rounds.iter().map(|round| vec![("ns", round[place])]).collect();
            report.add(id(op, candidate.name), &samples);
        }
    }
}

fn filled<T>(candidates: &[Candidate<T>], data: &Data<T>) -> Vec<Box<dyn Timed<T>>> {
    candidates.iter().map(|candidate| (candidate.fill)(data)).collect()
}

/// Nanoseconds per operation: by round, then by peer.
fn measure<T>(
    peers: &mut [Box<dyn Timed<T>>],
    op: Op,
    data: &Data<T>,
    rounds: usize,
    slice: Duration,
) -> Vec<Vec<f64>> {
    let counts: Vec<u64> = peers.iter_mut().map(|peer| count_for(&mut **peer, op, data, slice)).collect();
    let mut rounds = vec![vec![0.0; peers.len()]; rounds];
    for (number, round) in rounds.iter_mut().enumerate() {
        for turn in 0..peers.len() {
            // Forwards and backwards by turns: no peer always follows the same neighbour.
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
fn count_for<T>(peer: &mut dyn Timed<T>, op: Op, data: &Data<T>, slice: Duration) -> u64 {
    let mut count = 1;
    while (0..3).any(|_| peer.time(op, data, 0, count) < slice) {
        count *= 2;
    }
    count
}
