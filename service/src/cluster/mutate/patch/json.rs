//! JSON patches (RFC 6902) are tried out on the node as it is before they are sent. That tells a `test` that does not hold
//! from a path that does not exist, and shows what would become of what is protected.
//!
//! A short patch can make a huge document, by copying what it has copied. The bounds are Kubernetes' own, and one of depth.

use json_patch::{Patch, PatchError, PatchErrorKind, PatchOperation};
use serde_json::Value;

use crate::error::Error;
use crate::node::Violation;

/// The most operations of a patch (maxJSONPatchOperations in apiserver's endpoints/handlers/patch.go).
const MOST_OPERATIONS: usize = 10_000;

/// The most bytes that a patch may copy (JSONPatchMaxCopyBytes of the apiserver); here those that it moves count too.
const MOST_COPIED: usize = 3 << 20;

/// How deep the patched document may be. What is deeper is no Node, and reading it could overflow the stack.
const DEEPEST: usize = 100;

/// The document that the patch makes of this one.
pub(super) fn try_out(patch: &Patch, mut document: Value) -> Result<Value, Error> {
    if patch.0.len() > MOST_OPERATIONS {
        return Err(refusal(format!("has {} operations: send at most {MOST_OPERATIONS}", patch.0.len())));
    }
    let mut copied = 0;
    for (index, operation) in patch.0.iter().enumerate() {
        let depth = match operation {
            PatchOperation::Add(add) => add.path.count() + depth(&add.value),
            PatchOperation::Replace(replace) => replace.path.count() + depth(&replace.value),
            PatchOperation::Copy(copy) => copy.path.count() + moved(&document, copy.from.as_str(), &mut copied),
            PatchOperation::Move(r#move) => r#move.path.count() + moved(&document, r#move.from.as_str(), &mut copied),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
        };
        if copied > MOST_COPIED {
            return Err(refusal(format!(
                "operation {index}: copies more than {MOST_COPIED} bytes with those before it"
            )));
        }
        if depth > DEEPEST {
            return Err(refusal(format!("operation {index}: makes the node deeper than {DEEPEST} levels")));
        }
        json_patch::patch(&mut document, std::slice::from_ref(operation)).map_err(|error| failed(index, error))?;
    }
    Ok(document)
}

/// The depth of what is copied from here, whose size is added to what was copied before.
fn moved(document: &Value, from: &str, copied: &mut usize) -> usize {
    let Some(value) = document.pointer(from) else { return 0 };
    *copied = copied.saturating_add(size(value));
    depth(value)
}

/// About as many bytes as it takes as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 5,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(key, field)| key.len() + size(field) + 4).sum::<usize>() + 2,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn failed(index: usize, error: PatchError) -> Error {
    let detail = format!("operation {index} ({}): {}", error.path, error.kind);
    match error.kind {
        PatchErrorKind::TestFailed => Error::PatchTestFailed { detail },
        _ => refusal(format!("{detail}; the path must exist in the node as it is now")),
    }
}

fn refusal(description: String) -> Error {
    Violation::new("patch", description).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tried(operations: Value, document: Value) -> Result<Value, String> {
        let patch = serde_json::from_value(operations).unwrap();
        try_out(&patch, document).map_err(|error| error.to_string())
    }

    #[test]
    fn a_patch_is_carried_out_in_order() {
        let operations = json!([
            {"op": "test", "path": "/a", "value": 1},
            {"op": "move", "from": "/a", "path": "/b"},
            {"op": "copy", "from": "/b", "path": "/c"},
        ]);
        assert_eq!(tried(operations, json!({"a": 1})), Ok(json!({"b": 1, "c": 1})));
    }

    #[test]
    fn the_operation_that_fails_is_named() {
        let operations = json!([{"op": "add", "path": "/b", "value": 2}, {"op": "test", "path": "/a", "value": 2}]);
        let error = tried(operations, json!({"a": 1})).unwrap_err();
        assert!(error.contains("operation 1 (/a)"), "{error}");
    }

    #[test]
    fn a_patch_that_doubles_the_node_again_and_again_is_refused() {
        let double = |index| json!({"op": "copy", "from": "", "path": format!("/a{index}")});
        let error = tried((0..40).map(double).collect(), json!({"a": "x".repeat(1000)})).unwrap_err();
        assert!(error.contains("copies more than"), "{error}");
    }

    #[test]
    fn a_patch_that_makes_the_node_ever_deeper_is_refused() {
        let nest = |_| json!({"op": "copy", "from": "/a", "path": "/a/b"});
        let error = tried((0..200).map(nest).collect(), json!({"a": {}})).unwrap_err();
        assert!(error.contains("deeper than"), "{error}");

        let deep = (0..90).fold(json!(1), |value, _| json!({"a": value}));
        let below = "/a".repeat(50);
        let operations = json!([
            {"op": "add", "path": "/a", "value": deep},
            {"op": "add", "path": below, "value": deep},
        ]);
        assert!(tried(operations, json!({})).unwrap_err().contains("deeper than"));
    }

    #[test]
    fn a_patch_of_too_many_operations_is_refused() {
        let operation = json!({"op": "test", "path": "", "value": {}});
        assert!(tried(vec![operation; MOST_OPERATIONS + 1].into(), json!({})).unwrap_err().contains("send at most"));
    }
}
