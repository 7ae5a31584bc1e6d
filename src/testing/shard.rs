//! The parameter `shardSelector` (KEP-5866): ranges of hashes, in a small part of the Common Expression Language.
//!
//! `shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000') || shardRange(..)`, all of one field. It
//! is parsed and refused as kube-apiserver 1.36 does it, except for the words about a syntax error.

use std::fmt;

use serde_json::Value;

use super::object::meta_str;
use super::status::ApiStatus;
use crate::shard::hash;

/// All hashes: the only bound of 17 digits.
const END: &str = "0x10000000000000000";

/// Ranges of hashes of one field. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    /// `object.metadata.uid`, for example.
    field: String,
    ranges: Vec<(Bound, Bound)>,
}

/// A bound, and its text.
type Bound = (u128, String);

/// An expression, as far as the API uses them.
#[derive(Debug)]
enum Expr {
    Call(String, Vec<Expr>),
    Name(String),
    Member(Box<Expr>, String),
    Text(String),
    Number,
}

/// The rest of the text.
struct Parser<'a>(&'a str);

// === impl Shard ===

impl Shard {
    pub(super) fn parse(text: &str) -> Result<Self, ApiStatus> {
        let refused = |why: String| ApiStatus::new(500, "", format!("invalid shard selector: {why}"));
        if text.trim().is_empty() {
            let why = "empty shard selector is not allowed; omit the parameter for unfiltered lists";
            return Err(refused(why.to_owned()));
        }
        let mut parser = Parser(text);
        let parsed = parser.either().filter(|_| parser.0.trim().is_empty());
        let parsed = parsed.ok_or_else(|| refused("CEL parse error: Syntax error".to_owned()))?;
        let mut all = Vec::new();
        walk(&parsed, &mut all).map_err(refused)?;
        let mut all = all.into_iter();
        let (field, range) = all.next().ok_or_else(|| refused("no range".to_owned()))?;
        let mut shard = Self { field, ranges: vec![range] };
        for (field, range) in all {
            if field != shard.field {
                return Err(refused(format!(
                    "all shard ranges must use the same field, got {:?} and {field:?}",
                    shard.field
                )));
            }
            shard.ranges.push(range);
        }
        Ok(shard)
    }

    pub(super) fn has(&self, object: &Value) -> bool {
        let field = self.field.rsplit('.').next().unwrap_or_default();
        let hash = u128::from(hash(meta_str(object, field)));
        self.ranges.iter().any(|((start, _), (end, _))| (start..end).contains(&&hash))
    }
}

/// What the server repeats as `shardInfo`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ((_, start), (_, end))) in self.ranges.iter().enumerate() {
            let or = if at > 0 { " || " } else { "" };
            write!(f, "{or}shardRange({}, '{start}', '{end}')", self.field)?;
        }
        Ok(())
    }
}

/// Collects the ranges of an expression.
fn walk(expr: &Expr, ranges: &mut Vec<(String, (Bound, Bound))>) -> Result<(), String> {
    match expr {
        Expr::Call(name, sides) if name == "_||_" => sides.iter().try_for_each(|side| walk(side, ranges)),
        Expr::Call(name, arguments) if name == "shardRange" => {
            let [field, start, end] = &arguments[..] else {
                return Err(format!("shardRange() requires exactly 3 arguments, got {}", arguments.len()));
            };
            let field = path(field).map_err(|why| format!("shardRange() first argument: {why}"))?;
            if !matches!(field.as_str(), "object.metadata.uid" | "object.metadata.namespace") {
                return Err(format!(
                    "unsupported field path {field:?}; supported: object.metadata.uid, object.metadata.namespace"
                ));
            }
            let (start, end) = (bound(start, "hexStart")?, bound(end, "hexEnd")?);
            if start.0 >= end.0 {
                return Err(format!("shard range start {} must be less than end {}", start.1, end.1));
            }
            ranges.push((field, (start, end)));
            Ok(())
        }
        Expr::Call(name, _) => {
            Err(format!("unsupported function {name:?}; only shardRange() and || are allowed"))
        }
        other => Err(format!(
            "unexpected expression kind {}; expected shardRange() call or || operator",
            other.number()
        )),
    }
}

fn path(expr: &Expr) -> Result<String, String> {
    match expr {
        Expr::Name(name) => Ok(name.clone()),
        Expr::Member(of, name) => Ok(format!("{}.{name}", path(of)?)),
        other => Err(format!(
            "expected field path (e.g. object.metadata.uid), got expression kind {}",
            other.number()
        )),
    }
}

fn bound(expr: &Expr, name: &str) -> Result<Bound, String> {
    let text = match expr {
        Expr::Text(text) => text,
        Expr::Number => return Err(format!("{name} must be a string literal, got int64")),
        other => {
            let kind = other.number();
            return Err(format!("{name} must be a string literal (e.g. '0xff'), got expression kind {kind}"));
        }
    };
    let Some(hex) = text.strip_prefix("0x") else {
        return Err(format!("{name} must have '0x' prefix, got {text:?}"));
    };
    match hex.len() {
        0 => return Err(format!("{name}: hex value is required after '0x'")),
        1..=17 => {}
        length => return Err(format!("{name}: hex value too long ({length} chars, max 17): {hex:?}")),
    }
    if let Some(bad) = hex.chars().find(|digit| !matches!(digit, '0'..='9' | 'a'..='f')) {
        return Err(format!("{name}: invalid hex character {:?} in {text:?}", bad.to_string()));
    }
    match hex.len() {
        16 => {}
        17 if text == END => {}
        17 => return Err(format!("{name}: 17-digit hex value must be '{END}' (2^64), got {text:?}")),
        _ => {
            return Err(format!(
                "{name} must be a 0x-prefixed 16-digit hex value, got {text:?} (did you mean \"0x{hex:0>16}\"?)"
            ));
        }
    }
    let value = u128::from_str_radix(hex, 16).map_err(|_| format!("{name}: no number"))?;
    Ok((value, text.clone()))
}

// === impl Expr ===

impl Expr {
    /// The number of its kind, which the server prints.
    fn number(&self) -> u8 {
        match self {
            Expr::Call(..) => 1,
            Expr::Name(_) => 3,
            Expr::Text(_) | Expr::Number => 5,
            Expr::Member(..) => 7,
        }
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn either(&mut self) -> Option<Expr> {
        self.chain("||", "_||_", Self::both)
    }

    fn both(&mut self) -> Option<Expr> {
        self.chain("&&", "_&&_", Self::one)
    }

    /// Parts that an operator joins, from left to right.
    fn chain(&mut self, sign: &str, name: &str, part: fn(&mut Self) -> Option<Expr>) -> Option<Expr> {
        let mut left = part(self)?;
        while self.eat(sign) {
            left = Expr::Call(name.to_owned(), vec![left, part(self)?]);
        }
        Some(left)
    }

    fn one(&mut self) -> Option<Expr> {
        if self.eat("(") {
            let inner = self.either()?;
            return self.eat(")").then_some(inner);
        }
        for quote in ["'", "\""] {
            if self.eat(quote) {
                let (text, rest) = self.0.split_once(quote)?;
                self.0 = rest;
                return Some(Expr::Text(text.to_owned()));
            }
        }
        let word = self.word()?;
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return word.parse::<i64>().ok().map(|_| Expr::Number);
        }
        if self.eat("(") {
            let mut arguments = Vec::new();
            while !self.eat(")") {
                if !arguments.is_empty() && !self.eat(",") {
                    return None;
                }
                arguments.push(self.either()?);
            }
            return Some(Expr::Call(word, arguments));
        }
        let mut path = Expr::Name(word);
        while self.eat(".") {
            path = Expr::Member(Box::new(path), self.word()?);
        }
        Some(path)
    }

    fn word(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let end =
            text.find(|other: char| !other.is_ascii_alphanumeric() && other != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn eat(&mut self, sign: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(sign);
        rest.inspect(|rest| self.0 = rest).is_some()
    }
}
