//! The plan: all verdicts, in the order in which the pods would go.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::budget::{self, Asked, Candidate, Coverage};
use super::classify::Classifier;
use super::fit::Elsewhere;
use super::input::Terms;
use super::{
    Action, BudgetCheck, BudgetName, DrainPolicy, Estimate, Fit, PlanHash, PlanInput, PodOrdering, Refusal, Tier,
    Totals, Verdict, Warning, estimate, hash, summary,
};
use crate::pod::{PodFacts, grace_seconds};

/// What emptying a node would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// The name of the node.
    pub node: String,
    /// The uid of the node.
    pub node_uid: String,
    /// Every pod of the node, once: those that go, in their order; then those that refuse; then those that stay.
    pub pods: Vec<PodPlan>,
    /// How many pods get which verdict.
    pub totals: Totals,
    /// What somebody may miss or will wait for, although the drain begins.
    pub warnings: Vec<Warning>,
    /// Why the drain does not begin. If there is any, it touches nothing.
    pub refusals: Vec<Refusal>,
    /// How long it would take. None if it does not begin.
    pub estimate: Option<Estimate>,
    /// Tells whether another plan would do the same.
    pub hash: PlanHash,
    /// The times that hold on the node.
    pub(super) terms: Terms,
}

impl DrainPlan {
    /// Whether the drain does not begin.
    pub fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// The pods that the drain would remove or wait for, in their order. None if it does not begin.
    pub fn to_go(&self) -> impl Iterator<Item = &PodPlan> {
        let is_refused = self.is_refused();
        self.pods.iter().filter(move |pod| !is_refused && pod.verdict.action.is_waited_for())
    }
}

/// What a drain would do with one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// The pod.
    pub facts: PodFacts,
    /// What is done with it, and why.
    pub verdict: Verdict,
    /// The number of its group: a group begins when all lower ones are gone. None if the pod neither goes nor is waited for.
    pub group: Option<u32>,
    /// The grace period that it would be given, in seconds.
    pub grace_seconds: u64,
    /// What budgets would say.
    pub budgets: BudgetCheck,
    /// Whether its replacement would find room elsewhere. None if it stays.
    pub fit: Option<Fit>,
}

/// A pod on its way through the plan.
struct Draft<'a> {
    pod: &'a Pod,
    facts: PodFacts,
    covering: Vec<BudgetName>,
    verdict: Verdict,
}

/// What emptying a node would do under a policy.
///
/// The same input gives the same plan, in whatever order its lists are.
pub fn plan(input: &PlanInput<'_>, policy: &DrainPolicy) -> DrainPlan {
    let input = &sorted(input);
    let terms = Terms::of(input.node, policy);
    let coverage = Coverage::new(&input.budgets);
    let drafts = drafts(input, policy, terms, &coverage);
    let groups = groups(&drafts, policy.ordering);
    let checks = checks(input, &coverage, &drafts, &groups);
    let fits = fits(input, &drafts);

    let parts = drafts.into_iter().zip(groups).zip(checks).zip(fits);
    let pods: Vec<_> = parts
        .map(|(((draft, group), budgets), fit)| PodPlan {
            grace_seconds: grace_seconds(&draft.facts, terms.grace_seconds),
            facts: draft.facts,
            verdict: draft.verdict,
            group,
            budgets,
            fit,
        })
        .collect();

    let node_uid = input.node.metadata.uid.clone().unwrap_or_default();
    let refusals = summary::refusals(&pods);
    DrainPlan {
        node: name(input).to_owned(),
        totals: Totals::of(&pods),
        warnings: summary::warnings(&pods, terms.is_unreachable),
        estimate: refusals.is_empty().then(|| estimate::estimate(&pods, policy, terms, input.now)),
        refusals,
        hash: hash::hash(&node_uid, policy, &pods),
        terms,
        node_uid,
        pods,
    }
}

fn name<'a>(input: &PlanInput<'a>) -> &'a str {
    input.node.metadata.name.as_deref().unwrap_or_default()
}

/// The input with its lists in an order of their own.
fn sorted<'a>(input: &PlanInput<'a>) -> PlanInput<'a> {
    let mut sorted = input.clone();
    sorted.pods.sort_by(|a, b| key(a).cmp(&key(b)));
    sorted.nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    sorted.budgets.sort_by_key(|budget| BudgetName::of(budget));
    sorted.daemon_sets.sort();
    sorted
}

fn key(pod: &Pod) -> (&Option<String>, &Option<String>, &Option<String>) {
    (&pod.metadata.namespace, &pod.metadata.name, &pod.metadata.uid)
}

/// The pods of the node with their verdicts, in the order of the plan.
fn drafts<'a>(input: &PlanInput<'a>, policy: &DrainPolicy, terms: Terms, coverage: &Coverage<'_>) -> Vec<Draft<'a>> {
    let classifier = Classifier::new(input, policy, terms);
    let node = name(input);
    let is_here = |pod: &&&Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    let no_labels = BTreeMap::new();
    let drafts = input.pods.iter().filter(is_here).map(|pod| {
        let facts = PodFacts::of(pod);
        let covering = coverage.of(pod);
        let labels = pod.metadata.labels.as_ref().unwrap_or(&no_labels);
        let verdict = classifier.classify(&facts, labels, &covering);
        Draft { pod, facts, covering, verdict }
    });
    let mut drafts: Vec<_> = drafts.collect();
    // Sorting is stable: within a group, pods stay in the order of their names.
    drafts.sort_by_key(|draft| place(&draft.verdict, policy.ordering));
    drafts
}

/// Where a pod is in the plan: those that go come first, by group.
fn place(verdict: &Verdict, ordering: PodOrdering) -> (u8, i32, Tier) {
    let rank = match verdict.action {
        Action::Evict | Action::Delete | Action::WaitForCompletion => 0,
        Action::Refuse => 1,
        Action::Skip => 2,
    };
    let tier = match ordering {
        PodOrdering::ByTier => verdict.tier,
        PodOrdering::AllAtOnce => Tier::Ordinary,
    };
    if rank == 0 { (rank, verdict.order, tier) } else { (rank, 0, Tier::Ordinary) }
}

/// The number of each pod's group.
fn groups(drafts: &[Draft<'_>], ordering: PodOrdering) -> Vec<Option<u32>> {
    let mut groups = Vec::with_capacity(drafts.len());
    let mut current: Option<((u8, i32, Tier), u32)> = None;
    for draft in drafts {
        if !draft.verdict.action.is_waited_for() {
            groups.push(None);
            continue;
        }
        let place = place(&draft.verdict, ordering);
        let number = match current {
            Some((same, number)) if same == place => number,
            Some((_, number)) => number + 1,
            None => 0,
        };
        current = Some((place, number));
        groups.push(Some(number));
    }
    groups
}

fn checks(
    input: &PlanInput<'_>,
    coverage: &Coverage<'_>,
    drafts: &[Draft<'_>],
    groups: &[Option<u32>],
) -> Vec<BudgetCheck> {
    let candidates = drafts.iter().zip(groups).map(|(draft, group)| Candidate {
        pod: &draft.facts,
        covering: &draft.covering,
        group: group.unwrap_or(0),
        asked: match draft.verdict.action {
            Action::Evict => Asked::Eviction,
            Action::Delete => Asked::Deletion,
            Action::WaitForCompletion | Action::Refuse | Action::Skip => Asked::Nothing,
        },
    });
    budget::simulate(&candidates.collect::<Vec<_>>(), coverage, &input.pods, input.now)
}

fn fits<'a>(input: &PlanInput<'a>, drafts: &[Draft<'a>]) -> Vec<Option<Fit>> {
    let staying = drafts.iter().filter(|draft| !draft.verdict.action.is_waited_for()).map(|draft| draft.pod);
    let mut elsewhere = Elsewhere::new(input, staying);
    let fit = |draft: &Draft<'a>| match draft.verdict.action {
        Action::Evict | Action::Delete => Some(elsewhere.place(draft.pod, &draft.facts)),
        Action::WaitForCompletion => Some(Fit::NoReplacement(super::NoReplacement::Finished)),
        Action::Refuse | Action::Skip => None,
    };
    drafts.iter().map(fit).collect()
}
