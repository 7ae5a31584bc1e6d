//! Splits a stream of byte chunks into JSON documents, independent of the chunk boundaries.

use bytes::{Bytes, BytesMut};

use crate::source::json::{Scanner, Stop, blank, is_blank};

/// Splits chunks into documents as Go's decoder does: a document need not be one line, although every server
/// writes it so.
///
/// A document within one chunk is a slice of it; only a document that spans chunks is copied, once. Each byte
/// is scanned once.
///
/// A newline also ends a document that cannot continue after it: within a string, where JSON does not allow
/// it, or before an opening brace without a comma. So a broken document affects only its own line.
pub(super) struct Documents {
    /// The beginning of an incomplete document.
    begun: BytesMut,
    /// The rest of the newest chunk.
    chunk: Bytes,
    /// The number of scanned bytes of the chunk, which belong to the document.
    scanned: usize,
    scanner: Scanner,
    /// The last byte that is not whitespace before the newest newline of the document.
    last: u8,
    /// The length of the document at a newline, if only whitespace follows it so far.
    line: Option<usize>,
    longest: usize,
}

/// A part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// A document with closed braces.
    Whole {
        text: Bytes,
        /// The end of the object or array in it, if there is one only.
        part_end: Option<usize>,
    },
    /// A document that a newline has ended early.
    Broken(Bytes),
}

/// Why no more documents can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooLong,
    /// The next document does not begin with a brace.
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

    /// Adds the next chunk. All documents of the previous one must have been read.
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
            match self.scanner.end_or_newline(new, self.length()) {
                Some(Stop::End(end)) => {
                    self.scanned += end;
                    let part_end = self.scanner.only_part_end();
                    return self.take().map(|text| Some(Document::Whole { text, part_end }));
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

    /// The incomplete document at the end of the stream.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::replace(self, Self::new(self.longest)).begun.freeze()
    }

    fn length(&self) -> usize {
        self.begun.len() + self.scanned
    }

    /// Buffers the chunk, because it ends within the document.
    fn keep(&mut self) -> Result<Option<Document>, Unreadable> {
        if self.chunk.len() > self.longest - self.begun.len() {
            return Err(Unreadable::TooLong);
        }
        self.begun.extend_from_slice(&std::mem::take(&mut self.chunk));
        self.scanned = 0;
        Ok(None)
    }

    /// Ends the document at the end of its line, as broken.
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
