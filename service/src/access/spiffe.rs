//! Rules that map SPIFFE ids to users.
//!
//! A rule is a pattern and a template: `spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}`. A name
//! in braces stands for a whole segment of the path; the trust domain is always spelled out. Of the users whose names begin
//! with `system:`, which Kubernetes keeps for itself, a rule can name service accounts alone.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The rules, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct SpiffeRules(Vec<SpiffeRule>);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeRule {
    trust_domain: String,
    path: Vec<Segment>,
    user: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(String),
}

impl SpiffeRules {
    /// These rules.
    pub fn new(rules: Vec<SpiffeRule>) -> Self {
        Self(rules)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The user that the first rule that fits maps the id to.
    pub fn user(&self, id: &str) -> Option<String> {
        self.0.iter().find_map(|rule| rule.user(id))
    }
}

impl SpiffeRule {
    fn user(&self, id: &str) -> Option<String> {
        let (trust_domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
        let segments: Vec<&str> = path.split('/').collect();
        if trust_domain != self.trust_domain || segments.len() != self.path.len() {
            return None;
        }
        let mut variables = BTreeMap::new();
        for (pattern, segment) in self.path.iter().zip(segments) {
            match pattern {
                Segment::Literal(literal) if literal == segment => {}
                Segment::Variable(name) if is_segment(segment) => {
                    variables.insert(name, segment);
                }
                _ => return None,
            }
        }
        let filled =
            variables.iter().fold(self.user.clone(), |user, (name, value)| user.replace(&format!("{{{name}}}"), value));
        Some(filled)
    }
}

/// What the SPIFFE specification allows in a segment: nothing that a template could mistake for its own.
fn is_segment(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    !text.is_empty() && text != "." && text != ".." && text.chars().all(is_allowed)
}

impl FromStr for SpiffeRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            "must be PATTERN=USER, as in spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}";
        let (pattern, user) = text.split_once('=').ok_or(form)?;
        let (trust_domain, path) =
            pattern.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).ok_or(form)?;
        if user.is_empty() || !is_segment(trust_domain) {
            return Err(form.to_owned());
        }
        let path: Vec<Segment> = path.split('/').map(segment).collect::<Option<_>>().ok_or(form)?;
        let is_known = |name: &str| path.contains(&Segment::Variable(name.to_owned()));
        let unknown = user.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
        if let Some(name) = unknown.into_iter().find(|name| !is_known(name)) {
            return Err(format!("the user has {{{name}}}, which the pattern has not"));
        }
        if user.starts_with("system:") && !user.starts_with("system:serviceaccount:") {
            return Err("the user must not begin with system:, unless with system:serviceaccount:".to_owned());
        }
        Ok(Self { trust_domain: trust_domain.to_owned(), path, user: user.to_owned() })
    }
}

fn segment(text: &str) -> Option<Segment> {
    match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => is_segment(name).then(|| Segment::Variable(name.to_owned())),
        None => is_segment(text).then(|| Segment::Literal(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}";

    fn user(id: &str) -> Option<String> {
        SpiffeRules::new(vec![RULE.parse().unwrap()]).user(id)
    }

    #[test]
    fn an_id_that_fits_becomes_the_user() {
        assert_eq!(user("spiffe://example.org/ns/fleet/sa/api").as_deref(), Some("system:serviceaccount:fleet:api"));
    }

    #[test]
    fn ids_of_other_domains_lengths_and_characters_fit_no_rule() {
        for id in [
            "spiffe://example.com/ns/fleet/sa/api",
            "spiffe://example.org/ns/fleet/sa",
            "spiffe://example.org/ns/fleet/sa/api/more",
            "spiffe://example.org/ns/{name}/sa/api",
            "spiffe://example.org/ns/a:b/sa/api",
            "spiffe://example.org/ns//sa/api",
            "https://example.org/ns/fleet/sa/api",
        ] {
            assert_eq!(user(id), None, "{id}");
        }
    }

    #[test]
    fn a_bad_rule_says_what_is_wrong() {
        for text in ["", "spiffe://a/b", "https://a/b=c", "spiffe://{domain}/b=c", "spiffe://a/b c=d", "spiffe://a/b="]
        {
            assert!(text.parse::<SpiffeRule>().unwrap_err().contains("PATTERN=USER"), "{text}");
        }
        let error = "spiffe://a/{b}=user:{c}".parse::<SpiffeRule>().unwrap_err();
        assert!(error.contains("{c}"), "{error}");
        for user in ["system:admin", "system:node:{b}", "system:{b}"] {
            let error = format!("spiffe://a/{{b}}={user}").parse::<SpiffeRule>().unwrap_err();
            assert!(error.contains("must not begin with system:"), "{error}");
        }
    }
}
