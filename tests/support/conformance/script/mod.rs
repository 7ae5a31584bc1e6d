//! The script, in the order in which its parts run: each uses what the ones before it left behind.

mod access;
mod apply;
mod built_in;
mod create;
mod definition;
mod delete;
mod json_patch;
mod list;
mod metadata;
mod route;
mod secret;
mod shard;
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
        shard::steps(),
        watch::steps(),
        delete::steps(),
        json_patch::steps(),
        apply::steps(),
        secret::steps(),
        // Behind the others, since it leaves the two servers with different objects.
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
