//! Label selectors, evaluated in process as the API server evaluates them.

mod parse;
mod required;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::Expression;

pub(crate) use self::required::Required;
use crate::metadata::Labels;

/// A label selector: the `labelSelector` of a list request.
///
/// It is parsed from the syntax of the API server (`app=web,tier in (a,b),!canary,size>3`), or converted from the
/// `LabelSelector` of a spec or from [`kube_core::Selector`]. Both reject what the API server rejects, so a selector
/// can always be sent: [`Display`](fmt::Display) prints the syntax of the API server.
///
/// Evaluation costs one look-up in the labels of the object for each requirement, and does not allocate. The rules are
/// those of "Labels and Selectors" in the Kubernetes documentation: `!=` and `notin` also select objects without the
/// label, and `>` and `<` select integers only.
///
/// The default selector, like the empty text, selects every object.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use kube_informer::Selector;
///
/// let selector: Selector = "app in (web, proxy),!canary".parse()?;
/// let mut labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
/// assert!(selector.matches(&labels));
/// labels.insert("canary".to_owned(), String::new());
/// assert!(!selector.matches(&labels));
/// assert_eq!(selector.to_string(), "app in (proxy,web),!canary");
/// assert!("app in (web".parse::<Selector>().is_err());
/// # Ok::<(), kube_informer::error::InvalidSelector>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector(Vec<Requirement>);

/// The API server would reject this selector. `Display` prints the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid label selector: {0}")]
pub struct InvalidSelector(String);

/// A requirement for one label. All requirements of a selector must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Requirement {
    key: String,
    op: Op,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Op {
    Exists,
    Absent,
    /// In order, without duplicates, never empty.
    In(Box<[String]>),
    /// Like `In`. An object without the label is selected.
    NotIn(Box<[String]>),
    Above(i64),
    Below(i64),
}

// === impl Selector ===

impl Selector {
    /// Whether the selector matches these labels. O(requirements) look-ups, no allocation.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.all_hold(|name| labels.get(name).map(String::as_str))
    }

    /// Whether the selector matches the labels of this object. O(requirements) look-ups, no allocation.
    pub fn selects(&self, object: &impl Labels) -> bool {
        self.all_hold(|name| object.label(name))
    }

    /// Whether the selector matches the labels that `label` looks up.
    pub(crate) fn all_hold<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|wanted| wanted.op.holds(label(&wanted.key)))
    }

    /// Whether the selector has no requirement, and so selects every object. O(1).
    pub fn selects_all(&self) -> bool {
        self.0.is_empty()
    }
}

/// Parses the syntax of the API server.
impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        parse::parse(text).map(Self)
    }
}

/// Converts the selector of a spec, such as that of a Deployment.
impl TryFrom<LabelSelector> for Selector {
    type Error = InvalidSelector;

    fn try_from(selector: LabelSelector) -> Result<Self, InvalidSelector> {
        let equal = selector.match_labels.into_iter().flatten();
        let equal = equal.map(|(key, value)| Requirement::is_in(key, [value]));
        let others = selector.match_expressions.into_iter().flatten().map(|wanted| {
            let (key, values) = (wanted.key, wanted.values.unwrap_or_default());
            match wanted.operator.as_str() {
                "In" => Requirement::is_in(key, values),
                "NotIn" => Requirement::is_not_in(key, values),
                "Exists" if values.is_empty() => Requirement::new(key, Op::Exists),
                "DoesNotExist" if values.is_empty() => Requirement::new(key, Op::Absent),
                "Exists" | "DoesNotExist" => Err(invalid(format!("{} takes no values", wanted.operator))),
                other => Err(invalid(format!("unknown operator {other:?}"))),
            }
        });
        equal.chain(others).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<kube_core::Selector> for Selector {
    type Error = InvalidSelector;

    fn try_from(selector: kube_core::Selector) -> Result<Self, InvalidSelector> {
        let requirements = selector.into_iter().map(|expression| match expression {
            Expression::In(key, values) => Requirement::is_in(key, values),
            Expression::NotIn(key, values) => Requirement::is_not_in(key, values),
            Expression::Equal(key, value) => Requirement::is_in(key, [value]),
            Expression::NotEqual(key, value) => Requirement::is_not_in(key, [value]),
            Expression::Exists(key) => Requirement::new(key, Op::Exists),
            Expression::DoesNotExist(key) => Requirement::new(key, Op::Absent),
        });
        requirements.collect::<Result<_, _>>().map(Self)
    }
}

/// Prints the syntax of the API server, which parses to an equal selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

// === impl Requirement ===

impl Requirement {
    fn new(key: String, op: Op) -> Result<Self, InvalidSelector> {
        validate::key(&key)?;
        if let Op::In(values) | Op::NotIn(values) = &op {
            if values.is_empty() {
                return Err(invalid(format!("no values for {key:?} to be compared with")));
            }
            values.iter().try_for_each(|value| validate::value(value))?;
        }
        Ok(Self { key, op })
    }

    fn is_in(key: String, values: impl IntoIterator<Item = String>) -> Result<Self, InvalidSelector> {
        Self::new(key, Op::In(ordered(values)))
    }

    fn is_not_in(key: String, values: impl IntoIterator<Item = String>) -> Result<Self, InvalidSelector> {
        Self::new(key, Op::NotIn(ordered(values)))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.op {
            Op::Exists => f.write_str(key),
            Op::Absent => write!(f, "!{key}"),
            Op::In(values) => match &values[..] {
                [one] => write!(f, "{key}={one}"),
                values => write!(f, "{key} in ({})", values.join(",")),
            },
            Op::NotIn(values) => match &values[..] {
                [one] => write!(f, "{key}!={one}"),
                values => write!(f, "{key} notin ({})", values.join(",")),
            },
            Op::Above(bound) => write!(f, "{key}>{bound}"),
            Op::Below(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

// === impl Op ===

impl Op {
    fn holds(&self, value: Option<&str>) -> bool {
        let among =
            |values: &[String], value: &str| values.binary_search_by(|one| one.as_str().cmp(value)).is_ok();
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => value.is_some_and(|value| among(values, value)),
            Self::NotIn(values) => value.is_none_or(|value| !among(values, value)),
            Self::Above(bound) => number().is_some_and(|number| number > *bound),
            Self::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

// === impl InvalidSelector ===

fn invalid(why: impl Into<String>) -> InvalidSelector {
    InvalidSelector(why.into())
}

fn ordered(values: impl IntoIterator<Item = String>) -> Box<[String]> {
    values.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}
