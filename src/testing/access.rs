//! Who may do what: bearer tokens and rules on verb, resource and namespace.

use std::collections::HashMap;

use super::request::{RequestInfo, Verb};
use super::status::ApiStatus;

/// The requests that a rule applies to. A new rule applies to all requests.
///
/// The newest rule that applies to a request decides. If none applies, the request is allowed. So
/// `deny(Rule::all().user("app"))`, followed by `allow(Rule::all().user("app").verb("list"))`, allows the user `app`
/// only lists.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    user: Option<String>,
    verbs: Vec<String>,
    resources: Vec<String>,
    namespace: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: HashMap<String, String>,
    rules: Vec<(Rule, bool)>,
}

impl Rule {
    /// A rule that applies to every request.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Restricts the rule to requests of this user.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }

    /// Restricts the rule to this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or
    /// `deletecollection`. Several calls select several verbs.
    #[must_use]
    pub fn verb(mut self, verb: &str) -> Self {
        self.verbs.push(verb.to_owned());
        self
    }

    /// Restricts the rule to this resource, such as `pods` or `subnets.kubeovn.io`. A subresource is a resource of its
    /// own: `subnets.kubeovn.io/status`. Several calls select several resources.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resources.push(resource.to_owned());
        self
    }

    /// Restricts the rule to requests in this namespace. It then applies to no request at cluster scope.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    fn fits(&self, user: &str, verb: &str, resource: &str, namespace: Option<&str>) -> bool {
        let any = |list: &[String], one: &str| list.is_empty() || list.iter().any(|known| known == one);
        self.user.as_ref().is_none_or(|known| known == user)
            && any(&self.verbs, verb)
            && any(&self.resources, resource)
            && self.namespace.as_ref().is_none_or(|known| Some(known.as_str()) == namespace)
    }
}

impl Access {
    pub(super) fn add_token(&mut self, token: &str, user: &str) {
        self.tokens.insert(token.to_owned(), user.to_owned());
    }

    pub(super) fn remove_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(super) fn add_rule(&mut self, rule: Rule, allow: bool) {
        self.rules.push((rule, allow));
    }

    /// The user of a request: `system:anonymous` while there are no tokens.
    pub(super) fn authenticate(&self, authorization: Option<&str>) -> Result<String, ApiStatus> {
        if self.tokens.is_empty() {
            return Ok("system:anonymous".into());
        }
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.tokens.get(token.trim())).cloned().ok_or_else(ApiStatus::unauthorized)
    }

    pub(super) fn authorize(&self, user: &str, info: &RequestInfo) -> Result<(), ApiStatus> {
        let verb = info.verb.name();
        let (resource, namespace) = (info.scoped_resource(), info.namespace.as_deref());
        let decided = self.rules.iter().rev().find(|(rule, _)| rule.fits(user, verb, &resource, namespace));
        if decided.is_none_or(|(_, allow)| *allow) {
            return Ok(());
        }
        if info.verb == Verb::Other {
            return Err(ApiStatus::forbidden_path(user, "get", &info.path));
        }
        Err(ApiStatus::forbidden(user, verb, &info.group, &info.resource_path(), namespace, &info.name))
    }
}
