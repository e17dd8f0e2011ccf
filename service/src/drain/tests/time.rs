//! How long a drain takes at most.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::*;
use super::example::*;
use crate::pod::example::PodExample;

/// A drain of pods that all find room.
fn estimate(pods: impl IntoIterator<Item = PodExample>, policy: &DrainPolicy) -> Estimate {
    cluster(pods).node(node("other")).plan(policy).estimate.unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at_most(duration: Duration) -> Estimate {
    Estimate::AtMost(duration)
}

#[test]
fn pods_that_go_together_take_as_long_as_the_slowest() {
    let pods = [web("a").grace(10), web("b").grace(40)];
    assert_eq!(estimate(pods, &DrainPolicy::default()), at_most(seconds(40) + REMOVAL_OVERHEAD));
}

#[test]
fn groups_take_their_time_one_after_another() {
    let pods = [web("a").grace(10), web("b").grace(40).priority(2_000_000_000)];
    assert_eq!(estimate(pods, &DrainPolicy::default()), at_most(seconds(50) + REMOVAL_OVERHEAD * 2));
}

#[test]
fn parallelism_makes_batches() {
    let policy = DrainPolicy { parallelism: NonZeroU32::new(2), ..DrainPolicy::default() };
    let pods = ["a", "b", "c"].map(|name| web(name).grace(10));
    assert_eq!(estimate(pods, &policy), at_most(seconds(20) + REMOVAL_OVERHEAD * 2));
}

#[test]
fn between_rounds_replacements_become_ready() {
    let cluster = cluster([web("a").grace(10), web("b").grace(10)]).node(node("other"));
    let plan = cluster.budget(budget("web").healthy(2, 1, 2)).default_plan();
    assert_eq!(plan.estimate, Some(at_most(seconds(20) + REMOVAL_OVERHEAD * 2 + REPLACEMENT_READY)));
}

#[test]
fn a_pod_that_is_going_takes_what_is_left_of_its_grace_period() {
    let going = web("a").terminating(seconds_from_now(12), 60);
    assert_eq!(estimate([going], &DrainPolicy::default()), at_most(seconds(12) + REMOVAL_OVERHEAD));
}

#[test]
fn a_budget_that_never_opens_has_no_estimate() {
    let plan = cluster([web("a")]).node(node("other")).budget(budget("web").healthy(1, 1, 1)).default_plan();
    let Some(Estimate::Unbounded(reasons)) = plan.estimate else { panic!("{:?}", plan.estimate) };
    assert!(matches!(&reasons[..], [Unbounded::Budget { pod, .. }] if pod.name == "a"), "{reasons:?}");
}

#[test]
fn a_round_that_waits_for_a_replacement_without_room_never_comes() {
    let pods = [web("a").container("c", &[("cpu", "64")]), web("b")];
    let plan = cluster(pods).node(node("other")).budget(budget("web").healthy(2, 1, 2)).default_plan();
    let Some(Estimate::Unbounded(reasons)) = plan.estimate else { panic!("{:?}", plan.estimate) };
    assert!(
        matches!(&reasons[..], [Unbounded::NoRoom { pod, replacement_of }] if pod.name == "b" && replacement_of.name == "a"),
        "{reasons:?}"
    );
}

#[test]
fn nobody_knows_when_a_pod_finishes_by_itself() {
    let job = web("job").label(DRAIN_LABEL, "wait-completed");
    let Estimate::Unbounded(reasons) = estimate([job], &DrainPolicy::default()) else { panic!() };
    assert!(matches!(&reasons[..], [Unbounded::Completion { .. }]));
}

#[test]
fn a_pod_whose_grace_period_has_long_been_over_is_stuck() {
    let stuck = || web("stuck").terminating(seconds_from_now(-61), 30);
    let Estimate::Unbounded(reasons) = estimate([stuck()], &DrainPolicy::default()) else { panic!() };
    assert!(matches!(&reasons[..], [Unbounded::Stuck { overdue_seconds: 61, .. }]));

    let policy = DrainPolicy { leave_terminating_after: Some(seconds(120)), ..DrainPolicy::default() };
    assert!(matches!(estimate([stuck()], &policy), Estimate::AtMost(_)));
}

#[test]
fn on_an_unreachable_node_nothing_ends_unless_it_is_given_up() {
    let cluster = || cluster([web("a")]).node(node("other")).emptying(node("node").ready("Unknown"));
    assert_eq!(cluster().default_plan().estimate, Some(Estimate::Unbounded(vec![Unbounded::NodeUnreachable])));
    let policy = DrainPolicy { unreachable_node: UnreachableNode::LeaveTerminating, ..DrainPolicy::default() };
    assert_eq!(cluster().plan(&policy).estimate, Some(at_most(seconds(2) + REMOVAL_OVERHEAD)));
}

#[test]
fn a_deadline_that_comes_first_fails_the_drain_or_ends_it() {
    let fails = DrainPolicy { deadline: Some(seconds(20)), ..DrainPolicy::default() };
    let needed = seconds(60) + REMOVAL_OVERHEAD;
    let deadline = Estimate::Unbounded(vec![Unbounded::Deadline { needed, deadline: seconds(20) }]);
    assert_eq!(estimate([web("a").grace(60)], &fails), deadline);

    let deletes = DrainPolicy { at_deadline: AtDeadline::Delete, ..fails };
    assert_eq!(estimate([web("a").grace(60)], &deletes), at_most(seconds(20) + REMOVAL_OVERHEAD));
    let waiting = web("job").label(DRAIN_LABEL, "wait-completed");
    assert_eq!(estimate([waiting], &deletes), at_most(seconds(20) + REMOVAL_OVERHEAD));
}

#[test]
fn a_drain_that_does_not_begin_takes_no_time() {
    assert_eq!(cluster([pod("naked")]).default_plan().estimate, None);
}

#[test]
fn endless_grace_periods_do_not_overflow() {
    let pods = [web("a").grace(i64::MAX), web("b").grace(i64::MAX).priority(2_000_000_000)];
    assert!(matches!(estimate(pods, &DrainPolicy::default()), Estimate::AtMost(_)));
}
