//! Pods that are made anew on the node as often as they are removed.

use std::num::NonZeroU32;

use super::super::*;
use super::example::*;
use super::step::{Drain, removed};
use crate::pod::example::PodExample;

/// A pod of a DaemonSet that is none of Kubernetes' own: nothing says that its pods tolerate a cordon.
fn advanced(name: &str) -> PodExample {
    pod(name).owned_by("apps.kruise.io/v1alpha1", "DaemonSet", "agent")
}

/// A drain in which so many pods of this kind have come and gone one after another.
fn after(times: u32, policy: DrainPolicy, pod: impl Fn(&str) -> PodExample) -> Drain {
    let mut drain = Drain::with(policy);
    for number in 0..times {
        let name = format!("agent-{number}");
        assert_eq!(removed(&drain.step(&cluster([pod(&name)]).daemon_set("logs"))), [name]);
    }
    drain
}

#[test]
fn a_pod_that_was_made_anew_too_often_blocks_the_drain_and_says_who_makes_it() {
    let mut drain = after(4, DrainPolicy::default(), advanced);
    let step = drain.step(&cluster([advanced("agent-4")]));
    assert_eq!((removed(&step).len(), step.outlook, step.wake), (0, Outlook::Blocked, Some(seconds_from_now(10))));
    let blocker = drain.of("agent-4").blocker.as_ref().unwrap();
    assert_eq!(blocker.to_string(), "DaemonSet agent has made it anew on this node, 4 times in a row");
}

#[test]
fn it_is_removed_again_ever_later() {
    let mut drain = after(4, DrainPolicy::default(), advanced);
    let mut waits = Vec::new();
    for number in 4..13 {
        let name = format!("agent-{number}");
        let there = cluster([advanced(&name)]);
        let wake = drain.step(&there).wake.unwrap();
        waits.push(wake.duration_since(drain.now).as_secs());
        drain.now = wake;
        assert_eq!(removed(&drain.step(&there)), [name]);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
}

#[test]
fn a_pod_that_comes_while_the_one_before_is_still_ending_is_made_anew_too() {
    let mut drain = Drain::with(DrainPolicy::default());
    let mut there = Vec::new();
    for number in 0..5 {
        let name = format!("agent-{number}");
        there.push(advanced(&name));
        let expected = if number < 4 { vec![name.as_str()] } else { vec![] };
        assert_eq!(removed(&drain.step(&cluster(there.clone()))), expected);
        let last = there.pop().unwrap();
        there.push(last.terminating(seconds_from_now(30), 30));
    }
}

#[test]
fn many_pods_of_one_controller_that_come_late_at_once_are_none_that_were_made_anew_too_often() {
    let mut drain = after(1, DrainPolicy::default(), advanced);
    let names: Vec<_> = (0..20).map(|number| format!("late-{number}")).collect();
    let step = drain.step(&cluster(names.iter().map(|name| advanced(name))));
    assert_eq!(removed(&step).len(), 20);
}

#[test]
fn what_went_without_the_drain_does_not_count() {
    let mut drain = Drain::with(DrainPolicy::default());
    let closed = |name: &str| cluster([web(name)]).budget(budget("web").healthy(2, 2, 3));
    for number in 0..10 {
        assert!(removed(&drain.step(&closed(&format!("web-{number}")))).is_empty());
    }
    assert_eq!(removed(&drain.step(&cluster([web("web-10")]))), ["web-10"]);
}

#[test]
fn pods_of_other_controllers_do_not_count() {
    let mut drain = after(4, DrainPolicy::default(), advanced);
    assert_eq!(removed(&drain.step(&cluster([web("web-1")]))), ["web-1"]);
}

#[test]
fn a_pod_without_a_controller_is_made_anew_if_it_has_the_name_of_one_that_was_removed() {
    let policy = DrainPolicy { unmanaged_pods: UnmanagedPods::Drain, ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    let bare = |uid: String| cluster([pod("bare").with(|pod| pod.metadata.uid = Some(uid))]);
    for number in 0..4 {
        assert_eq!(removed(&drain.step(&bare(format!("{number}")))), ["bare"]);
    }
    let step = drain.step(&bare("4".to_owned()));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Blocked));
    let blocker = step.progress[0].blocker.as_ref().unwrap();
    assert_eq!(blocker.to_string(), "somebody has made it anew on this node, 4 times in a row");
}

#[test]
fn what_kubernetes_says_of_the_next_attempt_comes_before_that() {
    let mut drain = after(4, DrainPolicy::default(), advanced);
    let there = cluster([advanced("agent-4")]);
    drain.step(&there);
    drain.at(10).step(&there);
    drain.refused("agent-4", Blocker::Throttled);
    drain.step(&there);
    assert_eq!(drain.of("agent-4").blocker, Some(Blocker::Throttled));
}

#[test]
fn a_pod_of_a_daemon_set_goes_once_if_the_policy_says_so_and_the_one_that_replaces_it_stays() {
    let policy = DrainPolicy { daemon_set_pods: DaemonSetPods::Drain, ..DrainPolicy::default() };
    let mut drain = after(1, policy, of_daemon_set);
    let dns = web("dns").priority(2_000_000_000);
    let step = drain.step(&cluster([of_daemon_set("agent-1"), dns]).daemon_set("logs"));
    assert_eq!((removed(&step), drain.of("agent-1").state), (vec!["dns"], PodState::Skipped));
    let step = drain.step(&cluster([of_daemon_set("agent-1")]).daemon_set("logs"));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Empty));
}

#[test]
fn a_replaced_pod_of_a_daemon_set_that_ends_takes_no_other_pods_turn() {
    let parallelism = NonZeroU32::new(1);
    let policy = DrainPolicy { daemon_set_pods: DaemonSetPods::Drain, parallelism, ..DrainPolicy::default() };
    let mut drain = after(1, policy, of_daemon_set);
    let ending = of_daemon_set("agent-1").terminating(seconds_from_now(-5), 30);
    let step = drain.step(&cluster([ending, web("web-1")]).daemon_set("logs"));
    assert_eq!((removed(&step), drain.of("agent-1").state), (vec!["web-1"], PodState::Skipped));
}

#[test]
fn at_its_time_before_the_deadline_it_is_deleted_once_more() {
    let policy = DrainPolicy { at_deadline: AtDeadline::Delete, ..DrainPolicy::default() };
    let mut drain = after(4, policy, advanced);
    drain.deadline = Some(seconds_from_now(35));
    let there = cluster([advanced("agent-4")]);
    assert_eq!(drain.step(&there).wake, Some(seconds_from_now(5)));
    assert_eq!(removed(&drain.at(5).step(&there)), ["agent-4"]);
    assert!(removed(&drain.at(6).step(&cluster([advanced("agent-5")]))).is_empty());
}
