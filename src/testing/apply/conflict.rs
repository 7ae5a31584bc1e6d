//! Refuses an apply that would change fields of other managers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::field_set::FieldSet;
use super::managers::{Manager, Managers};
use crate::testing::status::ApiStatus;

/// Refuses a write of fields that a manager other than `writer` owns.
pub(super) fn check(managers: &Managers, writer: &Manager, written: &FieldSet) -> Result<(), ApiStatus> {
    let mut by_manager: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (manager, owned) in managers.0.iter().filter(|(manager, _)| *manager != writer) {
        let paths = owned.fields.intersection(written).paths();
        if !paths.is_empty() {
            by_manager.entry(manager.shown()).or_default().extend(paths);
        }
    }
    let all: Vec<(&String, &String)> = by_manager
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
        .collect();
    let message = match all.as_slice() {
        [] => return Ok(()),
        [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
        all => {
            let lines: Vec<String> = by_manager
                .iter()
                .map(|(manager, paths)| format!("conflicts with {manager}:\n- {}", paths.join("\n- ")))
                .collect();
            format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
        }
    };
    let cause = |(manager, path): &(&String, &String)| json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path });
    let causes: Value = all.iter().map(cause).collect();
    Err(ApiStatus::apply_conflict(message, causes))
}
