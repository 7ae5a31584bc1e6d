//! What a closure may return as the keys of an object.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::Pair;
use crate::key::ObjectKey;

/// The keys of an object, as a closure given to [`Builder::index`](crate::builder::Builder::index) returns them.
///
/// - A single key: a string (`String`, `&'static str`, `Box<str>`, `Arc<str>`), an integer, a `bool`, a `char`, an
///   [`ObjectKey`], a [`Pair`], or a tuple of up to four types that can be hashed.
/// - Any number of keys: an `Option`, a `Vec`, an array, a set. A key that is returned twice counts once.
///
/// Return a key of your own type as `[key]` or `Some(key)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of an index, nor a collection of keys",
    note = "return a key of your own type as `[key]`; collect an iterator into a `Vec`"
)]
pub trait IntoKeys {
    /// The type of the keys.
    type Key: Hash + Eq + Send + Sync + 'static;

    /// Calls `emit` with each key.
    fn for_each_key(self, emit: &mut dyn FnMut(Self::Key));
}

macro_rules! single {
    ($($key:ty),*) => {
        $(impl IntoKeys for $key {
            type Key = $key;

            fn for_each_key(self, emit: &mut dyn FnMut($key)) {
                emit(self);
            }
        })*
    };
}

macro_rules! several {
    ($(($($generic:tt)*) $collection:ty;)*) => {
        $(impl<K: Hash + Eq + Send + Sync + 'static, $($generic)*> IntoKeys for $collection {
            type Key = K;

            fn for_each_key(self, emit: &mut dyn FnMut(K)) {
                self.into_iter().for_each(emit);
            }
        })*
    };
}

macro_rules! tuples {
    ($(($($part:ident),*))*) => {
        $(impl<$($part: Hash + Eq + Send + Sync + 'static),*> IntoKeys for ($($part,)*) {
            type Key = Self;

            fn for_each_key(self, emit: &mut dyn FnMut(Self)) {
                emit(self);
            }
        })*
    };
}

impl<A: Hash + Eq + Send + Sync + 'static, B: Hash + Eq + Send + Sync + 'static> IntoKeys for Pair<A, B> {
    type Key = Self;

    fn for_each_key(self, emit: &mut dyn FnMut(Self)) {
        emit(self);
    }
}

single!(String, &'static str, Box<str>, Arc<str>, Cow<'static, str>, ObjectKey, bool, char);
single!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
several! {
    () Option<K>;
    () Vec<K>;
    (const N: usize) [K; N];
    () BTreeSet<K>;
    (S) HashSet<K, S>;
}
tuples!(()(A)(A, B)(A, B, C)(A, B, C, D));

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<I: IntoKeys>(keys: I) -> Vec<I::Key> {
        let mut all = Vec::new();
        keys.for_each_key(&mut |key| all.push(key));
        all
    }

    #[test]
    fn a_closure_may_return_one_key_or_any_number() {
        assert_eq!(keys("a"), ["a"]);
        assert_eq!(keys(7_u16), [7]);
        assert_eq!(keys(("a", 1)), [("a", 1)]);
        assert_eq!(keys(Pair("a", 1)), [Pair("a", 1)]);
        assert_eq!(keys(()), [()]);
        assert_eq!(keys(Some("a")), ["a"]);
        assert_eq!(keys(None::<String>), [""; 0]);
        assert_eq!(keys(vec!["a", "b"]), ["a", "b"]);
        assert_eq!(keys(["a", "b"]), ["a", "b"]);
        assert_eq!(keys(BTreeSet::from(["b", "a"])), ["a", "b"]);
        assert_eq!(keys(HashSet::from(["a"])), ["a"]);
        assert_eq!(keys(ObjectKey::new("ns", "a")), [ObjectKey::new("ns", "a")]);
    }
}
