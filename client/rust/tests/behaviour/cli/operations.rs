//! `operations`.

use nodeward_client::api::OperationState;
use nodeward_client::api::cancel_operation_request::Cordon;
use serde_json::Value;

use super::Cli;
use crate::fake::{Call, Fake, reaches};

fn cli() -> Cli {
    Cli::of(Fake::default().with_drain("a", OperationState::Running).with_drain("b", OperationState::Blocked))
}

#[test]
fn operations_are_listed_from_all_pages() {
    let cli = cli();
    cli.fake.lock().page_size = 1;
    let out = cli.run(&["operations", "list", "--filter", "state = RUNNING"]).ok();
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "NODE", "STATE", "GONE", "BLOCKED", "AGE", "CALLER", "WHY"]);
    assert_eq!(rows[1], ["operations/drain-a", "a", "RUNNING", "0/0", "0", "0s", "alice"]);
    assert_eq!(rows[2][..3], ["operations/drain-b", "b", "BLOCKED"]);
    let Some(Call::ListOperations(request)) = cli.fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!(request.filter, "state = RUNNING");
}

#[test]
fn an_operation_can_be_shown_as_json() {
    let out = cli().run(&["operations", "get", "drain-b", "-o", "json"]).ok();
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["metadata"]["state"], "OPERATION_STATE_BLOCKED");
}

#[test]
fn an_operation_that_is_not_there_is_not_found() {
    for command in ["get", "watch", "wait", "cancel", "delete"] {
        assert_eq!(cli().run(&["operations", command, "nothing"]).code, 3, "{command}");
    }
}

#[test]
fn watching_ends_as_the_drain_ends() {
    let cli = cli();
    cli.fake.next_events("a", [reaches(1, OperationState::Succeeded)]);
    cli.fake.next_events("b", [reaches(1, OperationState::Failed)]);
    assert_eq!(cli.run(&["operations", "watch", "drain-a"]).ok(), "node/a drained\n");
    assert_eq!(cli.run(&["operations", "watch", "operations/drain-b"]).code, 9);
}

#[test]
fn watching_what_has_ended_says_how() {
    let fake = Fake::default().with_drain("a", OperationState::Cancelled);
    assert_eq!(Cli::of(fake).run(&["operations", "watch", "drain-a"]).code, 10);
}

#[test]
fn waiting_ends_as_the_drain_ends() {
    let cli = cli();
    cli.fake.lock().waits = [OperationState::Succeeded].into();
    assert_eq!(cli.run(&["operations", "wait", "drain-a"]).ok(), "node/a drained\n");
    cli.fake.lock().waits = [OperationState::Cancelled].into();
    assert_eq!(cli.run(&["operations", "wait", "drain-b"]).code, 10);
}

#[test]
fn waiting_has_a_timeout_of_its_own() {
    let run = cli().run(&["operations", "wait", "drain-a", "--timeout=100ms"]);
    assert_eq!((run.code, run.err.as_str()), (5, "error: operations/drain-a has not ended yet\n"));
}

#[test]
fn cancelling_says_what_becomes_of_the_cordon_and_why() {
    for (flags, cordon) in
        [(&[][..], Cordon::Keep), (&["--keep-cordon"], Cordon::Keep), (&["--release-cordon"], Cordon::Release)]
    {
        let cli = cli();
        let out = cli.run(&[&["operations", "cancel", "drain-a", "--reason=not today"], flags].concat()).ok();
        assert_eq!(out, "operations/drain-a is being cancelled\n");
        let request = cli.fake.cancel_requests().remove(0);
        assert_eq!((request.cordon(), request.reason.as_str()), (cordon, "not today"));
    }
    assert_eq!(cli().run(&["operations", "cancel", "drain-a", "--release-cordon", "--keep-cordon"]).code, 2);
}

#[test]
fn what_can_be_deleted_is_although_another_can_not() {
    let cli = cli();
    let run = cli.run(&["operations", "delete", "nothing", "drain-b"]);
    assert_eq!((run.code, run.out.as_str()), (3, "operations/drain-b deleted\n"));
    assert!(run.err.contains("OPERATION_NOT_FOUND"), "{}", run.err);
}
