//! Lists: at the newest version, at an exact one, or page by page at the version of the first page.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::object::{Form, Version, to_bytes};
pub(super) use super::query::Query;
use super::query::parse_version;
use super::state::State;
use super::status::ApiStatus;
use super::token::Token;

/// One page of a list, or all of it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) version: u64,
    pub(super) items: Vec<Arc<Version>>,
    continue_token: Option<String>,
    remaining: Option<usize>,
    has_version: bool,
    /// What the server says of the shard that it has applied.
    shard: Option<String>,
}

impl State {
    pub(super) fn list(&self, id: u64, namespace: Option<&str>, query: &Query) -> Result<Page, ApiStatus> {
        let collection = self.collection(id)?;
        let has_version = collection.kind().has_versions();
        let unversioned;
        let query = if has_version {
            query
        } else {
            unversioned = query.without_version();
            &unversioned
        };
        let newest = self.version();
        let prefix = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let mut start = String::new();
        let mut version = newest;
        let mut limit = query.limit;
        if query.continue_token.is_empty() {
            let asked = match query.version.as_str() {
                "" => 0,
                text => parse_version(text)
                    .map_err(|why| ApiStatus::bad_request(format!("invalid resource version: {why}")))?,
            };
            if asked > newest {
                return Err(ApiStatus::too_large_version(asked, newest));
            }
            // A limit without resourceVersionMatch means an exact version, for old clients.
            let exact = query.version_match == "Exact"
                || (query.version_match.is_empty() && query.limit.is_some() && asked > 0);
            if exact {
                version = asked;
            } else if query.version == "0" {
                limit = None; // answered from the watch cache, which does not page
            }
            if version < collection.list_floor() {
                return Err(ApiStatus::too_old_to_list());
            }
        } else {
            if !query.version.is_empty() && query.version != "0" {
                return Err(ApiStatus::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let token = Token::decode(&query.continue_token)?;
            start = format!("{prefix}{}", token.start);
            if let Some(at) = token.version {
                if at < collection.list_floor() || at > newest {
                    return Err(ApiStatus::expired_continue(Token { version: None, ..token }.encode()));
                }
                version = at;
            }
        }
        let mut objects = collection.at(version, &prefix, &start).peekable();
        let mut items = Vec::new();
        while let Some(object) = objects.next_if(|_| limit.is_none_or(|limit| items.len() < limit)) {
            if query.selects(object.value()) {
                items.push(object.clone());
            }
        }
        let more = objects.peek().is_some();
        let remaining = (more && query.selector.is_everything()).then(|| objects.count());
        let continue_token = match items.last() {
            Some(last) if more => {
                let start =
                    format!("{}\0", &super::state::key_of(collection.kind(), last.value())[prefix.len()..]);
                Some(Token { version: Some(version), start }.encode())
            }
            _ => None,
        };
        let shard = query.shard.as_ref().map(ToString::to_string);
        Ok(Page { version, items, continue_token, remaining, has_version, shard })
    }
}

impl Page {
    /// The body of the response. Items are copied from their cached text.
    pub(super) fn body(&self, kind: &Kind, partial: bool) -> Bytes {
        let form = match (partial, kind.is_custom()) {
            (true, _) => Form::Partial,
            (false, true) => Form::Full,
            (false, false) => Form::Bare,
        };
        let items: Vec<Bytes> = self.items.iter().map(|object| object.bytes(form)).collect();
        let mut out = BytesMut::with_capacity(256 + items.iter().map(|item| item.len() + 1).sum::<usize>());
        let (list_kind, version) = match partial {
            true => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
            false => (kind.list_kind(), kind.api_version()),
        };
        let (list_kind, version) = (to_bytes(&list_kind), to_bytes(&version));
        let metadata = to_bytes(&self.metadata(kind, partial));
        // The real server sorts the fields of lists of custom resources, so the metadata with the version comes after
        // the items. A streaming client must accept both orders.
        let parts: [(&[u8], &[u8]); 4] = if kind.is_custom() && !partial {
            [(b"apiVersion", &version), (b"items", b""), (b"kind", &list_kind), (b"metadata", &metadata)]
        } else {
            [(b"kind", &list_kind), (b"apiVersion", &version), (b"metadata", &metadata), (b"items", b"")]
        };
        for (index, (field, value)) in parts.into_iter().enumerate() {
            out.put_slice(if index == 0 { b"{\"" } else { b",\"" });
            out.put_slice(field);
            out.put_slice(b"\":");
            if field == b"items" {
                for (index, item) in items.iter().enumerate() {
                    out.put_u8(if index == 0 { b'[' } else { b',' });
                    out.put_slice(item);
                }
                out.put_slice(match (items.is_empty(), partial) {
                    (false, _) => b"]",
                    (true, false) => b"[]",
                    (true, true) => b"null",
                });
            } else {
                out.put_slice(value);
            }
        }
        out.put_slice(b"}\n");
        out.freeze()
    }

    /// The same as a JSON value. Clones every item.
    pub(super) fn to_value(&self, kind: &Kind) -> Value {
        let items: Vec<&Value> = self.items.iter().map(|object| object.value()).collect();
        json!({
            "apiVersion": kind.api_version(), "kind": kind.list_kind(),
            "metadata": self.metadata(kind, false), "items": items,
        })
    }

    fn metadata(&self, kind: &Kind, partial: bool) -> Value {
        let mut metadata = Map::new();
        match &self.continue_token {
            Some(token) => metadata.insert("continue".into(), json!(token)),
            None if kind.is_custom() && !partial => metadata.insert("continue".into(), json!("")),
            None => None,
        };
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".into(), json!(remaining));
        }
        if self.has_version {
            metadata.insert("resourceVersion".into(), json!(self.version.to_string()));
        }
        // The real server does not have it in lists of custom resources, nor in those of metadata.
        if let Some(selector) = self.shard.as_ref().filter(|_| !partial && !kind.is_custom()) {
            metadata.insert("shardInfo".into(), json!({ "selector": selector }));
        }
        Value::Object(metadata)
    }
}
