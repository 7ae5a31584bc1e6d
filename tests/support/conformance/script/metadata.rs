//! Objects as metadata only, and media types that cannot be had.

use crate::support::conformance::step::{MAPS, Step, WIDGETS, get, merge, watch};

const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

pub(super) fn steps() -> Vec<Step> {
    vec![
        get(format!("{WIDGETS}/a")).accept(ONE),
        get(format!("{WIDGETS}/absent")).accept(ONE),
        get(format!("{WIDGETS}?labelSelector=color")).accept(LIST),
        get(format!("{WIDGETS}?limit=1")).accept(LIST).only(&["/metadata/name", "/kind"]),
        get(WIDGETS).accept(ONE),
        get(format!("{MAPS}?fieldSelector=metadata.name%3Dabsent")).accept(LIST),
        get(format!("{WIDGETS}/a"))
            .accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"),
        merge(format!("{WIDGETS}/a"), serde_json::json!({})).accept(ONE),
        watch("resourceVersion=0&fieldSelector=metadata.name%3Da").accept(ONE),
        get(format!("{WIDGETS}/a")).accept("*/*").only(&["/metadata/name", "/kind"]),
        get(format!("{WIDGETS}/a")).accept("application/*").only(&["/metadata/name", "/kind"]),
        get(WIDGETS).accept("text/html"),
        get(format!("{WIDGETS}/a"))
            .accept("application/json;as=Table;g=meta.k8s.io;v=v1")
            .only(&["/kind"])
            .differs("tables are not made"),
        get(format!("{WIDGETS}/a")).accept("application/yaml").differs("JSON only"),
    ]
}
