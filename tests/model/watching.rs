//! An open watch on the server's side: the events it has sent, and its pending fault.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep_until};

use crate::body::{More, Piece};
use crate::faults::{Fault, Manner};
use crate::history::{Event, Selection};
use crate::server::Asked;
use crate::wire::{bookmark, line, nameless, status};
use crate::world::{Server, World};

/// How often a server sends bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);

pub(crate) struct Watching {
    world: World,
    peer: String,
    selection: Selection,
    /// The version up to which events were sent.
    reached: u64,
    lag: Duration,
    lineage: usize,
    restarts: u64,
    blackholes: u64,
    expires: Instant,
    /// When the next bookmark is due, if the watch has bookmarks.
    bookmark: Option<Instant>,
    /// The pending fault, and the number of lines before it.
    fate: Option<(usize, Fate)>,
    gentle: bool,
    /// Whether this is a streaming list that never ends.
    endless: bool,
}

/// How a watch ends early.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Cut,
    CutInLine,
    Stall,
    Error,
    End,
    BadLine,
}

impl Watching {
    /// Begins after `from`; a streaming list begins with the state at `from`.
    pub(crate) fn open(
        world: &World,
        server: &mut Server,
        asked: &Asked,
        from: u64,
        lag: Duration,
        gentle: bool,
    ) -> (VecDeque<Piece>, Self) {
        let now = Instant::now();
        let bookmarks = !server.happens(Fault::NoBookmarks, 0.5);
        let mut watching = Self {
            world: world.clone(),
            peer: asked.peer.clone(),
            selection: asked.selection.clone(),
            reached: from,
            lag,
            lineage: server.lineages.len() - 1,
            restarts: server.restarts,
            blackholes: server.blackholes,
            expires: now + asked.timeout,
            bookmark: bookmarks.then(|| now + BOOKMARKS),
            fate: Self::fate(server, gentle),
            gentle,
            endless: false,
        };
        let mut lines = Vec::new();
        if asked.streaming {
            watching.initial(server, &mut lines);
        } else if !gentle && server.happens(Fault::Replay, 0.4) {
            let back = from.saturating_sub(server.random.random_range(1..6));
            lines.extend(watching.lines(server.lineage().between(back, from)));
        }
        let mut pieces = VecDeque::new();
        watching.send(lines, &mut pieces);
        (pieces, watching)
    }

    fn fate(server: &mut Server, gentle: bool) -> Option<(usize, Fate)> {
        let after = server.random.random_range(0..6);
        let fate = if server.happens(Fault::Cut, 0.3) {
            if server.random.random_bool(0.5) { Fate::Cut } else { Fate::CutInLine }
        } else if server.happens(Fault::Stall, 0.1) && !gentle {
            Fate::Stall
        } else if server.happens(Fault::ErrorEvent, 0.3) {
            Fate::Error
        } else if server.happens(Fault::EndsSoon, 0.3) {
            Fate::End
        } else if server.happens(Fault::BadLine, 0.2) {
            Fate::BadLine
        } else {
            return None;
        };
        Some((after, fate))
    }

    /// The initial events: the state, and perhaps changes, before the bookmark that ends them.
    fn initial(&mut self, server: &mut Server, lines: &mut Vec<String>) {
        let from = self.reached;
        let trouble = !self.gentle;
        let silent = server.manner == Manner::StreamsSilently || server.happens(Fault::StreamSilent, 0.3);
        if trouble && silent {
            self.fate = Some((0, Fate::Stall));
            return;
        }
        // An older state, and then the changes since.
        let mut begin = from;
        if trouble && server.faults.has(Fault::Lag) {
            let oldest = server.compacted.max(server.born[self.selection.kind]).max(1);
            begin = from.saturating_sub(server.random.random_range(0..4)).max(oldest.min(from));
        }
        let state = server.lineage().state(self.selection.kind, begin).cloned().unwrap_or_default();
        let mut objects: Vec<_> = state.values().filter(|object| self.selection.has(object)).collect();
        objects.shuffle(&mut server.random);
        lines.extend(objects.iter().map(|object| line("ADDED", &object.json(object.version))));
        if trouble && server.happens(Fault::Nameless, 0.2) {
            lines.push(line("ADDED", &nameless(begin)));
        }
        lines.extend(self.lines(server.lineage().between(begin, from)));
        self.endless = trouble
            && (server.manner == Manner::StreamsWithoutEnd || server.happens(Fault::StreamEndless, 0.3));
        if self.endless {
            return;
        }
        if trouble && server.happens(Fault::StreamEndsEarly, 0.3) {
            self.fate = Some((0, Fate::End));
            let fewer = server.random.random_range(0..=lines.len());
            lines.truncate(fewer);
            self.fate = Some((fewer, Fate::End));
            return;
        }
        lines.push(bookmark(from, true));
        server.sends(&self.peer, from);
        if trouble && server.happens(Fault::Replay, 0.4) {
            let back = from.saturating_sub(server.random.random_range(1..6));
            lines.extend(self.lines(server.lineage().between(back, from)));
        }
    }

    /// The lines of this watch for these writes.
    fn lines(&self, events: &[Event]) -> Vec<String> {
        let mut lines = Vec::new();
        for event in events.iter().filter(|event| event.is_of(&self.selection)) {
            let before = event.before.as_ref().filter(|object| self.selection.has(object));
            let after = event.after.as_ref().filter(|object| self.selection.has(object));
            let same = before.zip(after).is_some_and(|(before, after)| before.uid == after.uid);
            lines.extend(match (before, after) {
                (None, None) => None,
                (Some(_), Some(after)) if same => Some(line("MODIFIED", &after.json(event.version))),
                (_, Some(after)) => Some(line("ADDED", &after.json(event.version))),
                (Some(before), None) => Some(line("DELETED", &before.json(event.version))),
            });
        }
        lines
    }

    /// Turns lines into pieces: several lines in one piece, one line in several, and the pending fault.
    fn send(&mut self, lines: Vec<String>, pieces: &mut VecDeque<Piece>) {
        for text in lines {
            if let Some((left, fate)) = &mut self.fate {
                if *left == 0 {
                    let fate = *fate;
                    return self.end(fate, &text, pieces);
                }
                *left -= 1;
            }
            pieces.push_back(Piece::data(text));
        }
        if let Some((0, fate)) = self.fate {
            self.end(fate, "", pieces);
        }
    }

    fn end(&self, fate: Fate, next: &str, pieces: &mut VecDeque<Piece>) {
        let mut say = |text: String| pieces.push_back(Piece::data(text));
        let end = match fate {
            Fate::Cut => Piece::Cut,
            Fate::CutInLine => {
                say(next[..next.len() / 2].to_owned());
                if next.len().is_multiple_of(2) { Piece::Cut } else { Piece::End }
            }
            Fate::Stall => Piece::Stall,
            Fate::End => Piece::End,
            Fate::Error => {
                let (code, reason) =
                    [(410, "Expired"), (500, "InternalError"), (504, "Timeout")][self.reached as usize % 3];
                say(line("ERROR", &status(code, reason, None)));
                Piece::End
            }
            Fate::BadLine => {
                say("this is no event\n".to_owned());
                Piece::End
            }
        };
        pieces.push_back(end);
    }

    /// The pieces to send now; `None` if there are none.
    fn now(&mut self) -> Option<VecDeque<Piece>> {
        let world = self.world.clone();
        let mut server = world.lock();
        if server.blackhole || self.blackholes != server.blackholes {
            return Some([if self.gentle { Piece::Cut } else { Piece::Stall }].into());
        }
        if self.restarts != server.restarts || server.outage || self.lineage != server.lineages.len() - 1 {
            return Some([if self.reached.is_multiple_of(2) { Piece::Cut } else { Piece::End }].into());
        }
        if !server.trouble {
            // The pending fault no longer applies.
            self.fate = None;
            self.lag = Duration::ZERO;
        }
        let now = Instant::now();
        let visible = server.lineage().version_at(now - self.lag);
        let mut lines = Vec::new();
        if visible > self.reached {
            let events = server.lineage().between(self.reached, visible);
            let last = events.iter().rfind(|event| event.is_of(&self.selection)).map(|event| event.version);
            lines = self.lines(events);
            self.reached = visible;
            last.into_iter().for_each(|last| server.sends(&self.peer, last));
        }
        let installed = server.installed[self.selection.kind];
        let known = self.reached <= server.version();
        let mut pieces = VecDeque::new();
        if self.bookmark.is_some_and(|due| due <= now) {
            self.bookmark = Some(now + BOOKMARKS);
            // No bookmarks are sent within an endless list, or to a watch that is ahead of a restored server.
            if known && !self.endless {
                lines.push(bookmark(self.reached, false));
                server.sends(&self.peer, self.reached);
            }
        }
        drop(server);
        self.send(lines, &mut pieces);
        if !installed || now >= self.expires {
            pieces.push_back(Piece::End);
        }
        (!pieces.is_empty()).then_some(pieces)
    }

    /// When there may be something to send without a write.
    fn due(&self) -> Instant {
        let due = self.bookmark.map_or(self.expires, |bookmark| bookmark.min(self.expires));
        let behind = {
            let server = self.world.lock();
            server.lineage().between(self.reached, u64::MAX).first().map(|event| event.at + self.lag)
        };
        behind.map_or(due, |behind| behind.max(Instant::now()).min(due))
    }
}

impl More for Watching {
    async fn more(&mut self) -> VecDeque<Piece> {
        let world = self.world.clone();
        loop {
            let changed = world.changed();
            if let Some(pieces) = self.now() {
                return pieces;
            }
            let due = self.due();
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(due) => {}
            }
        }
    }
}
