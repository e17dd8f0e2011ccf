//! Tells Kubernetes what happens in a drain, one thing after another. That it can't be told is logged, and harms nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Trails;
use super::mend::drained_by;
use super::notice::{ConditionNotice, DRAIN_IN_PROGRESS, EventNotice, Notice};
use super::record::{self, Subject};
use crate::audit::Auditor;
use crate::caller::{Caller, Permission};
use crate::cluster::Cluster;
use crate::cluster::events::NodeEvent;
use crate::cluster::lease::Term;
use crate::cluster::mutate::{Mutation, Subresource};
use crate::error::Error;

/// How long a request to Kubernetes may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often conditions are tried to be written, and the pause between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// After what time the same is told once more.
const AGAIN: Duration = Duration::from_secs(60);

/// Tells of one drain.
pub(super) struct Teller {
    cluster: Cluster,
    auditor: Auditor,
    who: Arc<str>,
    subject: Arc<Subject>,
    trace_id: String,
    term: Term,
    /// What was told last, by its reason.
    told: HashMap<&'static str, Told>,
    /// Whether conditions are written: until it turns out that the requester may not.
    may_set_conditions: bool,
}

struct Told {
    name: String,
    note: String,
    count: i32,
    when: Instant,
}

impl Teller {
    pub fn new(trails: &Trails, subject: Arc<Subject>, trace_id: String, term: Term) -> Self {
        let Trails { cluster, auditor, who, .. } = trails.clone();
        let told = HashMap::new();
        Self { cluster, auditor, who, subject, trace_id, term, told, may_set_conditions: true }
    }

    /// Tells all that comes, until nothing more can.
    pub async fn run(mut self, mut notices: mpsc::Receiver<Notice>) {
        while let Some(Notice { event, conditions, .. }) = notices.recv().await {
            if let Some(event) = event {
                self.tell(event).await;
            }
            if self.may_set_conditions {
                self.set(&conditions).await;
            }
        }
    }

    async fn tell(&mut self, event: EventNotice) {
        if let Err(error) = self.try_tell(event).await {
            tracing::warn!(%error, operation = self.subject.operation(), "an Event of a drain can't be written");
        }
    }

    async fn try_tell(&mut self, event: EventNotice) -> Result<(), Error> {
        let EventNotice { is_warning, reason, note, related } = event;
        let deadline = Instant::now() + PATIENCE;
        if let Some(told) = self.told.get_mut(reason).filter(|told| told.note == note) {
            if told.when.elapsed() < AGAIN {
                told.count += 1;
                return Ok(());
            }
            (told.count, told.when) = (told.count + 1, Instant::now());
            return self.cluster.node_events().repeat(&told.name, told.count, deadline).await;
        }
        let (node, node_uid) = self.subject.node();
        let event = NodeEvent {
            node: node.to_owned(),
            node_uid: node_uid.to_owned(),
            is_warning,
            reason,
            action: "Draining",
            note: note.clone(),
            related,
            instance: self.who.to_string(),
        };
        let name = self.cluster.node_events().write(&event, deadline).await?;
        self.told.insert(reason, Told { name, note, count: 1, when: Instant::now() });
        Ok(())
    }

    /// Sets conditions in the requester's name.
    pub async fn set(&mut self, conditions: &[ConditionNotice]) {
        if conditions.is_empty() {
            return;
        }
        for _ in 0..ATTEMPTS {
            let error = match self.try_set(conditions).await {
                Ok(()) => return,
                Err(error) => error,
            };
            tracing::warn!(%error, operation = self.subject.operation(), "conditions of a node can't be written");
            if let Error::Denied { .. } | Error::AccessDenied { .. } = error {
                self.may_set_conditions = false;
                let note = format!("{}: its requester may not patch nodes/status", self.subject.operation());
                let reason = "DrainConditionsNotWritten";
                return self.tell(EventNotice { is_warning: false, reason, note, related: None }).await;
            }
            if !self.term.is_valid() || matches!(error, Error::NotFound { .. }) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_set(&self, conditions: &[ConditionNotice]) -> Result<(), Error> {
        let until = self.term.valid_until().ok_or(Error::ShuttingDown)?;
        let deadline = until.min(Instant::now() + PATIENCE);
        self.require_right(deadline).await?;
        let mutation = Mutation {
            caller: self.subject.caller().clone(),
            writes_as: self.cluster.writes_as(),
            method: "DrainNode",
            request: None,
            etag: None,
            validate_only: false,
            reason: self.subject.reason().to_owned(),
            audit_id: Uuid::new_v4(),
            deadline,
        };
        let (name, uid) = self.subject.node();
        let plan = |current: &Node| {
            // Whoever has taken the drain over knows better.
            if !self.term.is_valid() {
                return Err(Error::ShuttingDown);
            }
            if current.metadata.uid.as_deref() != Some(uid) {
                return Err(Error::NotFound { node: name.to_owned() });
            }
            // Another operation drains it by now: that this one does not is no news.
            let is_over = conditions.iter().any(|it| it.kind == DRAIN_IN_PROGRESS && !it.is_true);
            if is_over && drained_by(current).is_some_and(|other| other != self.subject.operation()) {
                return Ok(None);
            }
            Ok(with(current, conditions, Timestamp::now()))
        };
        let asked = self.subject.change_of_node("status");
        let step = self.auditor.begin_step(&self.subject.step(mutation.audit_id, &self.trace_id, asked)).await?;
        let change = self.cluster.mutator().update(&mutation, name, Subresource::Status, plan);
        let answer = crate::telemetry::with_audit_id(mutation.audit_id, Box::pin(change)).await;
        step.done(record::of_change(&answer)).await;
        answer.map(drop)
    }

    /// Where changes are sent in the server's own name, Kubernetes does not ask whether the requester may.
    async fn require_right(&self, deadline: Instant) -> Result<(), Error> {
        let Caller::User(user) = self.subject.caller() else { return Ok(()) };
        let name = self.subject.node().0.to_owned();
        let permission = Permission { verb: "patch", group: "", resource: "nodes", subresource: "status", name };
        match self.cluster.reviews().allows(user, &permission, deadline).await? {
            true => Ok(()),
            false => Err(Error::AccessDenied { permission: permission.to_string() }),
        }
    }
}

/// The patch that gives a node these conditions. None if it has them.
fn with(node: &Node, wanted: &[ConditionNotice], now: Timestamp) -> Option<Value> {
    let before = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut after = before.clone();
    for ConditionNotice { kind, is_true, reason, message, only_if_there } in wanted {
        let status = if *is_true { "True" } else { "False" };
        let place = after.iter().position(|condition| condition.type_ == *kind);
        if place.is_none() && *only_if_there {
            continue;
        }
        let was = place.map(|place| after.remove(place));
        let same = was.as_ref().filter(|was| was.status == status);
        let since = same.and_then(|was| was.last_transition_time.clone()).unwrap_or(Time(now));
        let unchanged =
            same.filter(|was| was.reason.as_deref() == Some(*reason) && was.message.as_ref() == Some(message));
        let condition = unchanged.cloned().unwrap_or_else(|| NodeCondition {
            type_: (*kind).to_owned(),
            status: status.to_owned(),
            reason: Some((*reason).to_owned()),
            message: Some(message.clone()),
            last_transition_time: Some(since),
            last_heartbeat_time: Some(Time(now)),
        });
        after.insert(place.unwrap_or(after.len()), condition);
    }
    (after != before).then(|| json!({ "status": { "conditions": after } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: &'static str, is_true: bool, only_if_there: bool) -> ConditionNotice {
        ConditionNotice { kind, is_true, reason: "r", message: "m".to_owned(), only_if_there }
    }

    fn node(conditions: Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"conditions": conditions}})).unwrap()
    }

    fn patched(patch: Option<Value>) -> Node {
        node(patch.unwrap()["status"]["conditions"].clone())
    }

    #[test]
    fn others_conditions_stay_and_the_same_is_not_written_twice() {
        let ready = json!({"type": "Ready", "status": "True"});
        let wanted = [notice("DrainInProgress", true, false), notice("Drained", false, true)];
        let after = patched(with(&node(json!([ready])), &wanted, Timestamp::now()));
        let found = after.status.clone().unwrap().conditions.unwrap();
        let kinds: Vec<_> = found.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
        assert_eq!(kinds, [("Ready", "True"), ("DrainInProgress", "True")]);
        assert_eq!(with(&after, &wanted, Timestamp::now()), None);
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let drained = json!({
            "type": "Drained", "status": "True", "reason": "old", "lastTransitionTime": "2026-11-24T10:00:00Z",
        });
        let again = patched(with(&node(json!([drained])), &[notice("Drained", true, false)], Timestamp::now()));
        let time =
            |node: &Node| node.status.as_ref().unwrap().conditions.as_ref().unwrap()[0].last_transition_time.clone();
        assert_eq!(time(&again).unwrap().0, "2026-11-24T10:00:00Z".parse().unwrap());
        let other = patched(with(&node(json!([drained])), &[notice("Drained", false, true)], Timestamp::now()));
        assert_ne!(time(&other), time(&again));
    }
}
