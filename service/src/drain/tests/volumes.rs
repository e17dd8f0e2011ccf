//! Pods that have gone and have left volumes attached.

use std::collections::BTreeSet;

use super::super::*;
use super::example::*;
use super::step::Drain;
use crate::pod::example::PodExample;

fn waiting() -> DrainPolicy {
    DrainPolicy { volumes: PodVolumes::WaitDetached, ..DrainPolicy::default() }
}

/// A drain of a node to which these volumes are attached. Each is that of the claim of its name.
fn drain(policy: DrainPolicy, attached: &[&str]) -> Drain {
    let mut drain = Drain::with(policy);
    drain.volumes.bound = attached.iter().map(|it| (("default".into(), (*it).into()), format!("pv-{it}"))).collect();
    attach(&mut drain, attached);
    drain
}

fn attach(drain: &mut Drain, attached: &[&str]) {
    drain.volumes.attached = attached.iter().map(|it| format!("pv-{it}")).collect::<BTreeSet<_>>();
}

fn db(name: &str, claims: &[&str]) -> PodExample {
    claims.iter().fold(web(name), |pod, claim| pod.claim(claim))
}

fn attached(volumes: &[&str]) -> Option<Blocker> {
    Some(Blocker::VolumeAttached { volumes: volumes.iter().map(|it| (*it).to_owned()).collect() })
}

#[test]
fn a_pod_that_has_gone_is_waited_for_until_its_volumes_are_detached() {
    let mut drain = drain(waiting(), &["data", "logs", "other"]);
    drain.step(&cluster([db("db", &["data", "logs"])]));
    let step = drain.step(&cluster([]));
    assert_eq!((drain.of("db").state, step.outlook), (PodState::Terminating, Outlook::Blocked));
    assert_eq!(drain.of("db").blocker, attached(&["pv-data", "pv-logs"]));

    attach(&mut drain, &["logs"]);
    drain.step(&cluster([]));
    assert_eq!(drain.of("db").blocker, attached(&["pv-logs"]));

    attach(&mut drain, &[]);
    let step = drain.step(&cluster([]));
    assert_eq!((drain.of("db").state, step.outlook), (PodState::Gone, Outlook::Empty));
    assert_eq!((drain.of("db").blocker.as_ref(), drain.of("db").volumes.len()), (None, 0));
}

#[test]
fn volumes_are_not_looked_at_unless_the_policy_says_so() {
    let mut drain = drain(DrainPolicy::default(), &["data"]);
    drain.step(&cluster([db("db", &["data"])]));
    assert!(drain.of("db").volumes.is_empty());
    assert_eq!(drain.step(&cluster([])).outlook, Outlook::Empty);
}

#[test]
fn what_a_pod_had_is_remembered_when_its_claims_have_gone_with_it() {
    let mut drain = drain(waiting(), &["data"]);
    drain.step(&cluster([db("db", &["data"])]));
    drain.volumes.bound.clear();
    drain.step(&cluster([db("db", &["data"]).terminating(seconds_from_now(30), 30)]));
    drain.step(&cluster([]));
    assert_eq!(drain.of("db").blocker, attached(&["pv-data"]));
}

#[test]
fn a_volume_that_another_pod_still_uses_is_not_waited_for() {
    let mut drain = drain(waiting(), &["data"]);
    let stays = || db("stays", &["data"]).label(DRAIN_LABEL, "skip");
    drain.step(&cluster([db("goes", &["data"]), stays()]));
    let step = drain.step(&cluster([stays()]));
    assert_eq!((drain.of("goes").state, step.outlook), (PodState::Gone, Outlook::Empty));
    // Nor when that one goes later.
    drain.step(&cluster([]));
    assert_eq!([drain.of("goes").state, drain.of("stays").state], [PodState::Gone; 2]);
}

#[test]
fn a_pod_that_is_said_to_be_gone_still_has_its_volumes_attached() {
    let mut drain = drain(waiting(), &["data"]);
    drain.step(&cluster([db("db", &["data"])]));
    drain.settled("db", PodState::Gone);
    drain.step(&cluster([]));
    assert_eq!(drain.of("db").blocker, attached(&["pv-data"]));
}

#[test]
fn nothing_is_detached_from_a_node_that_was_given_up_and_nobody_waits_for_it() {
    let policy = DrainPolicy { unreachable_node: UnreachableNode::LeaveTerminating, ..waiting() };
    let mut drain = drain(policy, &["data"]);
    drain.step(&cluster([db("db", &["data"])]));
    let step = drain.step(&cluster([]).emptying(node("node").ready("Unknown")));
    assert_eq!(step.outlook, Outlook::Empty);
}

#[test]
fn a_drain_whose_volumes_are_attached_at_its_deadline_has_failed() {
    let mut drain = drain(waiting(), &["data"]);
    drain.deadline = Some(seconds_from_now(60));
    drain.step(&cluster([db("db", &["data"])]));
    assert_eq!(drain.at(60).step(&cluster([])).outlook, Outlook::Late);
}
