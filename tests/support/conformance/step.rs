//! One request of the script.

use serde_json::Value;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// May do everything.
    Admin,
    /// Is known and may do nothing.
    Nobody,
    /// Has an unknown token.
    Stranger,
}

/// A request, or something done to the server between requests.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) user: As,
    /// Values of the answer that later steps use: (placeholder, JSON pointer).
    pub(crate) captures: Vec<(&'static str, &'static str)>,
    /// Only these parts of the answer (or of each event's object) are compared.
    pub(crate) only: Vec<&'static str>,
    /// The text for people is not compared.
    pub(crate) loose: bool,
    /// `metadata.managedFields` is compared too.
    pub(crate) managers: bool,
    /// Why the two servers differ here, as docs/TESTING.md tells it.
    pub(crate) differs: Option<&'static str>,
    /// Asked again until it is answered with this code: what a server does in its own time.
    pub(crate) until: Option<u16>,
}

/// Where the script's namespaced custom resources are.
pub(crate) const WIDGETS: &str = "/apis/conf.example.com/v1/namespaces/default/widgets";
pub(crate) const ALL_WIDGETS: &str = "/apis/conf.example.com/v1/widgets";
pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn step(method: &'static str, path: impl Into<String>) -> Step {
    Step {
        method,
        path: path.into(),
        body: None,
        content_type: "application/json",
        accept: "",
        user: As::Admin,
        captures: Vec::new(),
        only: Vec::new(),
        loose: false,
        managers: false,
        differs: None,
        until: None,
    }
}

pub(crate) fn get(path: impl Into<String>) -> Step {
    step("GET", path)
}

/// A watch of the widgets that ends by itself after a second.
pub(crate) fn watch(query: &str) -> Step {
    watch_of(WIDGETS, query)
}

pub(crate) fn watch_of(path: &str, query: &str) -> Step {
    get(format!("{path}?watch=true&timeoutSeconds=1&{query}"))
}

pub(crate) fn post(path: impl Into<String>, body: Value) -> Step {
    step("POST", path).with_body(body.to_string())
}

pub(crate) fn put(path: impl Into<String>, body: Value) -> Step {
    step("PUT", path).with_body(body.to_string())
}

pub(crate) fn merge(path: impl Into<String>, body: Value) -> Step {
    step("PATCH", path).with_body(body.to_string()).content("application/merge-patch+json")
}

pub(crate) fn json_patch(path: impl Into<String>, body: Value) -> Step {
    merge(path, body).content("application/json-patch+json")
}

/// A server-side apply without a manager.
pub(crate) fn apply(path: impl Into<String>, body: Value) -> Step {
    merge(path, body).content("application/apply-patch+yaml")
}

pub(crate) fn apply_by(manager: &str, path: impl AsRef<str>, body: Value) -> Step {
    apply(format!("{}?fieldManager={manager}", path.as_ref()), body)
}

pub(crate) fn delete(path: impl Into<String>) -> Step {
    step("DELETE", path)
}

/// Any other method.
pub(crate) fn method(method: &'static str, path: impl Into<String>) -> Step {
    step(method, path)
}

/// Makes the server forget its history.
pub(crate) fn compact() -> Step {
    step("COMPACT", "")
}

impl Step {
    pub(crate) fn with_body(self, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    pub(crate) fn content(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    pub(crate) fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    pub(crate) fn by(self, user: As) -> Self {
        Self { user, ..self }
    }

    pub(crate) fn capture(mut self, placeholder: &'static str, pointer: &'static str) -> Self {
        self.captures.push((placeholder, pointer));
        self
    }

    pub(crate) fn only(mut self, pointers: &[&'static str]) -> Self {
        self.only.extend(pointers);
        self
    }

    pub(crate) fn loose(self) -> Self {
        Self { loose: true, ..self }
    }

    pub(crate) fn managers(self) -> Self {
        Self { managers: true, ..self }
    }

    pub(crate) fn differs(self, why: &'static str) -> Self {
        Self { differs: Some(why), ..self }
    }

    pub(crate) fn until(self, code: u16) -> Self {
        Self { until: Some(code), ..self }
    }

    pub(crate) fn title(&self) -> String {
        let user = match self.user {
            As::Admin => "",
            As::Nobody => " as nobody",
            As::Stranger => " as a stranger",
        };
        let accept = if self.accept.is_empty() { String::new() } else { format!(" accept {}", self.accept) };
        let body =
            self.body.as_deref().map(|body| format!(" [{}] {body}", self.content_type)).unwrap_or_default();
        format!("{} {}{user}{accept}{body}", self.method, self.path)
    }
}
