//! How long a drain takes at most, if what is assumed holds: replacements become ready within [`REPLACEMENT_READY`], a kubelet
//! ends a pod within its grace period and [`REMOVAL_OVERHEAD`], and nobody changes anything meanwhile.
//!
//! Groups go one after another, within them rounds of budgets, within those as many pods at a time as the policy allows. Where
//! something has to happen that nobody can foresee there is no estimate, but what it waits for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::input::Terms;
use super::summary::held_by;
use super::{Action, AtDeadline, BudgetVerdict, DrainPolicy, Fit, PodPlan};
use crate::pod::PodReference;

/// How long a replacement takes to be scheduled, to start and to become ready. Most images are there or fetched by then.
pub const REPLACEMENT_READY: Duration = Duration::from_secs(60);

/// What a pod takes to be gone besides its grace period: the request, the kubelet's rounds, volumes.
pub const REMOVAL_OVERHEAD: Duration = Duration::from_secs(5);

/// A pod whose grace period has been over for longer than this does not go by itself.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// How long a drain takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// At most this long, if the assumptions hold.
    AtMost(Duration),
    /// As things stand it does not succeed: everything that it would wait for.
    Unbounded(Vec<Unbounded>),
}

/// Something that has to happen before a drain ends, and that nobody can foresee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unbounded {
    /// A budget does not let a pod go, whatever pods are replaced.
    Budget {
        /// The pod.
        pod: PodReference,
        /// What its budget says.
        verdict: BudgetVerdict,
    },
    /// A budget lets a pod go when the replacement of another is ready, and that finds no room.
    NoRoom {
        /// The pod that waits.
        pod: PodReference,
        /// The pod whose replacement finds no room.
        replacement_of: PodReference,
    },
    /// A pod is to finish by itself.
    Completion {
        /// The pod.
        pod: PodReference,
    },
    /// The grace period of a pod has long been over: a finalizer or its kubelet holds it.
    Stuck {
        /// The pod.
        pod: PodReference,
        /// For how many seconds it has been over.
        overdue_seconds: i64,
    },
    /// The kubelet of the node no longer answers, so none of its pods goes.
    NodeUnreachable,
    /// The deadline comes first, and then the drain fails.
    Deadline {
        /// What it would take.
        needed: Duration,
        /// When it fails.
        deadline: Duration,
    },
}

impl Unbounded {
    /// Whether it no longer matters when pods are deleted at the deadline.
    fn ends_by_deletion(&self) -> bool {
        matches!(self, Self::Budget { .. } | Self::NoRoom { .. } | Self::Completion { .. })
    }
}

/// One line for people.
impl fmt::Display for Unbounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { pod, verdict } => write!(f, "{pod}: {}", held_by(verdict)),
            Self::NoRoom { pod, replacement_of } => {
                write!(f, "{pod}: it waits for the replacement of {replacement_of}, which finds no place")
            }
            Self::Completion { pod } => write!(f, "{pod}: it is to finish by itself"),
            Self::Stuck { pod, overdue_seconds } => {
                write!(f, "{pod}: its grace period ended {overdue_seconds} s ago, and it is still there")
            }
            Self::NodeUnreachable => f.write_str("the node's kubelet does not answer: nothing ends there"),
            Self::Deadline { needed, deadline } => {
                write!(f, "it takes up to {} s, and fails after {} s", needed.as_secs(), deadline.as_secs())
            }
        }
    }
}

/// How long the drain of these pods takes, which are in the order in which they go.
pub(super) fn estimate(pods: &[PodPlan], policy: &DrainPolicy, terms: Terms, now: Timestamp) -> Estimate {
    let pods: Vec<&PodPlan> = pods.iter().collect();
    let reasons = unbounded(&pods, terms, now);
    bounded(reasons, policy, policy.deadline, || needed(&pods, policy, terms, now))
}

/// How long the rest of a drain takes that is on its way: of these pods, with so much time left until the deadline. Whether
/// replacements find room is not looked at: those of pods that have gone by now tell it better.
pub(super) fn rest(
    pods: &[&PodPlan],
    policy: &DrainPolicy,
    terms: Terms,
    deadline: Option<Duration>,
    now: Timestamp,
) -> Estimate {
    let mut reasons = unbounded(pods, terms, now);
    reasons.retain(|reason| !matches!(reason, Unbounded::NoRoom { .. }));
    bounded(reasons, policy, deadline, || needed(pods, policy, terms, now))
}

/// The time that is needed, if nothing stands against it, within what the deadline leaves.
fn bounded(
    reasons: Vec<Unbounded>,
    policy: &DrainPolicy,
    deadline: Option<Duration>,
    needed: impl FnOnce() -> Duration,
) -> Estimate {
    let deletion = deadline.filter(|_| policy.at_deadline == AtDeadline::Delete);
    let deletion = deletion.map(|deadline| deadline.saturating_add(REMOVAL_OVERHEAD));
    if !reasons.is_empty() {
        return match deletion {
            Some(deletion) if reasons.iter().all(Unbounded::ends_by_deletion) => Estimate::AtMost(deletion),
            _ => Estimate::Unbounded(reasons),
        };
    }

    let needed = needed();
    match (deletion, deadline) {
        (Some(deletion), _) => Estimate::AtMost(needed.min(deletion)),
        (None, Some(deadline)) if needed > deadline => {
            Estimate::Unbounded(vec![Unbounded::Deadline { needed, deadline }])
        }
        (None, _) => Estimate::AtMost(needed),
    }
}

/// Everything that has to happen and that nobody can foresee.
fn unbounded(pods: &[&PodPlan], terms: Terms, now: Timestamp) -> Vec<Unbounded> {
    let mut reasons = Vec::new();
    let is_left_in_the_end = terms.leave_after_seconds.is_some();
    if terms.is_unreachable && !is_left_in_the_end && pods.iter().any(|pod| pod.verdict.action.removes()) {
        reasons.push(Unbounded::NodeUnreachable);
    }
    for it in pods {
        let pod = it.facts.reference.clone();
        if it.verdict.action == Action::WaitForCompletion {
            reasons.push(Unbounded::Completion { pod });
        } else if it.verdict.action.removes() {
            let overdue_seconds = it.facts.terminating.map_or(0, |terminating| terminating.overdue_seconds(now));
            if !is_left_in_the_end && u64::try_from(overdue_seconds).is_ok_and(|it| it > STUCK_AFTER.as_secs()) {
                reasons.push(Unbounded::Stuck { pod, overdue_seconds });
            } else if it.budgets.round.is_none() && it.budgets.verdict.blocks() {
                reasons.push(Unbounded::Budget { pod, verdict: it.budgets.verdict.clone() });
            } else if let Some(replacement_of) = waits_for_no_room(it, pods) {
                reasons.push(Unbounded::NoRoom { pod, replacement_of });
            }
        }
    }
    reasons
}

/// The first pod without room elsewhere that goes in an earlier round and takes from the budget that this one waits for.
fn waits_for_no_room(waiting: &PodPlan, pods: &[&PodPlan]) -> Option<PodReference> {
    if !waiting.budgets.verdict.blocks() {
        return None;
    }
    let goes_before = |pod: &&&PodPlan| pod.budgets.round < waiting.budgets.round && pod.budgets.round.is_some();
    let shares = |pod: &&&PodPlan| pod.budgets.covering.iter().any(|it| waiting.budgets.covering.contains(it));
    let has_no_room = |pod: &&&PodPlan| matches!(pod.fit, Some(Fit::Nowhere(_)));
    let first = pods.iter().find(|pod| has_no_room(pod) && goes_before(pod) && shares(pod))?;
    Some(first.facts.reference.clone())
}

/// The time that removals take, and replacements between the rounds.
fn needed(pods: &[&PodPlan], policy: &DrainPolicy, terms: Terms, now: Timestamp) -> Duration {
    let mut waves: BTreeMap<(Option<u32>, Option<u32>), Vec<Duration>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.verdict.action.removes()) {
        waves.entry((pod.group, pod.budgets.round)).or_default().push(removal(pod, terms, now));
    }
    let at_a_time = policy.parallelism.and_then(|most| usize::try_from(most.get()).ok()).unwrap_or(usize::MAX);
    // Whoever begins as soon as another is done is never slower than whoever waits for all of a batch.
    let batches = waves.values().flat_map(|wave| wave.chunks(at_a_time));
    let removals = batches.filter_map(|batch| batch.iter().max());
    let removals = removals.fold(Duration::ZERO, |sum, longest| sum.saturating_add(*longest));

    let rounds = pods.iter().filter_map(|pod| pod.budgets.round).max().unwrap_or(0);
    removals.saturating_add(REPLACEMENT_READY.saturating_mul(rounds))
}

/// How long one pod takes to be gone, or to be left.
fn removal(pod: &PodPlan, terms: Terms, now: Timestamp) -> Duration {
    let seconds = match pod.facts.terminating {
        Some(terminating) => u64::try_from(terminating.overdue_seconds(now).saturating_neg()).unwrap_or(0),
        None => pod.grace_seconds,
    };
    let left_after = terms.leave_after_seconds.filter(|_| terms.is_unreachable).unwrap_or(0);
    Duration::from_secs(seconds.saturating_add(left_after)).saturating_add(REMOVAL_OVERHEAD)
}
