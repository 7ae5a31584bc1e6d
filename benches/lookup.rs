//! Looking up: `lookup/<op>/<n>/<peer>`.
//!
//! | dimension | values |
//! |---|---|
//! | op | `get_hit`: keys known beforehand. `get_hit_dependent`: the next key is known when the object was read. `get_miss`: no such object. `index_hit_64`: all 64 objects behind an index key |
//! | n | 1000, 10000, 100000; with `KUBE_INFORMER_MILLION=1` also 1000000 (a minute to fill, and some 10 GB for all peers) |
//! | peer | see `peers`: this crate in four ways, hashbrown as the floor, dashmap by hand, kube-runtime's store |
//!
//! Every peer holds its own copy of the same whole objects (NetworkAttachmentDefinitions with labels and
//! annotations, keys of 42 bytes) and is asked for the same keys in the same shuffled order. Every operation
//! reads the objects it finds, and what it read is checked.
//!
//! Criterion measures one peer after another, so a busy neighbour spoils some and not others. Ratios are
//! therefore taken by `KUBE_INFORMER_RATIOS=1` (or `=100000`, or `=1000,10000`: those sizes only) instead:
//! short rounds of all peers in turn, the ratio to the floor within each round, medians of those. `--json` has a line
//! for each id instead, as the other benchmarks, and takes their options.

mod data;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
mod peers;
mod ratios;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};

use data::Data;
use peers::Op;
use rounds::Options;

fn main() {
    let options = Options::from_args(ratios::ROUNDS);
    if options.json {
        return ratios::report(&options);
    }
    if let Ok(sizes) = std::env::var("KUBE_INFORMER_RATIOS") {
        let sizes: Vec<usize> = sizes.split(',').filter_map(|size| size.parse().ok()).collect();
        return ratios::print(if matches!(sizes[..], [] | [1]) { &SIZES } else { &sizes });
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    // `cargo test --benches` and `cargo bench -- --test` only want to know whether it works.
    let smoke = std::env::args().any(|arg| arg == "--test") || !std::env::args().any(|arg| arg == "--bench");
    let million = std::env::var_os("KUBE_INFORMER_MILLION").map(|_| 1_000_000);
    let sizes = if smoke { &SIZES[..1] } else { &SIZES };
    for n in sizes.iter().copied().chain(million) {
        lookups(&mut criterion, n);
    }
    criterion.final_summary();
}

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn lookups(criterion: &mut Criterion, n: usize) {
    // Made when first measured: a filter on the command line may leave them out.
    let mut data = None;
    let mut candidates: Vec<_> = peers::all().into_iter().map(|candidate| (candidate, None)).collect();
    for op in Op::ALL {
        let mut group = criterion.benchmark_group(format!("lookup/{}", op.name()));
        for (candidate, filled) in &mut candidates {
            let mut start = 0;
            group.bench_function(BenchmarkId::new(n.to_string(), candidate.name), |bencher| {
                let data = data.get_or_insert_with(|| Data::new(n));
                let peer = filled.get_or_insert_with(|| (candidate.fill)(data));
                bencher.iter_custom(|count| {
                    let took = peer.time(op, data, start, count);
                    start += count as usize;
                    took
                });
            });
        }
        group.finish();
    }
}
