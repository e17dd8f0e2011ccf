//! One step of a drain: from what the cluster is now, and what was tried before, to what is done next.
//!
//! It is level-triggered. Nothing is concluded from what was done, all from what is there: a pod is gone when it is not there
//! (nor its volumes, if the policy waits for them), and is ending when Kubernetes says so. Whoever takes a drain over after a crash takes the same step.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::recreated::{held, is_left};
use super::{
    Action, AtDeadline, Blocker, BudgetOverride, DrainPlan, DrainPolicy, NodeVolumes, PodPlan, PodProgress, PodState,
    Removal,
};
use crate::pod::{PodReference, grace_seconds};

/// How often Kubernetes is asked to evict a pod whose budgets, as far as they are known here, do not let it go.
const PROBE: SignedDuration = SignedDuration::from_secs(10);

/// For how long after the deadline pods are waited for that were deleted so that they end with it: kubelets need a moment.
const OVERTIME: SignedDuration = SignedDuration::from_secs(30);

/// What a step is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What a drain that began now would do.
    pub plan: &'a DrainPlan,
    /// The policy.
    pub policy: &'a DrainPolicy,
    /// What is known of the volumes of the node.
    pub volumes: &'a NodeVolumes,
    /// Where the pods were.
    pub progress: &'a [PodProgress],
    /// The uids of the pods whose removal has been sent and not been answered.
    pub in_flight: &'a BTreeSet<String>,
    /// How many more removals can be sent now.
    pub room: usize,
    /// When the drain must be over, if it must.
    pub deadline: Option<Timestamp>,
    /// Whether no further pod is to be removed for now: somebody made the node schedulable, or the drain is to end.
    pub is_held: bool,
    /// What time it is.
    pub now: Timestamp,
}

/// What is done next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Where all pods are now.
    pub progress: Vec<PodProgress>,
    /// The pods whose removal is to be sent now.
    pub removals: Vec<RemovalOrder>,
    /// When to take the next step, if nothing changes before.
    pub wake: Option<Timestamp>,
    /// How the drain stands.
    pub outlook: Outlook,
    /// When the drain has ended at the latest, if what is assumed holds. None while nobody can know.
    pub estimated_end: Option<Timestamp>,
}

/// That a pod is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalOrder {
    /// Which pod.
    pub pod: PodReference,
    /// How.
    pub removal: Removal,
    /// How many seconds it is given to end. None: as many as it asks for itself.
    pub grace_seconds: Option<u64>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The budgets because of which it is deleted, not evicted: the policy says that they are not respected.
    pub overrides: Vec<BudgetOverride>,
}

/// How a drain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// Pods are going.
    #[default]
    Working,
    /// Everything that is left is blocked, by something that time alone does not mend.
    Blocked,
    /// No pod is left that is to go.
    Empty,
    /// The deadline has passed, and pods are left.
    Late,
}

impl Situation<'_> {
    /// The next step.
    pub fn step(&self) -> Step {
        let before: BTreeMap<&str, &PodProgress> =
            self.progress.iter().map(|progress| (progress.pod.uid.as_str(), progress)).collect();
        let mut step = Step { wake: self.end(), ..Step::default() };
        let was = |pod: &PodPlan| {
            let known = before.get(pod.facts.reference.uid.as_str());
            let was = known.map_or_else(|| PodProgress::seen(pod, self.progress), |was| (*was).clone());
            PodProgress { volumes: self.remembered(pod, &was), ..was }
        };
        let pods: Vec<_> = self.plan.pods.iter().map(|pod| (pod, was(pod))).collect();
        let turns = pods.iter().filter(|(pod, was)| !is_left(pod, was));
        let turns: Vec<u32> = turns.filter_map(|(pod, _)| pod.group).collect();
        let mut room = self.room;
        let mut going = pods.iter().filter(|(pod, was)| self.is_going(pod, was)).count();
        for (pod, was) in pods {
            let ahead = turns.iter().filter(|turn| Some(**turn) < pod.group).count();
            let now = match self.place(pod, &was, ahead, &mut step.wake) {
                Some(now) => now,
                None if self.is_crowded(pod, going) && !self.is_held => {
                    let (state, blocker) = (PodState::Pending, Some(Blocker::EarlierTurn { pods: going }));
                    PodProgress { state, blocker, ..was }
                }
                None if room > 0 && !self.is_held => {
                    (room, going) = (room - 1, going + 1);
                    let now = was.removing(self.action(pod, &mut None));
                    step.removals.push(self.order(pod, now.attempts));
                    now
                }
                None => PodProgress { state: PodState::Pending, blocker: None, ..was },
            };
            step.progress.push(now);
        }
        step.progress.extend(self.gone());
        step.outlook = self.outlook(&step);
        step.estimated_end = self.estimated_end(&step);
        step
    }

    /// When the drain must be over, unless that has passed.
    fn end(&self) -> Option<Timestamp> {
        let overtime = if self.policy.at_deadline == AtDeadline::Delete { OVERTIME } else { SignedDuration::ZERO };
        let end = self.deadline?.saturating_add(overtime).unwrap_or(Timestamp::MAX);
        Some(end).filter(|end| *end > self.now)
    }

    /// Where a pod is that so many go before; `None` if it can be removed now.
    fn place(
        &self,
        pod: &PodPlan,
        was: &PodProgress,
        ahead: usize,
        wake: &mut Option<Timestamp>,
    ) -> Option<PodProgress> {
        let action = if is_left(pod, was) { Action::Skip } else { self.action(pod, wake) };
        let at = |state, blocker| {
            let (action, next_attempt, was_refused) = (Some(action), None, false);
            Some(PodProgress { state, blocker, action, next_attempt, was_refused, ..was.clone() })
        };
        if self.in_flight.contains(&was.pod.uid) {
            return Some(was.clone());
        }
        if let Some(terminating) = &pod.facts.terminating
            && action != Action::Skip
        {
            return at(PodState::Terminating, Some(self.ending(pod, terminating.grace_until, wake)));
        }
        match action {
            Action::Skip => at(PodState::Skipped, None),
            Action::Refuse => {
                let reasons = pod.verdict.findings.iter().filter(|finding| finding.effect == super::Effect::Refuse);
                let message = reasons.map(|finding| finding.reason.to_string()).collect::<Vec<_>>().join("; ");
                at(PodState::Blocked, Some(Blocker::refused(&message)))
            }
            _ if self.is_to_be_seen(was) => {
                *wake = was.next_attempt.map_or(*wake, |next| earlier(*wake, next));
                Some(was.clone())
            }
            _ if ahead > 0 && !self.is_due(pod) => at(PodState::Pending, Some(Blocker::EarlierTurn { pods: ahead })),
            Action::WaitForCompletion => at(PodState::Blocked, Some(Blocker::NotCompleted)),
            action => self.removable(pod, was, action, wake),
        }
    }

    /// As [`place`](Self::place), of a pod whose turn it is.
    fn removable(
        &self,
        pod: &PodPlan,
        was: &PodProgress,
        action: Action,
        wake: &mut Option<Timestamp>,
    ) -> Option<PodProgress> {
        if let Some((blocker, until)) = held(pod, was, action, self.now) {
            *wake = earlier(*wake, until);
            let (state, action) = (PodState::Blocked, Some(action));
            return Some(PodProgress {
                state,
                action,
                blocker: Some(blocker),
                next_attempt: Some(until),
                ..was.clone()
            });
        }
        let budgets = Blocker::of_budgets(&pod.budgets.verdict, &pod.budgets.covering);
        let budgets = budgets.filter(|_| action == Action::Evict);
        let next = match &budgets {
            // It is asked for in another way than was refused.
            None if was.action.is_some_and(|before| before != action) => None,
            None if was.was_refused => was.next_attempt,
            // Its budgets have opened.
            None => None,
            // Kubernetes' word counts, not ours: it is asked from time to time.
            Some(_) => was.next_attempt.or_else(|| self.now.checked_add(PROBE).ok()),
        };
        let next = next.filter(|next| *next > self.now)?;
        *wake = earlier(*wake, next);
        let was_refused = budgets.is_none();
        let (state, action) = (PodState::Blocked, Some(action));
        let blocker = budgets.or_else(|| was.blocker.clone());
        Some(PodProgress { state, action, blocker, next_attempt: Some(next), was_refused, ..was.clone() })
    }

    /// Whether Kubernetes has said of a pod that it is on its way out or gone, and what is seen of the cluster is still behind.
    fn is_to_be_seen(&self, was: &PodProgress) -> bool {
        matches!(was.state, PodState::Removed | PodState::Terminating | PodState::Gone)
            && was.next_attempt.is_some_and(|next| next > self.now)
    }

    /// What keeps a pod that is ending.
    fn ending(&self, pod: &PodPlan, until: Timestamp, wake: &mut Option<Timestamp>) -> Blocker {
        if until > self.now {
            *wake = earlier(*wake, until);
            return Blocker::GracePeriod { until };
        }
        Blocker::Overdue { since: until, finalizers: pod.facts.finalizers.clone() }
    }

    /// What is done with a pod, the deadline considered.
    fn action(&self, pod: &PodPlan, wake: &mut Option<Timestamp>) -> Action {
        let action = pod.verdict.action;
        let Some(cutoff) = self.cutoff(pod) else { return action };
        if self.now >= cutoff {
            return Action::Delete;
        }
        *wake = earlier(*wake, cutoff);
        action
    }

    /// Whether a pod is deleted now, whatever goes before it and however many are on their way: it would not have its grace
    /// period otherwise.
    fn is_due(&self, pod: &PodPlan) -> bool {
        self.cutoff(pod).is_some_and(|cutoff| self.now >= cutoff)
    }

    /// When a pod that is to go is deleted, so that its grace period ends with the deadline.
    fn cutoff(&self, pod: &PodPlan) -> Option<Timestamp> {
        let is_cut_off = self.policy.at_deadline == AtDeadline::Delete && pod.verdict.action.is_waited_for();
        let deadline = self.deadline.filter(|_| is_cut_off)?;
        let grace = SignedDuration::from_secs(i64::try_from(pod.grace_seconds).unwrap_or(i64::MAX));
        Some(deadline.checked_sub(grace).unwrap_or(Timestamp::MIN))
    }

    /// How a pod is removed.
    fn order(&self, pod: &PodPlan, attempt: u32) -> RemovalOrder {
        let action = self.action(pod, &mut None);
        let removal = if action == Action::Delete { Removal::Delete } else { Removal::Evict };
        let is_late = self.is_due(pod);
        let left = self.deadline.map(|deadline| deadline.duration_since(self.now).as_secs().max(1).unsigned_abs());
        let given = match left {
            // Never 0: a pod that is killed at once may run on where it can't be seen.
            Some(left) if is_late => Some(pod.grace_seconds.min(left).max(1)),
            // Of its own Kubernetes knows.
            _ => Some(pod.grace_seconds).filter(|given| *given != grace_seconds(&pod.facts, None)),
        };
        let overrides = if removal == Removal::Delete { self.overrides(pod) } else { Vec::new() };
        RemovalOrder { pod: pod.facts.reference.clone(), removal, grace_seconds: given, attempt, overrides }
    }

    /// The overrides of the budgets that cover a pod.
    fn overrides(&self, pod: &PodPlan) -> Vec<BudgetOverride> {
        pod.budgets.covering.iter().filter_map(|budget| self.policy.override_of(budget)).cloned().collect()
    }

    /// Whether a pod is on its way out, whoever has asked for it.
    fn is_going(&self, pod: &PodPlan, was: &PodProgress) -> bool {
        let is_accepted = was.state != PodState::Gone && self.is_to_be_seen(was);
        let stays = pod.verdict.action == Action::Skip || is_left(pod, was);
        let is_terminating = pod.facts.terminating.is_some() && !stays;
        is_terminating || is_accepted || self.in_flight.contains(&was.pod.uid)
    }

    /// Whether as many pods are on their way out as the policy allows, and this one has time to wait for them.
    fn is_crowded(&self, pod: &PodPlan, going: usize) -> bool {
        let most = self.policy.parallelism.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX));
        most.is_some_and(|most| going >= most) && !self.is_due(pod)
    }

    fn outlook(&self, step: &Step) -> Outlook {
        let mut left = step.progress.iter().filter(|pod| !pod.state.is_done()).peekable();
        if left.peek().is_none() {
            return Outlook::Empty;
        }
        if self.deadline.is_some() && self.end().is_none() {
            return Outlook::Late;
        }
        let waits_for_others = |pod: &PodProgress| matches!(pod.blocker, Some(Blocker::EarlierTurn { .. }));
        // What it was refused for may have been too much to be written down.
        let is_stuck = |pod: &PodProgress| match &pod.blocker {
            Some(blocker) => !blocker.passes(),
            None => pod.was_refused,
        };
        let is_working = !step.removals.is_empty() || !self.in_flight.is_empty();
        // What all wait for may be gone without having been seen to be.
        let is_any_stuck = step.progress.iter().any(|pod| !pod.state.is_done() && is_stuck(pod));
        match !is_working && is_any_stuck && left.all(|pod| waits_for_others(pod) || is_stuck(pod)) {
            true => Outlook::Blocked,
            false => Outlook::Working,
        }
    }
}

fn earlier(one: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(one.map_or(other, |one| one.min(other)))
}
