//! The parts of a request: verb, group, namespace, resource, name, from method, path and query.

use http::Method;

/// A verb of the API, by the names of authorization and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// A request without a resource: discovery, health.
    Other,
}

/// A parsed request, as kube-apiserver's RequestInfo.
#[derive(Clone, Debug)]
pub(super) struct RequestInfo {
    pub(super) verb: Verb,
    pub(super) path: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) subresource: String,
    /// Whether the path has more parts than an API request.
    pub(super) too_long: bool,
    pub(super) query: Vec<(String, String)>,
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Other => "other",
        }
    }
}

impl RequestInfo {
    pub(super) fn parse(method: &Method, uri: &http::Uri) -> Self {
        let query = pairs(uri.query().unwrap_or(""));
        let mut info = Self {
            verb: Verb::Other,
            path: uri.path().to_owned(),
            group: String::new(),
            version: String::new(),
            namespace: None,
            plural: String::new(),
            name: String::new(),
            subresource: String::new(),
            too_long: false,
            query,
        };
        let parts: Vec<String> = uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut rest = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.group = (*group).to_owned();
                info.version = (*version).to_owned();
                rest
            }
            _ => return info,
        };
        let mut watch = info.query.iter().any(|(key, value)| {
            key == "watch" && !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")
        });
        // The old form of a watch, which is still served.
        if rest.first() == Some(&"watch") && rest.len() > 1 {
            watch = true;
            rest = &rest[1..];
            info.query.push(("watch".into(), "true".into()));
        }
        if let ["namespaces", namespace, _, ..] = rest {
            // Subresources of the namespace itself.
            if !matches!(rest[2], "status" | "finalize") || rest.len() > 3 {
                info.namespace = Some((*namespace).to_owned());
                rest = &rest[2..];
            }
        }
        let mut rest = rest.iter();
        let mut next = || rest.next().map(|part| (*part).to_owned()).unwrap_or_default();
        (info.plural, info.name, info.subresource) = (next(), next(), next());
        info.too_long = !next().is_empty();
        let one = !info.name.is_empty();
        info.verb = match *method {
            Method::GET | Method::HEAD if one => Verb::Get,
            Method::GET | Method::HEAD if watch => Verb::Watch,
            Method::GET | Method::HEAD => Verb::List,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if one => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => Verb::Other,
        };
        info
    }

    /// `plural.group`.
    pub(super) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `plural.group/subresource`.
    pub(super) fn scoped_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource(),
            subresource => format!("{}/{subresource}", self.resource()),
        }
    }

    /// `plural/subresource`, as in the 403 of a real server.
    pub(super) fn resource_path(&self) -> String {
        match self.subresource.as_str() {
            "" => self.plural.clone(),
            subresource => format!("{}/{subresource}", self.plural),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Decodes percent escapes. Invalid escapes stay, invalid UTF-8 is replaced.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
