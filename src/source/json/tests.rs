use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// The end of the value that begins here, found byte by byte.
fn plain_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    None
}

/// The end of a value that is scanned in pieces.
fn end_in_pieces(text: &[u8], cuts: &[usize]) -> Option<usize> {
    let mut scanner = Scanner::default();
    let mut at = 0;
    for cut in cuts.iter().copied().cycle() {
        let piece = &text[at..text.len().min(at + cut)];
        if piece.is_empty() {
            return None;
        }
        if let Some(end) = scanner.end(piece) {
            return Some(at + end);
        }
        at += piece.len();
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn an_end_is_found_wherever_a_byte_by_byte_search_finds_it(
        text in r#"[{\[][{}\[\]"\\ a,:\n]{0,300}"#,
        cuts in prop::collection::vec(1_usize..150, 1..8),
    ) {
        let expected = plain_end(text.as_bytes());
        prop_assert_eq!(Scanner::default().end(text.as_bytes()), expected);
        prop_assert_eq!(end_in_pieces(text.as_bytes(), &cuts), expected);
    }
}

#[test]
fn neither_depth_nor_bytes_that_are_no_text_move_an_end() {
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    assert_eq!(Scanner::default().end(deep.as_bytes()), Some(200_000));
    for byte in (0..=u8::MAX).filter(|byte| !b"\"\\".contains(byte)) {
        let text = [br#"{"a":""#.as_slice(), &[byte; 3], br#"{["} "#].concat();
        assert_eq!(Scanner::default().end(&text), Some(text.len() - 1), "{byte}");
        assert_eq!(Cursor::new(&text).value().unwrap().len(), text.len() - 1);
    }
}

#[test]
fn members_are_found_as_far_as_the_text_can_be_read() {
    let object = br#" {"a" : 1, "b":[{"a":2}] ,"\u0063":"x\"y","n":null,"a":3, "d" ..."#;
    let found = |name| member(object, name).map(|value| value.map(String::from_utf8_lossy));
    assert_eq!(found("a"), Ok(Some("3".into())));
    assert_eq!(found("b"), Ok(Some(r#"[{"a":2}]"#.into())));
    assert_eq!(found("c"), Ok(Some(r#""x\"y""#.into())));
    assert_eq!(found("n"), Ok(None));
    assert_eq!(found("d"), Err(Malformed));
    assert_eq!(member(br#"{"a":1}"#, "d"), Ok(None));
    assert_eq!(member(b"null", "d"), Ok(None));
    for no_object in ["", "[]", "{a:1}", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1"#, r#"{"a":"#, r#"{"a"#] {
        assert_eq!(member(no_object.as_bytes(), "d"), Err(Malformed), "{no_object}");
    }
}

#[test]
fn text_is_read_as_go_reads_it() {
    let rows: [(&[u8], Option<&str>); 14] = [
        (br#""""#, Some("")),
        (br#""abc""#, Some("abc")),
        (br#""a\"\\\u00fc\n""#, Some("a\"\\\u{fc}\n")),
        (b"\"\xc3\xbc\xff\"", Some("\u{fc}\u{fffd}")),
        (br#""\ud83d\ude00""#, Some("\u{1f600}")),
        (br#""\ud83dx""#, Some("\u{fffd}x")),
        (br#""\ude00\ud83d""#, Some("\u{fffd}\u{fffd}")),
        (br#""\ud83d\ud83d\ude00""#, Some("\u{fffd}\u{1f600}")),
        (br#""\\ud83d""#, Some("\\ud83d")),
        (b"\"a\nb\"", None),
        (br#""\u12""#, None),
        (br#"""#, None),
        (b"5", None),
        (b"", None),
    ];
    for (json, expected) in rows {
        assert_eq!(text(json).as_deref(), expected, "{}", String::from_utf8_lossy(json));
    }
    assert!(matches!(lossy(br#"{"\ud83d\ude00":"\\ud83d"}"#), Cow::Borrowed(_)), "nothing to copy");
}

proptest! {
    #[test]
    fn whatever_bytes_there_are_become_text_and_text_stays(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(std::str::from_utf8(&lossy(&bytes)).is_ok());
        let json = Value::from(String::from_utf8_lossy(&bytes)).to_string();
        prop_assert_eq!(lossy(json.as_bytes()), json.as_bytes());
        let read = text(json.as_bytes());
        prop_assert_eq!(read.as_deref(), Some(&*String::from_utf8_lossy(&bytes)));
    }
}
