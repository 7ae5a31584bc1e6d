//! Resource versions, which identify the states of a kind, and their order.

use std::cmp::Ordering;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

/// A Kubernetes `resourceVersion`.
///
/// Versions of one kind are compared as decimals of any length (KEP-5504). A version that is not such a decimal has no
/// order: [`PartialOrd`] returns `None`, unless both are equal.
///
/// Comparing, hashing and cloning do not allocate. Comparing versions of different kinds has no meaning; the type does
/// not prevent it.
///
/// ```
/// use kube_informer::ResourceVersion;
///
/// assert!(ResourceVersion::from("99") < ResourceVersion::from("100"));
/// assert!(ResourceVersion::from("18446744073709551616") > ResourceVersion::from("7"));
/// assert_eq!(ResourceVersion::from("v1-opaque").partial_cmp(&ResourceVersion::from("7")), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResourceVersion(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// A canonical decimal below 2^64, as all versions of etcd are.
    Number(u64),
    Text(Arc<str>),
}

const OF_CONTENT: &str = "content-";

impl ResourceVersion {
    /// The version as a number, if it is a canonical decimal below 2^64.
    pub(crate) fn as_number(&self) -> Option<u64> {
        match self.0 {
            Repr::Number(number) => Some(number),
            Repr::Text(_) => None,
        }
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// A version computed from the content of an object whose kind has no versions: equal versions mean equal
    /// content. It is valid within this process and has no order.
    pub(crate) fn of_content(json: &[u8]) -> Self {
        // Random keys, so that collisions cannot be constructed.
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        let [high, low] = KEYS.each_ref().map(|key| key.hash_one(json));
        Self(Repr::Text(format!("{OF_CONTENT}{high:016x}{low:016x}").into()))
    }

    /// Whether it was computed [from an object's content](Self::of_content), so no server knows it.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(&self.0, Repr::Text(text) if text.starts_with(OF_CONTENT))
    }

    /// Whether it is empty: the object has no version.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Repr::Text(text) if text.is_empty())
    }

    /// The lower of two; `None` if they have no order.
    pub(crate) fn lower(self, other: Self) -> Option<Self> {
        match self.partial_cmp(&other)? {
            Ordering::Greater => Some(other),
            Ordering::Less | Ordering::Equal => Some(self),
        }
    }

    /// Whether this version has an order.
    pub(crate) fn is_ordered(&self) -> bool {
        match &self.0 {
            Repr::Number(_) => true,
            Repr::Text(text) => is_canonical_decimal(text),
        }
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(number) if is_canonical_decimal(text) => Self(Repr::Number(number)),
            _ => Self(Repr::Text(text.into())),
        }
    }
}

impl From<String> for ResourceVersion {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl PartialOrd for ResourceVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Repr::Number(a), Repr::Number(b)) => Some(a.cmp(b)),
            (Repr::Text(a), Repr::Text(b)) if a == b => Some(Ordering::Equal),
            (Repr::Text(a), Repr::Text(b)) if is_canonical_decimal(a) && is_canonical_decimal(b) => {
                Some(a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
            }
            // A decimal stored as text is at least 2^64, so it is larger.
            (Repr::Number(_), Repr::Text(b)) if is_canonical_decimal(b) => Some(Ordering::Less),
            (Repr::Text(a), Repr::Number(_)) if is_canonical_decimal(a) => Some(Ordering::Greater),
            _ => None,
        }
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "{number}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceVersion({self})")
    }
}

fn is_canonical_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_canonical_decimal_only_equals_itself() {
        for text in ["", "007", "-1", "1.5", "abc", "+5", "١"] {
            let odd = ResourceVersion::from(text);
            assert_eq!(odd.partial_cmp(&ResourceVersion::from("5")), None, "{text:?}");
            assert_eq!(odd.partial_cmp(&odd.clone()), Some(Ordering::Equal));
            assert!(!odd.is_ordered());
            assert_eq!(odd.to_string(), text);
        }
    }

    #[test]
    fn versions_of_contents_are_equal_where_the_contents_are() {
        let of = |json: &str| ResourceVersion::of_content(json.as_bytes());
        assert_eq!(of("{}"), of("{}"));
        assert_ne!(of("{}"), of("{ }"));
        assert_eq!(of("1").partial_cmp(&of("2")), None);
        assert!(of("1").is_of_content() && !of("1").is_ordered() && !of("1").is_empty());
        for other in ["", "7", "content", "v1-opaque"] {
            assert!(!ResourceVersion::from(other).is_of_content(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn decimals_of_any_length_compare_as_numbers(a in "[1-9][0-9]{0,30}", b in "[1-9][0-9]{0,30}") {
            let expected = a.parse::<u128>().unwrap().cmp(&b.parse::<u128>().unwrap());
            prop_assert_eq!(ResourceVersion::from(a.as_str()).partial_cmp(&ResourceVersion::from(b.as_str())), Some(expected));
        }
    }
}
