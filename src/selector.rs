//! Label selectors, evaluated here as the API server evaluates them.

mod parse;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::{Expression, Resource};

/// Which labels an object must have: what a list request calls `labelSelector`.
///
/// Parsed from the text that the API server takes (`app=web,tier in (a,b),!canary,size>3`), or made of the
/// `LabelSelector` of a spec, or of kube's own [`kube_core::Selector`]. Each way refuses what the API server
/// would refuse, so whatever was made can also be sent: [`Display`](fmt::Display) gives the text back.
///
/// Evaluating one costs a look-up in the object's labels for each requirement, and allocates nothing. The rules
/// are those of the Kubernetes docs, "Labels and Selectors": `!=` and `notin` also select objects without the
/// label, and `>` and `<` select whole numbers only.
///
/// The default one, like the empty text, selects everything.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// The API server would not take this selector. The text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid label selector: {0}")]
pub struct InvalidSelector(String);

/// What is asked of one label. All requirements of a selector must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    op: Op,
}

#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whether an object with these labels is selected. Does not allocate.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|wanted| wanted.op.holds(labels.get(&wanted.key).map(String::as_str)))
    }

    /// Whether this object is selected. Does not allocate.
    pub fn selects(&self, object: &impl Resource) -> bool {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.matches(object.meta().labels.as_ref().unwrap_or(&NONE))
    }

    /// Whether it asks for nothing, and so selects every object.
    pub fn selects_all(&self) -> bool {
        self.0.is_empty()
    }
}

/// Parses what the API server parses.
impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        parse::parse(text).map(Self)
    }
}

/// A selector that is part of another object, as in the spec of a Service's or Deployment's kin.
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

/// The text that a list request takes, and that parses to an equal selector.
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
