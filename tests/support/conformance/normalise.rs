//! Symbols for what differs from run to run: uids, versions, times, generated names, page tokens.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::step::Step;

/// What was seen so far, and what it is called.
pub(super) struct Symbols {
    /// Values of earlier answers, by placeholder.
    captured: HashMap<&'static str, String>,
    uids: Vec<String>,
    versions: Vec<String>,
    nobody: String,
}

impl Symbols {
    pub(super) fn new(nobody: &str) -> Self {
        Self { captured: HashMap::new(), uids: Vec::new(), versions: Vec::new(), nobody: nobody.to_owned() }
    }

    pub(super) fn capture(&mut self, placeholder: &'static str, value: &str) {
        self.captured.insert(placeholder, value.to_owned());
    }

    /// `text` with the placeholders (`<name>`) replaced by what they stand for.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (placeholder, value) in &self.captured {
            filled = filled.replace(&format!("<{placeholder}>"), value);
        }
        filled
    }

    /// Replaces what differs from run to run and drops what is not compared.
    pub(super) fn normalise(&mut self, value: &mut Value, said: &str, step: &Step) {
        self.walk(value, step);
        // Those of an apply are in the order of a map in Go.
        let causes = value.pointer_mut("/details/causes").and_then(Value::as_array_mut);
        if let Some(causes) = causes.filter(|causes| causes[0]["reason"] == "FieldManagerConflict") {
            causes.sort_by_key(ToString::to_string);
        }
        if let Some(message) = value.get("message").or_else(|| value.pointer("/object/message")) {
            let text = if step.loose { Value::Null } else { json!(self.message(message, said)) };
            let holder = if value.get("message").is_some() { Some(value) } else { value.get_mut("object") };
            if let Some(holder) = holder {
                holder["message"] = text;
                if step.loose
                    && let Some(details) = holder.get_mut("details").and_then(Value::as_object_mut)
                {
                    details.remove("causes");
                }
            }
            return;
        }
        if step.only.is_empty() {
            return;
        }
        if value.get("items").is_some_and(Value::is_array) {
            for item in value["items"].as_array_mut().into_iter().flatten() {
                *item = pick(item, &step.only);
            }
        } else if value.get("object").is_some() {
            value["object"] = pick(&value["object"], &step.only);
        } else {
            *value = pick(value, &step.only);
        }
    }

    fn walk(&mut self, value: &mut Value, step: &Step) {
        match value {
            Value::Object(members) => {
                if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
                    self.metadata(metadata, step);
                }
                if let Some(uid) = members.get("uid").and_then(Value::as_str).map(str::to_owned) {
                    members.insert("uid".into(), json!(symbol(&mut self.uids, &uid, "uid")));
                }
                members.values_mut().for_each(|member| self.walk(member, step));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, step)),
            Value::String(text) if is_time(text) => *text = "<time>".into(),
            Value::String(text) => {
                let generated = ["generated", "generated2"];
                for name in generated.iter().filter_map(|key| Some((key, self.captured.get(*key)?))) {
                    *text = text.replace(name.1, &format!("<{}>", name.0));
                }
                *text = text.replace(&self.nobody, "<nobody>");
            }
            _ => {}
        }
    }

    fn metadata(&mut self, metadata: &mut Map<String, Value>, step: &Step) {
        match metadata.get_mut("managedFields").and_then(Value::as_array_mut).filter(|_| step.managers) {
            Some(entries) => managers(entries),
            None => drop(metadata.remove("managedFields")),
        }
        if let Some(token) = metadata.get_mut("continue").filter(|token| **token != "") {
            *token = json!("<token>");
        }
        let of_object = metadata.contains_key("name");
        if let Some(version) = metadata.get("resourceVersion").and_then(Value::as_str).map(str::to_owned) {
            // Other writers move a whole server's version on; an object's own is the script's doing.
            let known =
                if of_object { symbol(&mut self.versions, &version, "version") } else { "<version>".into() };
            metadata.insert("resourceVersion".into(), json!(known));
        }
    }

    /// The text with uids by name, and no number in it that the request did not have.
    fn message(&self, message: &Value, said: &str) -> String {
        let mut text = message.as_str().unwrap_or_default().to_owned();
        for (index, uid) in self.uids.iter().enumerate() {
            text = text.replace(uid, &format!("<uid{index}>"));
        }
        let mut out = String::new();
        let mut digits = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            if !digits.is_empty() {
                out.push_str(if said.contains(&digits) { &digits } else { "#" });
                digits.clear();
            }
            out.push(c);
        }
        out.trim_end_matches('\0').to_owned()
    }
}

/// The real server sorts by time; seconds may pass between two managers, or not.
fn managers(entries: &mut [Value]) {
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
    entries.sort_by_key(|entry| {
        ["operation", "manager", "subresource"].map(|field| entry[field].as_str().unwrap_or("").to_owned())
    });
}

fn symbol(known: &mut Vec<String>, value: &str, called: &str) -> String {
    if value.starts_with('<') || (called == "uid" && value.len() != 36) {
        return value.to_owned();
    }
    let index = known.iter().position(|one| one == value).unwrap_or_else(|| {
        known.push(value.to_owned());
        known.len() - 1
    });
    format!("<{called}{index}>")
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes.ends_with(b"Z") && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':'
}

fn pick(value: &Value, pointers: &[&str]) -> Value {
    let found = pointers
        .iter()
        .map(|pointer| ((*pointer).to_owned(), value.pointer(pointer).cloned().unwrap_or(Value::Null)));
    Value::Object(found.collect())
}
