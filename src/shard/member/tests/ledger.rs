//! Many ledgers over one store of announcements, with delays, stuck watches, lost responses, pauses and ends, and a
//! referee.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::assign::{Identity, share};
use super::super::ledger::{Ledger, Others};
use super::super::record::Said;
use crate::fuzz::fuzz_seeds;
use crate::shard::{Range, Ranges};

/// In milliseconds.
const LEASE: u64 = 15_000;
const DEADLINE: u64 = 10_000;
const RENEW: u64 = 2_000;
const TICK: u64 = 100;
const SLOTS: u16 = 16;

/// What a member has announced.
#[derive(Clone)]
struct Write {
    member: usize,
    renewal: u64,
    /// `None` once it has left.
    said: Option<Said>,
}

/// A write in flight.
struct Flight {
    write: Write,
    begun: u64,
    /// When the server has it; `None` if never, or already.
    arrives: Option<u64>,
    /// When the response, if any, arrives. `false`: it is lost.
    responds: (u64, bool),
}

struct Node {
    me: Identity,
    ledger: Ledger,
    /// How much of the log it has seen.
    seen: usize,
    /// The last announcement of each member, and when it was observed.
    known: BTreeMap<usize, (Option<Said>, u64)>,
    /// The number of the last write, the first one that is not seen yet and when it began, and up to when the view is
    /// complete.
    renewal: u64,
    probe: Option<(u64, u64)>,
    complete: u64,
    /// When the last write that succeeded had begun.
    renewed: u64,
    written: Option<Said>,
    flight: Option<Flight>,
    paused_until: u64,
    /// Until when its watch delivers nothing.
    stuck_until: u64,
    crashed: bool,
    left: bool,
    leaving: bool,
    /// What the application works at: to cache, and when it is cached; to finish, and when it has finished.
    caching: Option<(Ranges, u64)>,
    finishing: Option<(u64, u64)>,
}

struct World {
    rng: SmallRng,
    now: u64,
    log: Vec<Write>,
    nodes: Vec<Node>,
    /// Whether the server responds.
    up: bool,
    /// Since when each slot has no worker.
    idle_since: Vec<u64>,
    longest_idle: u64,
}

// === impl Node ===

impl Node {
    fn new(number: usize, now: u64) -> Self {
        let me = identity(&format!("n{number}"));
        Self {
            ledger: Ledger::new(me.clone()),
            me,
            seen: 0,
            known: BTreeMap::new(),
            renewal: 0,
            probe: None,
            complete: now,
            renewed: now,
            written: None,
            flight: None,
            paused_until: 0,
            stuck_until: 0,
            crashed: false,
            left: false,
            leaving: false,
            caching: None,
            finishing: None,
        }
    }

    fn runs(&self, now: u64) -> bool {
        !self.crashed && !self.left && now >= self.paused_until
    }

    /// What it may touch now: a paused process touches nothing.
    fn touches(&self, now: u64) -> Ranges {
        if !self.runs(now) {
            return Ranges::new();
        }
        let works = if now < self.renewed + DEADLINE { self.ledger.working().clone() } else { Ranges::new() };
        works.union(self.ledger.releasing())
    }
}

// === impl World ===

impl World {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn tick(&mut self) {
        self.now += TICK;
        let now = self.now;
        for at in 0..self.nodes.len() {
            self.deliver(at);
            if self.nodes[at].runs(now) {
                self.act(at);
            }
        }
        self.judge();
    }

    /// The server receives writes, whether or not their sender still runs.
    fn deliver(&mut self, at: usize) {
        let (now, node) = (self.now, &mut self.nodes[at]);
        if let Some(flight) = &mut node.flight
            && flight.arrives.is_some_and(|arrives| arrives <= now)
        {
            flight.arrives = None;
            self.log.push(flight.write.clone());
        }
    }

    fn act(&mut self, at: usize) {
        let now = self.now;
        // The guard of the clock is first: a process that was paused does it before anything else.
        let node = &mut self.nodes[at];
        if now >= node.renewed + DEADLINE
            && !(node.ledger.working().is_empty() && node.ledger.said().held.is_empty())
        {
            node.ledger.lose();
            // The application aborts what it works on at once, or had stopped it before.
            node.ledger.finished(released(&node.ledger));
            node.finishing = None;
        }
        if let Some(flight) = &node.flight
            && flight.responds.0 <= now
        {
            if flight.responds.1 {
                node.renewed = flight.begun;
                node.written = flight.write.said.clone();
                node.left = flight.write.said.is_none();
            } else {
                node.probe = None;
            }
            node.flight = None;
        }
        if self.nodes[at].left {
            return;
        }
        // The watch may be behind, but is in order.
        let behind = (self.log.len() - self.nodes[at].seen) as u32;
        if behind > 0 && self.up && now >= self.nodes[at].stuck_until && self.chance(70) {
            let more = self.rng.random_range(1..=behind) as usize;
            let node = &mut self.nodes[at];
            for write in &self.log[node.seen..node.seen + more] {
                node.known.insert(write.member, (write.said.clone(), now));
                if write.member == at
                    && let Some((_, begun)) = node.probe.take_if(|(renewal, _)| *renewal <= write.renewal)
                {
                    node.complete = begun;
                }
            }
            node.seen += more;
        }
        self.step(at);
        self.application(at);
        self.write(at);
        self.clean_up(at);
    }

    /// Deletes the Leases of members that have ended, if they were not written meanwhile.
    fn clean_up(&mut self, at: usize) {
        let node = &self.nodes[at];
        let has_ended = |(_, (said, observed)): &(&usize, &(Option<Said>, u64))| {
            said.is_some() && node.complete >= observed + LEASE
        };
        let ended = node.known.iter().filter(|(member, _)| **member != at).find(has_ended);
        let Some(member) = ended.map(|(member, _)| *member) else { return };
        if self.up && self.log[node.seen..].iter().all(|write| write.member != member) {
            self.log.push(Write { member, renewal: 0, said: None });
        }
    }

    fn step(&mut self, at: usize) {
        let (now, names) = (self.now, self.nodes.iter().map(|node| node.me.clone()).collect::<Vec<_>>());
        let node = &mut self.nodes[at];
        if now >= node.complete + DEADLINE && !node.leaving {
            return;
        }
        let mut others = Others::default();
        let mut members = vec![node.me.clone()];
        for (member, (said, observed)) in node.known.iter().filter(|(member, _)| **member != at) {
            let Some(said) = said else { continue };
            if now < observed + LEASE {
                others.ready = others.ready.union(&said.ready);
                members.push(names[*member].clone());
            }
            if node.complete < observed + LEASE {
                others.held.push((names[*member].clone(), said.held.clone()));
            }
        }
        let seen = node.known.get(&at).and_then(|(said, _)| Some(said.as_ref()?.generation));
        node.ledger.step(share(&node.me, &members, SLOTS), &others, seen);
    }

    fn application(&mut self, at: usize) {
        let (now, list, finish) =
            (self.now, self.rng.random_range(0..3_000), self.rng.random_range(0..4_000));
        let node = &mut self.nodes[at];
        let wanted = node.ledger.to_cache();
        match &node.caching {
            Some((ranges, _)) if *ranges != wanted => node.caching = Some((wanted, now + list)),
            Some((ranges, when)) if *when <= now => node.ledger.listed(&ranges.clone()),
            Some(_) => {}
            None => node.caching = Some((wanted, now + list)),
        }
        match node.finishing.take() {
            Some((released, when)) if when <= now => node.ledger.finished(released),
            Some(going_on) => node.finishing = Some(going_on),
            None if node.ledger.releasing().is_empty() => {}
            None => node.finishing = Some((released(&node.ledger), now + finish)),
        }
    }

    fn write(&mut self, at: usize) {
        let (now, up) = (self.now, self.up);
        let node = &self.nodes[at];
        let has_left =
            node.leaving && node.ledger.said().held.is_empty() && node.ledger.releasing().is_empty();
        let said = (!has_left).then(|| node.ledger.said().clone());
        let due = node.written != said || now >= node.renewed + RENEW;
        if node.flight.is_some() || !due {
            return;
        }
        let (reaches, answers) = (up && self.chance(95), self.chance(95));
        let to = now + self.rng.random_range(0..800);
        let back = to + self.rng.random_range(0..800);
        let node = &mut self.nodes[at];
        // A write that is not answered fails after a while; a later one has a newer version as its condition, so that this
        // one cannot arrive after it.
        let responds = if reaches && answers { (back, true) } else { (now + 2_000, false) };
        node.renewal += 1;
        node.probe.get_or_insert((node.renewal, now));
        let write = Write { member: at, renewal: node.renewal, said };
        node.flight = Some(Flight { write, begun: now, arrives: reaches.then_some(to), responds });
    }

    fn judge(&mut self) {
        let now = self.now;
        let touched: Vec<Ranges> = self.nodes.iter().map(|node| node.touches(now)).collect();
        for (a, one) in touched.iter().enumerate() {
            for (b, other) in touched.iter().enumerate().skip(a + 1) {
                let both = one.intersection(other);
                assert!(both.is_empty(), "at {now} ms, {a} and {b} both work on {both}");
            }
        }
        let worked: Ranges = self
            .nodes
            .iter()
            .filter(|node| node.runs(now))
            .flat_map(|node| node.ledger.working().iter())
            .collect();
        for slot in 0..usize::from(SLOTS) {
            let hash = (slot as u64) << 60;
            if worked.contains(hash) {
                self.idle_since[slot] = now;
            }
            self.longest_idle = self.longest_idle.max(now - self.idle_since[slot]);
        }
    }
}

fn identity(name: &str) -> Identity {
    Identity { name: name.to_owned(), run: String::new() }
}

fn released(ledger: &Ledger) -> u64 {
    ledger.releases().last().map_or(0, |(number, _)| *number)
}

fn world(seed: u64, nodes: usize) -> World {
    println!("seed {seed}");
    World {
        rng: SmallRng::seed_from_u64(seed),
        now: 0,
        log: Vec::new(),
        nodes: (0..nodes).map(|number| Node::new(number, 0)).collect(),
        up: true,
        idle_since: vec![0; usize::from(SLOTS)],
        longest_idle: 0,
    }
}

/// At the end everything is worked on, by those that should.
fn settles(world: &mut World) {
    world.up = true;
    world.nodes.iter_mut().for_each(|node| node.stuck_until = 0);
    for _ in 0..600 {
        world.tick();
    }
    let now = world.now;
    let live: Vec<Identity> =
        world.nodes.iter().filter(|node| node.runs(now)).map(|node| node.me.clone()).collect();
    for node in world.nodes.iter().filter(|node| node.runs(now)) {
        let (works, should) = (node.ledger.working(), share(&node.me, &live, SLOTS));
        assert_eq!(*works, should, "{:?} of {live:?}", node.me);
        assert!(node.ledger.said().ready.is_empty() && node.ledger.said().held == should);
    }
}

#[test]
fn never_two_members_on_one_hash_whatever_fails() {
    fuzz_seeds(|seed| {
        let mut world = world(seed, 4);
        for _ in 0..3_000 {
            let at = world.rng.random_range(0..world.nodes.len());
            match world.rng.random_range(0..400) {
                0 => world.nodes[at].paused_until = world.now + world.rng.random_range(1_000..40_000),
                1 if world.nodes.iter().filter(|node| !node.crashed && !node.left).count() > 2 => {
                    world.nodes[at].crashed = true;
                }
                2 if world.nodes.iter().filter(|node| !node.crashed && !node.leaving).count() > 2 => {
                    world.nodes[at].leaving = true;
                    world.nodes[at].ledger.leave();
                }
                3 if world.nodes.len() < 12 => {
                    let (number, now) = (world.nodes.len(), world.now);
                    world.nodes.push(Node::new(number, now));
                }
                4 => world.up = !world.up,
                5 => world.nodes[at].stuck_until = world.now + world.rng.random_range(1_000..40_000),
                _ => {}
            }
            world.tick();
        }
        settles(&mut world);
    });
}

/// Otherwise both keep it, and neither is ready for it.
#[test]
fn what_another_member_has_claimed_is_released_to_it() {
    let (halves, none) = ([0, 1].map(|half| Ranges::from(Range::of(half, 2).unwrap())), Others::default());
    let mut ledger = Ledger::new(identity("a"));
    ledger.step(Range::ALL.into(), &none, None);
    ledger.listed(&Range::ALL.into());
    ledger.step(Range::ALL.into(), &none, Some(0));
    ledger.step(Range::ALL.into(), &none, Some(1));
    assert!(ledger.working().is_all());
    for claimed in &halves {
        let others = Others { held: vec![(identity("b"), claimed.clone())], ready: Ranges::new() };
        ledger.step(halves[0].clone(), &others, Some(1));
        assert!(ledger.working().contains(0), "what it should have, it keeps");
    }
    assert_eq!((ledger.working(), ledger.releasing()), (&halves[0], &halves[1]));
}

/// A view that is stuck may never confirm them.
#[test]
fn a_member_that_leaves_withdraws_its_claims_at_once() {
    let mut ledger = Ledger::new(identity("a"));
    ledger.step(Range::ALL.into(), &Others::default(), None);
    ledger.listed(&Range::ALL.into());
    ledger.step(Range::ALL.into(), &Others::default(), None);
    assert!(ledger.said().held.is_all());
    ledger.leave();
    assert!(ledger.said().held.is_empty() && ledger.releasing().is_empty());
}

/// The time of a Lease, the time to observe and to announce, and a list.
#[test]
fn no_hash_is_without_a_member_for_longer_than_a_lease_and_a_list() {
    fuzz_seeds(|seed| {
        let mut world = world(seed, 4);
        settles(&mut world);
        world.longest_idle = 0;
        world.nodes[1].crashed = true;
        settles(&mut world);
        let crash = world.longest_idle;
        assert!((LEASE - RENEW..LEASE + 12_000).contains(&crash), "after a crash {crash} ms");
        world.longest_idle = 0;
        world.nodes[2].leaving = true;
        world.nodes[2].ledger.leave();
        let (number, now) = (world.nodes.len(), world.now);
        world.nodes.push(Node::new(number, now));
        settles(&mut world);
        let moved = world.longest_idle;
        assert!(moved < 20_000, "as one member leaves and one joins {moved} ms");
    });
}
