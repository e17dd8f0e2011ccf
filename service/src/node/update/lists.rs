//! Lists whose elements have an identity, as JSON: the taints (key and effect) and the conditions (type).

use serde_json::Value;

use super::merge::same;
use crate::node::taint::{ControllerOwnedTaint, controller_of};

/// A list's element as it is wanted, in the form in which Kubernetes stores it: without empty texts. The current element of
/// the same identity if it differs in nothing else.
pub(super) fn stored(current: &[Value], wanted: &Value, identity: fn(&Value) -> Identity<'_>) -> Value {
    let wanted = without_empty_text(wanted);
    let old = current.iter().find(|old| identity(old) == identity(&wanted));
    old.filter(|old| same(old, &wanted)).cloned().unwrap_or(wanted)
}

/// The list with this element: in the place of the one with the same identity, otherwise at the end.
pub(super) fn with(mut list: Vec<Value>, element: Value, identity: fn(&Value) -> Identity<'_>) -> Vec<Value> {
    match list.iter_mut().find(|other| identity(other) == identity(&element)) {
        Some(place) => *place = element,
        None => list.push(element),
    }
    list
}

/// The list without the elements of this identity.
pub(super) fn without(mut list: Vec<Value>, gone: Identity<'_>, identity: fn(&Value) -> Identity<'_>) -> Vec<Value> {
    list.retain(|element| identity(element) != gone);
    list
}

/// The texts that tell an element from the others of its list.
pub(super) type Identity<'a> = (&'a str, &'a str);

/// A taint's key and effect.
pub(super) fn taint_identity(taint: &Value) -> Identity<'_> {
    (text(taint, "key"), text(taint, "effect"))
}

/// A condition's type.
pub(super) fn condition_identity(condition: &Value) -> Identity<'_> {
    (text(condition, "type"), "")
}

/// As [`stored`] for a taint, which keeps the time when it was added unless another one is set.
pub(super) fn stored_taint(current: &[Value], wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    let old = current.iter().find(|old| taint_identity(old) == taint_identity(&wanted));
    let time_added = old.and_then(|old| old.get("timeAdded")).cloned();
    if let (Some(time_added), Value::Object(fields)) = (time_added, &mut wanted) {
        fields.entry("timeAdded").or_insert(time_added);
    }
    stored(current, &wanted, taint_identity)
}

/// The current taints with all that no controller owns replaced by the wanted ones. Those that stay keep their places, new
/// ones follow.
///
/// # Errors
/// The first wanted taint that a controller owns and that is not on the node as it is.
pub(super) fn replaced_taints(current: &[Value], wanted: &[Value]) -> Result<Vec<Value>, ControllerOwnedTaint> {
    for taint in wanted.iter().filter(|taint| is_owned(taint)) {
        let is_there =
            |old: &Value| taint_identity(old) == taint_identity(taint) && text(old, "value") == text(taint, "value");
        if !current.iter().any(is_there)
            && let Some(refusal) = ControllerOwnedTaint::of(text(taint, "key"))
        {
            return Err(refusal);
        }
    }
    let wanted: Vec<Value> =
        wanted.iter().filter(|taint| !is_owned(taint)).map(|taint| stored_taint(current, taint)).collect();
    let mut taints: Vec<Value> = current
        .iter()
        .filter_map(|old| {
            if is_owned(old) {
                return Some(old.clone());
            }
            wanted.iter().find(|taint| taint_identity(taint) == taint_identity(old)).cloned()
        })
        .collect();
    for taint in wanted {
        taints = with(taints, taint, taint_identity);
    }
    Ok(taints)
}

fn without_empty_text(element: &Value) -> Value {
    let mut element = element.clone();
    if let Value::Object(fields) = &mut element {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    element
}

fn is_owned(taint: &Value) -> bool {
    controller_of(text(taint, "key")).is_some()
}

fn text<'a>(element: &'a Value, name: &str) -> &'a str {
    element.get(name).and_then(Value::as_str).unwrap_or_default()
}
