//! What is wrong with the values of an update, by the rules that Kubernetes has for them.
//!
//! Only what the mask names is checked. What depends on more than the request (a provider id that is set already, pod CIDRs)
//! is left to Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use nodeward_api::v1;

use super::check_status;
use super::fields::{Field, Kind, Part};
use crate::node::mask::join_key;
use crate::node::syntax::{check_label_value, check_qualified_name, shown};
use crate::node::{OWN_PREFIX, Violation, Violations};

/// The most bytes of all keys and values of annotations (`TotalAnnotationSizeLimitB` of apimachinery's pkg/api/validation).
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// The effects of a taint (`validateTaintEffect` of pkg/apis/core/validation).
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The finalizers that need no prefix (`standardFinalizers` of pkg/apis/core/helper).
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Notes all that is wrong with what the parts name of the node. `unusable` is what could not be converted of the whole node.
pub(super) fn check(node: &v1::Node, parts: &[Part], unusable: Violations, violations: &mut Violations) {
    let (no_metadata, no_status) = (v1::ObjectMeta::default(), v1::NodeStatus::default());
    let metadata = node.metadata.as_ref().unwrap_or(&no_metadata);
    let taints = node.spec.as_ref().map(|spec| spec.taints.as_slice()).unwrap_or_default();
    let status = node.status.as_ref().unwrap_or(&no_status);
    check_annotation_size(&metadata.annotations, parts, violations);
    for part in parts {
        match part {
            Part::Field(field) if field.path == "spec.taints" => check_taints(taints, violations),
            Part::Field(field) if field.json[0] == "metadata" => check_metadata(metadata, field, violations),
            Part::Field(field) if field.json[0] == "status" => check_status::check_field(status, field, violations),
            Part::Field(_) => {}
            Part::Key(field, key) if field.json[0] == "status" => {
                check_status::check_key(status, field, key, violations);
            }
            Part::Key(field, key) => check_named_key(metadata, field, key, violations),
            Part::Taint { key, effect } => check_named_taint(taints, key, effect, violations),
            Part::Condition(kind) => check_status::check_named_condition(status, kind, violations),
        }
    }
    let named: Vec<String> = parts.iter().flat_map(|part| places(part, taints, status)).collect();
    for violation in unusable.0.into_iter().filter(|violation| named.iter().any(|place| is_within(violation, place))) {
        violations.add(format!("node.{}", violation.field), violation.description);
    }
}

/// The path of an entry of a map in the request, without keys that no map could have.
pub(super) fn entry_path(field: &Field, key: &str) -> String {
    const MAX_KEY: usize = 317;
    let map = format!("node.{}", field.path);
    if key.len() <= MAX_KEY { join_key(&map, key) } else { map }
}

/// Notes that a required field is not set.
pub(super) fn require(value: &str, path: String, violations: &mut Violations) {
    if value.is_empty() {
        violations.add(path, "is required");
    }
}

/// Notes elements that are the same as an earlier one.
pub(super) fn check_unique<T: Ord>(
    items: impl Iterator<Item = T>,
    list: &str,
    description: &str,
    violations: &mut Violations,
) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.enumerate() {
        if !seen.insert(item) {
            violations.add(format!("{list}[{index}]"), description);
        }
    }
}

/// Where in the node the values of a part stand.
fn places(part: &Part, taints: &[v1::Taint], status: &v1::NodeStatus) -> Vec<String> {
    match part {
        Part::Field(field) => vec![field.path.to_owned()],
        Part::Key(..) => Vec::new(),
        Part::Taint { key, effect } => {
            places_in("spec.taints", taints, |taint| taint.key == *key && taint.effect == *effect)
        }
        Part::Condition(kind) => {
            places_in("status.conditions", &status.conditions, |condition| condition.r#type == *kind)
        }
    }
}

fn places_in<T>(list: &str, items: &[T], is_named: impl Fn(&T) -> bool) -> Vec<String> {
    let named = items.iter().enumerate().filter(|(_, item)| is_named(item));
    named.map(|(index, _)| format!("{list}[{index}]")).collect()
}

fn is_within(violation: &Violation, place: &str) -> bool {
    violation.field.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn check_metadata(metadata: &v1::ObjectMeta, field: &Field, violations: &mut Violations) {
    let v1::ObjectMeta { labels, annotations, finalizers, owner_references, .. } = metadata;
    match field.path {
        "metadata.labels" => {
            for (key, value) in labels {
                check_pair(field, key, value, violations);
            }
        }
        "metadata.annotations" => {
            for (key, value) in annotations.iter().filter(|(key, _)| !key.starts_with(OWN_PREFIX)) {
                check_pair(field, key, value, violations);
            }
        }
        "metadata.finalizers" => check_finalizers(finalizers, violations),
        "metadata.owner_references" => check_owners(owner_references, violations),
        _ => {}
    }
}

fn check_pair(field: &Field, key: &str, value: &str, violations: &mut Violations) {
    if let Err(problem) = key_problem(field, key) {
        violations.add(entry_path(field, key), problem);
    }
    check_value(field, key, value, violations);
}

fn check_value(field: &Field, key: &str, value: &str, violations: &mut Violations) {
    // Annotations may hold any text.
    if field.kind == Kind::Map
        && let Err(problem) = check_label_value(value)
    {
        violations.add(entry_path(field, key), problem);
    }
}

/// What is wrong with the key of a label or an annotation.
fn key_problem(field: &Field, key: &str) -> Result<(), String> {
    match field.kind {
        // The prefix of an annotation may be in upper case (`ValidateAnnotations` of apimachinery's pkg/api/validation).
        Kind::Annotations => check_qualified_name(&key.to_lowercase()),
        _ => check_qualified_name(key),
    }
}

fn check_named_key(metadata: &v1::ObjectMeta, field: &Field, key: &str, violations: &mut Violations) {
    if let Err(problem) = key_problem(field, key) {
        violations.add("update_mask", format!("can't name such a key of `{}`: {problem}", field.path));
        return;
    }
    if field.kind != Kind::Annotations {
        if let Some(value) = metadata.labels.get(key) {
            check_value(field, key, value, violations);
        }
    } else if key.starts_with(OWN_PREFIX) {
        violations.add(
            "update_mask",
            format!(
                "names the annotation {}, which is nodeward's own: leave out keys with the prefix `{OWN_PREFIX}`",
                shown(key)
            ),
        );
    }
}

fn check_annotation_size(annotations: &BTreeMap<String, String>, parts: &[Part], violations: &mut Violations) {
    let is_named = |key: &String| {
        parts.iter().any(|part| match part {
            Part::Field(field) => field.kind == Kind::Annotations,
            Part::Key(field, named) => field.kind == Kind::Annotations && named == key,
            _ => false,
        })
    };
    let named = annotations.iter().filter(|(key, _)| is_named(key));
    let bytes: usize = named.map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_ANNOTATION_BYTES {
        violations.add(
            "node.metadata.annotations",
            format!("have {bytes} bytes: all keys and values together may have {MAX_ANNOTATION_BYTES}"),
        );
    }
}

/// `ValidateFinalizerName` of apimachinery's pkg/api/validation and `validateKubeFinalizerName` of pkg/apis/core/validation.
fn check_finalizers(finalizers: &[String], violations: &mut Violations) {
    for (index, finalizer) in finalizers.iter().enumerate() {
        let path = format!("node.metadata.finalizers[{index}]");
        if let Err(problem) = check_qualified_name(finalizer) {
            violations.add(path, problem);
        } else if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer.as_str()) {
            violations.add(path, format!("{} must have a prefix, as in `example.com/cleanup`", shown(finalizer)));
        }
    }
}

/// `ValidateOwnerReferences` of apimachinery's pkg/api/validation.
fn check_owners(owners: &[v1::OwnerReference], violations: &mut Violations) {
    for (index, owner) in owners.iter().enumerate() {
        let path = |name: &str| format!("node.metadata.owner_references[{index}].{name}");
        require(&owner.api_version, path("api_version"), violations);
        require(&owner.kind, path("kind"), violations);
        require(&owner.name, path("name"), violations);
        require(&owner.uid, path("uid"), violations);
    }
    let controllers = owners.iter().enumerate().filter(|(_, owner)| owner.controller == Some(true));
    for (index, _) in controllers.skip(1) {
        let path = format!("node.metadata.owner_references[{index}].controller");
        violations.add(path, "is true for another owner as well: only one can be the controller");
    }
}

fn check_taints(taints: &[v1::Taint], violations: &mut Violations) {
    for (index, taint) in taints.iter().enumerate() {
        let path = |name: &str| format!("node.spec.taints[{index}].{name}");
        if let Err(problem) = check_qualified_name(&taint.key) {
            violations.add(path("key"), problem);
        }
        if !EFFECTS.contains(&taint.effect.as_str()) {
            violations.add(path("effect"), effect_problem(&taint.effect));
        }
        check_taint_value(taint, index, violations);
    }
    let identities = taints.iter().map(|taint| (&taint.key, &taint.effect));
    check_unique(identities, "node.spec.taints", TAINT_TWICE, violations);
}

const TAINT_TWICE: &str = "has the key and effect of an earlier taint: a node has at most one of them";

fn check_taint_value(taint: &v1::Taint, index: usize, violations: &mut Violations) {
    let value = taint.value.as_deref().unwrap_or_default();
    if let Err(problem) = check_label_value(value) {
        violations.add(format!("node.spec.taints[{index}].value"), problem);
    }
}

fn check_named_taint(taints: &[v1::Taint], key: &str, effect: &str, violations: &mut Violations) {
    if let Err(problem) = check_qualified_name(key) {
        violations.add("update_mask", format!("can't name such a taint: {problem}"));
    }
    if !EFFECTS.contains(&effect) {
        violations.add("update_mask", format!("can't name such a taint: {}", effect_problem(effect)));
    }
    let named = taints.iter().enumerate().filter(|(_, taint)| taint.key == key && taint.effect == effect);
    for (place, (index, taint)) in named.enumerate() {
        check_taint_value(taint, index, violations);
        if place > 0 {
            violations.add(format!("node.spec.taints[{index}]"), TAINT_TWICE);
        }
    }
}

fn effect_problem(effect: &str) -> String {
    format!("{} is not an effect: send `NoSchedule`, `PreferNoSchedule` or `NoExecute`", shown(effect))
}
