//! Selects the objects of a kind that an informer caches.

use std::fmt;

use crate::shard::{By, Ranges, Shard};

/// The most parts that a scope prints.
const PRINTED: usize = 4;

/// Selects the objects of a kind that an informer caches: their namespaces, and the selectors that the API server
/// applies.
///
/// | scope | the objects |
/// |---|---|
/// | [`all()`](Self::all) | of all namespaces |
/// | [`namespace("a")`](Self::namespace) | of one namespace |
/// | [`namespaces(["a", "b"])`](Self::namespaces) | of several namespaces |
/// | [`any([one, other])`](Self::any) | that at least one of several scopes selects |
/// | `namespaces([""; 0])`, `any([])` | none: the informer is synced at once, and sends no request |
/// | any of them, with [`labels`](Self::labels) or [`fields`](Self::fields) | of these, the ones that match |
/// | any of them, with [`shard`](Self::shard) | of these, a part: those with a hash in a range |
///
/// For [`Builder::scope`](crate::builder::Builder::scope), [`Registry::declare_in`](crate::Registry::declare_in) and
/// [`Informer::set_scope`](crate::Informer::set_scope). The API server lists and watches one namespace, or all of them,
/// with one pair of selectors. So a scope is a set of such *parts*, each with its own list and watch, and the informer
/// has one cache of all. Parts may overlap: an object that several parts select is cached once, and leaves the cache
/// when no part selects it any more. A namespace that does not exist is empty.
///
/// A part that fails does not hold up the others. [`Status::parts`](crate::Status::parts) reports each of them.
///
/// Scopes are compared as text, but for the order of their parts: `a=1,b=2` and `b=2,a=1` make two informers of a
/// registry.
///
/// ```
/// use kube_informer::Scope;
///
/// let scope = Scope::namespace("shop").labels("app=web,tier!=db");
/// assert_eq!(scope.to_string(), "in shop with labels app=web,tier!=db");
///
/// let scope = Scope::any([Scope::namespaces(["b", "a"]).labels("app=web"), Scope::namespace("a").labels("app=web")]);
/// assert_eq!(scope, Scope::namespaces(["a", "b"]).labels("app=web"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Sorted, each once.
    parts: Vec<Part>,
}

/// What one list and one watch select.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: String,
    pub(crate) fields: String,
    /// Never one of everything.
    pub(crate) shard: Option<Shard>,
}

impl Scope {
    /// Selects all objects, of all namespaces.
    pub fn all() -> Self {
        Self { parts: vec![Part::default()] }
    }

    /// Selects the objects of one namespace; for a cluster-scoped kind, all objects.
    ///
    /// For a kind known only at run time, the informer asks discovery when the server returns 404 for the namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { parts: vec![Part { namespace: Some(namespace.into()), ..Part::default() }] }
    }

    /// The objects of several namespaces, each with its own list and watch.
    ///
    /// Made for the variable by which operators are configured: white space around a name and empty names are ignored.
    /// If there are only empty names, as in an empty variable, the scope is [`all`](Self::all), as the namespace `""`
    /// is in Kubernetes. If there are no names at all, the scope is empty.
    ///
    /// ```
    /// use kube_informer::Scope;
    ///
    /// let scope = |variable: &str| Scope::namespaces(variable.split(','));
    /// assert_eq!(scope("shop, billing,"), Scope::namespaces(["billing", "shop"]));
    /// assert_eq!(scope(""), Scope::all());
    /// assert_ne!(Scope::namespaces([""; 0]), Scope::all());
    /// ```
    pub fn namespaces(namespaces: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let (mut parts, mut blank) = (Vec::new(), false);
        for namespace in namespaces {
            match namespace.as_ref().trim() {
                "" => blank = true,
                name => parts.push(Part { namespace: Some(name.to_owned()), ..Part::default() }),
            }
        }
        if parts.is_empty() && blank { Self::all() } else { Self::of(parts) }
    }

    /// The objects that at least one of these scopes selects. No scopes select nothing.
    ///
    /// ```
    /// use kube_informer::Scope;
    ///
    /// // The pods of a node, and the agents of the whole cluster.
    /// let scope = Scope::any([
    ///     Scope::all().fields("spec.nodeName=node1"),
    ///     Scope::namespace("kube-system").labels("app=agent"),
    /// ]);
    /// # assert_eq!(scope.to_string(),
    /// #     "in all namespaces with fields spec.nodeName=node1 or in kube-system with labels app=agent");
    /// ```
    pub fn any(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self::of(scopes.into_iter().flat_map(|scope| scope.parts).collect())
    }

    /// Only objects with these labels, in the API's selector syntax (`app=web,tier!=db`); of every part, and in place of
    /// labels that were set before. The API server evaluates it: an object that no longer matches is removed from the
    /// cache and reported as deleted.
    #[must_use]
    pub fn labels(self, selector: impl Into<String>) -> Self {
        let selector = selector.into();
        self.each(|part| part.labels.clone_from(&selector))
    }

    /// Only objects with these fields, in the API's selector syntax (`spec.nodeName=node1`); of every part, and in place
    /// of fields that were set before. Each kind supports a few fields only; for custom resources, these are the
    /// `selectableFields` of the CustomResourceDefinition.
    #[must_use]
    pub fn fields(self, selector: impl Into<String>) -> Self {
        let selector = selector.into();
        self.each(|part| part.fields.clone_from(&selector))
    }

    /// Only objects whose uid, or namespace, has a hash in one of these ranges. See [`shard`](mod@crate::shard).
    ///
    /// Applies to every part, and replaces an earlier shard. No ranges select nothing.
    ///
    /// The API server evaluates it if it can, and else the informer. A uid never changes, so an object leaves a shard
    /// only when it is deleted.
    ///
    /// Shards of the same namespace and selectors that are merged by [`any`](Self::any) are one part, with one list and
    /// watch:
    ///
    /// ```
    /// use kube_informer::Scope;
    /// use kube_informer::shard::{By, Range};
    ///
    /// let shard = |index| Some(Scope::all().shard(By::Uid, Range::of(index, 4)?));
    /// let some = Scope::any([shard(0), shard(1), shard(3)].into_iter().flatten());
    /// assert_eq!(
    ///     some.to_string(),
    ///     "in all namespaces with uids hashed to 0x0000000000000000..0x8000000000000000 and 1 more",
    /// );
    /// assert_eq!(Scope::any([Some(some), shard(2)].into_iter().flatten()), Scope::all());
    /// ```
    #[must_use]
    pub fn shard(self, by: By, ranges: impl Into<Ranges>) -> Self {
        let ranges = ranges.into();
        if ranges.is_empty() {
            return Self::of(Vec::new());
        }
        self.each(|part| part.shard = Some(Shard::new(by, ranges.clone())))
    }

    /// The same selectors in all namespaces: that is what a namespace means for a cluster-scoped kind.
    pub(crate) fn without_namespaces(self) -> Self {
        self.each(|part| part.namespace = None)
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn of(mut parts: Vec<Part>) -> Self {
        for part in &mut parts {
            part.shard.take_if(|shard| shard.is_everything());
        }
        // Of the same selection, the part without a shard is first.
        parts.sort_unstable();
        let before = parts.len();
        parts.dedup_by(|next, part| part.takes_in(next));
        // Shards that were joined may be everything now, and so have the objects of other parts.
        if parts.len() < before { Self::of(parts) } else { Self { parts } }
    }

    fn each(mut self, change: impl FnMut(&mut Part)) -> Self {
        self.parts.iter_mut().for_each(change);
        Self::of(self.parts)
    }
}

impl Part {
    /// Adds the objects of another part. Returns false, and adds none, if that needs a list of its own.
    fn takes_in(&mut self, other: &Self) -> bool {
        let is_same =
            self.namespace == other.namespace && self.labels == other.labels && self.fields == other.fields;
        is_same
            && match (&mut self.shard, &other.shard) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(shard), Some(other)) => shard.join(other),
            }
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::all()
    }
}

impl From<Part> for Scope {
    fn from(part: Part) -> Self {
        Self { parts: vec![part] }
    }
}

/// The first parts, and the number of the others.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("in no namespace");
        }
        for (at, part) in self.parts.iter().take(PRINTED).enumerate() {
            write!(f, "{}{part}", if at > 0 { " or " } else { "" })?;
        }
        match self.parts.len().saturating_sub(PRINTED) {
            0 => Ok(()),
            more => write!(f, " or {more} more"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "in {namespace}")?,
            None => f.write_str("in all namespaces")?,
        }
        if !self.labels.is_empty() {
            write!(f, " with labels {}", self.labels)?;
        }
        if !self.fields.is_empty() {
            write!(f, " with fields {}", self.fields)?;
        }
        if let Some(shard) = &self.shard {
            write!(f, " with {shard}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_set_of_parts() {
        let both = Scope::namespaces(["b", " a ", "", "b"]);
        assert_eq!(both, Scope::any([Scope::namespace("a"), Scope::namespace("b"), Scope::namespace("a")]));
        assert_eq!(both.to_string(), "in a or in b");
        assert_eq!(both.clone().without_namespaces(), Scope::all(), "equal parts are one");
        let selected = Scope::any([both.clone(), Scope::all()]).labels("x=y").fields("z=1");
        assert!(selected.parts.iter().all(|part| part.labels == "x=y" && part.fields == "z=1"));
        assert_eq!(selected.parts.len(), 3);
        assert_eq!(Scope::any([]), Scope::namespaces(Vec::<String>::new()));
        assert_eq!(Scope::any([]).to_string(), "in no namespace");
        assert_eq!(Scope::all().shard(By::Uid, Ranges::new()), Scope::any([]));
        let lower = crate::shard::Range::of(0, 2).unwrap();
        let half = Scope::all().labels("a").shard(By::Uid, lower);
        assert_eq!(Scope::any([half.clone(), Scope::all().labels("a")]), Scope::all().labels("a"));
        assert_eq!(Scope::any([half.clone(), Scope::all().labels("b")]).parts.len(), 2);
        let both = Scope::any([half, Scope::all().labels("a").shard(By::Namespace, lower)]);
        assert_eq!(both.parts.len(), 2, "of other hashes");
        let whole = Scope::all().labels("a").shard(By::Uid, Ranges::from(lower).complement());
        assert_eq!(Scope::any([both, whole]), Scope::all().labels("a"));
        assert_eq!(Scope::namespaces([" ", ""]), Scope::all());
        let many = Scope::namespaces((0..1000).map(|number| format!("n{number:03}")));
        assert_eq!(many.to_string(), "in n000 or in n001 or in n002 or in n003 or 996 more");
    }
}
