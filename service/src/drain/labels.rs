//! Label selectors as Kubernetes' objects hold them (`metav1.LabelSelectorAsSelector`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Whether a selector matches. An absent one matches nothing, an empty one everything, and one that is not valid nothing.
pub(super) fn matches(selector: Option<&LabelSelector>, labels: Option<&BTreeMap<String, String>>) -> bool {
    let Some(selector) = selector else { return false };
    let value = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted))
        && selector.match_expressions.iter().flatten().all(|expression| holds(expression, value(&expression.key)))
}

fn holds(expression: &LabelSelectorRequirement, value: Option<&str>) -> bool {
    let values = expression.values.as_deref().unwrap_or_default();
    let is_listed = || value.is_some_and(|value| values.iter().any(|listed| listed == value));
    match (expression.operator.as_str(), values.is_empty()) {
        ("In", false) => is_listed(),
        ("NotIn", false) => !is_listed(),
        ("Exists", true) => value.is_some(),
        ("DoesNotExist", true) => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(operator: &str, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let expression =
            LabelSelectorRequirement { key: "app".into(), operator: operator.into(), values: Some(values) };
        LabelSelector { match_expressions: Some(vec![expression]), match_labels: None }
    }

    #[test]
    fn an_absent_selector_matches_nothing_and_an_empty_one_everything() {
        assert!(!matches(None, None));
        assert!(matches(Some(&LabelSelector::default()), None));
    }

    #[test]
    fn operators_mean_what_they_mean_in_kubernetes() {
        let web = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        for (operator, values, on_web, on_nothing) in [
            ("In", &["web", "api"][..], true, false),
            ("In", &["api"][..], false, false),
            ("NotIn", &["web"][..], false, true),
            ("NotIn", &["api"][..], true, true),
            ("Exists", &[][..], true, false),
            ("DoesNotExist", &[][..], false, true),
        ] {
            let selector = expression(operator, values);
            assert_eq!(matches(Some(&selector), Some(&web)), on_web, "{operator} {values:?}");
            assert_eq!(matches(Some(&selector), None), on_nothing, "{operator} {values:?} without labels");
        }
    }

    #[test]
    fn a_selector_that_is_not_valid_matches_nothing() {
        for selector in [expression("In", &[]), expression("Exists", &["x"]), expression("in", &["web"])] {
            assert!(!matches(Some(&selector), None));
        }
    }

    #[test]
    fn all_labels_must_match() {
        let wanted = BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())]);
        let selector = LabelSelector { match_labels: Some(wanted.clone()), match_expressions: None };
        assert!(matches(Some(&selector), Some(&wanted)));
        assert!(!matches(Some(&selector), Some(&BTreeMap::from([("app".to_owned(), "web".to_owned())]))));
    }
}
