//! Sets of fields, as in `metadata.managedFields`.

use serde_json::{Map, Value};

use super::schema::Schema;

/// A set of paths.
///
/// An element of a path is written as in `fieldsV1`: `f:name` is a member of an object, `k:{"name":"a"}` an item of a
/// list by its keys, and `v:"a"` an item of a set. The set is sorted, and compact, since there are many of these sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::testing) struct FieldSet(Vec<(Box<str>, Node)>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, path: &[impl AsRef<str>]) {
        if let [first, rest @ ..] = path {
            let node = self.node_mut(first.as_ref());
            match rest {
                [] => node.member = true,
                rest => node.below.insert(rest),
            }
        }
    }

    /// Whether the path of this one element is in the set.
    pub(super) fn has(&self, element: &str) -> bool {
        self.node(element).is_some_and(|node| node.member)
    }

    /// The paths that begin with `element`, without it.
    pub(super) fn below(&self, element: &str) -> Option<&Self> {
        self.node(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    /// Removes the path, and all paths that begin with it.
    pub(super) fn remove_tree(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        self.0.retain_mut(|(element, node)| {
            if **element != **first {
                return true;
            }
            node.below.remove_tree(rest);
            !rest.is_empty() && (node.member || !node.below.is_empty())
        });
    }

    /// Whether all paths of `other` are in the set.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|(element, node)| {
            self.node(element)
                .is_some_and(|here| (here.member || !node.member) && here.below.contains(&node.below))
        })
    }

    /// Whether any path of `other` is in the set.
    pub(super) fn meets(&self, other: &Self) -> bool {
        other.0.iter().any(|(element, node)| {
            self.node(element)
                .is_some_and(|here| (here.member && node.member) || here.below.meets(&node.below))
        })
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (element, node) in &other.0 {
            let into = all.node_mut(element);
            into.member |= node.member;
            into.below = into.below.union(&node.below);
        }
        all
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combine(|element, node| match other.node(element) {
            Some(there) => {
                Node { member: node.member && there.member, below: node.below.intersection(&there.below) }
            }
            None => Node::default(),
        })
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combine(|element, node| match other.node(element) {
            Some(there) => {
                Node { member: node.member && !there.member, below: node.below.difference(&there.below) }
            }
            None => node.clone(),
        })
    }

    fn combine(&self, with: impl Fn(&str, &Node) -> Node) -> Self {
        let nodes = self.0.iter().map(|(element, node)| (element.clone(), with(element, node)));
        Self(nodes.filter(|(_, node)| node.member || !node.below.is_empty()).collect())
    }

    /// The set with the named fields above each path. A set leaves them out, but a removal must include them.
    pub(super) fn with_named(&self, schema: &Schema) -> Self {
        let nodes = self.0.iter().map(|(element, node)| {
            let (inner, named) = schema.element(element);
            let member = node.member || (named && !node.below.is_empty());
            (element.clone(), Node { member, below: node.below.with_named(inner) })
        });
        Self(nodes.collect())
    }

    /// Every path as text: `.spec.containers[name="a"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let text = |element: &str| format!("{prefix}{}", shown(element));
        paths.extend(self.0.iter().filter(|(_, node)| node.member).map(|(element, _)| text(element)));
        self.0.iter().for_each(|(element, node)| node.below.collect_paths(&text(element), paths));
    }

    fn node(&self, element: &str) -> Option<&Node> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(element)).ok()?;
        self.0.get(at).map(|(_, node)| node)
    }

    fn node_mut(&mut self, element: &str) -> &mut Node {
        let at = match self.0.binary_search_by(|(known, _)| (**known).cmp(element)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (element.into(), Node::default()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// The set in the form of `fieldsV1`.
    pub(super) fn to_value(&self) -> Value {
        let members = self.0.iter().map(|(element, node)| {
            let mut below = node.below.to_value();
            if let (true, Value::Object(members)) = (node.member && !node.below.is_empty(), &mut below) {
                members.insert(".".into(), Value::Object(Map::new()));
            }
            (element.to_string(), below)
        });
        Value::Object(members.collect())
    }
}

/// An element in the form in which messages show it.
pub(super) fn shown(element: &str) -> String {
    let parsed = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", value)) => format!("[={value}]"),
        Some(("k:", keys)) => {
            let keys: Vec<String> = match parsed(keys) {
                Value::Object(keys) => keys.iter().map(|(name, value)| format!("{name}={value}")).collect(),
                _ => Vec::new(),
            };
            format!("[{}]", keys.join(","))
        }
        _ => element.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        paths.iter().for_each(|path| set.insert(path));
        set
    }

    #[test]
    fn it_is_written_as_fields_v1() {
        let set = set(&[&["f:data"], &["f:data", "f:a"], &["f:spec", "k:{\"name\":\"c\"}", "f:image"]]);
        let written = json!({
            "f:data": { ".": {}, "f:a": {} },
            "f:spec": { "k:{\"name\":\"c\"}": { "f:image": {} } },
        });
        assert_eq!(set.to_value(), written);
        assert_eq!(set.paths(), [".data", ".data.a", ".spec[name=\"c\"].image"]);
    }

    #[test]
    fn sets_are_combined_path_by_path() {
        let (a, b) = (set(&[&["f:x"], &["f:x", "f:y"], &["f:z"]]), set(&[&["f:x"], &["f:w"]]));
        assert_eq!(a.difference(&b), set(&[&["f:x", "f:y"], &["f:z"]]));
        assert_eq!(a.intersection(&b), set(&[&["f:x"]]));
        assert_eq!(a.union(&b), set(&[&["f:x"], &["f:x", "f:y"], &["f:z"], &["f:w"]]));
    }
}
