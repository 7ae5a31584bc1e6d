//! What an object selects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::selector_key::SelectorKey;
use crate::error::InvalidSelector;
use crate::key::Key;
use crate::selector::Selector;

/// A selector of an object, and the namespaces it applies in: by default the one of the object, and all namespaces for a
/// cluster-scoped object.
///
/// It is made `From` any of the types that a closure may return ([`IntoSelects`]), so that another scope can be given:
///
/// ```
/// use kube_informer::Selector;
/// use kube_informer::index::Selects;
///
/// let selector: Selector = "app=web".parse()?;
/// let everywhere = Selects::from(selector.clone()).in_all_namespaces();
/// let there = Selects::from(selector).in_namespace("shop");
/// # Ok::<(), kube_informer::error::InvalidSelector>(())
/// ```
#[derive(Clone, Debug)]
pub struct Selects {
    scope: Scope,
    what: What,
}

#[derive(Clone, Debug)]
enum Scope {
    Own,
    Namespace(String),
    All,
}

#[derive(Clone, Debug)]
enum What {
    Nothing,
    Invalid,
    Matching(Selector),
}

/// What a closure given to [`selector()`](super::selector()) may return.
///
/// | type | empty | meant for |
/// |---|---|---|
/// | `BTreeMap<String, String>` | selects nothing | `Service.spec.selector` |
/// | `LabelSelector` | selects everything | policies, PodDisruptionBudgets, workloads |
/// | [`Selector`], `kube_core::Selector` | selects everything | parsed text |
/// | [`Selects`] | as what it is made from | another scope than the namespace of the object |
/// | `Option`, `Result<_, InvalidSelector>` | `None` selects nothing, an `Err` is invalid | optional fields, parsed text |
/// | `Vec`, array | selects nothing | whatever one of several selectors matches |
///
/// A selector that the API server would reject is invalid, and selects nothing: a term without values or with an unknown
/// operator, a value that no label can have. [`SelectorKey::INVALID`] finds the objects that have one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a selector, nor a collection of selectors",
    note = "return a `LabelSelector`, a `BTreeMap<String, String>`, a `Selector`, or an `Option` of one"
)]
pub trait IntoSelects {
    /// Calls `emit` with each selector.
    fn for_each_selector(self, emit: &mut dyn FnMut(Selects));
}

// === impl Selects ===

impl Selects {
    /// The same selector, for the objects of one namespace, which need not be that of its own object.
    pub fn in_namespace(self, namespace: impl Into<String>) -> Self {
        Self { scope: Scope::Namespace(namespace.into()), ..self }
    }

    /// The same selector, for the objects of all namespaces and for those without a namespace.
    pub fn in_all_namespaces(self) -> Self {
        Self { scope: Scope::All, ..self }
    }

    /// The key of an object with this selector; `None` if it selects nothing.
    pub(super) fn into_key(self, of: Key<'_>) -> Option<SelectorKey> {
        let namespace = match &self.scope {
            Scope::Own => Some(of.namespace).filter(|own| !own.is_empty()),
            Scope::Namespace(one) => Some(one.as_str()),
            Scope::All => None,
        };
        match self.what {
            What::Nothing => None,
            What::Invalid => Some(SelectorKey::INVALID),
            What::Matching(selector) => Some(SelectorKey::new(namespace, selector)),
        }
    }
}

/// Selects everything if it is empty.
impl From<Selector> for Selects {
    fn from(selector: Selector) -> Self {
        Self { scope: Scope::Own, what: What::Matching(selector) }
    }
}

impl<S: Into<Self>> From<Result<S, InvalidSelector>> for Selects {
    fn from(selector: Result<S, InvalidSelector>) -> Self {
        selector.map_or(Self { scope: Scope::Own, what: What::Invalid }, Into::into)
    }
}

/// Selects everything if it is empty.
impl From<LabelSelector> for Selects {
    fn from(selector: LabelSelector) -> Self {
        Selector::try_from(selector).into()
    }
}

/// Selects everything if it is empty.
impl From<kube_core::Selector> for Selects {
    fn from(selector: kube_core::Selector) -> Self {
        Selector::try_from(selector).into()
    }
}

/// Selects nothing if it is empty, like `Service.spec.selector`.
impl From<BTreeMap<String, String>> for Selects {
    fn from(labels: BTreeMap<String, String>) -> Self {
        if labels.is_empty() {
            return Self { scope: Scope::Own, what: What::Nothing };
        }
        LabelSelector { match_labels: Some(labels), match_expressions: None }.into()
    }
}

// === impl IntoSelects ===

macro_rules! single {
    ($($selector:ty),*) => {
        $(impl IntoSelects for $selector {
            fn for_each_selector(self, emit: &mut dyn FnMut(Selects)) {
                emit(self.into());
            }
        })*
    };
}

macro_rules! several {
    ($(($($generic:tt)*) $collection:ty;)*) => {
        $(impl<S: IntoSelects, $($generic)*> IntoSelects for $collection {
            fn for_each_selector(self, emit: &mut dyn FnMut(Selects)) {
                self.into_iter().for_each(|selector| selector.for_each_selector(emit));
            }
        })*
    };
}

single!(Selects, Selector, LabelSelector, kube_core::Selector, BTreeMap<String, String>);
several! {
    () Option<S>;
    () Vec<S>;
    (const N: usize) [S; N];
}

impl<S: IntoSelects> IntoSelects for Result<S, InvalidSelector> {
    fn for_each_selector(self, emit: &mut dyn FnMut(Selects)) {
        match self {
            Ok(selector) => selector.for_each_selector(emit),
            Err(invalid) => emit(Err::<Selects, _>(invalid).into()),
        }
    }
}
