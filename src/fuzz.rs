//! Tests with random input: briefly in `cargo test`, and in CI for `KUBE_INFORMER_FUZZ_SECONDS` each.
//!
//! The targets are tests named `fuzz_..`, next to the code they test: the decoders of pages and watches
//! (`source`), the trie and the postings.

use std::env;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::{Key, ObjectKey, ResourceVersion, Selector};

/// The cases of a batch. One batch is run if no time is set.
const CASES: u32 = 256;

fn seconds() -> Option<Duration> {
    env::var("KUBE_INFORMER_FUZZ_SECONDS").ok()?.parse().ok().map(Duration::from_secs)
}

/// Checks random inputs, and prints the smallest one that fails.
pub(crate) fn fuzz<S: Strategy>(strategy: &S, check: impl Fn(S::Value) -> TestCaseResult) {
    let (begun, seconds) = (Instant::now(), seconds().unwrap_or_default());
    loop {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
        if let Err(failure) = TestRunner::new(config).run(strategy, &check) {
            panic!("{failure}");
        }
        if begun.elapsed() >= seconds {
            return;
        }
    }
}

/// Runs random histories, each of which prints its seed: first fixed seeds, then random ones for the
/// configured time.
pub(crate) fn fuzz_seeds(mut run: impl FnMut(u64)) {
    let begun = Instant::now();
    (1000..1003).for_each(&mut run);
    while seconds().is_some_and(|seconds| begun.elapsed() < seconds) {
        run(rand::random());
    }
}

#[test]
fn fuzz_keys_and_versions() {
    let text = || prop_oneof!["\\PC{0,12}", "[ab/]{0,4}", "0?[0-9]{0,25}"];
    let pairs = (text(), text(), text(), text());
    fuzz(&pairs, |(a, b, c, d)| {
        let (one, other) = (ObjectKey::new(&a, &b), ObjectKey::new(&c, &d));
        prop_assert_eq!((one.namespace(), one.name()), (&*a, &*b));
        prop_assert_eq!(one == other, (&a, &b) == (&c, &d));
        prop_assert_eq!(one.cmp(&other), (&a, &b).cmp(&(&c, &d)));
        prop_assert_eq!(one.as_key(), Key { namespace: &a, name: &b });
        prop_assert_eq!(one.as_key().to_owned(), one);

        let [a, b, c, _] = [a, b, c, d].map(ResourceVersion::from);
        let order = a.partial_cmp(&b);
        prop_assert_eq!(order.is_some(), a == b || a.is_ordered() && b.is_ordered());
        prop_assert_eq!(b.partial_cmp(&a), order.map(|order| order.reverse()));
        prop_assert_eq!(order == Some(std::cmp::Ordering::Equal), a == b);
        prop_assert!(!(a < b && b < c) || a < c);
        prop_assert_eq!(ResourceVersion::from(a.to_string()), a);
        Ok(())
    });
}

#[test]
fn fuzz_selectors() {
    let words = prop::collection::vec(
        prop_oneof!["[a-z]{1,3}", "[!=<>(),/. \t-]{1,2}", "[0-9]{1,20}", " (not)?in ", "\\PC"],
        0..12,
    );
    let text = prop_oneof![3 => words.prop_map(|words| words.concat()), 1 => "\\PC{0,30}"];
    let labels = prop::collection::btree_map("[ab]{1,2}", "[a-z0-9]{0,2}", 0..4);
    fuzz(&(text, labels), |(text, labels)| {
        if let Ok(selector) = text.parse::<Selector>() {
            let again: Selector = selector
                .to_string()
                .parse()
                .map_err(|error| TestCaseError::fail(format!("{selector} is refused: {error}")))?;
            prop_assert_eq!(again.matches(&labels), selector.matches(&labels));
            prop_assert_eq!(again, selector);
        }
        Ok(())
    });
}
