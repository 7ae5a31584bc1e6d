//! The JSON documents in a stream of byte chunks, wherever the chunks are cut.

use bytes::{Bytes, BytesMut};

use crate::source::json::{Scanner, Stop, blank, is_blank};

/// Cuts chunks into documents, as Go's decoder does: they need not be a line each, though every server writes them so.
///
/// A document within one chunk is a slice of it; only one that spans chunks is copied, once. No byte is looked at
/// twice.
///
/// A newline also ends a document that cannot go on after it: one that is within a string, where JSON has none, or
/// before an opening brace where a comma is missing. So what is broken costs its line, and not those that follow.
pub(super) struct Documents {
    /// The beginning of a document whose end has not come.
    begun: BytesMut,
    /// What is left of the newest chunk.
    chunk: Bytes,
    /// How much of the chunk belongs to the document.
    scanned: usize,
    scanner: Scanner,
    /// The last byte of the document before its newest newline that is no whitespace.
    last: u8,
    /// The length of the document at a newline with nothing but whitespace after it.
    line: Option<usize>,
    longest: usize,
}

/// A part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Its braces are closed.
    Whole(Bytes),
    /// A newline came before.
    Broken(Bytes),
}

/// Why there are no more documents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooLong,
    /// It does not begin with a brace.
    NoObject,
}

// === impl Documents ===

impl Documents {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            begun: BytesMut::new(),
            chunk: Bytes::new(),
            scanned: 0,
            scanner: Scanner::default(),
            last: 0,
            line: None,
            longest,
        }
    }

    /// Adds the next chunk. The documents of the one before must have been taken out.
    pub(super) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty());
        self.chunk = chunk;
    }

    /// The next document.
    pub(super) fn next(&mut self) -> Result<Option<Document>, Unreadable> {
        if self.length() == 0 {
            let blank = blank(&self.chunk);
            let _ = self.chunk.split_to(blank);
            match self.chunk.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(Unreadable::NoObject),
            }
        }
        loop {
            if let Some(line) = self.line {
                self.scanned += blank(&self.chunk[self.scanned..]);
                match self.chunk.get(self.scanned) {
                    None => return self.keep(),
                    Some(b'{') if !b",:[".contains(&self.last) => return self.broken(line),
                    Some(_) => self.line = None,
                }
            }
            let new = &self.chunk[self.scanned..];
            match self.scanner.end_or_newline(new) {
                Some(Stop::End(end)) => {
                    self.scanned += end;
                    return self.take().map(|document| Some(Document::Whole(document)));
                }
                Some(Stop::Newline(at)) if self.scanner.in_string() => {
                    self.scanned += at;
                    return self.broken(self.length());
                }
                Some(Stop::Newline(at)) => {
                    self.last = last_of(&new[..at]).unwrap_or(self.last);
                    self.scanned += at;
                    self.line = Some(self.length());
                }
                None => {
                    self.last = last_of(new).unwrap_or(self.last);
                    return self.keep();
                }
            }
        }
    }

    /// The beginning of a document whose end did not come.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::replace(self, Self::new(self.longest)).begun.freeze()
    }

    fn length(&self) -> usize {
        self.begun.len() + self.scanned
    }

    /// Keeps the chunk for later: it ends within the document.
    fn keep(&mut self) -> Result<Option<Document>, Unreadable> {
        if self.chunk.len() > self.longest - self.begun.len() {
            return Err(Unreadable::TooLong);
        }
        self.begun.extend_from_slice(&std::mem::take(&mut self.chunk));
        self.scanned = 0;
        Ok(None)
    }

    /// Gives up the document at the end of its line.
    fn broken(&mut self, length: usize) -> Result<Option<Document>, Unreadable> {
        let mut document = self.take()?;
        document.truncate(length);
        Ok(Some(Document::Broken(document)))
    }

    fn take(&mut self) -> Result<Bytes, Unreadable> {
        if self.scanned > self.longest - self.begun.len() {
            return Err(Unreadable::TooLong);
        }
        let mut document = self.chunk.split_to(self.scanned);
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&document);
            document = self.begun.split().freeze();
        }
        (self.scanned, self.line, self.scanner) = (0, None, Scanner::default());
        Ok(document)
    }
}

fn last_of(text: &[u8]) -> Option<u8> {
    text.iter().rfind(|byte| !is_blank(**byte)).copied()
}
