//! What goes before what.

use super::super::*;
use super::example::*;

#[test]
fn tiers_go_one_after_another() {
    let policy = DrainPolicy { daemon_set_pods: DaemonSetPods::Drain, ..DrainPolicy::default() };
    let critical = 2_000_000_000;
    let cluster = cluster([
        of_daemon_set("a-critical-logs").priority(critical),
        pod("b-dns").replicated().priority(critical),
        of_daemon_set("c-logs"),
        web("d-web"),
        web("e-web"),
    ]);
    let plan = cluster.daemon_set("logs").plan(&policy);
    assert_eq!(names(&plan), ["d-web", "e-web", "c-logs", "b-dns", "a-critical-logs"]);
    let groups: Vec<_> = plan.pods.iter().map(|pod| pod.group).collect();
    assert_eq!(groups, [Some(0), Some(0), Some(1), Some(2), Some(3)]);
}

#[test]
fn all_at_once_is_one_group() {
    let policy = DrainPolicy { ordering: PodOrdering::AllAtOnce, ..DrainPolicy::default() };
    let plan = cluster([web("b"), web("a").priority(2_000_000_000)]).plan(&policy);
    assert_eq!(names(&plan), ["a", "b"]);
    assert!(plan.pods.iter().all(|pod| pod.group == Some(0)));
}

#[test]
fn the_order_of_rules_comes_before_tiers() {
    let order = |name: &str, order| PodRule {
        name: name.into(),
        pods: vec![PodRuleSelector {
            selector: crate::node::selector::LabelSelector::parse(&format!("app={name}")).unwrap(),
            ..Default::default()
        }],
        drain: RuleBehavior::Drain { order },
    };
    let policy = DrainPolicy { rules: vec![order("db", 10), order("dns", -1)], ..DrainPolicy::default() };
    let labelled = |name: &str| pod(name).label("app", name).replicated();
    let plan = cluster([labelled("db"), labelled("dns").priority(2_000_000_000), labelled("web")]).plan(&policy);
    assert_eq!(names(&plan), ["dns", "web", "db"]);
}

#[test]
fn pods_that_go_come_before_those_that_refuse_and_those_that_stay() {
    let cluster = cluster([pod("a-static").mirror(), pod("b-naked"), web("c-web")]);
    let plan = cluster.default_plan();
    assert_eq!(names(&plan), ["c-web", "b-naked", "a-static"]);
    assert_eq!(plan.totals, Totals { evict: 1, refuse: 1, skip: 1, ..Totals::default() });
}

#[test]
fn pods_of_other_nodes_are_no_part_of_the_plan() {
    let plan = cluster([web("here"), web("there").on("other")]).default_plan();
    assert_eq!(names(&plan), ["here"]);
}
