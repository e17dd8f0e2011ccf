//! The bodies of changes, which are partial objects, and what nodeward adds to them.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Map, Value, json};

use crate::cluster::mutate::{Mutation, guard, record};
use crate::error::Error;
use crate::node::Violation;

/// The write is made only if the node is still at the version that it was decided on.
pub(in crate::cluster::mutate) fn lock(body: &mut Map<String, Value>, node: &Node) -> Result<(), Error> {
    let version = node.metadata.resource_version.as_deref().unwrap_or_default();
    let metadata = metadata(body)?;
    match metadata.get("resourceVersion") {
        Some(Value::String(expected)) if expected != version => Err(Error::EtagMismatch {
            what: format!("node {:?}", node.metadata.name.as_deref().unwrap_or_default()),
            expected: format!("{expected:?}"),
            current: format!("{version:?}"),
        }),
        _ => {
            metadata.insert("resourceVersion".into(), version.into());
            Ok(())
        }
    }
}

/// The change is remembered by the node, if it `changes` anything or has a request id.
pub(in crate::cluster::mutate) fn remember(
    body: &mut Map<String, Value>,
    node: &Node,
    mutation: &Mutation,
    changes: bool,
) -> Result<(), Error> {
    let notes = record::notes(Some(node), mutation, changes);
    if !notes.is_empty() {
        annotations(body)?.extend(notes.into_iter().map(|(key, value)| (key, value.into())));
    }
    Ok(())
}

/// `annotations: null` removes all annotations: all but nodeward's.
pub(super) fn keep_own_annotations(body: &mut Map<String, Value>, node: &Node) -> Result<(), Error> {
    let metadata = metadata(body)?;
    if metadata.get("annotations") == Some(&Value::Null) {
        let keys = node.metadata.annotations.iter().flatten().map(|(key, _)| key.clone());
        let nulls: Map<String, Value> = keys.filter(|key| !guard::is_own(key)).map(|key| (key, Value::Null)).collect();
        metadata.insert("annotations".into(), nulls.into());
    }
    Ok(())
}

/// Refuses a body that names one of nodeward's own annotations.
pub(super) fn refuse_own_annotations(metadata: &Map<String, Value>) -> Result<(), Error> {
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    match annotations.into_iter().flatten().find(|(key, _)| guard::is_own(key)) {
        Some((key, _)) => Err(guard::own_annotation(key, "patch")),
        None => Ok(()),
    }
}

/// The metadata, which are made if there are none.
pub(super) fn metadata(body: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Error> {
    object(body, "metadata")
}

/// The annotations, which are made if there are none.
pub(super) fn annotations(body: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Error> {
    object(metadata(body)?, "annotations")
}

/// The object in this field, which is made if there is none.
fn object<'a>(parent: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Map<String, Value>, Error> {
    match parent.entry(field).or_insert_with(|| json!({})) {
        Value::Object(object) => Ok(object),
        _ => Err(Violation::new("patch", format!("{field:?} must be an object")).into()),
    }
}
