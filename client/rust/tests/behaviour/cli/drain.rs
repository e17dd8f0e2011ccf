//! `drain` and `plan`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nodeward_client::Code;
use nodeward_client::api::drain_policy::{
    AtDeadline, DaemonSetPods, EmptyDirData, OnUncordon, Ordering, OrphanedDaemonSetPods, Removal, UnmanagedPods,
    UnreachableNode, Volumes,
};
use nodeward_client::api::pod_progress::State as PodState;
use nodeward_client::api::{BudgetOverride, CordonState, DrainPolicy, OperationState};
use prost_types::Duration;
use serde_json::Value;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Cli, Run};
use crate::fake::{Call, Fake, Fate, OperationStep, blocked, cordon, pod, reaches, status, unavailable, worker};

fn fake() -> Fake {
    Fake::with([worker("a"), worker("b")])
}

/// A drain of this node that succeeds at once.
fn succeeds(fake: &Fake, node: &str) {
    fake.next_events(node, [reaches(1, OperationState::Succeeded)]);
}

/// The policy that these flags send.
fn sent(flags: &[&str]) -> DrainPolicy {
    let cli = Cli::of(fake());
    succeeds(&cli.fake, "a");
    cli.run(&[&["drain", "a"], flags].concat()).ok();
    cli.fake.drain_requests().remove(0).policy.unwrap()
}

fn kubectl() -> DrainPolicy {
    DrainPolicy {
        unmanaged_pods: UnmanagedPods::Refuse.into(),
        daemon_set_pods: DaemonSetPods::Refuse.into(),
        orphaned_daemon_set_pods: OrphanedDaemonSetPods::Refuse.into(),
        empty_dir_data: EmptyDirData::Refuse.into(),
        removal: Removal::Evict.into(),
        ordering: Ordering::AllAtOnce.into(),
        ..DrainPolicy::default()
    }
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

#[test]
fn without_flags_the_policy_is_kubectls() {
    assert_eq!(sent(&[]), kubectl());
}

#[test]
fn kubectls_flags_mean_what_they_mean_to_kubectl() {
    let flags = [
        "--force",
        "--ignore-daemonsets=true",
        "--delete-emptydir-data",
        "--disable-eviction",
        "--grace-period=0",
        "--timeout=10m",
        "--pod-selector=app=web",
        "--skip-wait-for-delete-timeout=60",
        "--chunk-size=100",
    ];
    let expected = DrainPolicy {
        unmanaged_pods: UnmanagedPods::Drain.into(),
        daemon_set_pods: DaemonSetPods::Leave.into(),
        orphaned_daemon_set_pods: OrphanedDaemonSetPods::Drain.into(),
        empty_dir_data: EmptyDirData::Delete.into(),
        removal: Removal::Delete.into(),
        grace_period: seconds(0),
        deadline: seconds(600),
        pod_selector: "app=web".into(),
        leave_terminating_after: seconds(60),
        ..kubectl()
    };
    assert_eq!(sent(&flags), expected);
}

#[test]
fn kubectls_defaults_may_be_given() {
    let flags = ["--force=false", "--grace-period", "-1", "--timeout=0s", "--skip-wait-for-delete-timeout=0"];
    assert_eq!(sent(&flags), kubectl());
}

#[test]
fn what_kubectl_lacks_has_flags_too() {
    let flags = [
        "--override-budget=shop/web=moves",
        "--at-deadline=delete",
        "--parallelism=3",
        "--ordering=by-tier",
        "--on-uncordon=pause",
        "--unreachable=leave-terminating",
        "--volumes=wait-detached",
    ];
    let budget = BudgetOverride { namespace: "shop".into(), budget: "web".into(), reason: "moves".into() };
    let expected = DrainPolicy {
        budget_overrides: vec![budget],
        at_deadline: AtDeadline::Delete.into(),
        parallelism: 3,
        ordering: Ordering::ByTier.into(),
        on_uncordon: OnUncordon::Pause.into(),
        unreachable_node: UnreachableNode::LeaveTerminating.into(),
        volumes: Volumes::WaitDetached.into(),
        ..kubectl()
    };
    assert_eq!(sent(&flags), expected);
}

#[test]
fn a_policy_from_the_standard_input_is_nodewards_where_it_is_silent() {
    let cli = Cli::of(fake());
    succeeds(&cli.fake, "a");
    cli.run_with_input(&["drain", "a", "--policy=-", "--force"], "deadline: 60s\n").ok();
    let expected = DrainPolicy {
        deadline: seconds(60),
        unmanaged_pods: UnmanagedPods::Drain.into(),
        orphaned_daemon_set_pods: OrphanedDaemonSetPods::Drain.into(),
        ..DrainPolicy::default()
    };
    assert_eq!(cli.fake.drain_requests().remove(0).policy.unwrap(), expected);
}

#[test]
fn a_policy_that_can_not_be_read_is_a_mistake() {
    for text in ["parallelisms: 3", "ordering: SIDEWAYS", "- a", "a: 1\n---\nb: 2"] {
        let cli = Cli::of(fake());
        let run = cli.run_with_input(&["drain", "a", "--policy=-"], text);
        assert_eq!(run.code, 2, "{text:?}: {run:?}");
        assert!(cli.fake.calls().is_empty());
    }
}

#[test]
fn the_timeout_of_requests_is_not_the_deadline_of_the_drain() {
    let cli = Cli::of(fake());
    succeeds(&cli.fake, "a");
    let mut command = cli.command(&["--timeout=20s", "drain", "a"]);
    assert_eq!(Run::of(command.env("NODEWARD_TIMEOUT", "10s").output().unwrap()).code, 0);
    assert_eq!(cli.fake.drain_requests()[0].policy.as_ref().unwrap().deadline, None);
    cli.fake.next(Fate::Hang);
    assert_eq!(cli.run(&["drain", "b", "--timeout=1h", "--request-timeout=200ms"]).code, 5);
}

#[test]
fn the_options_of_the_request_are_sent() {
    let cli = Cli::of(fake());
    succeeds(&cli.fake, "a");
    let id = "4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b";
    let flags = ["--reason=disk", "--request-id", id, "--etag=7", "--plan-hash=abc"];
    cli.run(&[&["drain", "node", "a"], &flags[..]].concat()).ok();
    let request = cli.fake.drain_requests().remove(0);
    assert_eq!((request.name.as_str(), request.reason.as_str(), request.request_id.as_str()), ("nodes/a", "disk", id));
    assert_eq!((request.etag.as_str(), request.plan_hash.as_str()), ("\"7\"", "abc"));
}

#[test]
fn what_happens_is_told_line_by_line() {
    let cli = Cli::of(fake());
    let steps = [
        cordon(1, CordonState::Own),
        pod(2, "web-1", PodState::Removing),
        pod(3, "web-1", PodState::Terminating),
        blocked(4, "web-2"),
        pod(5, "web-1", PodState::Gone),
        pod(6, "web-2", PodState::Gone),
        reaches(7, OperationState::Succeeded),
    ];
    cli.fake.next_events("a", steps);
    let expected = "\
node/a cordoned
evicting pod shop/web-1
evicting pod shop/web-2
pod shop/web-2 is blocked: the budget shop/web needs 2 healthy pods and has 2 (make shop/web-9 ready)
pod/shop/web-1 gone
pod/shop/web-2 gone
node/a drained
";
    assert_eq!(cli.run(&["drain", "a"]).ok(), expected);
}

#[test]
fn an_interrupted_stream_goes_on_where_it_was() {
    let cli = Cli::of(fake());
    cli.fake
        .next_events("a", [cordon(1, CordonState::Own), OperationStep::Fail(unavailable())])
        .next_events("a", [OperationStep::Fail(unavailable())])
        .next_events("a", [reaches(2, OperationState::Succeeded)]);
    let run = cli.run(&["drain", "a"]);
    assert_eq!((run.code, run.out.as_str()), (0, "node/a cordoned\nnode/a drained\n"));
    assert_eq!(run.err.matches("trying again").count(), 1, "{}", run.err);
    let after: Vec<i64> = cli.fake.event_requests().iter().map(|request| request.after_sequence).collect();
    assert_eq!(after, [0, 1, 1]);
}

#[test]
fn json_is_an_event_on_each_line_and_the_operation_last() {
    let cli = Cli::of(fake());
    cli.fake.next_events("a", [blocked(4, "web-2"), reaches(7, OperationState::Succeeded)]);
    let out = cli.run(&["drain", "a", "-o", "json"]).ok();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["operation"].as_str()), (3, Some("operations/drain-a")));
    assert_eq!(lines[0]["event"]["pod"]["state"], "STATE_BLOCKED");
    assert_eq!(lines[2]["result"]["metadata"]["state"], "OPERATION_STATE_SUCCEEDED");
}

#[test]
fn each_end_of_a_drain_has_its_exit_code() {
    for (end, code, words) in [
        (OperationState::Succeeded, 0, ""),
        (OperationState::Failed, 9, "error: node \"a\" is not drained: the deadline passed, and 1 pod is left\n"),
        (OperationState::Cancelled, 10, "error: the drain of node \"a\" was cancelled: cancelled by alice\n"),
    ] {
        let cli = Cli::of(fake());
        cli.fake.next_events("a", [reaches(1, end)]);
        let run = cli.run(&["drain", "a"]);
        assert_eq!((run.code, run.err.as_str()), (code, words));
    }
}

#[test]
fn a_drain_that_fails_says_which_pods_are_left_and_why() {
    let cli = Cli::of(fake());
    let steps = [
        pod(1, "web-1", PodState::Skipped),
        blocked(2, "web-2"),
        pod(3, "web-2", PodState::Failed),
        reaches(4, OperationState::Failed),
    ];
    cli.fake.next_events("a", steps);
    let run = cli.run(&["drain", "a"]);
    let left = "  pod shop/web-2 is left: the budget shop/web needs 2 healthy pods and has 2 (make shop/web-9 ready)\n";
    assert!(run.code == 9 && run.err.ends_with(left), "{run:?}");
}

#[test]
fn a_refused_drain_has_its_own_exit_code_and_says_which_pods() {
    let cli = Cli::of(fake());
    let mut details = ErrorDetails::new();
    details.set_error_info("DRAIN_REFUSED", "nodeward.dev", HashMap::new());
    details.add_precondition_failure_violation("DRAIN_REFUSED", "shop/bare", "it has no controller");
    let refused = Status::with_error_details(Code::FailedPrecondition, "the policy refuses 1 pod", details);
    cli.fake.next(Fate::Fail(refused));
    let run = cli.run(&["drain", "a"]);
    assert_eq!((run.code, run.out.as_str()), (8, ""));
    assert!(run.err.contains("  shop/bare: it has no controller\n"), "{}", run.err);
}

#[test]
fn a_drain_that_runs_already_is_a_conflict_and_named() {
    let cli = Cli::of(fake());
    let metadata = HashMap::from([("operation".to_owned(), "operations/x".to_owned())]);
    let mut details = ErrorDetails::new();
    details.set_error_info("OPERATION_IN_PROGRESS", "nodeward.dev", metadata);
    cli.fake.next(Fate::Fail(Status::with_error_details(Code::Aborted, "it is being drained", details)));
    let run = cli.run(&["drain", "a"]);
    assert_eq!(run.code, 4);
    assert!(run.err.contains("nodeward operations watch operations/x\n"), "{}", run.err);
}

#[test]
fn several_nodes_are_drained_together() {
    let cli = Cli::of(fake());
    succeeds(&cli.fake, "a");
    cli.fake.next_events("b", [reaches(1, OperationState::Cancelled)]);
    let run = cli.run(&["drain", "-l", "team=red"]);
    assert_eq!((run.code, run.out.as_str()), (10, "node/a drained\n"));
    assert_eq!(cli.fake.drain_requests().len(), 2);
    let begun = cli.fake.calls().iter().rposition(|call| matches!(call, Call::Drain(_)));
    let followed = cli.fake.calls().iter().position(|call| matches!(call, Call::StreamOperation(_)));
    assert!(begun < followed, "{:?}", cli.fake.calls());
}

#[test]
fn if_one_of_the_nodes_is_not_there_none_is_touched() {
    let cli = Cli::of(fake());
    let run = cli.run(&["drain", "a", "missing", "b"]);
    assert_eq!((run.code, run.out.as_str()), (3, ""));
    assert!(run.err.contains("NODE_NOT_FOUND") && run.err.ends_with("No node was touched\n"), "{}", run.err);
    assert!(cli.fake.drain_requests().is_empty());
}

#[test]
fn a_selector_that_matches_nothing_is_no_failure() {
    let cli = Cli::of(fake());
    assert_eq!(cli.run(&["drain", "-l", "team=blue"]).ok(), "");
}

#[test]
fn a_drain_that_can_not_begin_leaves_the_others_to_be_drained() {
    let cli = Cli::of(fake());
    cli.fake.next(Fate::Fail(status(Code::FailedPrecondition, "DRAIN_REFUSED", "it is refused", None)));
    for node in ["a", "b"] {
        succeeds(&cli.fake, node);
    }
    let run = cli.run(&["drain", "a", "b"]);
    assert_eq!((run.code, run.out.lines().count()), (8, 1), "{run:?}");
}

#[test]
fn a_detached_drain_is_named_and_not_followed() {
    let cli = Cli::of(fake());
    assert_eq!(cli.run(&["drain", "a", "b", "--detach"]).ok(), "operations/drain-a\noperations/drain-b\n");
    assert!(cli.fake.event_requests().is_empty());
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_the_drain_and_says_how_to_follow_and_to_cancel_it() {
    let cli = Cli::of(fake());
    cli.fake.next_events("a", [cordon(1, CordonState::Own), OperationStep::Open]);
    let mut command = cli.command(&["drain", "a"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "node/a cordoned\n");
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130);
    assert!(run.err.contains("The drain of node/a goes on\n"), "{}", run.err);
    assert!(run.err.contains("nodeward operations watch operations/drain-a\n"), "{}", run.err);
    assert!(run.err.contains("nodeward operations cancel operations/drain-a\n"), "{}", run.err);
    assert!(cli.fake.cancel_requests().is_empty());
}

#[test]
fn a_plan_hash_or_request_id_is_for_one_node() {
    for flag in ["--plan-hash", "--request-id", "--etag"] {
        assert_eq!(Cli::of(fake()).run(&["drain", "a", "b", flag, "x"]).code, 2, "{flag}");
    }
}
