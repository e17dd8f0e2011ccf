//! How the status of an operation changes. Each change that somebody who follows it would want to know of gets a number of its
//! own, higher than all before it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{CordonState, NodeOperation, OperationStatus, State};
use crate::drain::{PodProgress, PodState};

impl NodeOperation {
    /// How far it has come.
    pub fn state(&self) -> State {
        self.status.as_ref().map(|status| status.state).unwrap_or_default()
    }

    /// The number of its last event. 0 if nothing has happened yet.
    pub fn sequence(&self) -> i64 {
        self.status.as_ref().map_or(0, |status| status.sequence)
    }
}

impl OperationStatus {
    /// Takes in how far the operation has come. Whether that is news.
    pub fn enter(&mut self, state: State, message: impl Into<String>, now: Timestamp) -> bool {
        let message = message.into();
        if self.state == state && self.message == message && self.state_sequence > 0 {
            return false;
        }
        if self.state != state || self.state_time.is_none() {
            self.state_time = Some(now);
        }
        (self.state, self.message) = (state, message);
        self.state_sequence = self.next();
        if state.is_final() {
            self.end_time = Some(now);
        }
        true
    }

    /// Takes in what holds for the cordon, and who changed it if it was somebody else. Whether that is news.
    pub fn set_cordon(&mut self, state: CordonState, manager: &str, now: Timestamp) -> bool {
        if self.cordon.state == state && self.cordon.manager == manager {
            return false;
        }
        let sequence = self.next();
        self.cordon = super::Cordon { state, manager: manager.to_owned(), sequence, time: Some(now) };
        true
    }

    /// Takes in where the pods are: all of them. Whether any of that is news.
    pub fn set_progress(&mut self, progress: Vec<PodProgress>, now: Timestamp) -> bool {
        let before = std::mem::take(&mut self.pods);
        let before: BTreeMap<&str, &PodProgress> = before.iter().map(|was| (was.pod.uid.as_str(), was)).collect();
        let mut is_news = false;
        for mut pod in progress {
            let was = before.get(pod.pod.uid.as_str()).copied();
            let of_the_same_state = was.filter(|was| was.state == pod.state);
            pod.since = of_the_same_state.map_or(Some(now), |was| was.since);
            pod.sequence = match was {
                Some(was) if !pod.is_news(was) => was.sequence,
                _ => {
                    is_news = true;
                    self.next()
                }
            };
            self.pods.push(pod);
        }
        is_news
    }

    /// Takes in that the operation has ended so. What is left of the pods is left for good, and the cordon stays unless it was
    /// taken back before.
    pub fn end(&mut self, state: State, message: impl Into<String>, now: Timestamp) {
        let is_left = |pod: &PodProgress| state != State::Succeeded && !pod.state.is_done();
        let pods = self.pods.iter().map(|pod| match is_left(pod) {
            true => PodProgress { state: PodState::Failed, next_attempt: None, ..pod.clone() },
            false => pod.clone(),
        });
        let pods = pods.collect();
        self.set_progress(pods, now);
        self.estimated_end_time = None;
        if self.cordon.state == CordonState::Own {
            self.set_cordon(CordonState::Left, "", now);
        }
        self.enter(state, message, now);
    }

    fn next(&mut self) -> i64 {
        self.sequence += 1;
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::PodReference;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(uid: &str, state: PodState) -> PodProgress {
        let pod = PodReference { uid: uid.to_owned(), ..PodReference::default() };
        PodProgress { state, ..PodProgress::of(&pod) }
    }

    #[test]
    fn what_is_no_news_has_no_number() {
        let mut status = OperationStatus::default();
        assert!(status.enter(State::Running, "", at(1)));
        assert!(!status.enter(State::Running, "", at(2)));
        assert_eq!((status.sequence, status.state_time), (1, Some(at(1))));
    }

    #[test]
    fn each_pod_has_the_number_and_the_time_of_its_last_change() {
        let mut status = OperationStatus::default();
        assert!(status.set_progress(vec![pod("a", PodState::Pending), pod("b", PodState::Pending)], at(1)));
        let mut next = status.pods.clone();
        next[1].state = PodState::Terminating;
        assert!(status.set_progress(next, at(2)));
        let told: Vec<_> = status.pods.iter().map(|pod| (pod.sequence, pod.since)).collect();
        assert_eq!(told, [(1, Some(at(1))), (3, Some(at(2)))]);
        assert!(!status.set_progress(status.pods.clone(), at(3)));
    }

    #[test]
    fn a_pod_that_is_as_it_was_keeps_its_number_whatever_comes_with_it() {
        let mut status = OperationStatus::default();
        status.set_progress(vec![pod("a", PodState::Pending)], at(1));
        assert!(!status.set_progress(vec![pod("a", PodState::Pending)], at(2)));
        assert_eq!((status.pods[0].sequence, status.pods[0].since), (1, Some(at(1))));
    }

    #[test]
    fn an_end_has_its_time() {
        let mut status = OperationStatus::default();
        status.enter(State::Failed, "no", at(5));
        assert_eq!(status.end_time, Some(at(5)));
    }
}
