//! What is known of an operation, event by event.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use nodeward_client::api::operation_event::Event;
use nodeward_client::api::pod_progress::State;
use nodeward_client::api::{Blocker, CordonState, DrainProgress, OperationEvent, OperationState, PodProgress};
use nodeward_client::longrunning::Operation;
use nodeward_client::{drain_metadata, node_id};

use super::lines::{cordon_line, estimate_line, late_line, pod_lines, state_line};

/// An operation, as it was last heard of.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    /// The name of the operation.
    pub operation: String,
    /// The node that it drains.
    pub node: String,
    pub(super) state: OperationState,
    pub(super) progress: DrainProgress,
    /// When it has ended at the latest, as far as is known.
    pub(super) estimated_end: Option<SystemTime>,
    /// Whether that was said.
    pub(super) is_estimate_told: bool,
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
    /// What kept it last, also if nothing is said of that any more.
    pub(super) last_blocker: Option<Blocker>,
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
        let progress = metadata.progress.unwrap_or_default();
        Self {
            operation: operation.name.clone(),
            node: node_id(&metadata.node).to_owned(),
            state: metadata.state(),
            estimated_end: estimated_end(&progress),
            progress,
            start: time(metadata.start_time.or(metadata.create_time)),
            end: time(metadata.end_time),
            ..Self::default()
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state, OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled)
    }

    /// The pods that are to go and have not gone, each with what kept it last.
    pub fn left(&self) -> Vec<PodProgress> {
        let pods = self.pods.values().filter(|pod| pod.progress.state() != State::Skipped);
        pods.map(|pod| PodProgress { blocker: pod.last_blocker.clone(), ..pod.progress.clone() }).collect()
    }

    /// What is new at this moment without any event: pods that should have ended some time ago.
    pub fn late(&mut self, now: SystemTime) -> Vec<String> {
        self.pods.values_mut().filter_map(|pod| late_line(pod, now)).collect()
    }

    /// Takes an event, and says what is new in lines of text.
    pub fn take(&mut self, event: OperationEvent) -> Vec<String> {
        let OperationEvent { event, progress, event_time, .. } = event;
        if let Some(progress) = progress {
            self.estimated_end = estimated_end(&progress);
            self.progress = progress;
        }
        let mut lines = match event {
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
        };
        lines.extend(self.new_estimate());
        lines
    }

    /// How much longer it takes, if that was not known before.
    fn new_estimate(&mut self) -> Option<String> {
        let estimate = self.progress.estimate.filter(|_| self.state == OperationState::Running);
        let was_told = std::mem::replace(&mut self.is_estimate_told, estimate.is_some());
        let estimate = estimate.filter(|_| !was_told)?;
        Some(estimate_line(&self.node, Duration::try_from(estimate).ok()?))
    }

    fn take_pod(&mut self, progress: PodProgress) -> Vec<String> {
        let uid = progress.pod.as_ref().map(|pod| pod.uid.clone()).unwrap_or_default();
        let pod = self.pods.entry(uid.clone()).or_default();
        pod.last_blocker = progress.blocker.clone().or_else(|| pod.last_blocker.take());
        pod.progress = progress;
        let lines = pod_lines(pod);
        if pod.progress.state() == State::Gone {
            self.pods.remove(&uid);
        }
        lines
    }
}

fn estimated_end(progress: &DrainProgress) -> Option<SystemTime> {
    SystemTime::now().checked_add(Duration::try_from(progress.estimate?).ok()?)
}

#[cfg(test)]
mod tests {
    use nodeward_client::api::OperationStateChange;

    use super::*;

    #[test]
    fn how_long_it_takes_is_told_when_it_is_known_and_again_once_it_was_not() {
        let mut drain = Tracked { node: "a".into(), ..Tracked::default() };
        let mut take = |state: OperationState, seconds: Option<i64>| {
            let event = Some(Event::StateChange(OperationStateChange { state: state.into(), message: String::new() }));
            let estimate = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            let progress = Some(DrainProgress { estimate, ..DrainProgress::default() });
            drain.take(OperationEvent { event, progress, ..OperationEvent::default() })
        };
        let nothing: [&str; 0] = [];
        assert_eq!(take(OperationState::Running, Some(40)), ["node/a takes at most 40s from now on"]);
        assert_eq!(take(OperationState::Running, Some(30)), nothing);
        assert_eq!(take(OperationState::Blocked, None), nothing);
        assert_eq!(take(OperationState::Running, Some(20)), ["node/a takes at most 20s from now on"]);
    }
}
