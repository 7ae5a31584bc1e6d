//! Bytes that a cache asks its allocator for: `memory/<what>/<n>/<peer>`.
//!
//! ```sh
//! cargo bench --bench memory                # all
//! cargo bench --bench memory -- --json      # one line of JSON for each id
//! cargo bench --bench memory -- --test      # does it work?
//! ```
//!
//! | what | measured |
//! |---|---|
//! | `<k>-index` | `bytes`: what an object takes beside itself, in a cache with so many indexes. `with_object` counts the object |
//! | `relist-stream`, `relist-paged` | `peak`: the most bytes there are during a list in which every object has changed, as a multiple of those before it; from an API server's answers in memory |
//! | `pinned-1-percent` | `bytes`: what a held snapshot takes for each object that has changed since, if those are 1 % |
//!
//! The indexes are, in this order: by provider (64 objects behind a key), by team (31 keys), by resource (7 keys), by
//! namespace (97 keys). The peer is kube-runtime's store, which has no index and no snapshots.

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod caches;
mod clock;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driven;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod driver;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod nads;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod rounds;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod wire;

use kube_informer::Informer;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::Event;
use peak_alloc::PeakAlloc;

use caches::{PAGE, Start};
use driven::Driven;
use nads::{Nad, declare, listed};
use rounds::{Options, Report};
use wire::{Wire, received};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    let options = Options::from_args(1);
    let mut report = Report::new(&options);
    let n = if options.smoke { 1_000 } else { 100_000 };
    let mut add = |id: String, measure: &dyn Fn() -> Vec<(&'static str, f64)>| {
        if options.wants(&id) {
            report.add(id, &[measure()]);
        }
    };
    for indexes in [0, 1, 2, 4] {
        add(format!("memory/{indexes}-index/{n}/kube-informer"), &|| at_rest(n, || ours(n, indexes)));
    }
    add(format!("memory/0-index/{n}/kube-store"), &|| at_rest(n, || kube_store(n)));
    add(format!("memory/pinned-1-percent/{n}/kube-informer"), &|| pinned(n));
    // The answers take more than the caches.
    let n = n.min(20_000);
    let peers: [(&str, Start); 2] =
        [("kube-informer", caches::ours_whole), ("kube-runtime", caches::kube_whole)];
    for (name, start) in peers {
        for (what, streaming) in [("stream", true), ("paged", false)] {
            add(format!("memory/relist-{what}/{n}/{name}"), &|| relist(n, start, streaming));
        }
    }
    report.print();
}

fn live() -> f64 {
    ALLOCATOR.current_usage() as f64
}

/// Bytes for each object, of a cache that `fill` makes.
fn at_rest<C>(n: usize, fill: impl FnOnce() -> C) -> Vec<(&'static str, f64)> {
    let before = live();
    let objects: Vec<_> = (0..n).map(|i| Nad::new(i, n)).collect();
    let alone = live() - before;
    drop(objects);
    let before = live();
    let cache = fill();
    let with_object = live() - before;
    drop(cache);
    vec![("bytes", (with_object - alone) / n as f64), ("with_object", with_object / n as f64)]
}

fn ours(n: usize, indexes: usize) -> Driven<Nad, Nad> {
    let mut driven = Driven::new(|events| {
        let mut nads = Informer::from_stream(events);
        declare(nads.indexes(), indexes);
        nads.build()
    });
    driven.list(listed(n).into_iter().map(move |i| Nad::new(i, n)));
    driven.free();
    assert_eq!(driven.informer.snapshot().len(), n);
    driven
}

fn kube_store(n: usize) -> Writer<Nad> {
    let mut writer = Writer::default();
    writer.apply_watcher_event(&Event::Init);
    listed(n).into_iter().for_each(|i| writer.apply_watcher_event(&Event::InitApply(Nad::new(i, n))));
    writer.apply_watcher_event(&Event::InitDone);
    assert_eq!(writer.as_reader().len(), n);
    writer
}

/// A held snapshot of an informer with two indexes, after changes of 1 % of the objects.
fn pinned(n: usize) -> Vec<(&'static str, f64)> {
    let mut driven = ours(n, 2);
    let before = live();
    let snapshot = driven.informer.snapshot();
    let changed = n / 100;
    for i in 0..changed {
        let mut nad = Nad::new(i * 100, n);
        nad.set_version(2);
        driven.prepare(vec![Event::Apply(nad)]);
        driven.publish(1);
    }
    driven.free();
    let held = live() - before;
    drop(snapshot);
    driven.free();
    let rest = live() - before;
    vec![("bytes", (held - rest) / changed as f64), ("objects", changed as f64)]
}

/// The peak of a list where every object has changed.
fn relist(n: usize, start: Start, streaming: bool) -> Vec<(&'static str, f64)> {
    let wire = Wire::new(n, PAGE);
    let answers = live();
    let mut running = start(&wire, streaming);
    running.driver.free();
    let before = live() - answers;
    let recorded = live();
    running.wire.expire(n, 2);
    // The answers of another version may be larger.
    let grown = live() - recorded;
    ALLOCATOR.reset_peak_usage();
    let last = received(n - 1, n, 2);
    running.run_to_version(&last, 2);
    let peak = ALLOCATOR.peak_usage() as f64 - answers - grown;
    running.driver.free();
    let after = live() - answers - grown;
    vec![("peak", peak / before), ("bytes_before", before / n as f64), ("bytes_after", after / n as f64)]
}
