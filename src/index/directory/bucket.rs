//! The buckets of selectors, and those that a selector may be in.

use equivalent::Equivalent;

/// What the objects that meet the selectors of one bucket have in common.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    /// `None` for the selectors of all namespaces.
    namespace: Option<Box<str>>,
    /// `None` for all objects.
    label: Option<Box<str>>,
    /// `None` for any value.
    value: Option<Box<str>>,
}

/// A borrowed [`Bucket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BucketRef<'a> {
    namespace: Option<&'a str>,
    label: Option<&'a str>,
    value: Option<&'a str>,
}

/// Where a selector can be: the bucket of each value, or the bucket of any value.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(in crate::index) namespace: Option<&'a str>,
    pub(in crate::index) label: Option<&'a str>,
    pub(in crate::index) values: Option<&'a [String]>,
}

// === impl BucketRef ===

impl<'a> BucketRef<'a> {
    pub(super) fn new(namespace: Option<&'a str>, label: Option<&'a str>, value: Option<&'a str>) -> Self {
        Self { namespace, label, value }
    }

    /// The buckets whose selectors an object meets. Labels have different names.
    pub(crate) fn of_object(
        namespace: &'a str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> impl Iterator<Item = Self> {
        let of_labels = labels.flat_map(|(label, value)| [(Some(label), Some(value)), (Some(label), None)]);
        of_labels.chain([(None, None)]).flat_map(move |(label, value)| {
            [Some(namespace), None].map(|namespace| Self::new(namespace, label, value))
        })
    }

    /// 0 for one namespace, 1 for all.
    pub(super) fn scope(&self) -> usize {
        usize::from(self.namespace.is_none())
    }

    pub(crate) fn to_bucket(self) -> Bucket {
        let owned = |text: Option<&str>| text.map(Box::from);
        Bucket { namespace: owned(self.namespace), label: owned(self.label), value: owned(self.value) }
    }
}

/// Both have the fields in the same order, so both have the same hash.
impl Equivalent<Bucket> for BucketRef<'_> {
    fn equivalent(&self, bucket: &Bucket) -> bool {
        self.value == bucket.value.as_deref()
            && self.label == bucket.label.as_deref()
            && self.namespace == bucket.namespace.as_deref()
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(crate) fn buckets(&self) -> impl Iterator<Item = BucketRef<'a>> + use<'a> {
        let Self { namespace, label, values } = *self;
        let any = values.is_none().then_some(None);
        let values = values.unwrap_or_default().iter().map(|value| Some(value.as_str()));
        values.chain(any).map(move |value| BucketRef::new(namespace, label, value))
    }

    /// As of its buckets.
    pub(super) fn scope(&self) -> usize {
        usize::from(self.namespace.is_none())
    }

    /// The number of buckets.
    pub(super) fn width(&self) -> usize {
        self.values.map_or(1, <[_]>::len)
    }

    /// Values are more selective than a label of any value, and that more than nothing.
    pub(super) fn rank(&self) -> u8 {
        match (self.label, self.values) {
            (Some(_), Some(_)) => 0,
            (Some(_), None) => 1,
            (None, _) => 2,
        }
    }
}
