//! The cordon of a drain: it is made before anything is removed, guarded while the drain lasts, and left or taken back at its
//! end.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;
use uuid::Uuid;

use super::happening::Happening;
use super::journal::{IsWanted, Journal, PATIENCE, deadline, patiently, patiently_while};
use super::trail::Trail;
use super::{CordonState, NodeIdentity, NodeOperation};
use crate::caller::{Caller, Permission};
use crate::cluster::Cluster;
use crate::cluster::lease::Term;
use crate::cluster::mutate::{Changed, FIELD_MANAGER, Mutation, Subresource};
use crate::cluster::observe::View;
use crate::error::Error;
use crate::node::claim::{self, Claim, ClaimError};
use crate::telemetry::with_audit_id;

/// At what a change is given up that the audit log does not take.
const NOTING: &str = "noting the change of the cordon";

/// The cordon of one drain.
pub(super) struct Cordoner {
    cluster: Cluster,
    term: Term,
    trail: Trail,
    node: NodeIdentity,
    operations: View<NodeOperation>,
    /// Whose claim it is: the operation's.
    owner: String,
    caller: Caller,
    reason: String,
}

/// That the node is cordoned.
pub(super) struct Cordoned {
    /// Whose it is: `Foreign` if somebody had cordoned it before.
    pub state: CordonState,
    /// Who that was, as far as the node says.
    pub manager: String,
    /// The node's version since then: what was seen of it before does not count.
    pub version: u64,
}

/// What a node is to be changed to.
type Plan<'a> = &'a (dyn Fn(&Node) -> Result<Option<Value>, ClaimError> + Sync);

impl Cordoner {
    /// The cordon of the drain that this journal is of.
    pub fn new(cluster: Cluster, term: Term, journal: &Journal) -> Self {
        let spec = journal.spec();
        Self {
            cluster,
            term,
            trail: journal.trail().clone(),
            node: spec.node.clone(),
            operations: journal.operations(),
            owner: format!("operations/{}", journal.name()),
            caller: spec.requester.caller(),
            reason: spec.reason.clone(),
        }
    }

    /// Cordons the node in the requester's name, after having asked Kubernetes whether they (still) may. None if it is `only_to_join`
    /// a cordon of others, and there is none.
    ///
    /// # Errors
    /// What keeps it from being cordoned, if it does not pass with time; that the term is over; that it is not wanted any more.
    pub async fn cordon(&self, is_wanted: IsWanted<'_>, only_to_join: bool) -> anyhow::Result<Option<Cordoned>> {
        self.require_right(is_wanted).await?;
        let read = |deadline| self.cluster.get(&self.node.name, deadline);
        let before = patiently_while(is_wanted, &self.term, read).await?;
        let claim = Claim {
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            since: Timestamp::now().round(jiff::Unit::Second).ok(),
            operation: self.owner.clone(),
            requester: claim::owner_of(&self.caller),
            ..Claim::default()
        };
        let plan = |node: &Node| match only_to_join && !is_cordoned(node) {
            true => Ok(None),
            false => claim::cordon_instead(node, claim.clone(), |held| self.is_over(held)),
        };
        let after = self.change(is_wanted, &plan).await?.node;
        Ok(is_cordoned(&after).then(|| self.cordoned(&before, &after)))
    }

    /// The cordon of a node that has the drain's claim, though that may not be written down: whoever made it may have been
    /// stopped before, or have had no answer. None if the node has no such claim, or can't be read for now.
    ///
    /// # Errors
    /// The term is over, or what does not pass with time.
    pub async fn found(&self) -> anyhow::Result<Option<Cordoned>> {
        let read = patiently(&self.term, |deadline| self.read(deadline));
        let Ok(node) = timeout(PATIENCE, Box::pin(read)).await else { return Ok(None) };
        let node = node?.filter(|node| claim::claims(node).iter().any(|held| held.owner == self.owner));
        Ok(node.map(|node| self.cordoned(&node, &node)))
    }

    /// Whether a claim is that of an operation that has ended or is gone, as far as is known. A node has one operation at a time.
    fn is_over(&self, held: &Claim) -> bool {
        let Some(name) = held.operation.strip_prefix("operations/") else { return false };
        let known = self.operations.get("", name);
        held.operation != self.owner
            && self.operations.is_in_sync()
            && known.is_none_or(|operation| operation.state().is_final())
    }

    fn cordoned(&self, before: &Node, after: &Node) -> Cordoned {
        let is_foreign = claim::claims(after).iter().any(|held| held.owner != self.owner);
        Cordoned {
            state: if is_foreign { CordonState::Foreign } else { CordonState::Own },
            manager: if is_foreign { owner_of_cordon(before) } else { String::new() },
            version: after.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0),
        }
    }

    /// Takes the drain's claim back, and no other. Whether the node is schedulable then.
    ///
    /// # Errors
    /// As for [`cordon`](Self::cordon).
    pub async fn release(&self) -> anyhow::Result<bool> {
        let uncordon = |node: &Node| match claim::uncordon(node, &self.owner, false, Timestamp::now()) {
            // There is none any more, and the cordon is that of others.
            Err(ClaimError::OfOthers(_)) => Ok(None),
            planned => planned,
        };
        let after = self.change(&|| true, &uncordon).await?.node;
        Ok(!is_cordoned(&after))
    }

    /// Takes away what is left of claims on a node that somebody has made schedulable: if somebody cordons it again, that is
    /// theirs.
    ///
    /// # Errors
    /// As for [`cordon`](Self::cordon).
    pub async fn tidy(&self) -> anyhow::Result<()> {
        self.change(&|| true, &|node| Ok(claim::tidy(node))).await.map(drop)
    }

    /// Whether somebody has made the node schedulable, and who, as far as the node says. It is looked at now: what was seen of
    /// it may be behind.
    pub async fn lifted(&self) -> anyhow::Result<Option<String>> {
        let read = |deadline| self.cluster.get(&self.node.name, deadline);
        let node = patiently(&self.term, read).await?;
        Ok((!is_cordoned(&node)).then(|| who_lifted(&node)))
    }

    /// Whether the node is gone, or another has its name.
    ///
    /// # Errors
    /// The term is over, or it can't be read for a reason that does not pass.
    pub async fn is_node_gone(&self) -> anyhow::Result<bool> {
        Ok(patiently(&self.term, |deadline| self.read(deadline)).await?.is_none())
    }

    /// The node, now. None if it is gone, or another has its name.
    async fn read(&self, deadline: Instant) -> Result<Option<Node>, Error> {
        match self.cluster.get(&self.node.name, deadline).await {
            Err(Error::NotFound { .. }) => Ok(None),
            node => Ok(Some(node?).filter(|node| node.metadata.uid.as_ref() == Some(&self.node.uid))),
        }
    }

    async fn change(&self, is_wanted: IsWanted<'_>, plan: Plan<'_>) -> anyhow::Result<Changed> {
        patiently_while(is_wanted, &self.term, |_| Box::pin(self.try_change(plan))).await
    }

    async fn try_change(&self, plan: Plan<'_>) -> Result<Changed, Error> {
        let name = &self.node.name;
        let mutation = Mutation {
            caller: self.caller.clone(),
            writes_as: self.cluster.writes_as(),
            method: "DrainNode",
            request: None,
            etag: None,
            validate_only: false,
            reason: self.reason.clone(),
            audit_id: Uuid::new_v4(),
            deadline: deadline(&self.term).map_err(|_| Error::ShuttingDown)?,
        };
        // It is asked right before each request, those included that are sent again.
        let plan = |current: &Node| {
            if !self.term.is_valid() {
                return Err(Error::ShuttingDown);
            }
            if current.metadata.uid.as_ref() != Some(&self.node.uid) {
                return Err(Error::NotFound { node: name.clone() });
            }
            plan(current).map_err(|refusal| Error::Claim { node: name.clone(), refusal })
        };
        let audit_id = mutation.audit_id;
        let told = self.trail.tell(Happening::CordonAsked { audit_id });
        timeout_at(mutation.deadline, told).await.map_err(|_| Error::DeadlineExceeded { stage: NOTING })??;
        let change = self.cluster.mutator().update(&mutation, name, Subresource::Main, plan);
        let answer = with_audit_id(audit_id, Box::pin(change)).instrument(self.trail.span(audit_id)).await;
        // An answer that is not noted in time is noted as unknown, once it can be.
        match timeout(PATIENCE, self.trail.tell(Happening::CordonAnswered { audit_id, answer: &answer })).await {
            Ok(told) => told?,
            Err(_) => {
                tracing::warn!("the answer to a change of a cordon can't be noted: the audit log does not answer")
            }
        }
        answer
    }

    /// Rights may have been taken away since it was asked for.
    ///
    /// # Errors
    /// They were, or the term is over; that it is not wanted any more.
    pub async fn require_right(&self, is_wanted: IsWanted<'_>) -> anyhow::Result<()> {
        let Caller::User(user) = &self.caller else { return Ok(()) };
        let name = self.node.name.clone();
        let permission = Permission { verb: "patch", group: "", resource: "nodes", subresource: "", name };
        let ask = |deadline| self.cluster.reviews().allows(user, &permission, deadline);
        match patiently_while(is_wanted, &self.term, ask).await? {
            true => Ok(()),
            false => Err(Error::AccessDenied { permission: permission.to_string() }.into()),
        }
    }
}

/// Whether no further pod comes to the node.
pub(super) fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false)
}

/// Who said last whether the node is schedulable: the manager that owns the field.
fn owner_of_cordon(node: &Node) -> String {
    latest(node, |entry| owns(entry, &["f:spec", "f:unschedulable"])).unwrap_or_default()
}

/// Who made the node schedulable. Whoever uncordons through nodeward takes the claims away too, and whoever says in so many
/// words that the node is schedulable owns that. Of whoever only takes the field away, as `kubectl uncordon` does, Kubernetes
/// keeps no trace in the node: then nobody is named.
fn who_lifted(node: &Node) -> String {
    let annotations = node.metadata.annotations.as_ref();
    if annotations.is_some_and(|annotations| annotations.contains_key(claim::ANNOTATION)) {
        return owner_of_cordon(node);
    }
    FIELD_MANAGER.to_owned()
}

/// The manager of the latest of these entries that are not about the status.
fn latest(node: &Node, is_meant: impl Fn(&ManagedFieldsEntry) -> bool) -> Option<String> {
    let entries = node.metadata.managed_fields.iter().flatten();
    let meant = entries.filter(|entry| entry.subresource.is_none() && is_meant(entry));
    let ordered: BTreeSet<_> =
        meant.map(|entry| (entry.time.as_ref().map(|time| time.0), entry.manager.clone())).collect();
    ordered.into_iter().next_back().and_then(|(_, manager)| manager)
}

fn owns(entry: &ManagedFieldsEntry, path: &[&str]) -> bool {
    let Some(fields) = &entry.fields_v1 else { return false };
    path.iter().try_fold(&fields.0, |fields, key| fields.get(key)).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(claims: bool, entries: Value) -> Node {
        let annotations = if claims { json!({ claim::ANNOTATION: "[]" }) } else { json!({}) };
        let metadata = json!({ "annotations": annotations, "managedFields": entries });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    fn entry(manager: &str, second: u8, fields: &Value) -> Value {
        let time = format!("2026-11-24T08:00:{second:02}Z");
        json!({ "manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields })
    }

    #[test]
    fn the_latest_of_those_who_said_it_is_named() {
        let schedulable = json!({ "f:spec": { "f:unschedulable": {} } });
        let other = json!({ "f:spec": { "f:taints": {} } });
        let entries = json!([entry("a", 1, &schedulable), entry("b", 2, &schedulable), entry("c", 3, &other)]);
        assert_eq!(owner_of_cordon(&node(true, entries.clone())), "b");
        assert_eq!(who_lifted(&node(true, entries)), "b");
    }

    #[test]
    fn nobody_is_named_who_may_not_have_been_it() {
        let labels = json!({ "f:metadata": { "f:labels": {} } });
        assert_eq!(who_lifted(&node(true, json!([entry("a", 1, &labels)]))), "");
    }

    #[test]
    fn whoever_takes_the_claims_away_with_the_cordon_has_done_it_through_nodeward() {
        assert_eq!(who_lifted(&node(false, json!([]))), FIELD_MANAGER);
    }
}
