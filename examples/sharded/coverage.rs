//! For how long hashes had no member that works on them.

use std::collections::{BTreeSet, HashMap};

use kube_informer::shard::Ranges;

/// What happened to the ranges of the processes, in any order.
#[derive(Debug, Default)]
pub struct Coverage {
    events: Vec<(u64, usize, Event)>,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// The process works on these ranges from now on.
    Holds(Ranges),
    /// The process does not work, whatever it holds.
    Paused,
    Resumed,
    Ended,
}

/// The longest time for which a hash had no member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// In microseconds.
    pub in_all: u64,
    /// Without the time before the last fault in it: what one fault costs.
    pub after_a_fault: u64,
}

// === impl Coverage ===

impl Coverage {
    pub fn note(&mut self, at: u64, process: usize, event: Event) {
        self.events.push((at, process, event));
    }

    /// The longest time within this one. Time before each hash had a member for the first time does not count.
    pub fn longest(&self, from: u64, until: u64, faults: &[u64]) -> Longest {
        let mut events: Vec<_> = self.events.iter().filter(|(at, ..)| *at <= until).collect();
        events.sort_by_key(|(at, ..)| *at);
        // Between two of these, all hashes are alike.
        let bounds: BTreeSet<u64> = self.events.iter().flat_map(|(.., event)| bounds(event)).collect();
        let hashes: Vec<u64> = bounds.into_iter().collect();
        let mut held: HashMap<usize, (&Ranges, bool)> = HashMap::new();
        let mut missing_since: Vec<Option<u64>> = vec![Some(0); hashes.len()];
        let mut complete = false;
        let mut longest = Longest::default();
        let mut gap = |since: u64, to: u64| {
            let since = since.max(from);
            let fault = faults.iter().copied().filter(|at| (since..to).contains(at)).max().unwrap_or(since);
            longest.in_all = longest.in_all.max(to.saturating_sub(since));
            longest.after_a_fault = longest.after_a_fault.max(to.saturating_sub(fault));
        };
        for (at, process, event) in events {
            match event {
                Event::Holds(ranges) => held.entry(*process).or_insert((ranges, true)).0 = ranges,
                Event::Paused | Event::Resumed => {
                    let works = matches!(event, Event::Resumed);
                    held.entry(*process).and_modify(|(_, working)| *working = works);
                }
                Event::Ended => drop(held.remove(process)),
            }
            for (hash, since) in hashes.iter().zip(&mut missing_since) {
                let is_held = held.values().any(|(ranges, working)| *working && ranges.contains(*hash));
                match (is_held, *since) {
                    (true, Some(missing)) => {
                        if complete {
                            gap(missing, *at);
                        }
                        *since = None;
                    }
                    (false, None) => *since = Some(*at),
                    _ => {}
                }
            }
            complete |= missing_since.iter().all(Option::is_none);
        }
        if complete {
            missing_since.iter().flatten().for_each(|since| gap(*since, until));
        }
        longest
    }
}

fn bounds(event: &Event) -> Vec<u64> {
    let Event::Holds(ranges) = event else { return Vec::new() };
    let bounds = |range: kube_informer::shard::Range| [Some(range.first()), range.last().checked_add(1)];
    ranges.iter().flat_map(bounds).flatten().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use kube_informer::shard::Range;

    use super::*;

    fn half(number: u32) -> Event {
        Event::Holds(Range::of(number, 2).unwrap().into())
    }

    /// Two processes with a half each, since time 10 and 12.
    fn two() -> Coverage {
        let mut coverage = Coverage::default();
        coverage.note(12, 1, half(1));
        coverage.note(10, 0, half(0));
        coverage
    }

    #[test]
    fn the_start_does_not_count() {
        assert_eq!(two().longest(0, 100, &[]), Longest::default());
    }

    #[test]
    fn ranges_of_a_process_that_ends_are_missing_until_another_one_holds_them() {
        let mut coverage = two();
        coverage.note(20, 0, Event::Ended);
        coverage.note(50, 1, Event::Holds(Range::ALL.into()));
        assert_eq!(coverage.longest(0, 100, &[]), Longest { in_all: 30, after_a_fault: 30 });
        assert_eq!(coverage.longest(30, 100, &[]).in_all, 20, "from 30 on");
        assert_eq!(coverage.longest(0, 40, &[]).in_all, 20, "until 40");
    }

    #[test]
    fn ranges_that_stay_missing_count() {
        let mut coverage = two();
        coverage.note(20, 0, Event::Ended);
        assert_eq!(coverage.longest(0, 100, &[]).in_all, 80);
    }

    #[test]
    fn a_paused_process_does_not_work_although_it_holds_ranges() {
        let mut coverage = two();
        coverage.note(20, 0, Event::Paused);
        coverage.note(25, 0, Event::Resumed);
        assert_eq!(coverage.longest(0, 100, &[]).in_all, 5);
    }

    #[test]
    fn a_second_fault_before_the_first_one_has_healed_is_counted_by_itself() {
        let mut coverage = two();
        coverage.note(20, 0, Event::Ended);
        coverage.note(40, 1, Event::Ended);
        coverage.note(90, 2, Event::Holds(Range::ALL.into()));
        assert_eq!(coverage.longest(0, 100, &[20, 40]), Longest { in_all: 70, after_a_fault: 50 });
    }

    #[test]
    fn a_part_of_a_range_may_be_missing() {
        let mut coverage = two();
        coverage.note(20, 0, Event::Holds(Range::of(0, 4).unwrap().into()));
        coverage.note(33, 1, Event::Holds(Ranges::from(Range::of(0, 4).unwrap()).complement()));
        assert_eq!(coverage.longest(0, 100, &[]).in_all, 13);
    }
}
