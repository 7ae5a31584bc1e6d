//! Types of our own for kinds whose name is known at run time only.

/// Makes a struct with a field `metadata` a `Resource` that an `ApiResource` names. What follows the type goes into
/// the implementation.
macro_rules! dynamic_resource {
    ($type:ty $(, $($more:tt)*)?) => {
        impl kube_core::Resource for $type {
            type DynamicType = kube_core::ApiResource;
            type Scope = kube_core::DynamicResourceScope;

            $($($more)*)?

            fn kind(resource: &kube_core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.kind.as_str().into()
            }

            fn group(resource: &kube_core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.group.as_str().into()
            }

            fn version(resource: &kube_core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.version.as_str().into()
            }

            fn plural(resource: &kube_core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.plural.as_str().into()
            }

            fn meta(&self) -> &kube_core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube_core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(crate) use dynamic_resource;
