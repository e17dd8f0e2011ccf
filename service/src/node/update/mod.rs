//! What UpdateNode and UpdateNodeStatus do: a mask and a node become a merge patch of exactly the fields that the mask names.
//!
//! [`NodeUpdate::parse`] tells all that is wrong with a request, before anything is read from Kubernetes.
//! [`NodeUpdate::patch`] is relative to the node as it is, so whoever sends the patch names the resource version that it was
//! made from: lists such as the taints go out whole.

mod check;
mod check_status;
mod fields;
mod lists;
mod merge;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;
use prost_types::FieldMask;
use serde_json::Value;

use self::fields::{Field, Kind, Part};
use super::convert;
use super::mask::MAX_PATHS;
use super::taint::ControllerOwnedTaint;
use super::{OWN_PREFIX, Violations};

/// Which half of a node an update changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Metadata and spec: UpdateNode.
    Node,
    /// The status: UpdateNodeStatus.
    Status,
}

/// A checked update: what to change, and to what.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeUpdate {
    parts: Vec<Part>,
    /// The node of the request in Kubernetes' JSON. Only what the parts name is looked at.
    wanted: Value,
}

impl NodeUpdate {
    /// Parses and checks the node and the mask of a request. An empty mask names all changeable fields that the node holds.
    ///
    /// # Errors
    /// All violations at once, with paths as in the request: `update_mask` for paths that name nothing changeable, and
    /// `node...` for values that Kubernetes would refuse. Fields that the mask doesn't name are not checked.
    pub fn parse(node: &v1::Node, mask: Option<&FieldMask>, target: Target) -> Result<Self, Violations> {
        let mut unusable = Violations::default();
        let wanted = to_json(&convert::from_contract_noting(node, &mut unusable));
        let mut violations = Violations::default();
        let parts = match mask {
            Some(mask) if !mask.paths.is_empty() => named_parts(mask, target, &mut violations),
            _ => held_parts(&wanted, target, &mut violations),
        };
        check::check(node, &parts, unusable, &mut violations);
        violations.or(Self { parts, wanted })
    }

    /// The JSON merge patch (RFC 7386) that makes the update of this node, in Kubernetes' field names. None if the node is
    /// already as it should be.
    ///
    /// # Errors
    /// The first taint that the update would set or remove although a controller owns it. A whole `spec.taints` leaves those
    /// alone, and may repeat the ones that the node has.
    pub fn patch(&self, current: &Node) -> Result<Option<Value>, ControllerOwnedTaint> {
        let current = to_json(current);
        let mut updated = current.clone();
        for part in &self.parts {
            self.apply(part, &mut updated)?;
        }
        Ok(merge::diff(&current, &updated))
    }

    fn apply(&self, part: &Part, node: &mut Value) -> Result<(), ControllerOwnedTaint> {
        match part {
            Part::Field(field) => self.apply_field(field, node)?,
            Part::Key(field, key) => self.apply_key(field, key, node),
            Part::Taint { key, effect } => self.apply_taint(key, effect, node)?,
            Part::Condition(kind) => self.apply_condition(kind, node),
        }
        Ok(())
    }

    fn apply_field(&self, field: &Field, node: &mut Value) -> Result<(), ControllerOwnedTaint> {
        let wanted = merge::get(&self.wanted, field.json);
        match field.kind {
            Kind::Whole => merge::set(node, field.json, wanted),
            Kind::Map => self.apply_map(field, |_| false, node),
            Kind::Annotations => self.apply_map(field, |key| key.starts_with(OWN_PREFIX), node),
            Kind::Taints => {
                let taints = lists::replaced_taints(list(node, field.json), list(&self.wanted, field.json))?;
                merge::set(node, field.json, Some(&Value::Array(taints)));
            }
            Kind::Conditions => {
                let current = list(node, field.json);
                let stored = |condition| lists::stored(current, condition, lists::condition_identity);
                let conditions = list(&self.wanted, field.json).iter().map(stored).collect();
                merge::set(node, field.json, Some(&Value::Array(conditions)));
            }
        }
        Ok(())
    }

    /// Replaces a map but for the keys that are not the caller's: those stay, whatever the request says of them.
    fn apply_map(&self, field: &Field, is_own: fn(&str) -> bool, node: &mut Value) {
        let wanted = merge::get(&self.wanted, field.json).and_then(Value::as_object);
        if wanted.is_none() && merge::get(node, field.json).is_none() {
            return;
        }
        let Some(map) = merge::map_at(node, field.json) else { return };
        map.retain(|key, _| is_own(key) || wanted.is_some_and(|wanted| wanted.contains_key(key)));
        for (key, value) in wanted.into_iter().flatten().filter(|(key, _)| !is_own(key)) {
            map.insert(key.clone(), value.clone());
        }
    }

    fn apply_key(&self, field: &Field, key: &str, node: &mut Value) {
        let wanted = merge::get(&self.wanted, field.json).and_then(|map| map.get(key));
        if wanted.is_none() && merge::get(node, field.json).is_none() {
            return;
        }
        let Some(map) = merge::map_at(node, field.json) else { return };
        match wanted {
            Some(value) => map.insert(key.to_owned(), value.clone()),
            None => map.remove(key),
        };
    }

    fn apply_taint(&self, key: &str, effect: &str, node: &mut Value) -> Result<(), ControllerOwnedTaint> {
        const PATH: [&str; 2] = ["spec", "taints"];
        if let Some(refusal) = ControllerOwnedTaint::of(key) {
            return Err(refusal);
        }
        let identity = (key, effect);
        let current = list(node, PATH);
        let wanted = list(&self.wanted, PATH).iter().find(|taint| lists::taint_identity(taint) == identity);
        let taints = match wanted {
            Some(taint) => lists::with(current.to_vec(), lists::stored_taint(current, taint), lists::taint_identity),
            None => lists::without(current.to_vec(), identity, lists::taint_identity),
        };
        merge::set(node, PATH, Some(&Value::Array(taints)));
        Ok(())
    }

    fn apply_condition(&self, kind: &str, node: &mut Value) {
        const PATH: [&str; 2] = ["status", "conditions"];
        let identity = (kind, "");
        let current = list(node, PATH);
        let wanted = list(&self.wanted, PATH).iter().find(|other| lists::condition_identity(other) == identity);
        let conditions = match wanted {
            Some(condition) => {
                let condition = lists::stored(current, condition, lists::condition_identity);
                lists::with(current.to_vec(), condition, lists::condition_identity)
            }
            None => lists::without(current.to_vec(), identity, lists::condition_identity),
        };
        merge::set(node, PATH, Some(&Value::Array(conditions)));
    }
}

fn named_parts(mask: &FieldMask, target: Target, violations: &mut Violations) -> Vec<Part> {
    if mask.paths.len() > MAX_PATHS {
        violations.add("update_mask", format!("has {} paths: send at most {MAX_PATHS}", mask.paths.len()));
        return Vec::new();
    }
    let mut parts = Vec::new();
    for path in &mask.paths {
        match fields::parts(path, target) {
            // A path that stands there twice is checked and carried out once.
            Ok(named) => named.into_iter().for_each(|part| {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }),
            Err(problem) => violations.add("update_mask", problem),
        }
    }
    parts
}

fn held_parts(wanted: &Value, target: Target, violations: &mut Violations) -> Vec<Part> {
    let is_held = |field: &&Field| merge::get(wanted, field.json).is_some();
    let parts: Vec<Part> = fields::changeable(target).iter().filter(is_held).map(Part::Field).collect();
    if parts.is_empty() {
        let fields: Vec<&str> = fields::changeable(target).iter().map(|field| field.path).collect();
        let description =
            format!("is empty, and `node` holds no field that could be changed: name any of {}", fields.join(", "));
        violations.add("update_mask", description);
    }
    parts
}

/// The list at a path, empty if there is none.
fn list<'a>(node: &'a Value, path: [&str; 2]) -> &'a [Value] {
    merge::get(node, path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn to_json(node: &Node) -> Value {
    // Can't fail: the keys of a node's maps are text, and its times are in years that RFC 3339 can write.
    serde_json::to_value(node).unwrap_or_default()
}
