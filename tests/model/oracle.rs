//! What a view may show, given what the parts of its scope may have reached.
//!
//! Each part lists and watches for itself, so a view has each part at a version of its own. A view is right if there is a
//! version for each part, not before its last one, such that each object is what these parts have at their versions.
//! Between two changes that a part sees, its versions are alike: they are one [`Stage`].

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use kube_informer::{Obj, View};

use crate::checks::{Verdict, ensure, key, version};
use crate::history::{Key, Lineage, Object, Selection, Versions, Wanted};
use crate::kind::{Kept, Shown};
use crate::world::Server;

/// What a part has reached: a version of a history. None before its first list, and while its kind is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) lineage: usize,
    pub(crate) version: Option<u64>,
}

/// The resourceVersion of a view.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reported {
    /// The lowest of its parts; `None` if one has none, or was last listed before another found a restored server.
    Lowest(Option<u64>),
    /// Says nothing.
    Unknown,
}

/// A view, and what is known of its parts.
pub(crate) struct Question<'a> {
    pub(crate) server: &'a Server,
    /// The client of the informer.
    pub(crate) client: &'a str,
    pub(crate) view: &'a View<Kept>,
    pub(crate) wanted: &'a Wanted,
    /// What each part has reached at least.
    pub(crate) floor: &'a [At],
    /// The history that all parts have reached at least, if the view has a version.
    pub(crate) least: usize,
    pub(crate) reported: Reported,
    /// Whether a part without a version may be absent, and not only unlisted.
    pub(crate) shows_absence: bool,
    /// Parts that were removed from the scope, with the most that each has reached. While another part is behind that, it
    /// cannot bring back what they have removed.
    pub(crate) ghosts: &'a [(Selection, At)],
    /// The last valid version of each object that was seen.
    pub(crate) seen: &'a BTreeMap<Key, Obj<Kept>>,
    /// How many choices of stages are tried. A view with more of them counts as right.
    pub(crate) patience: Cell<u32>,
}

/// Enough for all but some views of parts that were behind for hundreds of versions.
pub(crate) const PATIENCE: u32 = 20_000;

/// What the parts of a right view have reached, at least and at most.
pub(crate) struct Answer {
    pub(crate) low: Vec<At>,
    pub(crate) high: Vec<At>,
    /// The history that all parts have reached at least, once a view has a version again.
    pub(crate) least: usize,
}

/// Versions of a part that show it the same.
#[derive(Clone, Copy)]
struct Stage<'a> {
    selection: &'a Selection,
    lineage: usize,
    /// The first and the last version. None: the part has no objects.
    versions: Option<(u64, u64)>,
    /// The last version that the part can have.
    most: u64,
}

/// What a view has under a key.
struct Shows<'a> {
    held: Option<&'a Obj<Kept>>,
    is_marked: bool,
    seen: Option<&'a Obj<Kept>>,
}

// === impl Question ===

impl Question<'_> {
    /// What the parts may have reached, or why the view is wrong.
    pub(crate) fn answer(&self) -> Result<Answer, String> {
        let (shows, mut why) = (self.shows(), "no part can have reached this version".to_owned());
        let mut stages: Vec<Vec<Stage<'_>>> =
            self.wanted.parts.iter().zip(self.floor).map(|(part, floor)| self.stages(part, *floor)).collect();
        let ghosts: Vec<_> = self.ghosts.iter().filter_map(|(part, at)| Stage::ghost(part, *at)).collect();
        // The keys by the last part that covers them.
        let mut last: Vec<Vec<(&Key, &Shows<'_>)>> = stages.iter().map(|_| Vec::new()).collect();
        for (key, shows) in &shows {
            let parts: Vec<_> =
                (0..stages.len()).filter(|at| self.wanted.parts[*at].covers(&key.0)).collect();
            match parts[..] {
                [] => self.agrees(key, shows, &[], &ghosts)?,
                [only] => stages[only].retain(|stage| {
                    let agrees = self.agrees(key, shows, &[*stage], &ghosts);
                    agrees.map_err(|error| why = error).is_ok()
                }),
                [.., at] => last[at].push((key, shows)),
            }
        }
        let mut chosen = Vec::new();
        let mut answer = None;
        self.choose(&stages, &last, &ghosts, &mut chosen, &mut answer, &mut why);
        if self.patience.get() == 0 {
            let most = At { lineage: self.server.lineages.len() - 1, version: Some(self.server.version()) };
            return Ok(Answer {
                low: self.floor.to_vec(),
                high: vec![most; self.floor.len()],
                least: self.least,
            });
        }
        answer.ok_or_else(|| {
            let stages =
                stages.iter().map(|stages| stages.iter().map(|stage| (stage.lineage, stage.versions)));
            let stages: Vec<Vec<_>> = stages.map(Iterator::collect).collect();
            format!("{why}; each part alone may be at {stages:?}")
        })
    }

    fn choose<'a>(
        &self,
        stages: &[Vec<Stage<'a>>],
        keys: &[Vec<(&Key, &Shows<'_>)>],
        ghosts: &[Stage<'a>],
        chosen: &mut Vec<Stage<'a>>,
        answer: &mut Option<Answer>,
        why: &mut String,
    ) {
        let Some(next) = stages.get(chosen.len()) else {
            if self.reports(chosen) {
                // A restored server was found. The part that found it was listed since, and the others will be.
                let is_renewed = self.is_renewed() && chosen.iter().all(|stage| stage.versions.is_some());
                let newest = chosen.iter().map(|stage| stage.lineage).max().filter(|_| is_renewed);
                Answer::add(answer, chosen, newest.unwrap_or_default());
            }
            return;
        };
        for stage in next {
            self.patience.set(self.patience.get().saturating_sub(1));
            if self.patience.get() == 0 {
                return;
            }
            chosen.push(*stage);
            let agrees = keys[chosen.len() - 1].iter().try_for_each(|(key, shows)| {
                let covers = |stage: &&Stage<'_>| stage.selection.covers(&key.0);
                let covering: Vec<_> = chosen.iter().filter(covers).copied().collect();
                self.agrees(key, shows, &covering, ghosts)
            });
            match agrees {
                Ok(()) => self.choose(stages, keys, ghosts, chosen, answer, why),
                Err(error) => *why = error,
            }
            chosen.pop();
        }
    }

    /// All keys of the server and of the view.
    fn shows(&self) -> BTreeMap<Key, Shows<'_>> {
        let marked: BTreeSet<Key> = self
            .view
            .invalid()
            .filter_map(|error| error.key())
            .map(|key| (key.namespace().to_owned(), key.name().to_owned()))
            .collect();
        let written =
            self.server.lineages.iter().flat_map(|lineage| lineage.objects(self.wanted.kind).keys());
        let keys: BTreeSet<Key> =
            written.cloned().chain(marked.iter().cloned()).chain(self.view.iter().map(key)).collect();
        keys.into_iter()
            .map(|key| {
                let held = self.view.get((&key.0, &key.1));
                let shows = Shows { held, is_marked: marked.contains(&key), seen: self.seen.get(&key) };
                (key, shows)
            })
            .collect()
    }

    /// The stages of a part that are not before its last one, and that the server has told it of.
    fn stages<'a>(&'a self, part: &'a Selection, floor: At) -> Vec<Stage<'a>> {
        let peer = format!("{} {part:?}", self.client);
        let mut stages = Vec::new();
        if floor.version.is_none() || self.shows_absence {
            stages.push(Stage { selection: part, lineage: floor.lineage, versions: None, most: 0 });
        }
        // No part is behind the version of the view.
        let lowest = if let Reported::Lowest(Some(lowest)) = self.reported { lowest } else { 1 };
        for lineage in floor.lineage..self.server.lineages.len() {
            let Some(sent) = self.server.sent(&peer, lineage).filter(|sent| *sent >= lowest) else {
                continue;
            };
            let history = &self.server.lineages[lineage];
            let floor = floor.version.filter(|_| lineage == floor.lineage).unwrap_or(1).max(lowest);
            let mut first = floor;
            let events = history.between(floor, sent).iter().filter(|event| event.is_of(part));
            let mut add = |first: u64, end: u64| {
                let versions = Some((first, end));
                stages.push(Stage { selection: part, lineage, versions, most: end.min(sent) });
            };
            for event in events {
                add(first, event.version - 1);
                first = event.version;
            }
            let later = history.between(sent.max(first), u64::MAX).iter().find(|event| event.is_of(part));
            add(first, later.map_or(history.version(), |event| event.version - 1));
        }
        stages
    }

    /// Whether the view can have its resourceVersion with the parts at these stages.
    fn reports(&self, chosen: &[Stage<'_>]) -> bool {
        let Reported::Lowest(lowest) = self.reported else { return true };
        let Some(lowest) = lowest else {
            let has_none = chosen.is_empty() || chosen.iter().any(|stage| stage.versions.is_none());
            return has_none || self.server.lineages.len() > 1;
        };
        chosen
            .iter()
            .all(|stage| stage.lineage >= self.least && stage.versions.is_some() && stage.most >= lowest)
            && chosen.iter().any(|stage| stage.versions.is_some_and(|(first, _)| first <= lowest))
    }

    /// Whether the view shows what is under a key. `parts` are those that cover it.
    fn agrees(&self, key: &Key, shows: &Shows<'_>, parts: &[Stage<'_>], ghosts: &[Stage<'_>]) -> Verdict {
        let name = || format!("{}/{}", key.0, key.1);
        let parts = Known::all(self.server, parts, key);
        let ghosts = Known::all(self.server, ghosts, key);
        let is_one_history = parts.windows(2).all(|pair| pair[0].stage.lineage == pair[1].stage.lineage);
        let agrees = if is_one_history && !self.is_renewed() {
            agrees_in_one_history(self.server, shows, &parts, &ghosts)
        } else {
            self.agrees_in_several(key, shows)
        };
        agrees.map_err(|why| {
            let at: Vec<_> = parts.iter().map(|part| (part.stage.lineage, part.stage.versions)).collect();
            format!("{} {why}, with parts at {at:?}", name())
        })
    }

    /// Whether the server was restored, and not all parts were listed since.
    fn is_renewed(&self) -> bool {
        matches!(self.reported, Reported::Lowest(None)) && self.server.lineages.len() > 1
    }

    /// After a restore, versions of several histories have no order. Until all parts are listed again, what one had may stay.
    fn agrees_in_several(&self, key: &Key, shows: &Shows<'_>) -> Verdict {
        let selects = |object: &Object| self.wanted.parts.iter().any(|part| part.has(object));
        let histories = self.server.lineages.iter();
        let versions = histories.filter_map(|history| history.objects(self.wanted.kind).get(key)).flatten();
        let known =
            || versions.clone().filter_map(|(_, object)| object.as_deref()).filter(|object| selects(object));
        let is_known = shows.held.is_none_or(|held| known().any(|object| is(held, object)));
        ensure(is_known, || format!("is {:?}, which no part has had", shows.held))?;
        let is_invalid = known().any(|object| object.shown() == Shown::Invalid);
        ensure(!shows.is_marked || is_invalid, || "counts as invalid".to_owned())
    }
}

// === impl Stage ===

impl<'a> Stage<'a> {
    fn ghost(selection: &'a Selection, at: At) -> Option<Self> {
        let version = at.version?;
        Some(Self { selection, lineage: at.lineage, versions: Some((version, version)), most: version })
    }

    fn at(&self, version: impl FnOnce(&Self, (u64, u64)) -> u64) -> At {
        At { lineage: self.lineage, version: self.versions.map(|versions| version(self, versions)) }
    }
}

// === impl Answer ===

impl Answer {
    fn add(answer: &mut Option<Self>, chosen: &[Stage<'_>], least: usize) {
        let low = chosen.iter().map(|stage| stage.at(|_, (first, _)| first));
        let high = chosen.iter().map(|stage| stage.at(|stage, _| stage.most));
        match answer {
            None => *answer = Some(Self { low: low.collect(), high: high.collect(), least }),
            Some(known) => {
                known.low.iter_mut().zip(low).for_each(|(known, at)| *known = at.min(*known));
                known.high.iter_mut().zip(high).for_each(|(known, at)| *known = at.max(*known));
                known.least = known.least.min(least);
            }
        }
    }

    /// Either of two answers.
    pub(crate) fn or(&mut self, other: Self) {
        self.low.iter_mut().zip(other.low).for_each(|(known, at)| *known = at.min(*known));
        self.high.iter_mut().zip(other.high).for_each(|(known, at)| *known = at.max(*known));
        self.least = self.least.min(other.least);
    }
}

/// What a part knows of the objects under a key.
struct Known<'a> {
    stage: Stage<'a>,
    first: u64,
    last: u64,
    /// All versions up to its own.
    versions: &'a [(u64, Option<std::sync::Arc<Object>>)],
}

impl<'a> Known<'a> {
    fn all(server: &'a Server, stages: &[Stage<'a>], key: &Key) -> Vec<Self> {
        let covering = stages.iter().filter(|stage| stage.selection.covers(&key.0));
        covering.filter_map(|stage| Self::of(server, stage, key)).collect()
    }

    fn of(server: &'a Server, stage: &Stage<'a>, key: &Key) -> Option<Self> {
        let (first, last) = stage.versions?;
        let versions = server.lineages[stage.lineage].objects(stage.selection.kind).get(key);
        let versions = versions.map_or(&[][..], Versions::as_slice);
        let known = versions.partition_point(|(version, _)| *version <= last);
        Some(Self { stage: *stage, first, last, versions: &versions[..known] })
    }

    fn selects(&self, object: &Object) -> bool {
        self.stage.selection.has(object) && object.shown() != Shown::Hidden
    }

    /// The versions of it that the part has selected.
    fn past(&self) -> impl Iterator<Item = &'a Object> {
        self.versions.iter().filter_map(|(_, object)| object.as_deref()).filter(|object| self.selects(object))
    }

    /// What the part has at its version.
    fn present(&self) -> Option<&'a Object> {
        let (_, object) = self.versions.last()?;
        object.as_deref().filter(|object| self.selects(object))
    }
}

fn agrees_in_one_history(
    server: &Server,
    shows: &Shows<'_>,
    parts: &[Known<'_>],
    ghosts: &[Known<'_>],
) -> Verdict {
    // Of several parts, the newest.
    let Some(newest) = parts.iter().filter_map(Known::present).max_by_key(|object| object.version) else {
        return ensure(shows.held.is_none() && !shows.is_marked, || {
            format!("is {:?}, and no part has it", shows.held)
        });
    };
    let lineage = &server.lineages[parts[0].stage.lineage];
    let ghosts = || ghosts.iter().filter(|ghost| ghost.stage.lineage == parts[0].stage.lineage);
    if shows.held.is_none() && !shows.is_marked {
        // A part that is behind still has it, when one that is ahead has lost it.
        let is_lost = parts.iter().filter(|part| part.present().is_some()).all(|behind| {
            let others = || parts.iter().filter(|part| !std::ptr::eq(*part, behind)).chain(ghosts());
            let is_known = others()
                .flat_map(Known::past)
                .any(|object| behind.present().is_some_and(|held| object.version >= held.version));
            let is_other = |ahead: &Known<'_>| {
                ahead.present().map(|object| &object.uid) != behind.present().map(|object| &object.uid)
            };
            is_known && others().any(|ahead| is_other(ahead) && ahead.last > behind.first)
        });
        return ensure(is_lost, || format!("is missing: {newest:?}"));
    }
    // If a part that was ahead has lost it, what it has brought before stays.
    let tips = parts.iter().chain(ghosts()).flat_map(Known::past);
    let mut tips = tips.filter(|tip| tip.uid == newest.uid && tip.version >= newest.version);
    let is_single = parts.len() == 1 && ghosts().next().is_none();
    let fits = tips.any(|tip| match (tip.shown(), shows.held) {
        (Shown::Good, Some(held)) => !shows.is_marked && is(held, tip),
        (Shown::Invalid, held) => {
            shows.is_marked && invalid_agrees(held, lineage, &parts[0], tip, shows.seen.filter(|_| is_single))
        }
        _ => false,
    });
    ensure(fits, || {
        let uid = shows.held.map(|held| Obj::uid(held).into_owned());
        let marked = if shows.is_marked { ", invalid" } else { "" };
        format!("is {:?} of {uid:?}{marked}, not {newest:?}", shows.held)
    })
}

/// If the newest version of an object is invalid, the view has an older valid one with the same uid, or none. One that
/// was seen stays.
fn invalid_agrees(
    held: Option<&Obj<Kept>>,
    lineage: &Lineage,
    part: &Known<'_>,
    object: &Object,
    seen: Option<&Obj<Kept>>,
) -> bool {
    if let Some(held) = held {
        // A version of a history before a restore may stay, too.
        let is_older = version(held) < object.version || lineage.forked_at() > 0;
        return Obj::uid(held) == object.uid && is_older;
    }
    let written = part.versions.iter().rev().filter_map(|(_, object)| object.as_deref());
    let mut of_it = written.filter(|older| older.version < object.version && older.uid == object.uid);
    // Go back from the invalid version: a valid version may be cached; a hidden or unselected one removes the object.
    let good = of_it.find(|older| older.shown() != Shown::Invalid || !part.selects(older));
    let good = good.filter(|older| older.shown() == Shown::Good && part.selects(older));
    !good.zip(seen).is_some_and(|(good, seen)| is(seen, good))
}

fn is(held: &Obj<Kept>, object: &Object) -> bool {
    Obj::uid(held) == object.uid
        && version(held) == object.version
        && Some(held.number) == object.number
        && held.group == object.group
}
