//! The script, in the order in which its parts run: each uses what the ones before it left behind.

mod access;
mod built_in;
mod create;
mod definition;
mod delete;
mod list;
mod metadata;
mod route;
mod watch;
mod write;

use serde_json::{Value, json};

use super::step::Step;

/// All steps.
pub(crate) fn script() -> Vec<Step> {
    let parts = [
        definition::install(),
        create::steps(),
        route::steps(),
        write::steps(),
        list::steps(),
        metadata::steps(),
        watch::steps(),
        delete::steps(),
        built_in::steps(),
        access::steps(),
        definition::uninstall(),
    ];
    parts.into_iter().flatten().collect()
}

fn widget(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "conf.example.com/v1", "kind": "Widget", "metadata": { "name": name }, "spec": spec,
    })
}

/// A widget with more metadata.
fn with(mut object: Value, metadata: Value) -> Value {
    if let (Some(into), Some(from)) = (object["metadata"].as_object_mut(), metadata.as_object()) {
        into.extend(from.clone());
    }
    object
}
