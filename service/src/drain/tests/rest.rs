//! How much longer a drain takes that is on its way.

use std::time::Duration;

use super::super::*;
use super::example::*;
use super::step::Drain;

/// In how many seconds it has ended, as the drain sees it.
fn rest(drain: &mut Drain, cluster: &Cluster) -> Option<i64> {
    let now = drain.now;
    drain.step(cluster).estimated_end.map(|end| end.duration_since(now).as_secs())
}

fn until(deadline: u64, at_deadline: AtDeadline) -> Drain {
    let deadline = Duration::from_secs(deadline);
    let mut drain = Drain::with(DrainPolicy { deadline: Some(deadline), at_deadline, ..DrainPolicy::default() });
    drain.deadline = Some(now() + deadline);
    drain
}

#[test]
fn what_is_left_takes_what_a_plan_of_it_would_say() {
    let mut drain = Drain::with(DrainPolicy::default());
    let both = cluster([web("a").grace(40), web("b").grace(10).priority(2_000_000_000)]);
    assert_eq!(rest(&mut drain, &both), Some(60), "two grace periods, and twice the overhead");
    let ending =
        cluster([web("a").grace(40).terminating(seconds_from_now(40), 40), web("b").grace(10).priority(2_000_000_000)]);
    assert_eq!(rest(drain.at(30), &ending), Some(30), "of the first grace period 10 s are left");
    assert_eq!(rest(drain.at(41), &cluster([web("b").grace(10).priority(2_000_000_000)])), Some(15));
}

#[test]
fn pods_that_stay_take_no_time() {
    let mut drain = Drain::with(DrainPolicy::default());
    let cluster = cluster([web("a").grace(10), of_daemon_set("logs-1").grace(600)]).daemon_set("logs");
    assert_eq!(rest(&mut drain, &cluster), Some(15));
}

#[test]
fn between_rounds_of_a_budget_replacements_become_ready() {
    let mut drain = Drain::with(DrainPolicy::default());
    let pods = [web("a").grace(10), web("b").grace(10)];
    let cluster = cluster(pods).budget(budget("web").healthy(2, 1, 2));
    assert_eq!(rest(&mut drain, &cluster), Some(90));
}

#[test]
fn nobody_knows_how_long_it_takes_while_it_is_blocked_or_held_or_over() {
    let mut drain = Drain::with(DrainPolicy::default());
    let never = cluster([web("a")]).budget(budget("web").healthy(1, 1, 1));
    assert_eq!(rest(&mut drain, &never), None);
    drain.is_held = true;
    assert_eq!(rest(&mut drain, &cluster([web("a")])), None);
    drain.is_held = false;
    assert_eq!(rest(&mut drain, &cluster([])), None);
}

#[test]
fn one_pod_that_waits_for_somebody_makes_the_end_unknown_though_others_go() {
    let mut drain = Drain::with(DrainPolicy::default());
    let both = cluster([web("a"), web("b")]);
    assert!(rest(&mut drain, &both).is_some());
    drain.refused("a", Blocker::denied("no", ""));
    let ending = cluster([web("a"), web("b").terminating(seconds_from_now(30), 30)]);
    assert_eq!(rest(&mut drain, &ending), None);
}

#[test]
fn pods_that_are_deleted_at_the_deadline_bound_it() {
    let mut drain = until(120, AtDeadline::Delete);
    assert_eq!(rest(&mut drain, &cluster([web("a").grace(600)])), Some(125));
    let waiting = || [web("job").label(DRAIN_LABEL, "wait-completed"), web("b").terminating(seconds_from_now(60), 60)];
    let mut drain = until(120, AtDeadline::Delete);
    assert_eq!(rest(drain.at(20), &cluster(waiting())), Some(105));
}

#[test]
fn a_drain_that_fails_at_its_deadline_before_its_pods_are_gone_has_no_such_end() {
    let mut drain = until(120, AtDeadline::Fail);
    let slow = cluster([web("a").grace(100)]);
    assert_eq!(rest(&mut drain, &slow), Some(105));
    assert_eq!(rest(until(120, AtDeadline::Fail).at(30), &slow), None);
}
