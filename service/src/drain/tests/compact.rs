//! What is written down of many pods.

use jiff::Timestamp;

use super::super::*;
use super::example::now;
use crate::pod::PodReference;

/// What all of them may take, and what is around them.
const ALLOWED: usize = 1024 * 1024;

fn reference(number: usize) -> PodReference {
    PodReference { namespace: "n".repeat(63), name: format!("{number:0>253}"), uid: format!("{number:0>36}") }
}

fn blocked(number: usize, blocker: Blocker) -> PodProgress {
    PodProgress {
        state: PodState::Blocked,
        sequence: i64::MAX,
        since: Some(Timestamp::MAX),
        action: Some(Action::WaitForCompletion),
        attempts: u32::MAX,
        next_attempt: Some(Timestamp::MAX),
        blocker: Some(blocker),
        ..PodProgress::of(&reference(number))
    }
}

fn numbers(name: char) -> BudgetNumbers {
    let budget = BudgetName { namespace: "n".repeat(63), name: name.to_string().repeat(253) };
    BudgetNumbers { budget, healthy: i32::MIN, desired: i32::MIN, allowed: i32::MIN, expected: i32::MIN }
}

fn bytes(pods: &[PodProgress]) -> usize {
    serde_json::to_vec(pods).unwrap().len()
}

#[test]
fn a_thousand_blocked_pods_with_the_longest_names_and_messages_fit() {
    let words = "\u{1}".repeat(5000);
    let unready: Vec<_> = (0..10).map(reference).collect();
    let names: Vec<_> = (0..32).map(|_| "b".repeat(317)).collect();
    let budget = |name| Blocker::Budget {
        budget: numbers(name),
        never: false,
        unready: unready.clone(),
        evicted: unready.clone(),
    };
    let blockers = [
        budget('a'),
        budget('b'),
        Blocker::SeveralBudgets { budgets: names.clone() },
        Blocker::Overdue { since: Timestamp::MAX, finalizers: names.clone() },
        Blocker::VolumeAttached { volumes: names },
        Blocker::denied(&words, &"w".repeat(253)),
        Blocker::budget_fault("b".repeat(317), &words),
        Blocker::refused(&words),
        Blocker::unavailable(&words),
    ];
    for blocker in &blockers {
        for was_refused in [false, true] {
            let pods = (0..1000).map(|number| PodProgress { was_refused, ..blocked(number, blocker.clone()) });
            let pods: Vec<_> = pods.collect();
            let compacted = compact(pods.clone());
            assert!(bytes(&compacted) < ALLOWED, "{} of {}: {blocker:?}", bytes(&compacted), bytes(&pods));
            assert!(compacted.iter().zip(&pods).all(|(now, was)| (&now.pod, now.state) == (&was.pod, was.state)));
            assert_eq!(compact(compacted.clone()), compacted, "it is not cut once more");
        }
    }
}

#[test]
fn what_fits_is_left_as_it_is() {
    let unready = vec![reference(1)];
    let blocker = Blocker::Budget { budget: numbers('a'), never: false, unready, evicted: Vec::new() };
    let pods: Vec<_> = (0..110).map(|number| blocked(number, blocker.clone())).collect();
    assert_eq!(compact(pods.clone()), pods);
}

#[test]
fn the_unready_pods_of_a_budget_are_named_at_its_first_pod_if_there_are_many() {
    let unready: Vec<_> = (0..10).map(reference).collect();
    let blocker = Blocker::Budget { budget: numbers('a'), never: false, unready, evicted: Vec::new() };
    let pods = compact((0..500).map(|number| blocked(number, blocker.clone())).collect());
    let named: Vec<usize> = pods
        .iter()
        .map(|pod| match &pod.blocker {
            Some(Blocker::Budget { unready, .. }) => unready.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((named[0], named[1..].iter().sum::<usize>()), (10, 0));
}

fn gone(number: usize) -> PodProgress {
    let (state, sequence, since) = (PodState::Gone, number as i64, Some(now()));
    PodProgress { state, sequence, since, ..PodProgress::of(&reference(number)) }
}

#[test]
fn pods_that_are_there_keep_what_is_known_of_them_however_many_are_gone() {
    let blocker =
        Blocker::Budget { budget: numbers('a'), never: false, unready: vec![reference(1)], evicted: Vec::new() };
    let there: Vec<_> = (5000..5110).map(|number| blocked(number, blocker.clone())).collect();
    let pods = compact((0..5000).map(gone).chain(there.clone()).collect());
    let is_gone = |pod: &PodProgress| pod.state == PodState::Gone;
    assert_eq!(pods.iter().filter(|pod| is_gone(pod)).count(), 1000);
    assert_eq!(pods.into_iter().filter(|pod| !is_gone(pod)).collect::<Vec<_>>(), there);
}

#[test]
fn of_very_many_pods_that_are_gone_the_latest_are_kept() {
    let pods = compact((0..5000).map(gone).collect());
    assert!(bytes(&pods) < ALLOWED);
    assert_eq!(pods.last().map(|pod| pod.sequence), Some(4999));
    assert_eq!(pods.len(), 1000);
}

#[test]
fn of_too_many_volumes_one_of_each_pod_is_remembered() {
    let volumes: Vec<_> = (0..128).map(|number| format!("{number:0>253}")).collect();
    let pods = (0..500).map(|number| {
        let blocker = Some(Blocker::VolumeAttached { volumes: volumes.clone() });
        let state = PodState::Terminating;
        PodProgress { state, blocker, volumes: volumes.clone(), ..PodProgress::of(&reference(number)) }
    });
    let compacted = compact(pods.collect());
    assert!(bytes(&compacted) < ALLOWED, "{}", bytes(&compacted));
    assert!(compacted.iter().all(|pod| pod.volumes.contains(&volumes[0])));
}
