use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::fuzz::fuzz;

/// The documents of a stream that is received in pieces of these lengths.
fn documents(stream: &[u8], cuts: &[usize]) -> Vec<Document> {
    let mut documents = Documents::new(usize::MAX);
    let (mut read, mut rest) = (Vec::new(), stream);
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        documents.push(Bytes::copy_from_slice(piece));
        loop {
            match documents.next() {
                Ok(Some(document)) => read.push(document),
                Ok(None) => break,
                Err(_) => return read,
            }
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    read
}

/// The document as if its parts were not known.
fn plain(document: &Document) -> Document {
    match document {
        Document::Whole { text, .. } => Document::Whole { text: text.clone(), part_end: None },
        Document::Broken(text) => Document::Broken(text.clone()),
    }
}

#[test]
fn the_end_of_an_only_object_is_known() {
    let rows = [
        (r#"{"type":"ADDED","object":{"a":[{}]}}"#, Some(r#"{"a":[{}]}"#)),
        (r#"{"object":{"a":"}"} , "type":"ADDED" }"#, Some(r#"{"a":"}"}"#)),
        (r#"{"type":"ADDED","object":[1]}"#, Some("[1]")),
        (r#"{"type":"ADDED","object":{},"x":{}}"#, None),
        (r#"{"x":[],"type":"ADDED","object":{}}"#, None),
        (r#"{"type":"ADDED","object":"{}"}"#, None),
        (r#"{}"#, None),
    ];
    for (text, expected) in rows {
        for cut in 1..=text.len() {
            let [Document::Whole { part_end, .. }] = &documents(text.as_bytes(), &[cut])[..] else {
                panic!()
            };
            let part = part_end.map(|end| &text[..end]);
            assert_eq!(part.is_some(), expected.is_some(), "{text}");
            assert!(part.is_none_or(|part| part.ends_with(expected.unwrap())), "{text}");
        }
    }
}

#[test]
fn fuzz_an_event_is_the_same_with_and_without_a_known_end() {
    let object = r#"\{(("[a{}]{0,2}(\\\\|\\")?":)?([1{\[}\]]|\{\}),?){0,3}\}"#;
    let odd = r#"("[a{}]?\\?"|x):[{}\[\]",:\\\n a0]{0,6}"#;
    let member = prop_oneof![
        4 => Just(r#""type":"ADDED""#.to_owned()),
        4 => object.prop_map(|object| format!("\"object\":{object}")),
        1 => object.prop_map(|object| format!("\"x\" : {object}")),
        1 => odd,
    ];
    let blank = prop::sample::select(vec!["", "", "", "", "", "", " ", "\n", "\\"]);
    let member = (blank, member).prop_map(|(blank, member)| format!("{blank}{member}{blank}"));
    let document =
        prop::collection::vec(member, 1..4).prop_map(|members| format!("{{{}}}\n", members.join(",")));
    let noise = r#"\{[{}\[\]",:\\ a0\n]{0,40}\}"#;
    let stream =
        prop::collection::vec(prop_oneof![4 => document, 1 => noise], 1..4).prop_map(|parts| parts.concat());
    let cuts = prop::collection::vec(1_usize..100, 1..4);
    let (known, read) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    fuzz(&(stream, cuts), |(stream, cuts)| {
        for document in documents(stream.as_bytes(), &cuts) {
            let (event, plain) = (Event::read(&document), plain(&document));
            prop_assert_eq!(&event, &Event::read(&plain));
            let is_known = matches!(document, Document::Whole { part_end: Some(_), .. });
            known.set(known.get() + usize::from(is_known));
            read.set(read.get() + usize::from(is_known && event.is_ok_and(|event| event.object.is_some())));
        }
        Ok(())
    });
    assert!(known.get() > 50 && read.get() > 20, "{} known, {} read", known.get(), read.get());
}
