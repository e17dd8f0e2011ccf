//! Who tries to remove a pod, how often, and what another one finds who takes over.

use std::num::NonZeroU32;

use super::super::*;
use super::example::*;
use super::step::{Drain, removed};

fn closed() -> Cluster {
    cluster([web("web-1")]).budget(budget("web").healthy(2, 2, 3))
}

fn open() -> Cluster {
    cluster([web("web-1")]).budget(budget("web").healthy(3, 2, 3))
}

#[test]
fn a_removal_is_written_down_with_its_number_before_it_is_sent() {
    let mut drain = Drain::with(DrainPolicy::default());
    let step = drain.step(&cluster([web("web-1")]));
    assert_eq!(step.removals[0].attempt, 1);
    let pod = drain.of("web-1");
    assert_eq!((pod.state, pod.attempts, pod.action), (PodState::Removing, 1, Some(Action::Evict)));
}

#[test]
fn whoever_takes_over_removes_a_pod_again_only_if_it_is_there_and_not_ending() {
    for (there, expected) in [
        (cluster([web("web-1")]), vec!["web-1"]),
        (cluster([web("web-1").terminating(seconds_from_now(30), 30)]), vec![]),
        (cluster([]), vec![]),
    ] {
        let mut drain = Drain::with(DrainPolicy::default());
        drain.step(&cluster([web("web-1")]));
        assert_eq!(removed(&drain.step(&there)), expected);
    }
}

#[test]
fn a_pod_whose_removal_was_accepted_is_not_removed_again_before_that_is_seen() {
    for state in [PodState::Removed, PodState::Terminating, PodState::Gone] {
        let mut drain = Drain::with(DrainPolicy::default());
        drain.step(&cluster([web("web-1")]));
        drain.settled("web-1", state);
        let step = drain.at(29).step(&cluster([web("web-1")]));
        assert_eq!(
            (removed(&step).len(), step.outlook),
            (0, if state == PodState::Gone { Outlook::Empty } else { Outlook::Working })
        );
        assert_eq!(drain.of("web-1").state, state);
        assert_eq!(removed(&drain.at(30).step(&cluster([web("web-1")]))), ["web-1"], "it is looked at again");
    }
}

#[test]
fn what_kubernetes_refuses_is_not_tried_at_once_because_the_budget_seems_open_here() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.step(&open());
    drain.refused("web-1", Blocker::budget_fault("default/web".to_owned(), "no"));
    let step = drain.step(&open());
    assert_eq!((removed(&step).len(), step.wake), (0, Some(seconds_from_now(1))));
}

#[test]
fn what_kubernetes_refused_goes_at_once_when_its_budget_was_seen_closed_and_opens() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.step(&open());
    drain.refused("web-1", Blocker::budget_fault("default/web".to_owned(), "no"));
    assert!(removed(&drain.step(&closed())).is_empty());
    assert_eq!(removed(&drain.step(&open())), ["web-1"]);
}

#[test]
fn a_pod_that_is_to_be_deleted_now_does_not_wait_for_its_next_eviction() {
    let policy = DrainPolicy { at_deadline: AtDeadline::Delete, ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    drain.deadline = Some(seconds_from_now(100));
    drain.at(69).step(&open());
    drain.refused("web-1", Blocker::denied("no", ""));
    drain.step(&open());
    let [order] = drain.at(70).step(&open()).removals.try_into().unwrap();
    assert_eq!((order.removal, order.attempt), (Removal::Delete, 2));
}

#[test]
fn what_was_deleted_for_the_deadline_has_a_moment_to_go_and_then_fails_the_drain() {
    let policy = DrainPolicy { at_deadline: AtDeadline::Delete, ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    drain.deadline = Some(seconds_from_now(100));
    let stuck = cluster([web("web-1").terminating(seconds_from_now(90), 30)]);
    let step = drain.at(129).step(&stuck);
    assert_eq!((step.outlook, step.wake), (Outlook::Blocked, Some(seconds_from_now(130))));
    assert_eq!(drain.at(130).step(&stuck).outlook, Outlook::Late);
}

#[test]
fn the_deadline_is_not_slept_through() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.deadline = Some(seconds_from_now(3));
    assert_eq!(drain.step(&closed()).wake, Some(seconds_from_now(3)));
}

#[test]
fn a_pod_that_is_replaced_under_its_name_on_another_node_is_not_touched() {
    let mut drain = Drain::with(DrainPolicy::default());
    let first = || pod("db-0").owned_by("apps/v1", "StatefulSet", "db");
    drain.step(&cluster([first()]));
    let second = first().on("other").with(|pod| pod.metadata.uid = Some("uid-second".to_owned()));
    let step = drain.step(&cluster([second]));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Empty));
    assert_eq!(drain.progress.len(), 1);
    assert_eq!(drain.of("db-0").state, PodState::Gone);
}

#[test]
fn no_more_removals_are_sent_than_there_is_room_for() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.room = 1;
    let step = drain.step(&cluster([web("web-1"), web("web-2")]));
    assert_eq!(removed(&step), ["web-1"]);
    assert_eq!(drain.of("web-2").state, PodState::Pending);
}

#[test]
fn a_pod_whose_removal_was_accepted_counts_as_on_its_way() {
    let policy = DrainPolicy { parallelism: NonZeroU32::new(1), ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    let both = cluster([web("web-1"), web("web-2")]);
    drain.step(&both);
    drain.settled("web-1", PodState::Removed);
    assert!(removed(&drain.step(&both)).is_empty());
}

#[test]
fn nothing_is_removed_while_the_drain_is_held() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.is_held = true;
    let step = drain.step(&cluster([web("web-1")]));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Working));
    drain.is_held = false;
    assert_eq!(removed(&drain.step(&cluster([web("web-1")]))), ["web-1"]);
}

#[test]
fn pods_that_an_unreachable_node_does_not_end_are_left_if_the_policy_says_so() {
    let policy = DrainPolicy { unreachable_node: UnreachableNode::LeaveTerminating, ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    let stuck = web("web-1").terminating(seconds_from_now(-5), 30);
    let step = drain.step(&cluster([stuck]).emptying(node("node").ready("Unknown")));
    assert_eq!((drain.of("web-1").state, step.outlook), (PodState::Skipped, Outlook::Empty));
}
