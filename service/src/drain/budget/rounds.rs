//! All pods of a plan before all budgets, in the order in which they would go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::ledger::{Answer, Ledger};
use super::{BudgetCheck, BudgetName, BudgetVerdict, Coverage, Exemption};
use crate::pod::PodFacts;

/// What is asked about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drain) enum Asked {
    /// May it be evicted?
    Eviction,
    /// Nothing: it is deleted.
    Deletion,
    /// Nothing: it stays, or finishes by itself.
    Nothing,
}

/// A pod of the plan.
#[derive(Clone, Copy)]
pub(in crate::drain) struct Candidate<'a> {
    pub pod: &'a PodFacts,
    pub covering: &'a [BudgetName],
    /// A group begins when all pods of lower ones are gone.
    pub group: u32,
    pub asked: Asked,
}

/// What budgets would say of each pod, in the order of the candidates, which is that in which they go.
pub(in crate::drain) fn simulate(
    candidates: &[Candidate<'_>],
    coverage: &Coverage<'_>,
    pods: &[&Pod],
    now: Timestamp,
) -> Vec<BudgetCheck> {
    let unasked = |candidate: &Candidate<'_>| BudgetCheck {
        covering: candidate.covering.to_vec(),
        verdict: BudgetVerdict::NotAsked,
        round: None,
    };
    let checks = candidates.iter().map(unasked).collect();
    let ledgers = ledgers(candidates, coverage, pods, now);
    let mut rounds = Rounds { candidates, checks, ledgers, round: 0, is_stuck: false };
    for group in groups(candidates) {
        rounds.carry_out(group);
    }
    rounds.checks
}

/// The indices of the candidates that are removed, by group.
fn groups(candidates: &[Candidate<'_>]) -> impl Iterator<Item = Vec<usize>> {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.asked != Asked::Nothing {
            groups.entry(candidate.group).or_default().push(index);
        }
    }
    groups.into_values()
}

/// The ledgers of the budgets that cover any of the candidates.
fn ledgers<'a>(
    candidates: &[Candidate<'_>],
    coverage: &'a Coverage<'_>,
    pods: &[&Pod],
    now: Timestamp,
) -> BTreeMap<&'a BudgetName, Ledger> {
    let asked: BTreeSet<_> = candidates.iter().flat_map(|candidate| candidate.covering).collect();
    let mut by_namespace: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods {
        by_namespace.entry(pod.metadata.namespace.as_deref().unwrap_or_default()).or_default().push(pod);
    }
    let of_namespace = |name: &BudgetName| by_namespace.get(name.namespace.as_str()).map_or(&[][..], Vec::as_slice);
    let budgets = coverage.budgets().filter(|(name, _)| asked.contains(name));
    budgets.map(|(name, budget)| (name, Ledger::new(name, budget, of_namespace(name), now))).collect()
}

struct Rounds<'a> {
    candidates: &'a [Candidate<'a>],
    checks: Vec<BudgetCheck>,
    ledgers: BTreeMap<&'a BudgetName, Ledger>,
    round: u32,
    /// Whether an earlier group has pods that never go, so that this one never begins.
    is_stuck: bool,
}

impl Rounds<'_> {
    fn carry_out(&mut self, group: Vec<usize>) {
        let mut is_stuck = self.is_stuck;
        let mut is_first = true;
        let mut waiting = group;
        while !waiting.is_empty() {
            let mut left = Vec::new();
            let mut has_gone = false;
            for index in waiting {
                let Answer { goes, verdict } = self.ask(index);
                let is_final = verdict.is_final();
                // The first answer is the one to report. Later ones only tell the round.
                if is_first {
                    self.checks[index].verdict = verdict;
                }
                if goes {
                    has_gone = true;
                    self.checks[index].round = (!self.is_stuck).then_some(self.round);
                } else if is_final {
                    is_stuck = true;
                } else {
                    left.push(index);
                }
            }
            // A round that lets nobody go is followed by others like it.
            if !left.is_empty() && !is_first && !has_gone {
                is_stuck = true;
                break;
            }
            if !left.is_empty() {
                self.next_round(&left);
            }
            waiting = left;
            is_first = false;
        }
        self.is_stuck = is_stuck;
    }

    fn next_round(&mut self, waiting: &[usize]) {
        self.round += 1;
        let budgets: BTreeSet<_> = waiting.iter().flat_map(|index| self.candidates[*index].covering).collect();
        for budget in budgets {
            if let Some(ledger) = self.ledgers.get_mut(budget) {
                ledger.refill();
            }
        }
    }

    /// What becomes of a pod in this round.
    fn ask(&mut self, index: usize) -> Answer {
        let Candidate { pod, covering, asked, .. } = self.candidates[index];
        if asked == Asked::Deletion {
            covering.iter().for_each(|budget| self.goes(budget, pod));
            return Answer::goes(BudgetVerdict::NotAsked);
        }
        if let Some(exemption) = Exemption::of(pod) {
            covering.iter().for_each(|budget| self.goes(budget, pod));
            return Answer::goes(BudgetVerdict::Exempt { exemption });
        }
        match covering {
            [] => Answer::goes(BudgetVerdict::Unprotected),
            [budget] => match self.ledgers.get_mut(budget) {
                Some(ledger) => ledger.ask(pod),
                None => Answer::goes(BudgetVerdict::Unprotected),
            },
            _ => Answer { goes: false, verdict: BudgetVerdict::Several },
        }
    }

    /// Counts a pod that goes without its budget being asked.
    fn goes(&mut self, budget: &BudgetName, pod: &PodFacts) {
        if let Some(ledger) = self.ledgers.get_mut(budget) {
            ledger.goes(pod);
        }
    }
}
