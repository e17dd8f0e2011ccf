//! Where the pods of a drain are: what is kept of each while the drain goes on, by whichever server.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Action, Blocker};
use crate::pod::PodReference;

/// How long after a refusal a removal is tried again: as long as it has been refused so far, within these bounds. A budget that
/// opens does not wait for that.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// Within what time it is seen that a pod is ending or gone. If it is not, what was taken for so is looked at again.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Where a pod is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodProgress {
    /// Which pod.
    pub pod: PodReference,
    /// Where it is.
    pub state: PodState,
    /// The number of the event that this was the news of.
    pub sequence: i64,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The uid of its controller. Empty if it has none, or is to stay.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub controller: String,
    /// How often in a row the drain has removed a pod of the same controller and another one has come to the node: the last of
    /// them is this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub recreations: u32,
    /// What is done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How often its removal was tried.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Before when it is not tried again, unless what blocked it has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// What keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub blocker: Option<Blocker>,
    /// Whether that is what Kubernetes has answered, not what is concluded from what is seen of the cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub was_refused: bool,
    /// The names of the PersistentVolumes that it has, or has left attached to the node: only if they are waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
}

/// Where a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodState {
    /// Its turn has not come.
    #[default]
    Pending,
    /// Its removal is being asked for. It is written down before: whoever finds it so does not know whether it was.
    Removing,
    /// Something keeps it from being removed.
    Blocked,
    /// Its removal was accepted.
    Removed,
    /// It is ending, or it has left volumes attached that are waited for.
    Terminating,
    /// It is gone.
    Gone,
    /// It stays.
    Skipped,
    /// It is left, and the drain is over.
    Failed,
}

impl PodState {
    /// Whether the drain has nothing more to do about it.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Gone | Self::Skipped)
    }
}

impl PodProgress {
    /// A pod about which nothing has been done.
    pub fn of(pod: &PodReference) -> Self {
        Self { pod: pod.clone(), ..Self::default() }
    }

    /// The same pod when its removal is to be sent.
    pub fn removing(&self, action: Action) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let action = Some(action);
        let (state, next_attempt, blocker, was_refused) = (PodState::Removing, None, None, false);
        Self { state, action, attempts, next_attempt, blocker, was_refused, ..self.clone() }
    }

    /// The same pod after its removal was refused.
    pub fn refused(&self, blocker: Blocker, retry_after: Option<Duration>, now: Timestamp) -> Self {
        let [shortest, longest] = BACKOFF;
        let backoff = shortest.saturating_mul(1 << self.attempts.saturating_sub(1).min(8)).min(longest);
        let wait = SignedDuration::try_from(retry_after.unwrap_or(backoff)).unwrap_or(SignedDuration::MAX);
        let next_attempt = Some(now.saturating_add(wait).unwrap_or(Timestamp::MAX));
        Self { state: PodState::Blocked, next_attempt, blocker: Some(blocker), was_refused: true, ..self.clone() }
    }

    /// The same pod after Kubernetes has said that it is on its way out or gone, which is seen a moment later.
    pub fn settled(&self, state: PodState, now: Timestamp) -> Self {
        let next_attempt = Some(now.saturating_add(SEEN_WITHIN).unwrap_or(Timestamp::MAX));
        Self { state, next_attempt, blocker: None, was_refused: false, ..self.clone() }
    }

    /// Whether somebody who follows the drain would want to know of the change from `before`.
    pub fn is_news(&self, before: &Self) -> bool {
        (self.state, self.attempts, &self.blocker) != (before.state, before.attempts, &before.blocker)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An object that only nodeward looks into.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true})
}
