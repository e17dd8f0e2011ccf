//! What decides about a pod.

use std::time::Duration;

use super::super::*;
use super::example::*;
use crate::node::selector::LabelSelector;
use crate::pod::example::PodExample;

fn verdict(pod: PodExample, policy: &DrainPolicy) -> Verdict {
    cluster([pod]).daemon_set("logs").plan(policy).pods.remove(0).verdict
}

fn effects(verdict: &Verdict) -> Vec<Effect> {
    verdict.findings.iter().map(|finding| finding.effect).collect()
}

fn has(verdict: &Verdict, effect: Effect, is_it: impl Fn(&Reason) -> bool) -> bool {
    verdict.findings.iter().any(|finding| finding.effect == effect && is_it(&finding.reason))
}

fn rule(name: &str, pods: &str, drain: RuleBehavior) -> PodRule {
    let selector = LabelSelector::parse(pods).unwrap();
    PodRule { name: name.into(), pods: vec![PodRuleSelector { selector, ..Default::default() }], drain }
}

fn with_rules(rules: impl Into<Vec<PodRule>>) -> DrainPolicy {
    DrainPolicy { rules: rules.into(), ..DrainPolicy::default() }
}

#[test]
fn an_ordinary_pod_is_evicted() {
    let verdict = verdict(web("web-1"), &DrainPolicy::default());
    assert_eq!(verdict.action, Action::Evict);
    assert_eq!(verdict.decided_by, DecidedBy::Removal);
    assert!(has(&verdict, Effect::Note, |it| matches!(it, Reason::Managed { controller } if controller.name == "web")));
}

#[test]
fn a_refusal_hides_no_warning_and_no_other_refusal() {
    let pod = pod("naked").empty_dir("scratch").label(DRAIN_LABEL, "maybe").priority_class("system-node-critical");
    let verdict = verdict(pod, &DrainPolicy::default());
    assert_eq!(verdict.action, Action::Refuse);
    assert!(has(&verdict, Effect::Warn, |it| matches!(it, Reason::UnknownDrainLabel { value } if value == "maybe")));
    assert!(has(&verdict, Effect::Refuse, |it| matches!(it, Reason::EmptyDir { volumes } if volumes == &["scratch"])));
    assert!(has(&verdict, Effect::Refuse, |it| matches!(it, Reason::Unmanaged)));
    assert!(has(&verdict, Effect::Note, |it| matches!(it, Reason::Critical { .. })));
    assert_eq!(verdict.decided_by, DecidedBy::EmptyDirData);
}

#[test]
fn pods_that_the_selector_does_not_select_stay() {
    let policy = DrainPolicy { pod_selector: LabelSelector::parse("app=db").unwrap(), ..DrainPolicy::default() };
    let verdict = verdict(web("web-1"), &policy);
    assert_eq!((verdict.action, verdict.decided_by), (Action::Skip, DecidedBy::PodSelector));
}

#[test]
fn pods_of_daemon_sets_stay_by_default() {
    let verdict = verdict(of_daemon_set("logs-1").empty_dir("e"), &DrainPolicy::default());
    assert_eq!((verdict.action, &verdict.decided_by), (Action::Skip, &DecidedBy::DaemonSetPods));
}

#[test]
fn pods_of_daemon_sets_can_be_drained_in_their_own_tier() {
    let policy = DrainPolicy { daemon_set_pods: DaemonSetPods::Drain, ..DrainPolicy::default() };
    let verdict = verdict(of_daemon_set("logs-1"), &policy);
    assert_eq!((verdict.action, verdict.tier), (Action::Evict, Tier::OrdinaryDaemonSet));
    assert!(has(&verdict, Effect::Warn, |it| matches!(it, Reason::DaemonSet { .. })));
}

#[test]
fn a_daemon_set_of_the_same_name_does_not_own_the_orphans_of_another() {
    let orphan = of_daemon_set("logs-1").with(|pod| {
        pod.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-of-before".into();
    });
    let verdict = verdict(orphan, &DrainPolicy::default());
    assert_eq!((verdict.action, &verdict.decided_by), (Action::Refuse, &DecidedBy::OrphanedDaemonSetPods));
    assert!(has(&verdict, Effect::Refuse, |it| matches!(
        it,
        Reason::OrphanedDaemonSet { replaced_by: Some(uid), .. } if uid == "uid-logs"
    )));
}

#[test]
fn the_label_of_the_pod_wins_over_rules() {
    let policy = with_rules([rule("all", "", RuleBehavior::Drain { order: 7 })]);
    for (value, action) in [
        ("skip", Action::Skip),
        ("Skip", Action::Skip),
        ("wait-completed", Action::WaitForCompletion),
        ("WaitCompleted", Action::WaitForCompletion),
        ("drain", Action::Evict),
    ] {
        let verdict = verdict(web("web-1").label(DRAIN_LABEL, value), &policy);
        assert_eq!(verdict.action, action, "{value}");
    }
}

#[test]
fn of_the_rules_about_a_pod_the_first_counts() {
    let policy = with_rules([
        rule("databases", "app=db", RuleBehavior::Skip),
        rule("front", "app=web", RuleBehavior::Drain { order: 3 }),
        rule("rest", "", RuleBehavior::WaitCompleted),
    ]);
    let front = verdict(web("web-1"), &policy);
    assert_eq!((front.action, front.order), (Action::Evict, 3));
    assert_eq!(front.decided_by, DecidedBy::Rule { name: "front".into() });
    assert_eq!(verdict(pod("x").replicated(), &policy).action, Action::WaitForCompletion);
    assert_eq!(verdict(pod("x").replicated().label("app", "db"), &policy).action, Action::Skip);
}

#[test]
fn a_rule_that_leaves_a_pod_wins_over_what_would_refuse() {
    let policy = with_rules([rule("all", "", RuleBehavior::Skip)]);
    let verdict = verdict(pod("naked").empty_dir("e"), &policy);
    assert_eq!(verdict.action, Action::Skip);
    assert_eq!(effects(&verdict), [Effect::Skip, Effect::Refuse, Effect::Refuse]);
    let plan = cluster([pod("naked")]).plan(&policy);
    assert!(!plan.is_refused());
}

#[test]
fn a_pod_that_has_finished_is_not_waited_for() {
    let pod = web("web-1").label(DRAIN_LABEL, "wait-completed").phase("Succeeded");
    assert_eq!(verdict(pod, &DrainPolicy::default()).action, Action::Evict);
}

#[test]
fn rules_ask_for_the_labels_of_namespaces() {
    let mut policy = with_rules([rule("production", "", RuleBehavior::Skip)]);
    policy.rules[0].pods[0].namespace_selector = LabelSelector::parse("env=prod").unwrap();
    for (env, action) in [("prod", Action::Skip), ("test", Action::Evict)] {
        let plan = cluster([web("web-1")]).namespace("default", "env", env).plan(&policy);
        assert_eq!(plan.pods[0].verdict.action, action, "{env}");
    }
}

#[test]
fn a_namespace_that_a_rule_needs_to_know_refuses_if_it_is_not_known() {
    let mut policy = with_rules([rule("production", "app=web", RuleBehavior::Skip)]);
    policy.rules[0].pods[0].namespace_selector = LabelSelector::parse("env=prod").unwrap();
    let refused = verdict(web("web-1"), &policy);
    assert_eq!((refused.action, refused.decided_by), (Action::Refuse, DecidedBy::NamespaceUnknown));
    assert_eq!(verdict(pod("x").replicated(), &policy).action, Action::Evict);
}

#[test]
fn pods_of_an_overridden_budget_are_deleted() {
    let it = BudgetOverride { namespace: "default".into(), name: "web".into(), reason: "owner agreed".into() };
    let policy = DrainPolicy { budget_overrides: vec![it], ..DrainPolicy::default() };
    let cluster = cluster([web("web-1"), pod("db-1").label("app", "db").replicated()]);
    let plan = cluster.budget(budget("web")).budget(budget("db")).plan(&policy);

    let overridden = &planned(&plan, "web-1").verdict;
    assert_eq!((overridden.action, &overridden.decided_by), (Action::Delete, &DecidedBy::BudgetOverrides));
    assert!(has(overridden, Effect::Warn, |it| matches!(
        it,
        Reason::BudgetOverridden { reason, .. } if reason == "owner agreed"
    )));
    assert_eq!(planned(&plan, "db-1").verdict.action, Action::Evict);
}

#[test]
fn an_override_of_one_budget_does_not_break_another() {
    let it = BudgetOverride { namespace: "default".into(), name: "web".into(), reason: "owner agreed".into() };
    let policy = DrainPolicy { budget_overrides: vec![it], ..DrainPolicy::default() };
    let cluster = cluster([web("web-1").label("team", "a")]);
    let plan = cluster.budget(budget("web")).budget(budget("team").over("team", "a")).plan(&policy);
    assert_eq!(plan.pods[0].verdict.action, Action::Evict);
    assert_eq!(plan.pods[0].budgets.verdict, BudgetVerdict::Several);
}

#[test]
fn deletion_says_which_budgets_it_does_not_ask() {
    let policy = DrainPolicy { removal: Removal::Delete, ..DrainPolicy::default() };
    let plan = cluster([web("web-1")]).budget(budget("web")).plan(&policy);
    let verdict = &plan.pods[0].verdict;
    assert_eq!(verdict.action, Action::Delete);
    assert!(has(verdict, Effect::Warn, |it| matches!(it, Reason::BudgetNotAsked { budget } if budget.name == "web")));
}

#[test]
fn an_unreachable_node_can_be_given_up() {
    let policy = DrainPolicy {
        unreachable_node: UnreachableNode::LeaveTerminating,
        grace_period_seconds: Some(300),
        leave_terminating_after: Some(Duration::from_secs(300)),
        ..DrainPolicy::default()
    };
    let pods =
        [web("going").terminating(seconds_from_now(-2), 30), web("going-now").terminating(now(), 30), web("web")];
    let plan = cluster(pods).emptying(node("node").ready("Unknown")).plan(&policy);
    assert_eq!(planned(&plan, "going").verdict.decided_by, DecidedBy::LeaveTerminating);
    assert_eq!(planned(&plan, "going-now").verdict.action, Action::Evict);
    assert_eq!(planned(&plan, "web").grace_seconds, 1);
    assert!(plan.warnings.contains(&Warning::NodeUnreachable));
}

#[test]
fn an_unreachable_node_is_waited_for_by_default() {
    let going = web("going").terminating(seconds_from_now(-2), 30);
    let plan = cluster([going, web("web").grace(45)]).emptying(node("node").ready("Unknown")).default_plan();
    assert_eq!(planned(&plan, "going").verdict.action, Action::Evict);
    assert_eq!(planned(&plan, "web").grace_seconds, 45);
}
