//! The `Accept` header: whole objects, or only their metadata.

use http::{HeaderMap, header};

use super::status::ApiStatus;

/// The shape of objects in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// `PartialObjectMetadata`: single objects and watches.
    Partial,
    /// `PartialObjectMetadataList`.
    PartialList,
}

/// The first of the accepted media types that can be served. `Table` cannot, so the next one is used.
pub(super) fn shape(headers: &HeaderMap) -> Result<Shape, ApiStatus> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Ok(Shape::Whole);
    };
    let shape = accept.split(',').find_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        match parts.find_map(|parameter| parameter.strip_prefix("as=")) {
            None => Some(Shape::Whole),
            Some("PartialObjectMetadata") => Some(Shape::Partial),
            Some("PartialObjectMetadataList") => Some(Shape::PartialList),
            Some(_) => None,
        }
    });
    shape.ok_or_else(|| {
        ApiStatus::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf",
        )
    })
}
