//! A rolling update: which slots move, and which lists that causes.

use std::collections::HashMap;
use std::fmt;

use super::assign::{self, Identity};
use crate::Ranges;

/// How replicas are replaced.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// As a Deployment does it: so many new ones join, then as many old ones leave.
    New { at_once: usize },
    /// As a StatefulSet does it: one leaves, and joins again under its name.
    SameName,
}

/// What a rolling update has caused.
#[derive(Default)]
pub(crate) struct Rolled {
    /// The largest share, of the mean one, before.
    pub(crate) unevenness: f64,
    /// Hashes that another member got, of all; more than one if they move several times.
    pub(crate) moved: f64,
    /// In one step: members that join, or leave.
    pub(crate) most: f64,
    /// A member lists its share when it gets more, and when it has released some.
    pub(crate) lists: usize,
    /// The sum of the shares that were listed.
    pub(crate) listed: f64,
}

/// The shares of the members before and after a step.
struct Group {
    slots: u16,
    members: Vec<(Identity, Ranges)>,
    rolled: Rolled,
}

/// The share of the first of so many members, as it computes it.
pub(crate) fn first_share(replicas: usize, slots: u16) -> Ranges {
    let members = identities(replicas);
    members.first().map(|me| assign::share(me, &members, slots)).unwrap_or_default()
}

pub(crate) fn shares(replicas: usize, slots: u16) -> Vec<Ranges> {
    Group::of(replicas, slots).members.into_iter().map(|(_, share)| share).collect()
}

pub(crate) fn roll(replicas: usize, slots: u16, way: Way) -> Rolled {
    let mut group = Group::of(replicas, slots);
    let largest = group.members.iter().map(|(_, share)| share.fraction()).fold(0.0, f64::max);
    group.rolled = Rolled { unevenness: largest * replicas as f64, ..Rolled::default() };
    match way {
        Way::New { at_once } => {
            for first in (0..replicas).step_by(at_once) {
                let numbers = first..(first + at_once).min(replicas);
                let mut members = group.identities();
                members
                    .extend(numbers.clone().map(|number| identity(format!("controller-79fd6b8c5-{number}"))));
                group.become_of(members.clone());
                members.drain(..numbers.len());
                group.become_of(members);
            }
        }
        Way::SameName => {
            for again in identities(replicas) {
                let mut members = group.identities();
                members.retain(|member| *member != again);
                group.become_of(members.clone());
                members.push(again);
                group.become_of(members);
            }
        }
    }
    group.rolled
}

fn identities(replicas: usize) -> Vec<Identity> {
    (0..replicas).map(|number| identity(format!("controller-5d8f7c9b6-{number}"))).collect()
}

fn identity(name: String) -> Identity {
    Identity { name, run: String::new() }
}

// === impl Group ===

impl Group {
    fn of(replicas: usize, slots: u16) -> Self {
        let mut group = Self { slots, members: Vec::new(), rolled: Rolled::default() };
        group.become_of(identities(replicas));
        group
    }

    fn identities(&self) -> Vec<Identity> {
        self.members.iter().map(|(member, _)| member.clone()).collect()
    }

    fn become_of(&mut self, members: Vec<Identity>) {
        let mut moved = 0.0;
        let shared = assign::shares(&members, self.slots).into_iter();
        let shared: Vec<(Identity, Ranges)> = shared.map(|(member, share)| (member.clone(), share)).collect();
        let before: HashMap<&Identity, &Ranges> =
            self.members.iter().map(|(member, share)| (member, share)).collect();
        for (member, share) in &shared {
            let before = before.get(member).copied().cloned().unwrap_or_default();
            let (gained, lost) = (share.minus(&before), before.minus(share));
            moved += gained.fraction();
            if !gained.is_empty() {
                self.rolled.lists += 1;
                self.rolled.listed += share.union(&before).fraction();
            }
            if !lost.is_empty() {
                self.rolled.lists += 1;
                self.rolled.listed += share.fraction();
            }
        }
        self.rolled.moved += moved;
        self.rolled.most = self.rolled.most.max(moved);
        self.members = shared;
    }
}

// === impl Way ===

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New { at_once: 1 } => f.write_str("one by one"),
            Self::New { at_once } => write!(f, "{at_once} at a time"),
            Self::SameName => f.write_str("one by one, same name"),
        }
    }
}
