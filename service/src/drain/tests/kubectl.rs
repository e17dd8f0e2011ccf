//! kubectl's own test vectors (`pkg/cmd/drain/drain_test.go`, `pkg/drain/filter_test.go` of v0.36.3), for eviction and for
//! deletion.

use super::super::*;
use super::example::*;
use crate::pod::example::PodExample;

/// What kubectl does with the one pod.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It ends with an error and has touched nothing.
    Fatal,
    Removed,
    Left,
}

use Outcome::*;

fn flags(force: bool, ignore_daemonsets: bool, delete_emptydir_data: bool) -> KubectlFlags {
    KubectlFlags { force, ignore_daemonsets, delete_emptydir_data, ..KubectlFlags::default() }
}

fn outcome(pod: PodExample, flags: KubectlFlags) -> Outcome {
    let name = pod.clone().build().metadata.name.unwrap();
    let plan = cluster([pod]).daemon_set("logs").plan(&DrainPolicy::kubectl(&flags));
    if plan.is_refused() {
        assert_eq!(plan.to_go().count(), 0);
        return Fatal;
    }
    match planned(&plan, &name).verdict.action {
        Action::Delete => {
            assert!(flags.disable_eviction);
            Removed
        }
        Action::Evict => {
            assert!(!flags.disable_eviction);
            Removed
        }
        Action::Skip => Left,
        Action::WaitForCompletion | Action::Refuse => panic!("kubectl knows no such thing"),
    }
}

#[test]
fn the_vectors_of_kubectl() {
    let replication_controller = || pod("bar").owned_by("v1", "ReplicationController", "rc");
    let job = || pod("bar").owned_by("v1", "Job", "job").empty_dir("scratch");
    let orphan = || pod("bar").owned_by("apps/v1", "DaemonSet", "missing");
    let (none, force, ignore) = (flags(false, false, false), flags(true, false, false), flags(false, true, false));
    let force_and_data = flags(true, false, true);

    let vectors = [
        ("RC-managed pod", replication_controller(), &none, Removed),
        ("DS-managed pod", of_daemon_set("bar"), &none, Fatal),
        ("DS-managed terminated pod", of_daemon_set("bar").phase("Succeeded"), &none, Removed),
        ("orphaned DS-managed pod", orphan(), &none, Fatal),
        ("orphaned DS-managed pod with --force", orphan(), &force, Removed),
        ("DS-managed pod with --ignore-daemonsets", of_daemon_set("bar"), &ignore, Left),
        ("DS-managed pod with emptyDir with --ignore-daemonsets", of_daemon_set("bar").empty_dir("e"), &ignore, Left),
        ("Job-managed pod with local storage", job(), &force_and_data, Removed),
        ("Job-managed terminated pod", job().phase("Succeeded"), &none, Removed),
        ("RS-managed pod", pod("bar").replicated(), &none, Removed),
        ("naked pod", pod("bar"), &none, Fatal),
        ("naked pod with --force", pod("bar"), &force, Removed),
        ("pod with EmptyDir", pod("bar").empty_dir("e"), &force, Fatal),
        ("terminated pod with emptyDir", pod("bar").empty_dir("e").phase("Failed"), &none, Removed),
        ("pod with EmptyDir and --delete-emptydir-data", pod("bar").empty_dir("e"), &force_and_data, Removed),
        ("third-party DaemonSet", pod("bar").owned_by("apps.kruise.io/v1alpha1", "DaemonSet", "x"), &none, Removed),
        ("mirror pod", pod("bar").mirror().owned_by("v1", "Node", "node"), &none, Left),
        ("Pending pod", pod("bar").replicated().phase("Pending"), &none, Removed),
    ];
    for (description, pod, flags, expected) in vectors {
        for disable_eviction in [false, true] {
            let flags = KubectlFlags { disable_eviction, ..flags.clone() };
            let found = outcome(pod.clone(), flags);
            assert_eq!(found, expected, "{description}, disable eviction: {disable_eviction}");
        }
    }
}

#[test]
fn an_empty_node_is_drained() {
    let plan = cluster([]).plan(&DrainPolicy::kubectl(&KubectlFlags::default()));
    assert!(!plan.is_refused());
    assert_eq!(plan.totals, Totals::default());
    assert_eq!(plan.estimate, Some(Estimate::AtMost(std::time::Duration::ZERO)));
}

#[test]
fn one_pod_that_refuses_stops_all() {
    let cluster = cluster([pod("naked"), pod("web").replicated()]);
    let plan = cluster.plan(&DrainPolicy::kubectl(&KubectlFlags::default()));
    assert_eq!(plan.to_go().count(), 0);
    assert_eq!(planned(&plan, "web").verdict.action, Action::Evict);
    assert_eq!(plan.refusals.len(), 1);
}

#[test]
fn pods_that_have_been_going_for_too_long_are_skipped() {
    for (age, skipped) in [(None, false), (Some(1), false), (Some(20), false), (Some(21), true), (Some(100), true)] {
        let mut pod = pod("pod").replicated();
        if let Some(age) = age {
            pod = pod.terminating(seconds_from_now(-age), 0);
        }
        let flags = KubectlFlags { skip_wait_for_delete_timeout: 20, ..KubectlFlags::default() };
        assert_eq!(outcome(pod, flags) == Left, skipped, "{age:?}");
    }
}

#[test]
fn warnings_that_kubectl_loses_are_kept() {
    let orphan = pod("bar").owned_by("apps/v1", "DaemonSet", "missing").empty_dir("scratch");
    let plan = cluster([orphan]).plan(&DrainPolicy::kubectl(&flags(true, false, true)));
    let reasons: Vec<_> = plan.warnings.iter().filter(|it| matches!(it, Warning::Pod { .. })).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
}
