//! Pods that are made anew on the node that is emptied. A controller whose pods tolerate the cordon, or are bound without the
//! scheduler, does so each time that one of them is removed: a drain that went on as if nothing had happened would kill pods
//! for ever and never say why it does not end.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Blocker, PodPlan, PodProgress, PodState};

/// How often in a row that may be. Pods that were bound before the scheduler knew of the cordon come late too, but not so often.
const MOST: u32 = 3;

/// How long a pod that was made anew once too often is left before it is removed again, and the longest that one is left.
const WAIT: [SignedDuration; 2] = [SignedDuration::from_secs(10), SignedDuration::from_mins(10)];

impl PodProgress {
    /// A pod that is seen for the first time. These have been seen before.
    pub(super) fn seen(pod: &PodPlan, before: &[Self]) -> Self {
        let controller = pod.facts.controller.as_ref().filter(|_| pod.verdict.action != Action::Skip);
        let controller = controller.map(|controller| controller.uid.clone()).unwrap_or_default();
        let mut seen = Self { controller, ..Self::of(&pod.facts.reference) };
        let siblings = before.iter().filter(|was| was.has_the_maker_of(&seen));
        seen.recreations = siblings.map(Self::recreations_of_the_next).max().unwrap_or(0);
        seen
    }

    /// Whether the same controller has made both, or, where there is none, whoever gives a pod that name.
    fn has_the_maker_of(&self, other: &Self) -> bool {
        let is_same = if other.controller.is_empty() {
            self.controller.is_empty() && self.pod.name == other.pod.name
        } else {
            self.controller == other.controller
        };
        is_same && self.pod.namespace == other.pod.namespace
    }

    /// What a pod has that comes by now. Only what the drain itself has removed counts: what goes otherwise is replaced too.
    fn recreations_of_the_next(&self) -> u32 {
        use PodState::{Gone, Removed, Removing, Terminating};
        let was_removed = self.attempts > 0 && matches!(self.state, Removing | Removed | Terminating | Gone);
        self.recreations.saturating_add(u32::from(was_removed))
    }
}

/// Whether a pod stays although the policy has it removed: a DaemonSet has made it anew, and would do so each time. What the
/// policy has asked for is done when each of its pods has been removed once.
pub(super) fn is_left(pod: &PodPlan, was: &PodProgress) -> bool {
    pod.facts.is_daemon_set() && pod.verdict.action.is_waited_for() && was.recreations > 0
}

/// What keeps a pod from being removed because it was made anew too often, and until when. It is tried again: somebody may have
/// seen to it that it stays away.
pub(super) fn held(pod: &PodPlan, was: &PodProgress, action: Action, now: Timestamp) -> Option<(Blocker, Timestamp)> {
    let times = was.recreations.checked_sub(MOST + 1)?;
    // It has been tried, or is deleted now since the deadline is near.
    if was.attempts > 0 || was.action.is_some_and(|before| before != action) {
        return None;
    }
    let [shortest, longest] = WAIT;
    let wait = shortest.saturating_mul(1 << times.min(16)).min(longest);
    let until = was.next_attempt.unwrap_or_else(|| now.saturating_add(wait).unwrap_or(Timestamp::MAX));
    let controller = pod.facts.controller.as_ref();
    let controller = controller.map(|it| format!("{} {}", it.kind, it.name)).unwrap_or_default();
    (until > now).then(|| (Blocker::recreated(&controller, was.recreations), until))
}
