//! `ObjectMeta` of meta/v1 and all that is in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference};
use nodeward_api::v1;

use super::{from_list, from_map, time, to_list};
use crate::node::Violations;

/// The metadata without the name, which is the last segment of the resource name.
pub(super) fn to_contract(metadata: &ObjectMeta) -> v1::ObjectMeta {
    let ObjectMeta {
        annotations,
        creation_timestamp,
        deletion_grace_period_seconds,
        deletion_timestamp,
        finalizers,
        generate_name,
        generation,
        labels,
        managed_fields,
        name: _,
        namespace,
        owner_references,
        resource_version,
        self_link,
        uid,
    } = metadata;
    v1::ObjectMeta {
        generate_name: generate_name.clone(),
        namespace: namespace.clone(),
        self_link: self_link.clone(),
        uid: uid.clone(),
        resource_version: resource_version.clone(),
        generation: *generation,
        creation_timestamp: creation_timestamp.as_ref().map(time::to_contract),
        deletion_timestamp: deletion_timestamp.as_ref().map(time::to_contract),
        deletion_grace_period_seconds: *deletion_grace_period_seconds,
        labels: labels.clone().unwrap_or_default(),
        annotations: annotations.clone().unwrap_or_default(),
        owner_references: to_list(owner_references, owner_to_contract),
        finalizers: to_list(finalizers, String::clone),
        managed_fields: to_list(managed_fields, managed_to_contract),
    }
}

/// The metadata without the name.
pub(super) fn from_contract(metadata: &v1::ObjectMeta, violations: &mut Violations) -> ObjectMeta {
    let v1::ObjectMeta {
        generate_name,
        namespace,
        self_link,
        uid,
        resource_version,
        generation,
        creation_timestamp,
        deletion_timestamp,
        deletion_grace_period_seconds,
        labels,
        annotations,
        owner_references,
        finalizers,
        managed_fields,
    } = metadata;
    let mut time = |timestamp, name: &str| time::from_contract(timestamp, &format!("metadata.{name}"), violations);
    ObjectMeta {
        annotations: from_map(annotations, String::clone),
        creation_timestamp: time(creation_timestamp.as_ref(), "creation_timestamp"),
        deletion_grace_period_seconds: *deletion_grace_period_seconds,
        deletion_timestamp: time(deletion_timestamp.as_ref(), "deletion_timestamp"),
        finalizers: from_list(finalizers, |_, finalizer| finalizer.clone()),
        generate_name: generate_name.clone(),
        generation: *generation,
        labels: from_map(labels, String::clone),
        managed_fields: from_list(managed_fields, |index, entry| managed_from_contract(entry, index, violations)),
        name: None,
        namespace: namespace.clone(),
        owner_references: from_list(owner_references, |_, owner| owner_from_contract(owner)),
        resource_version: resource_version.clone(),
        self_link: self_link.clone(),
        uid: uid.clone(),
    }
}

fn owner_to_contract(owner: &OwnerReference) -> v1::OwnerReference {
    let OwnerReference { api_version, block_owner_deletion, controller, kind, name, uid } = owner;
    v1::OwnerReference {
        api_version: api_version.clone(),
        kind: kind.clone(),
        name: name.clone(),
        uid: uid.clone(),
        controller: *controller,
        block_owner_deletion: *block_owner_deletion,
    }
}

fn owner_from_contract(owner: &v1::OwnerReference) -> OwnerReference {
    let v1::OwnerReference { api_version, kind, name, uid, controller, block_owner_deletion } = owner;
    OwnerReference {
        api_version: api_version.clone(),
        block_owner_deletion: *block_owner_deletion,
        controller: *controller,
        kind: kind.clone(),
        name: name.clone(),
        uid: uid.clone(),
    }
}

fn managed_to_contract(entry: &ManagedFieldsEntry) -> v1::ManagedFieldsEntry {
    let ManagedFieldsEntry { api_version, fields_type, fields_v1, manager, operation, subresource, time } = entry;
    v1::ManagedFieldsEntry {
        manager: manager.clone(),
        operation: operation.clone(),
        api_version: api_version.clone(),
        time: time.as_ref().map(time::to_contract),
        fields_type: fields_type.clone(),
        fields_v1_json: fields_v1.as_ref().map(|fields| fields.0.to_string()),
        subresource: subresource.clone(),
    }
}

fn managed_from_contract(
    entry: &v1::ManagedFieldsEntry,
    index: usize,
    violations: &mut Violations,
) -> ManagedFieldsEntry {
    let v1::ManagedFieldsEntry { manager, operation, api_version, time, fields_type, fields_v1_json, subresource } =
        entry;
    let path = format!("metadata.managed_fields[{index}]");
    ManagedFieldsEntry {
        api_version: api_version.clone(),
        fields_type: fields_type.clone(),
        fields_v1: fields_from_contract(fields_v1_json.as_deref(), &path, violations),
        manager: manager.clone(),
        operation: operation.clone(),
        subresource: subresource.clone(),
        time: time::from_contract(time.as_ref(), &format!("{path}.time"), violations),
    }
}

fn fields_from_contract(text: Option<&str>, path: &str, violations: &mut Violations) -> Option<FieldsV1> {
    match serde_json::from_str(text?) {
        Ok(value @ serde_json::Value::Object(_)) => Some(FieldsV1(value)),
        _ => {
            let description =
                "is not a set of fields: send a JSON object in Kubernetes' FieldsV1 format, or leave it unset";
            violations.add(format!("{path}.fields_v1_json"), description);
            None
        }
    }
}
