//! How much longer a drain takes that is on its way, as a plan of what is left would say it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::estimate::{Estimate, REMOVAL_OVERHEAD, rest};
use super::{AtDeadline, Blocker, Outlook, PodPlan, PodProgress, Situation, Step};

impl Situation<'_> {
    /// When the drain has ended at the latest, if what is assumed holds. None while nothing goes on, and where what is left
    /// waits for something that nobody can foresee.
    pub(super) fn estimated_end(&self, step: &Step) -> Option<Timestamp> {
        if step.outlook != Outlook::Working || self.is_held || self.plan.is_refused() {
            return None;
        }
        let left: Vec<&PodProgress> = step.progress.iter().filter(|pod| !pod.state.is_done()).collect();
        let blockers = left.iter().filter_map(|pod| pod.blocker.as_ref());
        let rest = match blockers.map(hold).max().unwrap_or(Hold::Foreseen) {
            Hold::Foreseen => self.rest_of(&left)?,
            Hold::UntilDeletion => self.until_deletion()?,
            Hold::Open => return None,
        };
        self.now.checked_add(rest).ok()
    }

    fn rest_of(&self, left: &[&PodProgress]) -> Option<Duration> {
        let left: BTreeSet<&str> = left.iter().map(|pod| pod.pod.uid.as_str()).collect();
        let pods = self.plan.pods.iter().filter(|pod| left.contains(pod.facts.reference.uid.as_str()));
        let pods: Vec<&PodPlan> = pods.collect();
        match rest(&pods, self.policy, self.plan.terms, self.time_left(), self.now) {
            Estimate::AtMost(longest) => Some(longest),
            Estimate::Unbounded(_) => None,
        }
    }

    /// How long it takes until what is left has been deleted at the deadline. None if it is not.
    fn until_deletion(&self) -> Option<Duration> {
        let left = self.time_left().filter(|_| self.policy.at_deadline == AtDeadline::Delete)?;
        Some(left.saturating_add(REMOVAL_OVERHEAD))
    }

    /// How much time is left until the deadline, if there is one.
    fn time_left(&self) -> Option<Duration> {
        let left = self.deadline?.duration_since(self.now);
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}

/// Until when a blocker holds a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// The plan has it in its time.
    Foreseen,
    /// Nobody knows; at the latest until pods are deleted at the deadline.
    UntilDeletion,
    /// Nobody knows.
    Open,
}

fn hold(blocker: &Blocker) -> Hold {
    use Blocker::*;
    match blocker {
        Budget { .. } | BudgetUnprocessed { .. } | Throttled | Unavailable { .. } => Hold::Foreseen,
        GracePeriod { .. } | Overdue { .. } | VolumeAttached { .. } | EarlierTurn { .. } => Hold::Foreseen,
        BudgetFault { .. } | SeveralBudgets { .. } | NotCompleted | Recreated { .. } => Hold::UntilDeletion,
        NamespaceTerminating | Denied { .. } | Refused { .. } => Hold::Open,
    }
}
