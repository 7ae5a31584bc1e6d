//! Finds where an object or array ends, by its brackets and quotes.

use wide::u8x16;

/// Bytes that are scanned at once.
const BLOCK: usize = 64;

/// Finds the end of an object or array that is received in pieces. Reads each byte once.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Scanner {
    depth: usize,
    in_string: bool,
    /// Whether the next byte is escaped by a backslash.
    escaped: bool,
    /// The number of objects and arrays that have begun directly within the value. Known of documents only.
    parts: usize,
    /// The end of the last of them, in bytes from the beginning of the value.
    part_end: usize,
}

/// Where a scan stopped, as the count of bytes before it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source) enum Stop {
    /// The value ends here.
    End(usize),
    /// The byte here is a newline within the value.
    Newline(usize),
}

/// Bit masks of a block: the positions of each kind of byte.
struct Bits {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
    newlines: u64,
}

// === impl Scanner ===

impl Scanner {
    pub(in crate::source) fn in_string(&self) -> bool {
        self.in_string
    }

    /// Continues the search for the end of the value. The first piece begins with the opening brace.
    pub(in crate::source) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.scan::<false>(bytes, 0) {
            Some(Stop::End(end)) => Some(end),
            _ => None,
        }
    }

    /// As [`end`](Self::end) for a document, of which `before` bytes came before. Also stops at newlines; the next call
    /// continues after them.
    pub(in crate::source) fn end_or_newline(&mut self, bytes: &[u8], before: usize) -> Option<Stop> {
        self.scan::<true>(bytes, before)
    }

    /// The end of the object or array directly within the document, if there is one only.
    pub(in crate::source) fn only_part_end(&self) -> Option<usize> {
        (self.parts == 1).then_some(self.part_end)
    }

    fn scan<const DOCUMENT: bool>(&mut self, bytes: &[u8], before: usize) -> Option<Stop> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (n, block) in blocks.iter().enumerate() {
            if let Some(stop) = self.block::<DOCUMENT>(block, BLOCK, before + n * BLOCK) {
                return Some(stop.after(n * BLOCK));
            }
        }
        let scanned = blocks.len() * BLOCK;
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block::<DOCUMENT>(&last, rest.len(), before + scanned).map(|stop| stop.after(scanned))
    }

    /// Scans the first `length` bytes of a block.
    #[inline]
    fn block<const DOCUMENT: bool>(
        &mut self,
        block: &[u8; BLOCK],
        length: usize,
        before: usize,
    ) -> Option<Stop> {
        if length == 0 {
            return None;
        }
        let bits = Bits::of::<DOCUMENT>(block);
        let quotes = bits.quotes & !self.escaped_bytes(bits.backslashes, length);
        // Set from the opening quote of a string up to, but not including, the closing one.
        let strings = below_each(quotes) ^ if self.in_string { u64::MAX } else { 0 };
        let opening = bits.opening & !strings;
        let closing = bits.closing & !strings;
        let newlines = if DOCUMENT { bits.newlines } else { 0 };
        // The block stays within the value, and within a part of a document.
        let outer = if DOCUMENT { 1 } else { 0 };
        let mut marks = opening | closing | newlines;
        if marks == 0 {
            // Most blocks are within strings.
        } else if newlines == 0 && self.depth > closing.count_ones() as usize + outer {
            self.depth = self.depth + opening.count_ones() as usize - closing.count_ones() as usize;
        } else {
            while marks != 0 {
                let at = marks.trailing_zeros();
                let mark = 1 << at;
                marks &= marks - 1;
                let stop = if opening & mark != 0 {
                    self.depth += 1;
                    self.parts += usize::from(DOCUMENT && self.depth == 2);
                    continue;
                } else if newlines & mark != 0 {
                    Stop::Newline(at as usize)
                } else {
                    self.depth = self.depth.saturating_sub(1);
                    if DOCUMENT && self.depth == 1 {
                        self.part_end = before + at as usize + 1;
                    }
                    if self.depth > 0 {
                        continue;
                    }
                    Stop::End(at as usize + 1)
                };
                self.in_string = strings & mark != 0;
                self.escaped = false;
                return Some(stop);
            }
        }
        self.in_string = strings >> (length - 1) & 1 != 0;
        None
    }

    /// Which bytes follow a backslash that is not itself escaped.
    fn escaped_bytes(&mut self, backslashes: u64, length: usize) -> u64 {
        let mut escaped = u64::from(self.escaped);
        let mut rest = backslashes & !escaped;
        self.escaped = false;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            if at + 1 >= length {
                self.escaped = true;
                break;
            }
            escaped |= 1 << (at + 1);
            rest &= !(0b11 << at);
        }
        escaped
    }
}

// === impl Stop ===

impl Stop {
    fn after(self, bytes: usize) -> Self {
        match self {
            Self::End(end) => Self::End(bytes + end),
            Self::Newline(at) => Self::Newline(bytes + at),
        }
    }
}

// === impl Bits ===

impl Bits {
    #[inline]
    fn of<const DOCUMENT: bool>(block: &[u8; BLOCK]) -> Self {
        let parts = std::array::from_fn(|n| u8x16::new(block.as_chunks().0[n]));
        // Brackets differ from braces in this bit only, and setting it turns no other byte into a brace.
        let braces = parts.map(|part: u8x16| part | u8x16::splat(b'{' ^ b'['));
        Self {
            quotes: all(&parts, b'"'),
            backslashes: few(&parts, b'\\'),
            opening: all(&braces, b'{'),
            closing: all(&braces, b'}'),
            newlines: if DOCUMENT { few(&parts, b'\n') } else { 0 },
        }
    }
}

/// The positions of a byte.
#[inline]
fn all(parts: &[u8x16; 4], byte: u8) -> u64 {
    let [a, b, c, d] = parts.map(|part| u64::from(part.simd_eq(u8x16::splat(byte)).to_bitmask() & 0xFFFF));
    a | b << 16 | c << 32 | d << 48
}

/// As [`all`], for a byte that few blocks have.
#[inline]
fn few(parts: &[u8x16; 4], byte: u8) -> u64 {
    let [a, b, c, d] = parts.map(|part| part.simd_eq(u8x16::splat(byte)));
    if (a | b | c | d).to_bitmask() & 0xFFFF == 0 { 0 } else { all(parts, byte) }
}

/// Sets each bit to the parity of the bits up to it.
fn below_each(bits: u64) -> u64 {
    (0..6).fold(bits, |bits, step| bits ^ (bits << (1 << step)))
}
