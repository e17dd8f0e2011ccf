use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::drain::tests::arbitrary;
use crate::drain::{AtDeadline, MAX_ENTRIES};

fn fields(policy: &v1::DrainPolicy) -> Vec<String> {
    let Err(violations) = parse_policy(Some(policy)) else { return Vec::new() };
    violations.0.into_iter().map(|violation| violation.field).collect()
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn selecting(labels: &str, namespace_labels: &str) -> v1::PodSelector {
    v1::PodSelector { labels: labels.into(), namespace_labels: namespace_labels.into() }
}

fn skipping(rule: &str, pods: Vec<v1::PodSelector>) -> v1::PodRule {
    v1::PodRule { rule: rule.into(), pods, behavior: Behavior::Skip.into(), order: 0 }
}

#[test]
fn no_policy_and_the_empty_one_are_the_careful_one() {
    assert_eq!(parse_policy(None), Ok(DrainPolicy::default()));
    assert_eq!(parse_policy(Some(&v1::DrainPolicy::default())), Ok(DrainPolicy::default()));
}

#[test]
fn what_was_unset_is_shown_as_it_counts() {
    let shown = policy(&DrainPolicy::default());
    assert_eq!(shown.unmanaged_pods(), v1::drain_policy::UnmanagedPods::Refuse);
    assert_eq!(shown.daemon_set_pods(), v1::drain_policy::DaemonSetPods::Leave);
    assert_eq!(shown.ordering(), v1::drain_policy::Ordering::ByTier);
    assert_eq!(shown.on_uncordon(), v1::drain_policy::OnUncordon::CordonAgain);
    assert_eq!((shown.deadline, shown.grace_period, shown.parallelism), (None, None, 0));
}

#[test]
fn all_that_is_wrong_is_named_by_its_path() {
    let policy = v1::DrainPolicy {
        unmanaged_pods: 3,
        pod_selector: "a b".into(),
        grace_period: Some(prost_types::Duration { seconds: 1, nanos: 1 }),
        deadline: seconds(0),
        leave_terminating_after: seconds(-1),
        parallelism: -1,
        rules: vec![
            v1::PodRule {
                behavior: 0,
                ..skipping("a", vec![selecting("", ""), selecting("a=b=c", ""), selecting("", "!")])
            },
            v1::PodRule { order: 1, ..skipping("b", Vec::new()) },
        ],
        ..Default::default()
    };
    let expected = [
        "policy.unmanaged_pods",
        "policy.pod_selector",
        "policy.grace_period",
        "policy.deadline",
        "policy.leave_terminating_after",
        "policy.parallelism",
        "policy.rules[0].behavior",
        "policy.rules[0].pods[1].labels",
        "policy.rules[0].pods[2].namespace_labels",
        "policy.rules[1].order",
    ];
    assert_eq!(fields(&policy), expected);
}

#[test]
fn names_and_numbers_are_checked_by_the_rules_of_policies() {
    let over =
        |budget: &str| v1::BudgetOverride { namespace: "shop".into(), budget: budget.into(), reason: "x".into() };
    let policy = v1::DrainPolicy {
        at_deadline: AtDeadline::Delete.number(),
        budget_overrides: vec![over("web"), over("")],
        rules: vec![skipping("a", Vec::new()); 2],
        ..Default::default()
    };
    let expected = ["policy.at_deadline", "policy.budget_overrides[1].budget", "policy.rules[1].rule"];
    assert_eq!(fields(&policy), expected);
}

#[test]
fn a_policy_is_no_larger_than_every_answer_can_carry() {
    let long =
        || selecting(&format!("a in ({})", (0..100).map(|n| format!("{n:060}")).collect::<Vec<_>>().join(",")), "");
    let rules = (0..MAX_ENTRIES).map(|index| skipping(&index.to_string(), vec![long()])).collect();
    assert_eq!(fields(&v1::DrainPolicy { rules, ..Default::default() }), ["policy"]);
}

/// The policy as one that a request could hold.
fn sound(mut policy: DrainPolicy) -> DrainPolicy {
    let bounded = |time: Option<Duration>, least| {
        time.map(|time| time.clamp(Duration::from_secs(least), Duration::from_secs(1_000_000)))
    };
    policy.deadline = bounded(policy.deadline, 1);
    policy.leave_terminating_after = bounded(policy.leave_terminating_after, 0);
    if policy.deadline.is_none() {
        policy.at_deadline = AtDeadline::Fail;
    }
    for (index, rule) in policy.rules.iter_mut().enumerate() {
        rule.name = format!("rule-{index}");
    }
    policy
}

fn time() -> impl Strategy<Value = Option<prost_types::Duration>> {
    let seconds = prop_oneof![0..9_i64, any::<i64>()];
    let nanos = prop_oneof![Just(0), any::<i32>()];
    of((seconds, nanos).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![select(vec!["", "app=web", "a in (b,c)", "!x"]).prop_map(str::to_owned), ".{0,12}"]
}

fn any_rule() -> impl Strategy<Value = v1::PodRule> {
    let selector = (text(), text()).prop_map(|(labels, namespace_labels)| v1::PodSelector { labels, namespace_labels });
    let order = prop_oneof![Just(0), any::<i32>()];
    (text(), vec(selector, 0..3), -1..5_i32, order).prop_map(|(rule, pods, behavior, order)| v1::PodRule {
        rule,
        pods,
        behavior,
        order,
    })
}

fn any_policy() -> impl Strategy<Value = v1::DrainPolicy> {
    let overrides = (text(), text(), text()).prop_map(|(namespace, budget, reason)| v1::BudgetOverride {
        namespace,
        budget,
        reason,
    });
    let lists = (vec(overrides, 0..3), vec(any_rule(), 0..3));
    (vec(0..4_i32, 10), text(), (time(), time(), time()), prop_oneof![0..3_i32, any::<i32>()], lists).prop_map(
        |(choices, pod_selector, (grace_period, deadline, leave_terminating_after), parallelism, lists)| {
            v1::DrainPolicy {
                unmanaged_pods: choices[0],
                daemon_set_pods: choices[1],
                orphaned_daemon_set_pods: choices[2],
                empty_dir_data: choices[3],
                removal: choices[4],
                at_deadline: choices[5],
                ordering: choices[6],
                unreachable_node: choices[7],
                on_uncordon: choices[8],
                volumes: choices[9],
                pod_selector,
                grace_period,
                deadline,
                leave_terminating_after,
                parallelism,
                budget_overrides: lists.0,
                rules: lists.1,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_policy_that_is_shown_is_the_same_policy(policy in arbitrary::policy().prop_map(sound)) {
        prop_assert_eq!(parse_policy(Some(&super::policy(&policy))), Ok(policy));
    }

    #[test]
    fn any_policy_of_a_request_is_taken_as_it_is_or_refused_with_the_field(asked in any_policy()) {
        match parse_policy(Some(&asked)) {
            Ok(policy) => prop_assert_eq!(parse_policy(Some(&super::policy(&policy))), Ok(policy)),
            Err(violations) => {
                prop_assert!(!violations.0.is_empty());
                for violation in violations.0 {
                    prop_assert!(violation.field.starts_with("policy"), "{}", violation);
                }
            }
        }
    }

    #[test]
    fn no_policy_is_too_strange_to_be_shown(policy in arbitrary::policy()) {
        super::policy(&policy);
    }
}
