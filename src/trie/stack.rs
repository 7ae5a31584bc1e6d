//! The stack of a walk. It allocates only if the tree is unusually deep.

/// Levels stored without allocating. In a trie, enough for 2^30 elements unless many hashes collide.
const INLINE: usize = 6;

/// The unvisited part of each level, with the deepest level on top.
pub(crate) struct Stack<'a, T> {
    inline: [&'a [T]; INLINE],
    depth: usize,
    /// Deeper levels; used only while `inline` is full.
    spilled: Vec<&'a [T]>,
}

// Not derived, because that would require `T: Clone`.
impl<T> Clone for Stack<'_, T> {
    fn clone(&self) -> Self {
        Self { inline: self.inline, depth: self.depth, spilled: self.spilled.clone() }
    }
}

impl<'a, T> Stack<'a, T> {
    pub(crate) fn new(level: &'a [T]) -> Self {
        let mut inline: [&[T]; INLINE] = [&[]; INLINE];
        inline[0] = level;
        Self { inline, depth: 1, spilled: Vec::new() }
    }

    /// The deepest level.
    pub(crate) fn top(&mut self) -> Option<&mut &'a [T]> {
        match self.spilled.last_mut() {
            Some(level) => Some(level),
            None => self.inline[..self.depth].last_mut(),
        }
    }

    pub(crate) fn push(&mut self, level: &'a [T]) {
        if self.depth < INLINE {
            self.inline[self.depth] = level;
            self.depth += 1;
        } else {
            self.spilled.push(level);
        }
    }

    pub(crate) fn pop(&mut self) {
        if self.spilled.pop().is_none() {
            self.depth = self.depth.saturating_sub(1);
        }
    }
}
