//! Plans.

use jiff::Timestamp;
use nodeward_api::v1;
use nodeward_api::v1::placement::Kind as PlacementKind;

use super::pod::{action, budget_name, pod_reference};
use super::reason::reasons;
use super::{blocker, count, duration, policy};
use crate::drain::{Action, Blocker, DrainPlan, DrainPolicy, Estimate, Fit, NoReplacement, PodPlan, Totals};
use crate::node::convert::timestamp;

/// The plan, made under this policy from the cluster as it was then.
pub(in crate::rpc) fn plan(plan: &DrainPlan, of: &DrainPolicy, time: Timestamp) -> v1::DrainPlan {
    let (estimate, obstacles) = match &plan.estimate {
        Some(Estimate::AtMost(longest)) => (Some(duration(*longest)), Vec::new()),
        Some(Estimate::Unbounded(obstacles)) => (None, lines(obstacles)),
        None => (None, Vec::new()),
    };
    v1::DrainPlan {
        node: format!("nodes/{}", plan.node),
        node_uid: plan.node_uid.clone(),
        policy: Some(policy(of)),
        pods: plan.pods.iter().map(|pod| pod_plan(pod, time)).collect(),
        totals: Some(totals(&plan.totals)),
        refusals: lines(&plan.refusals),
        warnings: lines(&plan.warnings),
        estimate,
        obstacles,
        plan_hash: plan.hash.to_string(),
        plan_time: Some(timestamp(time)),
    }
}

fn lines<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}

fn totals(totals: &Totals) -> v1::DrainTotals {
    v1::DrainTotals {
        evict: count(totals.evict),
        delete: count(totals.delete),
        skip: count(totals.skip),
        wait_for_completion: count(totals.wait_for_completion),
        refuse: count(totals.refuse),
    }
}

fn pod_plan(pod: &PodPlan, time: Timestamp) -> v1::PodPlan {
    v1::PodPlan {
        pod: Some(pod_reference(&pod.facts.reference)),
        action: action(pod.verdict.action).into(),
        reasons: reasons(&pod.verdict),
        turn: pod.group.map(count),
        grace_period: Some(duration(std::time::Duration::from_secs(pod.grace_seconds))),
        budgets: pod.budgets.covering.iter().map(budget_name).collect(),
        blocker: waits_for(pod, time).as_ref().map(blocker),
        round: pod.budgets.round.map(count),
        placement: pod.fit.as_ref().map(placement),
    }
}

/// What would keep the pod if it were to go now.
fn waits_for(pod: &PodPlan, now: Timestamp) -> Option<Blocker> {
    let facts = &pod.facts;
    match (pod.verdict.action, facts.terminating) {
        (Action::Refuse | Action::Skip, _) => None,
        (Action::WaitForCompletion, _) => Some(Blocker::NotCompleted),
        (Action::Evict | Action::Delete, Some(terminating)) if terminating.grace_until > now => {
            Some(Blocker::GracePeriod { until: terminating.grace_until })
        }
        (Action::Evict | Action::Delete, Some(terminating)) => {
            Some(Blocker::Overdue { since: terminating.grace_until, finalizers: facts.finalizers.clone() })
        }
        (Action::Evict | Action::Delete, None) => Blocker::of_budgets(&pod.budgets.verdict, &pod.budgets.covering),
    }
}

fn placement(fit: &Fit) -> v1::Placement {
    let (kind, message, node) = match fit {
        Fit::Fits { node } => (PlacementKind::Fits, String::new(), format!("nodes/{node}")),
        Fit::Nowhere(nowhere) => (PlacementKind::NoPlace, nowhere.to_string(), String::new()),
        Fit::NoReplacement(none) => (PlacementKind::NoReplacement, no_replacement(*none).to_owned(), String::new()),
    };
    v1::Placement { kind: kind.into(), message, node }
}

fn no_replacement(none: NoReplacement) -> &'static str {
    match none {
        NoReplacement::Unmanaged => "nothing controls it",
        NoReplacement::DaemonSet => "its DaemonSet makes its pods on the same node, or is gone",
        NoReplacement::Finished => "it has finished, or is to finish by itself",
        NoReplacement::Replaced => "it is going already, and its replacement has been made",
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
