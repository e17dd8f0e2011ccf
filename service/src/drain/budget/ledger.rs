//! One budget, while pods are taken from it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::coverage::covers;
use super::{BudgetFault, BudgetName, BudgetNumbers, BudgetVerdict, Exemption, UnreadyPod, UnreadyState};
use crate::pod::{Controller, Phase, PodFacts, PodReference};

/// More evictions that were granted and not seen to happen than this stop a budget (`MaxDisruptedPodSize`).
const MAX_DISRUPTED_PODS: usize = 2000;

/// For how long a pod is not counted whose eviction was granted and not seen to happen (`DeletionTimeout`).
const LET_GO: SignedDuration = SignedDuration::from_mins(2);

/// A pod that was made less long ago than this is taken to be starting, not to be broken.
const STARTING: SignedDuration = SignedDuration::from_mins(5);

/// What a budget says, and whether the pod goes in this round.
pub(super) struct Answer {
    pub goes: bool,
    pub verdict: BudgetVerdict,
}

impl Answer {
    pub fn goes(verdict: BudgetVerdict) -> Self {
        Self { goes: true, verdict }
    }
}

/// One budget, while pods are taken from it.
pub(super) struct Ledger {
    numbers: BudgetNumbers,
    always_allows_unready: bool,
    generation: i64,
    observed_generation: i64,
    disrupted_pods: usize,
    evicted: Vec<PodReference>,
    sync_failure: Option<String>,
    held_by: Vec<UnreadyPod>,

    /// How many pods have taken from it in this round.
    taken: u32,
    /// What may still be taken in this round.
    allowed: i32,
    /// The healthy pods that are left in this round.
    healthy: i32,
    /// The healthy pods that there would be in the next round.
    healthy_next: i32,
    /// Whether a round has passed.
    is_refilled: bool,
}

impl Ledger {
    /// The budget as it is, with those of its namespace's pods that it covers.
    pub fn new(name: &BudgetName, budget: &PodDisruptionBudget, pods: &[&Pod], now: Timestamp) -> Self {
        let status = budget.status.as_ref();
        let number = |field: Option<i32>| field.unwrap_or(0);
        let numbers = BudgetNumbers {
            budget: name.clone(),
            healthy: number(status.and_then(|status| status.current_healthy)),
            desired: number(status.and_then(|status| status.desired_healthy)),
            allowed: number(status.and_then(|status| status.disruptions_allowed)),
            expected: number(status.and_then(|status| status.expected_pods)),
        };
        let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
        let covered = pods.iter().filter(|pod| covers(budget, pod));
        let evicted = covered.clone().filter(|pod| was_let_go(budget, pod, now)).map(|pod| PodReference::of(pod));
        let held_by: Vec<_> = covered.clone().filter_map(|pod| unready(pod, now)).collect();
        let coming = covered.filter(|pod| is_to_become_healthy(pod, now)).count();
        Self {
            always_allows_unready: policy == Some("AlwaysAllow"),
            generation: budget.metadata.generation.unwrap_or(0),
            observed_generation: status.and_then(|status| status.observed_generation).unwrap_or(0),
            disrupted_pods: status.and_then(|status| status.disrupted_pods.as_ref()).map_or(0, |pods| pods.len()),
            evicted: evicted.collect(),
            sync_failure: sync_failure(budget),
            held_by,
            taken: 0,
            allowed: numbers.allowed,
            healthy: numbers.healthy,
            healthy_next: numbers.healthy.saturating_add(i32::try_from(coming).unwrap_or(i32::MAX)),
            is_refilled: false,
            numbers,
        }
    }

    /// What the budget says when a running pod is to be evicted, which takes from it if it lets the pod go.
    pub fn ask(&mut self, pod: &PodFacts) -> Answer {
        if let Some(exemption) = self.exemption(pod) {
            self.goes(pod);
            return Answer::goes(BudgetVerdict::Exempt { exemption });
        }
        if let Some(verdict) = self.refusal() {
            return Answer { goes: false, verdict };
        }
        let verdict = if self.is_refilled { self.waits() } else { BudgetVerdict::Now { budget: self.numbers.clone() } };
        if !pod.is_ready {
            self.take();
        }
        self.goes(pod);
        Answer::goes(verdict)
    }

    fn exemption(&self, pod: &PodFacts) -> Option<Exemption> {
        if pod.is_ready {
            None
        } else if self.always_allows_unready {
            Some(Exemption::UnreadyAlwaysAllowed)
        } else if self.healthy >= self.numbers.desired && self.numbers.desired > 0 {
            Some(Exemption::UnreadyBudgetHealthy)
        } else {
            None
        }
    }

    fn waits(&self) -> BudgetVerdict {
        let (budget, held_by, evicted) = (self.numbers.clone(), self.held_by.clone(), self.evicted.clone());
        BudgetVerdict::Waits { budget, ahead: self.taken, held_by, evicted }
    }

    /// Why nothing more is let go in this round (`checkAndDecrement`).
    fn refusal(&self) -> Option<BudgetVerdict> {
        if self.observed_generation < self.generation {
            return Some(BudgetVerdict::NotProcessed {
                budget: self.numbers.budget.clone(),
                generation: self.generation,
                observed_generation: self.observed_generation,
            });
        }
        let faulty = |fault| Some(BudgetVerdict::Faulty { budget: self.numbers.clone(), fault });
        if self.numbers.allowed < 0 {
            return faulty(BudgetFault::Negative);
        }
        if self.disrupted_pods > MAX_DISRUPTED_PODS {
            return faulty(BudgetFault::TooManyDisruptedPods);
        }
        if self.allowed > 0 {
            return None;
        }
        if let Some(message) = &self.sync_failure {
            return faulty(BudgetFault::SyncFailed { message: message.clone() });
        }
        let budget = self.numbers.clone();
        Some(if budget.allowed > 0 {
            // It lets some go now, so it does so again, whatever it counts on.
            self.waits()
        } else if budget.expected <= 0 {
            BudgetVerdict::Faulty { budget, fault: BudgetFault::CountsNoPods }
        } else if budget.desired >= budget.expected {
            BudgetVerdict::Never { budget }
        } else {
            self.waits()
        })
    }

    /// Counts a pod that goes, whether or not the budget was asked, and its replacement in the next round.
    pub fn goes(&mut self, pod: &PodFacts) {
        if pod.is_finished() || pod.terminating.is_some() {
            return;
        }
        if pod.is_ready {
            self.take();
            self.healthy = self.healthy.saturating_sub(1);
        }
        let was_counted_on = pod.is_ready || self.unready_state(&pod.reference) == Some(UnreadyState::Starting);
        let is_replaced = pod.controller.is_some();
        let change = i32::from(is_replaced) - i32::from(was_counted_on);
        self.healthy_next = self.healthy_next.saturating_add(change);
    }

    fn take(&mut self) {
        self.taken = self.taken.saturating_add(1);
        // What is deleted takes even when nothing is left; what is negative stays so.
        self.allowed -= i32::from(self.allowed > 0);
    }

    fn unready_state(&self, pod: &PodReference) -> Option<UnreadyState> {
        self.held_by.iter().find(|unready| unready.reference == *pod).map(|unready| unready.state)
    }

    /// Begins the next round: the pods that went have been replaced, and what was starting has become healthy.
    pub fn refill(&mut self) {
        self.healthy = self.healthy_next;
        self.allowed =
            if self.numbers.expected <= 0 { 0 } else { self.healthy.saturating_sub(self.numbers.desired).max(0) };
        self.taken = 0;
        self.is_refilled = true;
    }
}

/// Why Kubernetes cannot compute a budget, if that is what it says.
fn sync_failure(budget: &PodDisruptionBudget) -> Option<String> {
    let conditions = budget.status.as_ref()?.conditions.as_deref()?;
    let failed = conditions
        .iter()
        .find(|it| it.type_ == "DisruptionAllowed" && it.status == "False" && it.reason == "SyncFailed")?;
    Some(failed.message.clone()).filter(|message| !message.is_empty())
}

/// Whether a budget has let a pod go that is still there as if nothing had happened, and does not count it for that long.
fn was_let_go(budget: &PodDisruptionBudget, pod: &Pod, now: Timestamp) -> bool {
    let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let granted = disrupted.and_then(|pods| pods.get(pod.metadata.name.as_deref()?));
    pod.metadata.deletion_timestamp.is_none() && granted.is_some_and(|granted| now.duration_since(granted.0) < LET_GO)
}

/// The pod, if a budget counts on it but it is not healthy.
fn unready(pod: &Pod, now: Timestamp) -> Option<UnreadyPod> {
    let state = state(pod, now)?;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty());
    Some(UnreadyPod { reference: PodReference::of(pod), node, state })
}

fn state(pod: &Pod, now: Timestamp) -> Option<UnreadyState> {
    if Phase::of(pod).is_finished() {
        return None;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(UnreadyState::Terminating);
    }
    if crate::pod::is_ready(pod) {
        return None;
    }
    let created = pod.metadata.creation_timestamp.as_ref();
    let is_young = created.is_some_and(|created| now.duration_since(created.0) < STARTING);
    let restarts = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let has_restarted = restarts.iter().any(|container| container.restart_count > 0);
    Some(if is_young && !has_restarted { UnreadyState::Starting } else { UnreadyState::NotReady })
}

/// Whether the pod, or one that takes its place, is taken to be healthy in the next round although it is not now.
fn is_to_become_healthy(pod: &Pod, now: Timestamp) -> bool {
    match state(pod, now) {
        Some(UnreadyState::Starting) => true,
        // Others than StatefulSets have made the replacement already: it is counted by itself.
        Some(UnreadyState::Terminating) => Controller::of(pod).is_some_and(|controller| controller.is_stateful_set()),
        Some(UnreadyState::NotReady) | None => false,
    }
}
