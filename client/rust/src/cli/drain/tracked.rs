//! What is known of an operation, event by event.

use std::collections::BTreeMap;
use std::time::SystemTime;

use nodeward_client::api::operation_event::Event;
use nodeward_client::api::pod_progress::State;
use nodeward_client::api::{CordonState, DrainProgress, OperationEvent, OperationState, PodProgress};
use nodeward_client::longrunning::Operation;
use nodeward_client::{drain_metadata, node_id};

use super::lines::{cordon_line, pod_lines, state_line};

/// An operation, as it was last heard of.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    /// The name of the operation.
    pub operation: String,
    /// The node that it drains.
    pub node: String,
    pub(super) state: OperationState,
    pub(super) progress: DrainProgress,
    pub(super) start: Option<SystemTime>,
    pub(super) end: Option<SystemTime>,
    pub(super) message: String,
    pub(super) cordon: CordonState,
    /// The pods that are not gone, by their uids.
    pub(super) pods: BTreeMap<String, Pod>,
}

/// A pod, and what was told of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pod {
    pub(super) progress: PodProgress,
    /// Whether it was said that it is removed.
    pub(super) is_removal_told: bool,
    /// The words of the blocker that was told last.
    pub(super) told_blocker: Option<String>,
}

impl Tracked {
    /// What an operation says of itself. What its pods are at, its events tell.
    pub fn new(operation: &Operation) -> Self {
        let metadata = drain_metadata(operation).unwrap_or_default();
        let time = |time: Option<prost_types::Timestamp>| time.and_then(|time| SystemTime::try_from(time).ok());
        Self {
            operation: operation.name.clone(),
            node: node_id(&metadata.node).to_owned(),
            state: metadata.state(),
            progress: metadata.progress.unwrap_or_default(),
            start: time(metadata.start_time.or(metadata.create_time)),
            end: time(metadata.end_time),
            ..Self::default()
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state, OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled)
    }

    /// Whether it has been said of pods that they are left.
    pub fn has_told_what_is_left(&self) -> bool {
        self.pods.values().any(|pod| pod.progress.state() == State::Failed)
    }

    /// Takes an event, and says what is new in lines of text.
    pub fn take(&mut self, event: OperationEvent) -> Vec<String> {
        let OperationEvent { event, progress, event_time, .. } = event;
        if let Some(progress) = progress {
            self.progress = progress;
        }
        match event {
            Some(Event::StateChange(change)) => {
                self.state = change.state();
                self.message = change.message;
                if self.is_over() {
                    self.end = event_time.and_then(|time| SystemTime::try_from(time).ok());
                }
                state_line(&self.node, self.state, &self.message).into_iter().collect()
            }
            Some(Event::CordonChange(change)) => {
                let before = std::mem::replace(&mut self.cordon, change.state());
                cordon_line(&self.node, before, &change).into_iter().collect()
            }
            Some(Event::Pod(progress)) => self.take_pod(progress),
            // An event of a later version of the contract.
            None => Vec::new(),
        }
    }

    fn take_pod(&mut self, progress: PodProgress) -> Vec<String> {
        let uid = progress.pod.as_ref().map(|pod| pod.uid.clone()).unwrap_or_default();
        let pod = self.pods.entry(uid.clone()).or_default();
        pod.progress = progress;
        let lines = pod_lines(pod);
        if pod.progress.state() == State::Gone {
            self.pods.remove(&uid);
        }
        lines
    }
}
