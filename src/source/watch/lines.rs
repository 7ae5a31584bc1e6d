//! Lines of a stream of byte chunks, wherever the chunks are cut.

use bytes::{Bytes, BytesMut};

/// Cuts chunks into lines.
///
/// A line within one chunk is a slice of it; only one that spans chunks is copied, once. No byte is looked at
/// twice.
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: BytesMut,
    /// What is left of the newest chunk.
    chunk: Bytes,
    longest: usize,
}

/// A line is longer than allowed.
#[derive(Debug, PartialEq)]
pub(super) struct TooLong;

// === impl Lines ===

impl Lines {
    pub(super) fn new(longest: usize) -> Self {
        Self { begun: BytesMut::new(), chunk: Bytes::new(), longest }
    }

    /// Takes the next chunk in. The lines of the one before must have been taken out.
    pub(super) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty());
        self.chunk = chunk;
    }

    /// The next whole line, without its newline.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let newline = self.chunk.iter().position(|byte| *byte == b'\n');
        let part = newline.unwrap_or(self.chunk.len());
        if part > self.longest - self.begun.len() {
            return Err(TooLong);
        }
        let Some(newline) = newline else {
            self.begun.extend_from_slice(&std::mem::take(&mut self.chunk));
            return Ok(None);
        };
        let mut line = self.chunk.split_to(newline + 1);
        line.truncate(newline);
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&line);
            line = self.begun.split().freeze();
        }
        Ok(Some(line))
    }

    /// What came after the last newline.
    pub(super) fn rest(&mut self) -> Bytes {
        self.begun.split().freeze()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.longest);
    }
}
