//! Parses the text form of label selectors, as in list requests.
//!
//! ```text
//!  selector    = [ requirement { "," requirement } ]
//!  requirement = [ "!" ] key
//!              | key ( "=" | "==" | "!=" | ">" | "<" ) [ value ]
//!              | key ( "in" | "notin" ) "(" [ value ] { "," [ value ] } ")"
//! ```
//!
//! White space is allowed between any two of these; an omitted value is the empty one.

use super::{InvalidSelector, Op, Requirement, invalid};

/// Longer ones first, because some are prefixes of others.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'static str),
    End,
}

/// The rest of the text.
struct Tokens<'a>(&'a str);

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, InvalidSelector> {
    let mut tokens = Tokens(text);
    let mut requirements = Vec::new();
    if tokens.peek() == Token::End {
        return Ok(requirements);
    }
    loop {
        requirements.push(requirement(&mut tokens)?);
        match tokens.next() {
            Token::End => return Ok(requirements),
            Token::Sign(",") => {}
            other => return Err(other.instead_of("',' or the end")),
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, InvalidSelector> {
    let absent = tokens.peek() == Token::Sign("!");
    if absent {
        tokens.next();
    }
    let key = match tokens.next() {
        Token::Word(key) => key.to_owned(),
        other => return Err(other.instead_of("the name of a label")),
    };
    if absent {
        return Requirement::new(key, Op::Absent);
    }
    if matches!(tokens.peek(), Token::End | Token::Sign(",")) {
        return Requirement::new(key, Op::Exists);
    }
    match tokens.next() {
        Token::Sign("=" | "==") => Requirement::is_in(key, [value(tokens)?]),
        Token::Sign("!=") => Requirement::is_not_in(key, [value(tokens)?]),
        Token::Sign(">") => Requirement::new(key, Op::Above(number(tokens)?)),
        Token::Sign("<") => Requirement::new(key, Op::Below(number(tokens)?)),
        Token::Word("in") => Requirement::is_in(key, set(tokens)?),
        Token::Word("notin") => Requirement::is_not_in(key, set(tokens)?),
        other => Err(other.instead_of("an operator")),
    }
}

/// The value after an operator.
fn value(tokens: &mut Tokens<'_>) -> Result<String, InvalidSelector> {
    if matches!(tokens.peek(), Token::End | Token::Sign(",")) {
        return Ok(String::new());
    }
    match tokens.next() {
        Token::Word(value) => Ok(value.to_owned()),
        other => Err(other.instead_of("a value")),
    }
}

/// An integer. It must also be a valid label value, so it has no sign.
fn number(tokens: &mut Tokens<'_>) -> Result<i64, InvalidSelector> {
    let text = value(tokens)?;
    super::validate::value(&text)?;
    text.parse().map_err(|_| invalid(format!("{text:?} is no number to compare with")))
}

/// The values in parentheses.
fn set(tokens: &mut Tokens<'_>) -> Result<Vec<String>, InvalidSelector> {
    match tokens.next() {
        Token::Sign("(") => {}
        other => return Err(other.instead_of("'('")),
    }
    let mut values = Vec::new();
    loop {
        let value = match tokens.peek() {
            Token::Word(value) => {
                tokens.next();
                value
            }
            _ => "",
        };
        values.push(value.to_owned());
        match tokens.next() {
            Token::Sign(",") => {}
            Token::Sign(")") => return Ok(values),
            other => return Err(other.instead_of("',' or ')'")),
        }
    }
}

// === impl Tokens ===

impl<'a> Tokens<'a> {
    fn peek(&self) -> Token<'a> {
        Tokens(self.0).next()
    }

    fn next(&mut self) -> Token<'a> {
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        let text = self.0.trim_start_matches(is_space);
        if let Some(sign) = SIGNS.into_iter().find(|sign| text.starts_with(sign)) {
            self.0 = &text[sign.len()..];
            return Token::Sign(sign);
        }
        let end = text.find(|c: char| is_space(c) || "=!,()<>".contains(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        if word.is_empty() { Token::End } else { Token::Word(word) }
    }
}

// === impl Token ===

impl Token<'_> {
    #[cold]
    fn instead_of(self, expected: &str) -> InvalidSelector {
        match self {
            Self::Word(found) | Self::Sign(found) => {
                invalid(format!("found {found:?} instead of {expected}"))
            }
            Self::End => invalid(format!("it ends where {expected} should be")),
        }
    }
}
