//! CordonNode and UncordonNode: claims on a node's cordon.

use jiff::{Timestamp, Unit};
use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;
use tonic::{Request, Response};

use super::change::{begin, carry_out};
use super::context::NodeRpc;
use super::rights;
use crate::caller::Caller;
use crate::cluster::mutate::Subresource;
use crate::error::Error;
use crate::node::claim::{self, Claim, ClaimError, LONGEST_OWNER};
use crate::node::{NodeName, Violations};

pub(super) async fn cordon(
    rpc: &NodeRpc,
    request: Request<v1::CordonNodeRequest>,
) -> Result<Response<v1::Node>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let owner = parse_owner(&request.owner, &call.mutation.caller, &mut violations);
    let expires = parse_expiry(request.expire_time.as_ref(), &mut violations);
    let Some(name) = name.filter(|_| violations.0.is_empty()) else { return Err(violations.into()) };
    let since = Timestamp::now().round(Unit::Second).ok();
    let claim = Claim { owner, reason: request.reason, since, expires, ..Claim::default() };
    let permission = rights::CORDON_NODE.on(name.as_str());
    carry_out(rpc, call, permission, name, move |mutator, mutation, name| async move {
        let plan = |current: &Node| claim::cordon(current, claim.clone()).map_err(|error| refused(error, &name));
        mutator.update(&mutation, name.as_str(), Subresource::Main, plan).await
    })
    .await
}

pub(super) async fn uncordon(
    rpc: &NodeRpc,
    request: Request<v1::UncordonNodeRequest>,
) -> Result<Response<v1::Node>, Error> {
    let (call, request, mut violations) = begin(rpc, request)?;
    let name = violations.take(NodeName::from_resource_name(&request.name, "name"));
    let owner = parse_owner(&request.owner, &call.mutation.caller, &mut violations);
    let Some(name) = name.filter(|_| violations.0.is_empty()) else { return Err(violations.into()) };
    let permission = rights::UNCORDON_NODE.on(name.as_str());
    carry_out(rpc, call, permission, name, move |mutator, mutation, name| async move {
        let plan = |current: &Node| {
            let uncordon = claim::uncordon(current, &owner, request.take_over, Timestamp::now());
            uncordon.map_err(|error| refused(error, &name))
        };
        mutator.update(&mutation, name.as_str(), Subresource::Main, plan).await
    })
    .await
}

/// For whom: whom the request names, or else the caller.
fn parse_owner(owner: &str, caller: &Caller, violations: &mut Violations) -> String {
    if owner.chars().count() > LONGEST_OWNER {
        violations.add("owner", format!("must have at most {LONGEST_OWNER} characters"));
    }
    if owner.chars().any(char::is_control) {
        violations.add("owner", "must not have control characters");
    }
    if owner.is_empty() { claim::owner_of(caller) } else { owner.to_owned() }
}

fn parse_expiry(time: Option<&prost_types::Timestamp>, violations: &mut Violations) -> Option<Timestamp> {
    let time = time?;
    let parsed = Timestamp::new(time.seconds, time.nanos).ok().filter(|time| *time > Timestamp::now());
    if parsed.is_none() {
        violations.add("expire_time", "must be in the future");
    }
    parsed
}

fn refused(refusal: ClaimError, node: &NodeName) -> Error {
    let node = node.as_str().to_owned();
    Error::Claim { node, refusal }
}
