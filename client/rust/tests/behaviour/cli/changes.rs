//! `cordon`, `uncordon`, `patch` and `delete`.

use std::process::{Command, Stdio};
use std::sync::Arc;

use nodeward_client::api::patch_node_request::{PatchType, Subresource};
use nodeward_client::api::{DeleteNodesRequest, PatchNodeRequest, PropagationPolicy, SchedulingState};
use serde_json::Value;
use tokio::sync::Barrier;

use super::{Cli, Run, bare_command};
use crate::fake::{Call, Fake, Fate, TRACE_ID, unavailable, worker};
use crate::nobody::Nobody;

fn cli() -> Cli {
    Cli::of(Fake::with([worker("a"), worker("b")]))
}

fn cordoned(fake: &Fake) -> usize {
    fake.lock().nodes.values().filter(|node| node.scheduling_state() == SchedulingState::Cordoned).count()
}

/// The exit code and the standard error of a command whose output nobody reads.
fn unread(mut command: Command) -> (i32, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn patched(arguments: &[&str]) -> PatchNodeRequest {
    let cli = cli();
    cli.run(arguments).ok();
    let Some(Call::Patch(request)) = cli.fake.calls().pop() else { panic!("it was not asked") };
    request
}

#[test]
fn cordon_says_what_it_did_in_kubectls_words() {
    let cli = cli();
    assert_eq!(cli.run(&["cordon", "a"]).ok(), "node/a cordoned\n");
    assert_eq!(cli.run(&["cordon", "a"]).ok(), "node/a already cordoned\n");
    assert_eq!(cli.run(&["uncordon", "a"]).ok(), "node/a uncordoned\n");
}

#[test]
fn the_options_of_a_change_are_sent() {
    let cli = cli();
    let id = "4e0f4f3e-6a6c-4a53-8a1f-1c2d3e4f5a6b";
    let etag = cli.fake.get("a").unwrap().etag;
    let run = cli.run(&["cordon", "a", "--reason", "disk", "--request-id", id, "--etag", &etag, "--dry-run"]);
    assert_eq!(run.ok(), "node/a cordoned (server dry run)\n");
    let Some(Call::Cordon(request)) = cli.fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!((request.reason.as_str(), request.request_id.as_str()), ("disk", id));
    assert_eq!((request.etag, request.validate_only), (etag, true));
}

#[test]
fn the_result_can_be_shown_as_the_node() {
    let node: Value = serde_json::from_str(&cli().run(&["cordon", "a", "-o", "json"]).ok()).unwrap();
    assert_eq!(node["schedulingState"], "SCHEDULING_STATE_CORDONED");
}

#[test]
fn verbose_tells_the_request_and_the_trace() {
    let run = cli().run(&["cordon", "a", "-v"]);
    assert!(run.err.contains("request: ") && run.err.contains(&format!("trace: {TRACE_ID}\n")), "{}", run.err);
}

#[test]
fn several_nodes_are_changed_although_one_fails() {
    let run = cli().run(&["cordon", "a", "missing", "b"]);
    assert_eq!((run.code, run.out.as_str()), (3, "node/a cordoned\nnode/b cordoned\n"));
    assert!(run.err.contains("NODE_NOT_FOUND"));
}

#[test]
fn a_selector_chooses_nodes() {
    let cli = cli();
    assert_eq!(cli.run(&["cordon", "-l", "team=red"]).ok(), "node/a cordoned\nnode/b cordoned\n");
}

#[test]
fn a_reader_that_goes_away_keeps_no_node_from_being_changed() {
    let cli = Cli::of(Fake::with((0..20).map(|number| worker(&format!("n{number}")))));
    let (code, err) = unread(cli.command(&["cordon", "-l", "team=red"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(cordoned(&cli.fake), 20);
}

#[test]
fn a_failure_is_told_although_nobody_reads_the_output() {
    let cli = cli();
    let (code, err) = unread(cli.command(&["cordon", "a", "missing", "b"]));
    assert_eq!((code, cordoned(&cli.fake)), (3, 2));
    assert!(err.contains("NODE_NOT_FOUND"), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_can_not_be_written_is_told_after_all_was_done() {
    let cli = cli();
    for arguments in [&["cordon", "a", "b"][..], &["delete", "-l", "team=red", "--expect", "2"], &["uncordon", "a"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(cli.command(arguments).stdout(full).output().unwrap());
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.starts_with("error: what was done can't be shown: No space left"), "{run:?}");
    }
    assert_eq!(cordoned(&cli.fake), 1);
}

#[test]
fn eight_nodes_are_changed_at_a_time_and_told_in_their_order() {
    let names: Vec<String> = (10..26).map(|number| format!("n{number}")).collect();
    let cli = Cli::of(Fake::with(names.iter().map(|name| worker(name))));
    let barrier = Arc::new(Barrier::new(8));
    for _ in &names {
        cli.fake.next(Fate::Meet(barrier.clone()));
    }
    let arguments: Vec<&str> = std::iter::once("cordon").chain(names.iter().map(String::as_str)).collect();
    let expected: String = names.iter().map(|name| format!("node/{name} cordoned\n")).collect();
    assert_eq!(cli.run(&arguments).ok(), expected);
}

#[test]
fn no_more_than_eight_nodes_are_changed_at_a_time() {
    let names: Vec<String> = (10..19).map(|number| format!("n{number}")).collect();
    let cli = Cli::of(Fake::with(names.iter().map(|name| worker(name))));
    let barrier = Arc::new(Barrier::new(9));
    for _ in &names {
        cli.fake.next(Fate::Meet(barrier.clone()));
    }
    let arguments: Vec<&str> =
        ["cordon", "--timeout", "300ms"].into_iter().chain(names.iter().map(String::as_str)).collect();
    assert_eq!(cli.run(&arguments).code, 5);
}

#[test]
fn a_server_that_is_away_for_a_moment_fails_none_of_many_changes() {
    let names = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"];
    let cli = Cli::of(Fake::with(names.map(worker)));
    for _ in 0..12 {
        cli.fake.next(Fate::Fail(unavailable()));
    }
    cli.run(&[&["cordon"], &names[..]].concat()).ok();
    assert_eq!(cordoned(&cli.fake), 8);
}

#[test]
fn nodes_that_were_not_tried_are_named() {
    let nobody = Nobody::listens();
    let endpoint = nobody.url();
    let names = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10"];
    let arguments = [&["cordon", "--endpoint", &endpoint][..], &names].concat();
    let run = Run::of(bare_command(&arguments).output().unwrap());
    assert_eq!(run.code, 5);
    assert!(run.err.contains("error: node/n8: the connection to the server failed"), "{}", run.err);
    assert!(run.err.ends_with("not tried: n9, n10\n"), "{}", run.err);
}

#[test]
fn an_empty_selection_is_a_usage_error_and_not_the_whole_fleet() {
    let cli = cli();
    for command in [
        &["cordon"][..],
        &["uncordon"],
        &["label", "x=1"],
        &["annotate", "x=1"],
        &["taint", "x:NoSchedule"],
        &["patch", "-p", "{}"],
        &["delete"],
        &["delete", "--expect", "2"],
    ] {
        for selection in [&["-l", ""][..], &["--filter", " "], &["-l", "team=red", "--filter", ""]] {
            let run = cli.run(&[command, selection].concat());
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{command:?} {selection:?}");
            assert!(run.err.contains("is empty: it would mean every node"), "{}", run.err);
            assert!(run.err.contains("give --filter 'name = \"*\"'"), "{}", run.err);
        }
    }
    assert!(cli.fake.calls().is_empty());
}

#[test]
fn an_empty_selector_of_a_list_is_none() {
    assert_eq!(cli().run(&["list", "-l", "", "-o", "name"]).ok(), "node/a\nnode/b\n");
}

#[test]
fn nothing_to_choose_from_is_a_usage_error() {
    for arguments in [&["cordon"][..], &["cordon", "a", "-l", "team=red"], &["cordon", "pods/a"]] {
        assert_eq!(cli().run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn an_etag_or_request_id_for_several_nodes_is_a_usage_error() {
    for flag in ["--etag", "--request-id"] {
        let run = cli().run(&["cordon", "a", "b", flag, "x"]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    }
}

#[test]
fn a_patch_is_strategic_unless_told_otherwise() {
    let request = patched(&["patch", "node", "a", "-p", r#"{"spec":{"unschedulable":true}}"#]);
    assert_eq!(
        (request.r#type(), request.patch.as_str()),
        (PatchType::StrategicMerge, r#"{"spec":{"unschedulable":true}}"#)
    );
    assert_eq!((request.subresource(), request.field_manager.as_str()), (Subresource::Unspecified, ""));
}

#[test]
fn a_selector_chooses_the_nodes_to_patch() {
    let cli = cli();
    let run = cli.run(&["patch", "-l", "team=red", "-p", "{}"]);
    assert_eq!(run.ok(), "node/a patched\nnode/b patched\n");
    assert_eq!(cli.run(&["patch", "-p", "{}"]).code, 2);
}

#[test]
fn a_patch_may_be_yaml() {
    let request = patched(&["patch", "a", "--type=merge", "-p", "metadata: {labels: {a: 'yes'}}"]);
    assert_eq!(
        (request.r#type(), request.patch.as_str()),
        (PatchType::Merge, r#"{"metadata":{"labels":{"a":"yes"}}}"#)
    );
}

#[test]
fn an_apply_patch_has_a_field_manager_and_may_be_forced() {
    let request = patched(&["patch", "a", "--type", "apply", "--force", "--subresource", "status", "-p", "status: {}"]);
    assert_eq!((request.r#type(), request.field_manager.as_str()), (PatchType::Apply, "nodeward-cli"));
    assert_eq!((request.force, request.subresource()), (true, Subresource::Status));
    let named = patched(&["patch", "a", "--type", "apply", "--field-manager", "me", "-p", "spec: {}"]);
    assert_eq!(named.field_manager, "me");
}

#[test]
fn a_patch_is_read_from_a_file_or_the_standard_input() {
    let run = cli()
        .run_with_input(&["patch", "a", "--type", "json", "--patch-file", "-"], "- {op: test, path: /x, value: 1}\n");
    assert_eq!(run.ok(), "node/a patched\n");
    assert_eq!(cli().run(&["patch", "a", "--patch-file", "/nowhere"]).code, 2);
}

#[test]
fn a_patch_that_can_not_be_read_is_a_usage_error() {
    for arguments in [
        &["patch", "a"][..],
        &["patch", "a", "-p", "a: [1\nb: }"],
        &["patch", "a", "-p", ""],
        &["patch", "a", "-p", "a: 1\n---\nb: 2"],
        &["patch", "a", "-p", "{}", "--force"],
        &["patch", "a", "-p", "{}", "--type", "xml"],
    ] {
        let Run { code, err, .. } = cli().run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
    }
}

#[test]
fn delete_says_what_it_did_in_kubectls_words() {
    let cli = cli();
    assert_eq!(cli.run(&["delete", "nodes/a", "--dry-run=server"]).ok(), "node \"a\" deleted (server dry run)\n");
    assert_eq!(cli.run(&["delete", "node", "a"]).ok(), "node \"a\" deleted\n");
    assert!(cli.fake.get("a").is_none());
}

#[test]
fn deleting_a_missing_node_fails_unless_that_is_fine() {
    assert_eq!(cli().run(&["delete", "missing"]).code, 3);
    let cli = cli();
    // As with kubectl, nothing is said of a node that was not there.
    assert_eq!(cli.run(&["delete", "missing", "--ignore-not-found"]).ok(), "");
    assert_eq!(cli.run(&["delete", "missing", "a", "--ignore-not-found", "-o", "name"]).ok(), "node/a\n");
}

#[test]
fn what_happens_to_owned_objects_is_sent() {
    let cli = cli();
    cli.run(&["delete", "a", "--cascade", "orphan"]).ok();
    let Some(Call::Delete(request)) = cli.fake.calls().pop() else { panic!("it was not asked") };
    assert_eq!(request.propagation_policy(), PropagationPolicy::Orphan);
}

#[test]
fn nodes_that_match_are_deleted_if_they_are_as_many_as_expected() {
    let cli = cli();
    let run = cli.run(&["delete", "-l", "team=red", "--expect", "2", "--etag", "set-0"]);
    assert_eq!(run.ok(), "node \"a\" deleted\nnode \"b\" deleted\n");
    let Some(Call::DeleteMany(DeleteNodesRequest { label_selector, expected_count, etag, .. })) =
        cli.fake.calls().pop()
    else {
        panic!("it was not asked")
    };
    assert_eq!((label_selector.as_str(), expected_count, etag.as_str()), ("team=red", 2, "\"set-0\""));
}

#[test]
fn another_number_of_nodes_is_a_failed_precondition() {
    let run = cli().run(&["delete", "-l", "team=red", "--expect", "3"]);
    assert_eq!(run.code, 4);
    assert!(
        run.err.starts_with("error: 2 nodes match, 3 were expected (COUNT_MISMATCH)\nhint: list them\n"),
        "{}",
        run.err
    );
}

#[test]
fn without_an_expected_number_the_matching_nodes_are_named_and_none_deleted() {
    let cli = cli();
    let run = cli.run(&["delete", "-l", "team=red"]);
    assert_eq!(
        (run.code, run.err.as_str()),
        (2, "error: --expect is required with a selector or a filter\nhint: 2 match now: a, b\n")
    );
    assert!(cli.fake.get("a").is_some());
}
