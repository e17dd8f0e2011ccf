//! Kubernetes' Node to the contract's, and back, without losing a field.
//!
//! Every struct is taken apart with all its fields named, on both sides: a field that Kubernetes or the contract adds is a
//! compile error here, not a silent loss.
//!
//! What is not kept apart: an absent list or map and an empty one. They are the same in Kubernetes, whose types leave
//! empty ones out (`omitempty`); both come back as absent.

mod metadata;
mod spec;
mod status;
mod system;
pub(super) mod time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use nodeward_api::v1;

use super::name::COLLECTION;
use super::{NodeName, Violations, claim, state};

pub use time::timestamp;

/// The node as the contract shows it, with all that nodeward derives from it.
pub fn to_contract(node: &Node) -> v1::Node {
    let Node { metadata, spec, status } = node;
    let name = metadata.name.as_deref().unwrap_or_default();
    v1::Node {
        name: if name.is_empty() { String::new() } else { format!("{COLLECTION}{name}") },
        metadata: Some(metadata::to_contract(metadata)),
        spec: spec.as_ref().map(spec::to_contract),
        status: status.as_ref().map(status::to_contract),
        etag: etag(metadata.resource_version.as_deref().unwrap_or_default()),
        scheduling_state: state::scheduling_state(node).into(),
        readiness: Some(state::readiness(node)),
        cordon_claims: claim::claims(node).iter().map(claim_to_contract).collect(),
    }
}

/// The node as Kubernetes knows it. What the contract derives (`etag`, `scheduling_state`, `readiness`, `cordon_claims`,
/// the numbers of quantities) is left out; a node without a `name` becomes one without `metadata.name`.
///
/// # Errors
/// All fields that can't be a node's, with their paths relative to the node: a `name` that is not `nodes/{node}`, times out of
/// range, sets of managed fields that are not JSON. Whether Kubernetes would accept the values is not checked.
pub fn from_contract(node: &v1::Node) -> Result<Node, Violations> {
    let mut violations = Violations::default();
    let node = from_contract_noting(node, &mut violations);
    violations.or(node)
}

/// As [`from_contract`], for those who need only some of the fields: what can't be a node's is left out and noted.
pub(in crate::node) fn from_contract_noting(node: &v1::Node, violations: &mut Violations) -> Node {
    let v1::Node { name, metadata, spec, status, etag: _, scheduling_state: _, readiness: _, cordon_claims: _ } = node;
    let mut metadata =
        metadata.as_ref().map(|metadata| metadata::from_contract(metadata, violations)).unwrap_or_default();
    metadata.name = name_from_contract(name, violations);
    let spec = spec.as_ref().map(|spec| spec::from_contract(spec, violations));
    let status = status.as_ref().map(|status| status::from_contract(status, violations));
    Node { metadata, spec, status }
}

/// The etag of a node at this resource version: a strong entity tag (RFC 9110), empty if there is no version.
pub fn etag(resource_version: &str) -> String {
    if resource_version.is_empty() { String::new() } else { format!("\"{resource_version}\"") }
}

fn claim_to_contract(claim: &claim::Claim) -> v1::CordonClaim {
    let claim::Claim { owner, reason, since, expires, operation, requester } = claim;
    let to_time = |timestamp: Timestamp| time::to_contract(&Time(timestamp));
    v1::CordonClaim {
        owner: owner.clone(),
        is_foreign: claim.is_foreign(),
        reason: reason.clone(),
        since_time: since.map(to_time),
        expire_time: expires.map(to_time),
        operation: operation.clone(),
        requester: requester.clone(),
    }
}

fn name_from_contract(name: &str, violations: &mut Violations) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    match NodeName::from_resource_name(name, "name") {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(violation) => {
            violations.0.push(violation);
            None
        }
    }
}

fn to_list<A, B>(items: &Option<Vec<A>>, convert: impl Fn(&A) -> B) -> Vec<B> {
    items.iter().flatten().map(convert).collect()
}

fn to_map<A, B>(items: &Option<BTreeMap<String, A>>, convert: impl Fn(&A) -> B) -> BTreeMap<String, B> {
    items.iter().flatten().map(|(key, value)| (key.clone(), convert(value))).collect()
}

/// The list with each element converted, together with its index. None if it is empty.
fn from_list<A, B>(items: &[A], mut convert: impl FnMut(usize, &A) -> B) -> Option<Vec<B>> {
    let items: Vec<B> = items.iter().enumerate().map(|(index, item)| convert(index, item)).collect();
    if items.is_empty() { None } else { Some(items) }
}

fn from_map<A, B>(items: &BTreeMap<String, A>, convert: impl Fn(&A) -> B) -> Option<BTreeMap<String, B>> {
    if items.is_empty() { None } else { Some(items.iter().map(|(key, value)| (key.clone(), convert(value))).collect()) }
}
