//! Label and field selectors, parsed as the API server parses them.
//!
//! The grammar is that of the Kubernetes docs, "Labels and Selectors": `k`, `!k`, `k=v`, `k==v`, `k!=v`,
//! `k in (a,b)`, `k notin (a,b)`, `k>1`, `k<1`, joined by commas.

use serde_json::Value;

use super::kind::Kind;
use super::status::ApiStatus;
use super::validate::{bad_label_key, bad_label_value};

/// Both selectors of a request; empty selects everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    op: Op,
}

#[derive(Clone, Debug, PartialEq)]
enum Op {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Selector {
    pub(super) fn parse(labels: &str, fields: &str, kind: &Kind) -> Result<Self, ApiStatus> {
        let labels = parse_labels(labels).map_err(ApiStatus::bad_request)?;
        Ok(Self { labels, fields: parse_fields(fields, kind)? })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.labels.iter().all(|wanted| {
            wanted.op.holds(labels.and_then(|labels| labels.get(&wanted.key)).and_then(Value::as_str))
        }) && self.fields.iter().all(|(path, equal, text)| (field(object, path) == *text) == *equal)
    }
}

impl Requirement {
    /// Refuses labels that no object can have, with the same list of errors as the real server.
    fn new(key: String, sign: &str, mut values: Vec<String>) -> Result<Self, String> {
        values.sort();
        values.dedup();
        let bad_key = bad_label_key(&key).map(|why| format!("<nil>: Invalid value: {key:?}: {why}"));
        let bad_values = values.iter().enumerate().filter_map(|(at, value)| {
            let why = bad_label_value(value)?;
            Some(format!("values[{at}][{key}]: Invalid value: {value:?}: {why}"))
        });
        let number = values.first().and_then(|value| value.parse().ok());
        let no_number = (matches!(sign, ">" | "<") && number.is_none()).then(|| {
            let value = values.first().map_or("", String::as_str);
            format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        });
        let faults: Vec<String> = bad_key.into_iter().chain(no_number).chain(bad_values).collect();
        match &faults[..] {
            [] => {}
            [one] => return Err(one.clone()),
            all => return Err(format!("[{}]", all.join(", "))),
        }
        let op = match (sign, number) {
            ("!", _) => Op::Absent,
            ("=" | "==", _) => Op::In(values),
            ("!=", _) => Op::NotIn(values),
            (">", Some(bound)) => Op::Above(bound),
            ("<", Some(bound)) => Op::Below(bound),
            _ => Op::Exists,
        };
        Ok(Self { key, op })
    }
}

impl Op {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(any) => value.is_some_and(|value| any.iter().any(|one| one == value)),
            Self::NotIn(none) => value.is_none_or(|value| none.iter().all(|one| one != value)),
            Self::Above(bound) => number().is_some_and(|number| number > *bound),
            Self::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The text that a field selector compares; empty for an absent field.
fn field(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |at, part| at.get(part)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn parse_fields(text: &str, kind: &Kind) -> Result<Vec<(String, bool, String)>, ApiStatus> {
    let mut fields = Vec::new();
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (path, true, value)
        } else {
            return Err(ApiStatus::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        kind.check_selectable(path)?;
        fields.push((path.to_owned(), equal, value.to_owned()));
    }
    Ok(fields)
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut tokens = Tokens { all: lex(text), at: 0 };
    let mut requirements = Vec::new();
    if tokens.peek() == Token::End {
        return Ok(requirements);
    }
    loop {
        let starts = tokens.peek();
        if !matches!(starts, Token::Word(_) | Token::Sign("!")) {
            let expected = if requirements.is_empty() {
                "!, identifier, or 'end of string'"
            } else {
                "identifier after ','"
            };
            return Err(format!("found '{}', expected: {expected}", starts.text()));
        }
        let requirement = tokens.requirement();
        requirements.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
        match tokens.next() {
            Token::End => return Ok(requirements),
            Token::Sign(",") => {}
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}

struct Tokens {
    all: Vec<Token>,
    at: usize,
}

impl Tokens {
    fn peek(&self) -> Token {
        self.all.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// One term between commas; it begins with a word or `!`.
    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if absent || matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Requirement::new(key, if absent { "!" } else { "" }, Vec::new());
        }
        let (sign, values) = match self.next() {
            Token::Sign(sign @ ("=" | "==" | "!=" | ">" | "<")) => (sign, vec![self.value()?]),
            Token::Word(op) if op == "in" => ("=", self.set()?),
            Token::Word(op) if op == "notin" => ("!=", self.set()?),
            other => {
                return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text()));
            }
        };
        Requirement::new(key, sign, values)
    }

    /// The value after `=`; it may be empty.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(text) => Ok(text),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// `(a,b)`, after `in` or `notin`.
    fn set(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = Vec::new();
        let mut after_word = false;
        loop {
            match self.next() {
                Token::Word(text) if !after_word => {
                    values.push(text);
                    after_word = true;
                }
                Token::Sign(sign @ ("," | ")")) => {
                    if !after_word {
                        values.push(String::new());
                    }
                    after_word = false;
                    if sign == ")" {
                        return Ok(values);
                    }
                }
                other => {
                    let expected = if after_word { "',' or ')'" } else { "',', ')' or identifier" };
                    return Err(format!("found '{}', expected: {expected}", other.text()));
                }
            }
        }
    }
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) => text,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

fn lex(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "=!,()<>".contains(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(selector: &str, labels: Value) -> bool {
        let object = json!({ "metadata": { "name": "a", "labels": labels } });
        let kind = Kind::cluster("g", "v1", "K", "ks");
        Selector::parse(selector, "", &kind).unwrap().matches(&object)
    }

    #[test]
    fn every_operator_selects_what_the_docs_say() {
        for (selector, with_a_1, without) in [
            ("", true, true),
            ("a", true, false),
            ("!a", false, true),
            ("a=1", true, false),
            ("a==2", false, false),
            ("a!=1", false, true),
            ("a in (1, 2)", true, false),
            ("a notin (1,2)", false, true),
            ("a>0", true, false),
            ("a<1", false, false),
            ("a=,a", false, false),
            ("a,!b,a in (1)", true, false),
        ] {
            assert_eq!(selects(selector, json!({ "a": "1" })), with_a_1, "{selector:?} on a=1");
            assert_eq!(selects(selector, json!({})), without, "{selector:?} on nothing");
        }
    }

    #[test]
    fn malformed_selectors_are_named() {
        let kind = Kind::cluster("g", "v1", "K", "ks");
        for (selector, says) in [
            ("a in (", "found '', expected: ',', ')' or identifier"),
            ("a===", "found '=', expected: identifier"),
            ("a>b", "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt'"),
            (
                "a>-1",
                "unable to parse requirement: values[0][a]: Invalid value: \"-1\": a valid label must be",
            ),
            ("a>b_", "unable to parse requirement: [values[0]: Invalid value: \"b_\": for 'Gt', 'Lt'"),
            ("x in (a,-b)", "values[0][x]: Invalid value: \"-b\": a valid label must be"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("!a-", "unable to parse requirement: <nil>: Invalid value: \"a-\": name part must consist of"),
            ("/a", "<nil>: Invalid value: \"/a\": prefix part must be non-empty"),
            ("a/", "name part must be non-empty; name part must consist of"),
            ("a_/b", "prefix part a lowercase RFC 1123 subdomain must consist of"),
            ("a/b/c", "\"a/b/c\": a valid label key must consist of"),
            ("a,", "expected: identifier after ','"),
        ] {
            let refused = Selector::parse(selector, "", &kind).unwrap_err();
            assert!(refused.message().contains(says), "{selector}: {refused}");
        }
    }
}
