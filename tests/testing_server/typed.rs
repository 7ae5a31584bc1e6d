//! Types of custom resources, as a derive macro would make them.

use kube_core::{ApiResource, NamespaceResourceScope, ObjectMeta, Resource};
use serde::{Deserialize, Serialize};

/// A `Resource` of the group `example.com`, version `v1`.
macro_rules! resource {
    ($type:ident, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                stringify!($type).into()
            }

            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                "example.com".into()
            }

            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                "v1".into()
            }

            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// Owns a ConfigMap with its content.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigMapGenerator {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: GeneratorSpec,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct GeneratorSpec {
    pub(crate) content: String,
}

/// Has a status and is cleaned up.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DocumentSpec,
    pub(crate) status: Option<DocumentStatus>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DocumentSpec {
    pub(crate) title: String,
    pub(crate) hide: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct DocumentStatus {
    pub(crate) hidden: bool,
}

resource!(ConfigMapGenerator, "configmapgenerators");
resource!(Document, "documents");

/// `apiVersion` of both.
pub(crate) fn api_version() -> String {
    ApiResource::erase::<Document>(&()).api_version
}
