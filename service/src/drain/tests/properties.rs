//! What holds for every cluster and every policy.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::arbitrary;

/// What two plans have in common if and only if their hashes are equal.
fn deeds(plan: &DrainPlan) -> Vec<(String, Action, i32, Tier, Vec<BudgetName>)> {
    let acting = plan.pods.iter().filter(|pod| pod.verdict.action != Action::Skip);
    acting
        .map(|pod| {
            let verdict = &pod.verdict;
            let uid = pod.facts.reference.uid.clone();
            (uid, verdict.action, verdict.order, verdict.tier, pod.budgets.covering.clone())
        })
        .collect()
}

/// The pods that take from each budget, by round.
fn taken(plan: &DrainPlan) -> BTreeMap<(BudgetName, u32), i32> {
    let mut taken = BTreeMap::new();
    for pod in &plan.pods {
        let takes = matches!(pod.budgets.verdict, BudgetVerdict::Now { .. } | BudgetVerdict::Waits { .. });
        if let (true, [budget], Some(round)) = (takes, &pod.budgets.covering[..], pod.budgets.round) {
            *taken.entry((budget.clone(), round)).or_default() += 1;
        }
    }
    taken
}

proptest! {
    #[test]
    fn the_order_of_the_input_makes_no_difference(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
        turn in 0..9_usize,
    ) {
        let input = cluster.input();
        let mut turned = input.clone();
        turned.pods.reverse();
        let pods = turned.pods.len().max(1);
        turned.pods.rotate_left(turn % pods);
        turned.nodes.reverse();
        turned.budgets.reverse();
        turned.daemon_sets.reverse();
        prop_assert_eq!(plan(&turned, &policy), plan(&input, &policy));
    }

    #[test]
    fn every_pod_of_the_node_has_one_verdict(cluster in arbitrary::cluster(), policy in arbitrary::policy()) {
        let plan = cluster.plan(&policy);
        let here = cluster.pods.iter().filter(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some("node"));
        let expected: BTreeSet<_> = here.map(|pod| pod.metadata.uid.clone().unwrap()).collect();
        let planned: Vec<_> = plan.pods.iter().map(|pod| pod.facts.reference.uid.clone()).collect();
        prop_assert_eq!(planned.len(), expected.len());
        prop_assert_eq!(planned.into_iter().collect::<BTreeSet<_>>(), expected);

        let Totals { evict, delete, wait_for_completion, refuse, skip } = plan.totals;
        prop_assert_eq!((evict + delete + wait_for_completion + refuse + skip) as usize, plan.pods.len());
    }

    #[test]
    fn a_drain_that_is_refused_does_nothing(cluster in arbitrary::cluster(), policy in arbitrary::policy()) {
        let plan = cluster.plan(&policy);
        let refuses = plan.pods.iter().any(|pod| pod.verdict.action == Action::Refuse);
        prop_assert_eq!(plan.is_refused(), refuses);
        prop_assert_eq!(plan.estimate.is_none(), refuses);
        if refuses {
            prop_assert_eq!(plan.to_go().count(), 0);
        }
    }

    #[test]
    fn no_more_pods_go_now_than_their_budget_allows(cluster in arbitrary::cluster(), policy in arbitrary::policy()) {
        let plan = cluster.plan(&policy);
        let mut now: BTreeMap<&BudgetName, i32> = BTreeMap::new();
        for pod in &plan.pods {
            if let BudgetVerdict::Now { budget } = &pod.budgets.verdict {
                *now.entry(&budget.budget).or_default() += 1;
                prop_assert!(now[&budget.budget] <= budget.allowed, "{} of {budget:?}", now[&budget.budget]);
            }
        }
    }

    #[test]
    fn in_no_round_a_budget_gives_more_than_it_can_ever_have(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
    ) {
        let plan = cluster.plan(&policy);
        let pods = i32::try_from(cluster.pods.len()).unwrap();
        for ((name, round), count) in taken(&plan) {
            let budget = cluster.budgets.iter().find(|budget| budget.metadata.name.as_ref() == Some(&name.name)).unwrap();
            let status = budget.status.clone().unwrap();
            let spare = status.current_healthy.unwrap().saturating_sub(status.desired_healthy.unwrap());
            let most = status.disruptions_allowed.unwrap().max(spare.saturating_add(pods)).max(0);
            prop_assert!(count <= most, "{count} of {name} in round {round}, at most {most}");
        }
    }

    #[test]
    fn what_is_left_or_refuses_is_in_no_group_and_no_round(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
    ) {
        for pod in cluster.plan(&policy).pods {
            prop_assert_eq!(pod.group.is_some(), pod.verdict.action.is_waited_for());
            if !pod.verdict.action.removes() {
                prop_assert_eq!(pod.budgets.round, None);
                prop_assert_eq!(pod.budgets.verdict, BudgetVerdict::NotAsked);
            }
        }
    }

    #[test]
    fn groups_and_rounds_never_go_back(cluster in arbitrary::cluster(), policy in arbitrary::policy()) {
        let plan = cluster.plan(&policy);
        let groups: Vec<_> = plan.pods.iter().filter_map(|pod| pod.group).collect();
        prop_assert!(groups.is_sorted(), "{groups:?}");
        for (before, after) in plan.pods.iter().zip(plan.pods.iter().skip(1)) {
            if let (Some(earlier), Some(later)) = (before.budgets.round, after.budgets.round)
                && before.group < after.group
            {
                prop_assert!(earlier <= later);
            }
        }
    }

    #[test]
    fn hashes_are_equal_if_and_only_if_the_drain_does_the_same(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
        other_policy in arbitrary::policy(),
        allowed in 0..3_i32,
        without in 0..9_usize,
    ) {
        let plan = cluster.plan(&policy);
        prop_assert_eq!(&arbitrary::with_other_numbers(&cluster, allowed).plan(&policy).hash, &plan.hash);
        prop_assert_eq!(cluster.plan(&other_policy).hash == plan.hash, other_policy == policy);

        let mut fewer = arbitrary::with_other_numbers(&cluster, allowed);
        if without < fewer.pods.len() {
            fewer.pods.remove(without);
        }
        let fewer = fewer.plan(&policy);
        prop_assert_eq!(fewer.hash == plan.hash, deeds(&fewer) == deeds(&plan));
    }

    #[test]
    fn what_is_stored_of_a_policy_is_read_back(policy in arbitrary::policy()) {
        let stored = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<DrainPolicy>(&stored).unwrap(), policy);
    }
}
