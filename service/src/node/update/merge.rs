//! JSON objects: setting fields in them, and the merge patch (RFC 7386) from one to another.

use serde_json::{Map, Value};

/// The value at a path of two names. None if there is none.
pub(super) fn get<'a>(object: &'a Value, [parent, name]: [&str; 2]) -> Option<&'a Value> {
    object.get(parent)?.get(name)
}

/// Sets the value at a path of two names, or removes it if there is none.
///
/// Kubernetes leaves empty values out (`omitempty`): an empty value in the place of an absent one changes nothing, nor the
/// other way around.
pub(super) fn set(object: &mut Value, path: [&str; 2], value: Option<&Value>) {
    let value = value.filter(|value| !is_empty(value));
    let old = get(object, path).filter(|old| !is_empty(old));
    if old.is_some() == value.is_some() && old.zip(value).is_none_or(|(old, value)| same(old, value)) {
        return;
    }
    let Some(parent) = parent_of(object, path) else { return };
    match value {
        Some(value) => parent.insert(path[1].to_owned(), value.clone()),
        None => parent.remove(path[1]),
    };
}

/// The object at a path of two names, which is made if it is absent. None if something else is in its place.
pub(super) fn map_at<'a>(object: &'a mut Value, path: [&str; 2]) -> Option<&'a mut Map<String, Value>> {
    parent_of(object, path)?.entry(path[1]).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Whether Kubernetes would store the two values alike: whether they are equal but for empty texts and lists in them.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let has_same = |(name, value): (&String, &Value), other: &Map<String, Value>| match other.get(name) {
                Some(other) => same(value, other),
                None => is_blank(value),
            };
            left.iter().all(|field| has_same(field, right)) && right.iter().all(|field| has_same(field, left))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => left == right || (is_blank(left) && is_blank(right)),
    }
}

/// The merge patch that makes one value from another. None if they are equal.
pub fn diff(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in to {
        let change = match from.get(name) {
            Some(old) => diff(old, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(name.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn parent_of<'a>(object: &'a mut Value, [parent, _]: [&str; 2]) -> Option<&'a mut Map<String, Value>> {
    object.as_object_mut()?.entry(parent).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Whether Kubernetes leaves a direct field with this value out.
fn is_empty(value: &Value) -> bool {
    is_blank(value) || *value == Value::Bool(false)
}

/// Whether the value is absent, or a text or list without content. A structure that is there is not the same as one that is
/// absent, and deeper in a node an absent truth value is not the same as `false`.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON without nulls in objects, which a merge patch can't set.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!(true)), Just(json!([null]))];
        leaf.prop_recursive(3, 12, 3, |inner| {
            proptest::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn the_patch_makes_the_one_from_the_other(from in value(), to in value()) {
            let mut patched = from.clone();
            if let Some(patch) = diff(&from, &to) {
                json_patch::merge(&mut patched, &patch);
            }
            prop_assert_eq!(patched, to);
        }
    }

    #[test]
    fn equal_values_need_no_patch() {
        assert_eq!(diff(&json!({"a": {"b": [1]}}), &json!({"a": {"b": [1]}})), None);
    }

    #[test]
    fn empty_and_absent_are_the_same() {
        for empty in [json!(false), json!(""), json!([])] {
            let mut object = json!({"spec": {"a": empty}});
            let before = object.clone();
            set(&mut object, ["spec", "a"], None);
            set(&mut object, ["spec", "b"], Some(&empty));
            set(&mut object, ["other", "b"], Some(&empty));
            assert_eq!(object, before);
        }
    }

    #[test]
    fn values_that_are_stored_alike_are_the_same() {
        let full = json!([{"a": "x", "b": "", "c": [], "d": {"e": null}}]);
        assert!(same(&full, &json!([{"a": "x", "d": {}}])));
        for other in
            [json!([]), json!([{"a": "x"}]), json!([{"a": "y", "d": {}}]), json!([{"a": "x", "d": {}, "f": false}])]
        {
            assert!(!same(&full, &other), "{other}");
            assert!(!same(&other, &full), "{other}");
        }
    }

    #[test]
    fn a_field_is_set_and_removed() {
        let mut object = json!({"spec": {"a": 1}});
        set(&mut object, ["spec", "a"], None);
        set(&mut object, ["metadata", "b"], Some(&json!("x")));
        assert_eq!(object, json!({"spec": {}, "metadata": {"b": "x"}}));
    }
}
