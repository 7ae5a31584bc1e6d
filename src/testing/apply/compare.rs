//! The differences between two versions of an object, as sets of fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field_set::FieldSet;
use super::schema::{Schema, Seen};

#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

pub(super) fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    let mut found = Comparison::default();
    walk(Some(old), Some(new), schema, &mut Vec::new(), &mut found);
    found
}

fn walk(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: &Schema,
    path: &mut Vec<String>,
    found: &mut Comparison,
) {
    if old == new {
        return;
    }
    let before = old.map_or(Seen::Whole, |old| schema.see(old));
    let after = new.map_or(Seen::Whole, |new| schema.see(new));
    let pairs = match (&before, &after) {
        (Seen::Whole, Seen::Whole) => Vec::new(),
        _ => pairs(&before, &after, schema),
    };
    // Beside a value that is merged by its parts, a null counts as absent.
    let changed_form = [(old, &before), (new, &after)]
        .iter()
        .any(|(value, seen)| matches!(seen, Seen::Whole) && value.is_some_and(|value| !value.is_null()));
    if pairs.is_empty() || changed_form {
        whole(old, new, path, found);
    }
    for (element, old, new) in &pairs {
        path.push(element.clone());
        walk(*old, *new, schema.element(element).0, path, found);
        path.pop();
    }
    match (old, new) {
        (None, Some(_)) => found.added.insert(path),
        (Some(_), None) => found.removed.insert(path),
        _ => {}
    }
}

/// The parts that differ, by their path elements.
fn pairs<'a>(
    before: &Seen<'a>,
    after: &Seen<'a>,
    schema: &Schema,
) -> Vec<(String, Option<&'a Value>, Option<&'a Value>)> {
    let mut pairs: BTreeMap<String, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
    match (before, after) {
        (Seen::Members(before), Seen::Members(after)) => {
            // By far the most common pair, so equal members cost only a comparison.
            for (name, old) in before.iter().filter(|(name, old)| after.get(*name) != Some(*old)) {
                pairs.insert(format!("f:{name}"), (Some(old), after.get(name)));
            }
            for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                pairs.insert(format!("f:{name}"), (None, Some(new)));
            }
        }
        _ => {
            for (element, value) in parts(before, schema) {
                pairs.entry(element).or_default().0 = Some(value);
            }
            for (element, value) in parts(after, schema) {
                pairs.entry(element).or_default().1 = Some(value);
            }
        }
    }
    pairs.into_iter().map(|(element, (old, new))| (element, old, new)).collect()
}

fn parts<'a>(seen: &Seen<'a>, schema: &Schema) -> Vec<(String, &'a Value)> {
    match seen {
        Seen::Members(members) => members.iter().map(|(name, value)| (format!("f:{name}"), value)).collect(),
        Seen::Items(items) => {
            items.iter().filter_map(|item| Some((schema.item_element(item)?, item))).collect()
        }
        Seen::Whole => Vec::new(),
    }
}

fn whole(old: Option<&Value>, new: Option<&Value>, path: &[String], found: &mut Comparison) {
    match (old, new) {
        (None, _) => found.added.insert(path),
        (_, None) => found.removed.insert(path),
        (Some(old), Some(new)) if old != new => found.modified.insert(path),
        _ => {}
    }
}
