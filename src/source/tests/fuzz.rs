//! Runs both decoders on arbitrary bytes, and on responses of API servers with changed bytes.

use proptest::prelude::*;

use super::*;
use crate::fuzz::fuzz;

const PAGES: [&[u8]; 3] = [
    include_bytes!("corpus/pods.json"),
    include_bytes!("corpus/custom.json"),
    include_bytes!("corpus/pod_metrics.json"),
];

const LINES: &[u8] = include_bytes!("corpus/watch.jsonl");

/// Bytes that replace others: `(where, what)`, with the position as a fraction of the length.
type Changes = Vec<(f64, u8)>;

fn changes(most: usize) -> impl Strategy<Value = Changes> {
    let structure = prop::sample::select(b"\"\\{}[],:\n 0".to_vec());
    prop::collection::vec((0.0..1.0, prop_oneof![any::<u8>(), structure]), 0..most)
}

fn changed(text: &[u8], changes: &Changes) -> Vec<u8> {
    let mut text = text.to_vec();
    for (at, byte) in changes {
        let at = (text.len() as f64 * at) as usize;
        text[at] = *byte;
    }
    text
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn chunks(body: &[u8], cuts: &[usize]) -> Vec<Chunk> {
    let mut rest = body;
    let mut cuts = cuts.iter().cycle();
    std::iter::from_fn(|| {
        let length = (*cuts.next()?).min(rest.len());
        let (chunk, after) = rest.split_at_checked(length).filter(|(chunk, _)| !chunk.is_empty())?;
        rest = after;
        Some(Chunk::Data(Bytes::copy_from_slice(chunk)))
    })
    .collect()
}

fn watched(body: &[u8], cuts: &[usize]) -> Vec<String> {
    run(async { events(answering(chunks(body, cuts))).await })
}

fn line(name: &str, more: &[u8]) -> Vec<u8> {
    let head = format!(
        r#"{{"type":"ADDED","object":{{"metadata":{{"name":"{name}","resourceVersion":"3"}},"data":"#
    );
    [head.as_bytes(), more, b"}}\n"].concat()
}

/// Lines: mutated ones of the corpus, valid ones, and arbitrary ones.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        changes(4).prop_map(|changes| changed(LINES, &changes)),
        Just(line("a", b"1")),
        Just(b" \r\n\n".to_vec()),
        Just(br#"{"type":"ADDED",  "object":{"metadata":{}}} {"object":null,"type":"X"}"#.to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        r#"[{}\[\]",:\\\n a0]{0,40}"#.prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

#[test]
fn fuzz_watch_is_the_same_however_it_is_cut() {
    let cuts = || prop::collection::vec(1_usize..100, 1..6);
    fuzz(&(stream(), cuts()), |(body, cuts)| {
        let whole = watched(&body, &[body.len().max(1)]);
        prop_assert!(whole.len() <= body.len());
        prop_assert_eq!(watched(&body, &cuts), whole);
        Ok(())
    });
}

#[test]
fn fuzz_watch_loses_no_event_beside_a_broken_one() {
    // Any bytes except a newline, which would begin the next line.
    let bytes =
        prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:".to_vec())], 0..30);
    fuzz(&bytes, |mut bytes| {
        bytes.retain(|byte| *byte != b'\n');
        let body = [line("a", b"1"), line("b", &bytes), line("c", b"1")].concat();
        let seen = watched(&body, &[body.len()]);
        prop_assert!(seen[0].starts_with("applied a 3"));
        let last = seen.last().unwrap();
        let in_bounds = !bytes.iter().any(|byte| b"\"\\{}[]".contains(byte));
        prop_assert!(
            last.starts_with("applied c 3") || !in_bounds && last.starts_with("error"),
            "{:?}",
            seen
        );
        Ok(())
    });
}

fn listed(body: &[u8]) -> Result<Vec<String>, Error> {
    let page = run(async { list(answering(vec![Chunk::Data(Bytes::copy_from_slice(body))])).await })?;
    Ok(page.items.map(|item| describe(&Ok(WatchEvent::Applied(item)))).collect())
}

#[test]
fn fuzz_list() {
    let page = prop::sample::select(PAGES.to_vec());
    let body = prop_oneof![
        4 => (page, changes(6)).prop_map(|(page, changes)| changed(page, &changes)),
        1 => r#"\{"items":[{}\[\]",:\\ a0]{0,60}\}"#.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ];
    fuzz(&body, |body| {
        match listed(&body) {
            Ok(items) => prop_assert!(items.len() <= body.len()),
            Err(error) => prop_assert!(error.is_protocol(), "{}", error),
        }
        Ok(())
    });
}

#[test]
fn fuzz_list_loses_no_object_beside_a_broken_one() {
    let bytes = prop::collection::vec(any::<u8>(), 1..20);
    let good = |name: &str| format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"3"}}}}"#);
    let page = prop::sample::select(PAGES.to_vec());
    fuzz(&(page, bytes), |(page, mut bytes)| {
        bytes.retain(|byte| !b"\"\\{}[]".contains(byte));
        let odd =
            [br#"{"metadata":{"name":"b"},"data":["#.as_slice(), &bytes, br#",""#, &bytes, b"\"]}"].concat();
        let at = page.windows(9).position(|part| part == br#""items":["#).unwrap() + 9;
        let body = [&page[..at], good("a").as_bytes(), b",", &odd, b",", &page[at..]].concat();
        let (seen, expected) = (listed(&body).unwrap(), listed(page).unwrap());
        prop_assert!(seen[0].starts_with("applied a 3"));
        prop_assert_eq!(&seen[2..], &expected[..]);
        Ok(())
    });
}

#[test]
fn the_corpus_is_sound() {
    assert_eq!(PAGES.map(|page| listed(page).unwrap().len()), [3, 2, 2]);
    let objects = PAGES.iter().flat_map(|page| listed(page).unwrap()).chain(watched(LINES, &[7]));
    for text in objects {
        assert!(!text.contains("invalid") && !text.contains("error"), "{text}");
    }
}
