//! Outages: which informers try while the server does not answer, and how all recover.

use super::*;
use crate::config::Config;
use crate::reflector::Phase;

/// When the outage begins, in seconds.
const BEGIN: f64 = 10.0;

/// Informers of one client, or of several processes.
struct Fleet {
    informers: Vec<Harness>,
    outage: f64,
}

impl Fleet {
    /// Starts `processes` with `each` informers, on a server with an outage of this length.
    fn start(processes: u64, each: u64, outage: f64, seed: u64) -> Self {
        let begun = tokio::time::Instant::now();
        let answer = move |request: &str| {
            let now = begun.elapsed().as_secs_f64();
            if now < BEGIN {
                let cut = vec![pause(BEGIN - now), Step::Error(cut())];
                if request.starts_with("watch") { Answer::Watch(cut) } else { page(10, &[("a", 1)], None) }
            } else if now < BEGIN + outage {
                Answer::Error(refused())
            } else if request.starts_with("watch") {
                Answer::Watch(vec![Step::Never])
            } else {
                page(10, &[("a", 1)], Some("more")) // the response to a probe
            }
        };
        let informers = (0..processes).flat_map(|process| {
            let gate = Arc::<Gate>::default();
            (0..each).map(move |number| {
                let config = Config::new().jitter_seed(seed * 1_000_000 + process * 1000 + number);
                let settings = Settings { streaming: false, config, ..Settings::default() };
                Harness::with(Stub::answered(answer), gate.clone(), settings)
            })
        });
        Self { informers: informers.collect(), outage }
    }

    async fn runs(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// The times of all requests, in seconds since the outage began, in order.
    fn requests(&self) -> Vec<f64> {
        let all = self.informers.iter().flat_map(|informer| informer.source.times());
        let mut times: Vec<_> =
            all.map(|time| time.as_secs_f64() - BEGIN).filter(|time| *time >= 0.0).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn while_away(&self) -> usize {
        self.requests().partition_point(|time| *time < self.outage)
    }

    /// How long after the end of the outage each informer has a watch again, in order.
    fn back(&self) -> Vec<f64> {
        let times = self.informers.iter().map(|informer| {
            let (times, requests) = (informer.source.times(), informer.source.requests());
            let all = times.iter().map(|time| time.as_secs_f64() - BEGIN - self.outage).zip(requests);
            let mut watches = all.filter(|(time, request)| *time >= 0.0 && request.starts_with("watch"));
            watches.next().expect("it is back").0
        });
        let mut times: Vec<_> = times.collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

#[tokio::test(start_paused = true)]
async fn requests_during_an_outage_do_not_grow_with_the_informers_of_a_client() {
    for outage in [2.0, 20.0, 120.0] {
        let mut tries = Vec::new();
        for each in [2, 10, 50, 200] {
            let fleet = Fleet::start(1, each, outage, 1);
            fleet.runs(BEGIN + outage + 20.0).await;
            tries.push(fleet.while_away());
            let last = *fleet.back().last().unwrap();
            assert!(last <= 3.0 * 1.5 + 0.3, "{each} informers, {outage} s: the last is back after {last} s");
            assert!(fleet.informers.iter().all(|informer| informer.status().phase == Phase::Watching));
        }
        let (least, most) = (tries.iter().min().unwrap(), tries.iter().max().unwrap());
        assert!(*most <= 2 * least, "{outage} s: {tries:?}");
        assert!(*most <= 35 + outage as usize / 2, "{outage} s: {tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_informer_is_stale_for_little_longer_than_the_outage() {
    for outage in [0.5, 2.0, 10.0, 40.0, 900.0] {
        for seed in 0..20 {
            let fleet = Fleet::start(1, 1, outage, seed);
            fleet.runs(BEGIN + outage + 40.0).await;
            let back = fleet.back()[0];
            assert!(back <= (0.26 * outage + 0.2).min(7.6), "{outage} s, seed {seed}: back after {back} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_hold_up_the_others_of_its_client() {
    let gate = Arc::<Gate>::default();
    let begun = tokio::time::Instant::now();
    let informer = |hangs: bool| {
        let answer = move |request: &str| {
            let now = begun.elapsed().as_secs_f64();
            if request.starts_with("list") {
                page(10, &[], None)
            } else if now < BEGIN {
                Answer::Watch(vec![pause(BEGIN - now), Step::Error(cut())])
            } else if now < BEGIN + 3.0 {
                Answer::Error(refused())
            } else if hangs {
                Answer::Never
            } else {
                Answer::Watch(vec![Step::Never])
            }
        };
        let settings = Settings { streaming: false, ..Settings::default() };
        Harness::with(Stub::answered(answer), gate.clone(), settings)
    };
    let informers = [informer(true), informer(true), informer(false)];
    informers[2].work(BEGIN + 3.0 + 3.0 * 5.0).await;
    let status = informers[2].status();
    assert!(status.phase == Phase::Watching && status.stale_since.is_none(), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_informers_do_not_come_back_in_one_moment() {
    println!("1,000 informers, requests over one outage:");
    println!(
        "{:>9} {:>9} {:>12} {:>18} {:>14}",
        "processes", "outage", "tries away", "back p50 / p99 s", "busiest 100 ms"
    );
    for (processes, each) in [(1000, 1), (20, 50)] {
        for outage in [2.0, 20.0, 120.0] {
            let fleet = Fleet::start(processes, each, outage, 1);
            fleet.runs(BEGIN + outage + 30.0).await;
            let back = fleet.back();
            let requests = fleet.requests();
            let after = &requests[fleet.while_away()..];
            let within = |from: f64| after.iter().filter(|time| (from..from + 0.1).contains(*time)).count();
            let busiest = after.iter().map(|time| within(*time)).max().unwrap();
            let (p50, p99) = (back[back.len() / 2], back[back.len() * 99 / 100]);
            let tries = fleet.while_away();
            println!("{processes:>9} {outage:>7} s {tries:>12} {p50:>10.2} / {p99:>5.2} {busiest:>14}");
            assert!(p99 <= (0.26 * outage + 0.5).min(7.6), "{outage} s: {p99}");
            let bound = if outage < 10.0 { 450 } else { 100 };
            assert!(busiest <= bound, "{processes} x {each}, {outage} s: {busiest} requests in 100 ms");
            assert!(tries as f64 <= processes as f64 * (30.0 + outage / 2.0), "{tries}");
        }
    }
}
