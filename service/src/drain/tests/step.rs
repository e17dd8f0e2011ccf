//! What is done next, step by step.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::*;
use super::arbitrary;
use super::example::*;

/// A drain on its way, in a cluster that changes only by what the test says.
pub(super) struct Drain {
    policy: DrainPolicy,
    pub progress: Vec<PodProgress>,
    in_flight: BTreeSet<String>,
    pub room: usize,
    pub deadline: Option<Timestamp>,
    pub is_held: bool,
    pub volumes: NodeVolumes,
    pub now: Timestamp,
}

impl Drain {
    pub fn with(policy: DrainPolicy) -> Self {
        let (progress, in_flight, room) = (Vec::new(), BTreeSet::new(), usize::MAX);
        let volumes = NodeVolumes::default();
        Self { policy, progress, in_flight, room, deadline: None, is_held: false, volumes, now: now() }
    }

    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = seconds_from_now(seconds);
        self
    }

    pub fn step(&mut self, cluster: &Cluster) -> Step {
        let input = PlanInput { now: self.now, ..cluster.input() };
        let plan = plan(&input, &self.policy);
        let situation = Situation {
            plan: &plan,
            policy: &self.policy,
            volumes: &self.volumes,
            progress: &self.progress,
            in_flight: &self.in_flight,
            room: self.room,
            deadline: self.deadline,
            is_held: self.is_held,
            now: self.now,
        };
        let step = situation.step();
        self.progress.clone_from(&step.progress);
        step
    }

    /// Kubernetes refuses the removal of this pod.
    pub fn refused(&mut self, name: &str, blocker: Blocker) {
        let pod = self.progress.iter_mut().find(|pod| pod.pod.name == name).unwrap();
        *pod = pod.refused(blocker, None, self.now);
    }

    /// Kubernetes says where the pod is.
    pub fn settled(&mut self, name: &str, state: PodState) {
        let pod = self.progress.iter_mut().find(|pod| pod.pod.name == name).unwrap();
        *pod = pod.settled(state, self.now);
    }

    pub fn of(&self, name: &str) -> &PodProgress {
        self.progress.iter().find(|pod| pod.pod.name == name).unwrap()
    }
}

pub(super) fn removed(step: &Step) -> Vec<&str> {
    step.removals.iter().map(|order| order.pod.name.as_str()).collect()
}

#[test]
fn pods_that_may_go_are_removed_at_once() {
    let step = Drain::with(DrainPolicy::default()).step(&cluster([web("web-1"), web("web-2")]));
    assert_eq!((removed(&step), step.outlook), (vec!["web-1", "web-2"], Outlook::Working));
    assert!(step.removals.iter().all(|order| order.removal == Removal::Evict && order.grace_seconds.is_none()));
}

#[test]
fn a_pod_whose_removal_is_under_way_is_not_removed_again() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.in_flight.insert("uid-web-1".to_owned());
    assert!(removed(&drain.step(&cluster([web("web-1")]))).is_empty());
    drain.in_flight.clear();
    let ending = cluster([web("web-1").terminating(seconds_from_now(30), 30)]);
    let step = drain.step(&ending);
    assert_eq!((removed(&step).len(), step.outlook, step.wake), (0, Outlook::Working, Some(seconds_from_now(30))));
    assert_eq!(drain.of("web-1").blocker, Some(Blocker::GracePeriod { until: seconds_from_now(30) }));
}

#[test]
fn a_pod_that_is_not_there_any_more_is_gone_and_so_is_the_drain() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.step(&cluster([web("web-1")]));
    let step = drain.step(&cluster([]));
    assert_eq!((drain.of("web-1").state, step.outlook), (PodState::Gone, Outlook::Empty));
}

#[test]
fn a_pod_that_came_late_is_removed_too() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.step(&cluster([]));
    assert_eq!(removed(&drain.step(&cluster([web("late")]))), ["late"]);
}

#[test]
fn what_a_budget_keeps_shows_its_numbers_and_goes_as_soon_as_it_opens() {
    let mut drain = Drain::with(DrainPolicy::default());
    let closed = cluster([web("web-1")]).budget(budget("web").healthy(2, 2, 3));
    let step = drain.step(&closed);
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Blocked));
    let text = drain.of("web-1").blocker.as_ref().unwrap().to_string();
    assert_eq!(text, "budget default/web needs 2 healthy pods and has 2");

    let open = cluster([web("web-1")]).budget(budget("web").healthy(3, 2, 3));
    assert_eq!(removed(&drain.at(1).step(&open)), ["web-1"]);
}

#[test]
fn kubernetes_is_asked_from_time_to_time_whatever_its_budgets_seem_to_be() {
    let mut drain = Drain::with(DrainPolicy::default());
    let closed = cluster([web("web-1")]).budget(budget("web").healthy(2, 2, 3));
    let wake = drain.step(&closed).wake.unwrap();
    assert_eq!(wake, seconds_from_now(10));
    assert!(removed(&drain.at(9).step(&closed)).is_empty());
    assert_eq!(removed(&drain.at(10).step(&closed)), ["web-1"]);
}

#[test]
fn what_kubernetes_refuses_is_tried_again_ever_later() {
    let mut drain = Drain::with(DrainPolicy::default());
    let cluster = cluster([web("web-1")]);
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert_eq!(removed(&drain.step(&cluster)), ["web-1"]);
        drain.refused("web-1", Blocker::denied("no", ""));
        let step = drain.step(&cluster);
        assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Blocked));
        waits.push(step.wake.unwrap().duration_since(drain.now).as_secs());
        drain.now = step.wake.unwrap();
    }
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    assert_eq!(drain.of("web-1").attempts, 6);
}

#[test]
fn critical_pods_go_when_all_others_are_gone() {
    let mut drain = Drain::with(DrainPolicy::default());
    let dns = || web("dns").with(|pod| pod.spec.as_mut().unwrap().priority = Some(2_000_000_000));
    let step = drain.step(&cluster([dns(), web("web-1")]));
    assert_eq!(removed(&step), ["web-1"]);
    assert_eq!(drain.of("dns").blocker, Some(Blocker::EarlierTurn { pods: 1 }));
    assert_eq!(removed(&drain.step(&cluster([dns()]))), ["dns"]);
}

#[test]
fn no_more_pods_are_on_their_way_than_the_policy_allows() {
    let policy = DrainPolicy { parallelism: NonZeroU32::new(2), ..DrainPolicy::default() };
    let pods = || [web("web-1"), web("web-2"), web("web-3")];
    assert_eq!(removed(&Drain::with(policy.clone()).step(&cluster(pods()))).len(), 2);
    let [one, two, three] = pods();
    let step = Drain::with(policy).step(&cluster([one.terminating(seconds_from_now(30), 30), two, three]));
    assert_eq!(removed(&step).len(), 1);
}

fn one_at_a_time() -> DrainPolicy {
    DrainPolicy { parallelism: NonZeroU32::new(1), ..DrainPolicy::default() }
}

#[test]
fn a_pod_that_is_left_takes_no_other_pods_turn() {
    let policy = DrainPolicy { leave_terminating_after: Some(Duration::from_secs(10)), ..one_at_a_time() };
    let left = web("web-1").terminating(seconds_from_now(-11), 30);
    let step = Drain::with(policy).step(&cluster([left, web("web-2")]));
    assert_eq!(removed(&step), ["web-2"]);
}

#[test]
fn a_pod_that_kubernetes_says_is_gone_takes_no_other_pods_turn() {
    let mut drain = Drain::with(one_at_a_time());
    let both = cluster([web("web-1"), web("web-2")]);
    drain.step(&both);
    drain.settled("web-1", PodState::Gone);
    assert_eq!(removed(&drain.step(&both)), ["web-2"]);
}

#[test]
fn whoever_waits_because_too_many_are_on_their_way_says_for_how_many() {
    let mut drain = Drain::with(one_at_a_time());
    let step = drain.step(&cluster([web("web-1"), web("web-2")]));
    assert_eq!((removed(&step), step.outlook), (vec!["web-1"], Outlook::Working));
    assert_eq!(drain.of("web-2").blocker, Some(Blocker::EarlierTurn { pods: 1 }));
    let ending = web("web-1").terminating(seconds_from_now(30), 30);
    let step = drain.step(&cluster([ending, web("web-2")]));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Working));
    assert_eq!(drain.of("web-2").blocker, Some(Blocker::EarlierTurn { pods: 1 }));
}

#[test]
fn a_drain_whose_pods_wait_for_one_that_does_not_go_is_blocked() {
    let mut drain = Drain::with(one_at_a_time());
    let stuck = web("web-1").terminating(seconds_from_now(-5), 30);
    let step = drain.step(&cluster([stuck, web("web-2")]));
    assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Blocked));
    assert_eq!(drain.of("web-2").blocker, Some(Blocker::EarlierTurn { pods: 1 }));
}

#[test]
fn what_is_left_at_the_deadline_fails_the_drain() {
    let mut drain = Drain::with(DrainPolicy::default());
    drain.deadline = Some(seconds_from_now(60));
    let closed = cluster([web("web-1")]).budget(budget("web").healthy(2, 2, 3));
    assert_eq!(drain.at(59).step(&closed).outlook, Outlook::Blocked);
    assert_eq!(drain.at(60).step(&closed).outlook, Outlook::Late);
    assert_eq!(drain.at(61).step(&cluster([])).outlook, Outlook::Empty);
}

#[test]
fn pods_are_deleted_so_early_that_they_have_ended_by_the_deadline() {
    let policy = DrainPolicy { at_deadline: AtDeadline::Delete, ..DrainPolicy::default() };
    let mut drain = Drain::with(policy);
    drain.deadline = Some(seconds_from_now(100));
    // Of the 30 seconds that a pod has if it says nothing.
    let closed = cluster([web("web-1")]).budget(budget("web").healthy(2, 2, 3));
    let mut orders = |seconds| drain.at(seconds).step(&closed).removals;
    assert_eq!(orders(5), []);
    let [order] = orders(70).try_into().unwrap();
    assert_eq!((order.removal, order.grace_seconds), (Removal::Delete, Some(30)));
    let [order] = orders(120).try_into().unwrap();
    assert_eq!((order.removal, order.grace_seconds), (Removal::Delete, Some(1)), "never at once");
}

#[test]
fn at_its_time_before_the_deadline_each_pod_is_deleted_whatever_goes_before_it() {
    let critical = || web("dns").priority(2_000_000_000).grace(50);
    let stuck = || web("web-1").terminating(seconds_from_now(-5), 30);
    for (parallelism, removal) in
        [(None, Removal::Evict), (NonZeroU32::new(1), Removal::Evict), (None, Removal::Delete)]
    {
        let policy = DrainPolicy { at_deadline: AtDeadline::Delete, parallelism, removal, ..DrainPolicy::default() };
        let mut drain = Drain::with(policy);
        drain.deadline = Some(seconds_from_now(100));
        let step = drain.at(49).step(&cluster([stuck(), critical()]));
        assert_eq!((removed(&step).len(), step.outlook), (0, Outlook::Blocked));
        assert_eq!(step.wake, Some(seconds_from_now(50)));
        let [order] = drain.at(50).step(&cluster([stuck(), critical()])).removals.try_into().unwrap();
        assert_eq!((order.pod.name.as_str(), order.removal, order.grace_seconds), ("dns", Removal::Delete, Some(50)));
    }
}

#[test]
fn a_pod_is_given_its_own_time_unless_the_policy_or_an_unreachable_node_that_is_given_up_has_another() {
    let pod = || cluster([web("web-1").grace(90)]);
    let (gone, later) = (pod().emptying(node("node").ready("Unknown")), Some(7));
    let given_up = UnreachableNode::LeaveTerminating;
    for (unreachable_node, grace_period_seconds, cluster, expected) in [
        (UnreachableNode::Wait, None, &pod(), None),
        (UnreachableNode::Wait, later, &pod(), Some(7)),
        (UnreachableNode::Wait, None, &gone, None),
        (given_up, None, &pod(), None),
        (given_up, None, &gone, Some(1)),
        (given_up, later, &gone, Some(1)),
    ] {
        let policy = DrainPolicy { unreachable_node, grace_period_seconds, ..DrainPolicy::default() };
        let order = Drain::with(policy).step(cluster).removals.remove(0);
        assert_eq!(order.grace_seconds, expected, "{unreachable_node:?}, {grace_period_seconds:?}");
    }
}

#[test]
fn a_pod_that_does_not_go_shows_the_finalizers_that_keep_it() {
    let mut drain = Drain::with(DrainPolicy::default());
    let stuck = web("web-1").terminating(seconds_from_now(-5), 30);
    let stuck = stuck.with(|pod| pod.metadata.finalizers = Some(vec!["example.com/backup".to_owned()]));
    let step = drain.step(&cluster([stuck]));
    assert_eq!(step.outlook, Outlook::Blocked);
    let text = drain.of("web-1").blocker.as_ref().unwrap().to_string();
    assert_eq!(text, "it should have ended at 2026-01-01T11:59:55Z; finalizers: example.com/backup");
}

#[test]
fn a_pod_that_is_refused_while_the_drain_goes_on_blocks_it_and_says_why() {
    let mut drain = Drain::with(DrainPolicy::default());
    let step = drain.step(&cluster([pod("bare"), web("web-1")]));
    assert_eq!(removed(&step), ["web-1"]);
    let text = drain.of("bare").blocker.as_ref().unwrap().to_string();
    assert_eq!(text, "the policy refuses: nobody controls it, so nobody would replace it");
}

proptest! {
    #[test]
    fn a_step_removes_only_what_the_plan_removes_and_each_pod_once(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
        after in 0_i64..200,
        deadline in proptest::option::of(0_i64..200),
    ) {
        let mut drain = Drain::with(policy);
        drain.deadline = deadline.map(seconds_from_now);
        drain.step(&cluster);
        let step = drain.at(after).step(&cluster);
        let plan = plan(&PlanInput { now: drain.now, ..cluster.input() }, &drain.policy);
        let mut seen = BTreeSet::new();
        for order in &step.removals {
            let planned = plan.pods.iter().find(|pod| pod.facts.reference == order.pod).unwrap();
            prop_assert!(planned.verdict.action.is_waited_for(), "{order:?}");
            prop_assert!(planned.facts.terminating.is_none());
            prop_assert!(seen.insert(order.pod.uid.clone()));
        }
        prop_assert_eq!(step.progress.len(), plan.pods.len());
        prop_assert_eq!(step.outlook == Outlook::Empty, plan.pods.iter().all(|pod| pod.verdict.action == Action::Skip));
        prop_assert!(step.wake.is_none_or(|wake| wake > drain.now));
    }

    #[test]
    fn evictions_of_a_step_never_take_more_from_a_budget_than_it_allows(
        cluster in arbitrary::cluster(),
        policy in arbitrary::policy(),
    ) {
        let mut drain = Drain::with(policy);
        let step = drain.step(&cluster);
        let plan = plan(&cluster.input(), &drain.policy);
        for order in step.removals.iter().filter(|order| order.removal == Removal::Evict) {
            let planned = plan.pods.iter().find(|pod| pod.facts.reference == order.pod).unwrap();
            prop_assert!(!planned.budgets.verdict.blocks(), "{:?}", planned.budgets);
        }
    }

    #[test]
    fn backoff_is_bounded(attempts in 0_u32..1000, seconds in proptest::option::of(0_u64..100)) {
        let progress = PodProgress { attempts, ..PodProgress::default() };
        let refused = progress.refused(Blocker::Throttled, seconds.map(Duration::from_secs), now());
        let wait = refused.next_attempt.unwrap().duration_since(now());
        prop_assert!(wait <= SignedDuration::from_secs(seconds.map_or(10, |seconds| seconds as i64)));
        prop_assert!(seconds.is_some() || wait >= SignedDuration::from_secs(1));
    }
}
