//! An object in the store: key, version and value in a single allocation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use triomphe::ThinArc;
use uuid_text::Uid;

use crate::fetch::Counted;
use crate::index::{IndexKeys, Ordered};
use crate::key::{AsKey, Key};
use crate::slab::Slot;
use crate::version::ResourceVersion;

/// A shared pointer to one version of one object.
///
/// It dereferences to the stored value. The metadata is returned by associated functions (`Obj::key(&obj)`), so that
/// they do not shadow methods of `T`. Cloning copies a pointer (one atomic increment). An unchanged object keeps its
/// allocation through relists; [`Obj::ptr_eq`] compares allocations.
///
/// A held `Obj` keeps one version of the object in memory. It does not keep the informer running.
pub struct Obj<T>(ThinArc<Header<T>, u8>);

/// The fixed-size part. The bytes of variable length follow it: namespace, name, then uid and version if they
/// are not in the usual form.
// The C layout puts the lengths, which a look-up compares, beside the reference count, and so in one cache line with it.
#[repr(C)]
struct Header<T> {
    /// Says also whether the uid is text.
    namespace: Len,
    /// Says also whether the version is text.
    name: Len,
    /// Where the store's indexes find it; `None` before it is stored.
    slot: Option<Slot>,
    /// The version as a number, or the length of its text.
    version: u64,
    /// The uid in binary, or the length of its text.
    uid: [u8; 16],
    keys: IndexKeys,
    value: T,
}

/// A length, and a bit that says whether another part of the identity is stored as text.
#[derive(Clone, Copy)]
struct Len(u16);

/// The identity of one version of an object.
pub(crate) struct Identity<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) uid: &'a str,
    pub(crate) version: &'a ResourceVersion,
}

/// A part of an object's identity is longer than any API server allows (32 KiB).
#[derive(Debug)]
pub(crate) struct TooLong;

impl<T> Obj<T> {
    /// Makes one allocation of exactly the needed size. The object has no index keys yet.
    pub(crate) fn new(identity: &Identity<'_>, value: T) -> Result<Self, TooLong> {
        let Identity { key, uid, version } = identity;
        let (uid, uid_text) = match uuid_text::parse(uid) {
            Some(uid) => (uid, None),
            None => (u128::from(len(uid)?).to_le_bytes(), Some(*uid)),
        };
        let (version, version_text) = match version.as_number() {
            Some(number) => (number, None),
            None => {
                let text = version.to_string();
                (len(&text)?.into(), Some(text))
            }
        };
        let header = Header {
            version,
            uid,
            namespace: Len::new(key.namespace, uid_text.is_some())?,
            name: Len::new(key.name, version_text.is_some())?,
            slot: None,
            keys: IndexKeys::NONE,
            value,
        };
        let parts = [
            key.namespace,
            key.name,
            uid_text.unwrap_or_default(),
            version_text.as_deref().unwrap_or_default(),
        ];
        let mut short = [0; 256];
        let total = parts.iter().map(|part| part.len()).sum();
        let mut long = Vec::new();
        let bytes = if total <= short.len() {
            let mut at = 0;
            for part in parts {
                short[at..at + part.len()].copy_from_slice(part.as_bytes());
                at += part.len();
            }
            &short[..total]
        } else {
            long.reserve_exact(total);
            parts.iter().for_each(|part| long.extend_from_slice(part.as_bytes()));
            &long
        };
        Ok(Self(ThinArc::from_header_and_slice(header, bytes)))
    }

    /// The namespace and name of the object. O(length), since it checks that the bytes are UTF-8; no allocation.
    pub fn key(this: &Self) -> Key<'_> {
        Key { namespace: Self::namespace(this), name: Self::name(this) }
    }

    /// The namespace; empty for a cluster-scoped object. O(length), no allocation.
    pub fn namespace(this: &Self) -> &str {
        text(this.bytes(0, this.header().namespace.get()))
    }

    /// The name. O(length), no allocation.
    pub fn name(this: &Self) -> &str {
        let header = this.header();
        text(this.bytes(header.namespace.get(), header.name.get()))
    }

    /// The uid (`metadata.uid`), which differs between two objects that had the same name. Allocates, since it formats
    /// the uid; [`Obj::same_uid`] does not.
    pub fn uid(this: &Self) -> Cow<'_, str> {
        match this.uid_parts() {
            Uid::Binary(bytes) => uuid_text::format(bytes).into(),
            Uid::Text(bytes) => text(bytes).into(),
        }
    }

    /// Whether both are versions of the same object (same uid), and not only of the same name. O(1).
    pub fn same_uid(this: &Self, other: &Self) -> bool {
        this.uid_parts() == other.uid_parts()
    }

    /// The `resourceVersion` of this version of the object. O(1); allocates only if it is not a decimal below 2^64.
    pub fn resource_version(this: &Self) -> ResourceVersion {
        let header = this.header();
        if header.name.is_marked() {
            text(this.bytes(this.version_at(), header.version as usize)).into()
        } else {
            ResourceVersion::from_number(header.version)
        }
    }

    /// Whether both are the same allocation, and so the same version. O(1).
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::ptr::eq(this.0.as_ptr(), other.0.as_ptr())
    }

    pub(crate) fn is(this: &Self, key: Key<'_>) -> bool {
        let header = this.header();
        let (namespace, name) = (header.namespace.get(), header.name.get());
        // Names differ more often than namespaces.
        namespace == key.namespace.len()
            && name == key.name.len()
            && this.0.slice.get(namespace..namespace + name) == Some(key.name.as_bytes())
            && this.0.slice.get(..namespace) == Some(key.namespace.as_bytes())
    }

    /// The bytes of the namespace and of the name. O(1).
    pub(crate) fn key_bytes(this: &Self) -> (&[u8], &[u8]) {
        let (namespace, name) = (this.header().namespace.get(), this.header().name.get());
        (this.bytes(0, namespace), this.bytes(namespace, name))
    }

    pub(crate) fn same_key(this: &Self, other: &Self) -> bool {
        Self::key_bytes(this) == Self::key_bytes(other)
    }

    /// Compares its version with another; `None` if the versions have no order.
    pub(crate) fn cmp_version(this: &Self, version: &ResourceVersion) -> Option<Ordering> {
        let header = this.header();
        match (header.name.is_marked(), version.as_number()) {
            (false, Some(number)) => Some(header.version.cmp(&number)),
            _ => Self::resource_version(this).partial_cmp(version),
        }
    }

    pub(crate) fn has_uid(this: &Self, uid: &str) -> bool {
        match (this.uid_parts(), uuid_text::parse(uid)) {
            (Uid::Binary(mine), Some(other)) => *mine == other,
            (Uid::Text(mine), None) => mine == uid.as_bytes(),
            _ => false,
        }
    }

    pub(crate) fn index_keys(this: &Self) -> &IndexKeys {
        &this.header().keys
    }

    pub(crate) fn is_unnamespaced(this: &Self) -> bool {
        this.header().namespace.get() == 0
    }

    pub(crate) fn slot(this: &Self) -> Option<Slot> {
        this.header().slot
    }

    /// Sets the slot and the index keys of an object that is not stored yet, and that nothing else refers to.
    pub(crate) fn set_place(this: &mut Self, slot: Slot, keys: IndexKeys) {
        this.change(|header| (header.slot, header.keys) = (Some(slot), keys));
    }

    /// The address, which identifies the object while it is referenced.
    pub(crate) fn address(this: &Self) -> usize {
        this.0.as_ptr() as usize
    }

    /// Whether this is the only reference.
    pub(crate) fn is_last(this: &Self) -> bool {
        ThinArc::strong_count(&this.0) == 1
    }

    fn change(&mut self, f: impl FnOnce(&mut Header<T>)) {
        self.0.with_arc_mut(|object| {
            debug_assert!(triomphe::Arc::is_unique(object), "an object that is shared is changed");
            if let Some(object) = triomphe::Arc::get_mut(object) {
                f(object.header_mut());
            }
        });
    }

    fn header(&self) -> &Header<T> {
        &self.0.header.header
    }

    fn bytes(&self, from: usize, len: usize) -> &[u8] {
        self.0.slice.get(from..from + len).unwrap_or_default()
    }

    fn uid_at(&self) -> usize {
        self.header().namespace.get() + self.header().name.get()
    }

    fn version_at(&self) -> usize {
        match self.uid_parts() {
            Uid::Binary(_) => self.uid_at(),
            Uid::Text(uid) => self.uid_at() + uid.len(),
        }
    }

    fn uid_parts(&self) -> Uid<'_> {
        let Header { namespace, uid, .. } = self.header();
        if namespace.is_marked() {
            Uid::Text(self.bytes(self.uid_at(), u128::from_le_bytes(*uid) as usize))
        } else {
            Uid::Binary(uid)
        }
    }
}

impl Len {
    const MARK: u16 = 1 << 15;

    fn new(text: &str, mark: bool) -> Result<Self, TooLong> {
        Ok(Self(len(text)? | if mark { Self::MARK } else { 0 }))
    }

    #[inline]
    fn get(self) -> usize {
        (self.0 & !Self::MARK).into()
    }

    fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }
}

fn len(text: &str) -> Result<u16, TooLong> {
    text.len().try_into().ok().filter(|len| *len < Len::MARK).ok_or(TooLong)
}

/// The bytes are valid UTF-8, but safe code has to check again.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl<T> Clone for Obj<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Obj<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.header().value
    }
}

/// Prints the key and the version, never the value, which may be a Secret.
impl<T> fmt::Debug for Obj<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Obj({} at {})", Self::key(self), Self::resource_version(self))
    }
}

impl<T> AsKey for Obj<T> {
    fn as_key(&self) -> Key<'_> {
        Self::key(self)
    }
}

impl<T> Counted for Obj<T> {
    #[inline]
    fn count(&self) -> usize {
        ThinArc::strong_count(&self.0)
    }
}

impl<T> Ordered for Obj<T> {
    fn cmp_key(&self, other: &Self) -> Ordering {
        Self::key_bytes(self).cmp(&Self::key_bytes(other))
    }

    fn ptr_eq(&self, other: &Self) -> bool {
        Self::ptr_eq(self, other)
    }
}

/// Stores uids in the format of Kubernetes in 16 bytes.
mod uuid_text {
    /// A stored uid.
    #[derive(PartialEq, Eq)]
    pub(super) enum Uid<'a> {
        Binary(&'a [u8; 16]),
        Text(&'a [u8]),
    }

    /// The hyphens of `8-4-4-4-12` hexadecimal digits.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];

    /// Where the two digits of each byte begin.
    const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

    /// The value of each lower-case digit; more than 15 for all other bytes.
    const DIGITS: [u8; 256] = {
        let mut digits = [u8::MAX; 256];
        let mut value = 0;
        while value < 16 {
            digits[b"0123456789abcdef"[value] as usize] = value as u8;
            value += 1;
        }
        digits
    };

    /// `None` for a text that `format` would not reproduce exactly.
    pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
        let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
        let (mut uid, mut seen) = ([0; 16], 0);
        for (byte, at) in uid.iter_mut().zip(PAIRS) {
            let [high, low] = [text[at], text[at + 1]].map(|digit| DIGITS[digit as usize]);
            seen |= high | low;
            *byte = high << 4 | low;
        }
        (seen < 16 && HYPHENS.iter().all(|at| text[*at] == b'-')).then_some(uid)
    }

    pub(super) fn format(uid: &[u8; 16]) -> String {
        let mut text = String::with_capacity(36);
        for (at, byte) in uid.iter().enumerate() {
            if [4, 6, 8, 10].contains(&at) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn obj(namespace: &str, name: &str, uid: &str, version: &str) -> Obj<u32> {
        let version = ResourceVersion::from(version);
        let identity = Identity { key: Key { namespace, name }, uid, version: &version };
        Obj::new(&identity, 42).unwrap()
    }

    #[test]
    fn parts_of_any_length_come_out_as_they_went_in() {
        let long = "x".repeat(3000);
        for uid in [
            "6f1c0f9e-3a52-4d6a-9c43-5d8f2b1e7a90",
            "6F1C0F9E-3A52-4D6A-9C43-5D8F2B1E7A90",
            "",
            "plain",
            &long,
        ] {
            for version in ["1", "18446744073709551615", "18446744073709551616", "opaque", ""] {
                let obj = obj("ns", &long, uid, version);
                assert_eq!(Obj::key(&obj), Key { namespace: "ns", name: &long });
                assert_eq!(Obj::uid(&obj), uid);
                assert_eq!(Obj::resource_version(&obj).to_string(), version);
                assert!(Obj::has_uid(&obj, uid) && !Obj::has_uid(&obj, "other"));
                assert_eq!(Obj::cmp_version(&obj, &version.into()), Some(Ordering::Equal));
                let other = Obj::cmp_version(&obj, &"18446744073709551617".into());
                assert_eq!(other, version.parse::<u128>().is_ok().then_some(Ordering::Less));
                assert_eq!(*obj, 42);
            }
        }
    }

    #[test]
    fn a_name_longer_than_any_server_allows_is_refused() {
        let version = ResourceVersion::from("1");
        let long = "x".repeat(1 << 15);
        let short = &long[1..];
        for (name, namespace, uid, fits) in [
            (&*long, "", "", false),
            ("", &*long, "", false),
            ("", "", &*long, false),
            (short, short, short, true),
        ] {
            let identity = Identity { key: Key { namespace, name }, uid, version: &version };
            assert_eq!(Obj::new(&identity, ()).is_ok(), fits);
        }
    }

    #[test]
    fn what_a_look_up_compares_comes_first() {
        assert_eq!(std::mem::offset_of!(Header<u8>, version), 8);
    }

    #[test]
    fn an_entry_is_one_thin_pointer() {
        assert_eq!(size_of::<Option<Obj<[u8; 500]>>>(), size_of::<usize>());
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", obj("ns", "n", "", "3")), "Obj(ns/n at 3)");
    }

    proptest! {
        #[test]
        fn uids_round_trip(uid in any::<[u8; 16]>()) {
            let text = uuid_text::format(&uid);
            prop_assert_eq!(uuid_text::parse(&text), Some(uid));
        }
    }
}
