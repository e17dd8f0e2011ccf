//! `watch`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use nodeward_client::Code;
use nodeward_client::api::node_change::Type;
use serde_json::Value;

use super::{Cli, Run, bare_command};
use crate::fake::{Fake, Step, change, complete, status, unavailable, worker};
use crate::nobody::Nobody;

/// A watch that sends this and then fails for good, so that the command ends.
fn cli(steps: impl IntoIterator<Item = Step>) -> Cli {
    let fake = Fake::default();
    fake.next_watch(steps.into_iter().chain([last()]));
    Cli::of(fake)
}

fn last() -> Step {
    Step::Fail(status(Code::PermissionDenied, "ACCESS_DENIED", "that was all", None))
}

fn steps() -> [Step; 3] {
    [change(Type::Added, worker("a"), "t1"), complete(1, "t2"), change(Type::Deleted, worker("a"), "t3")]
}

#[test]
fn events_are_rows_with_their_kind() {
    let run = cli(steps()).run(&["watch"]);
    let rows: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["EVENT", "NAME", "STATUS", "ROLES", "AGE", "VERSION", "CHANGED"]);
    assert_eq!(rows[1], ["ADDED", "a", "Ready", "worker", "3h1m", "v1.36.0"]);
    assert_eq!(rows[2][..2], ["DELETED", "a"]);
    assert_eq!((rows.len(), run.code), (3, 6));
}

#[test]
fn json_is_a_message_of_the_contract_on_each_line() {
    let run = cli(steps()).run(&["watch", "-o", "json"]);
    let messages: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages[0]["change"]["type"], "TYPE_ADDED");
    assert_eq!(messages[1]["snapshotComplete"]["nodeCount"], 1);
    assert_eq!((messages[2]["resumeToken"].as_str(), messages.len()), (Some("t3"), 3));
}

#[test]
fn names_and_yaml_are_printed_too() {
    assert_eq!(cli(steps()).run(&["watch", "-o", "name"]).out, "node/a\nnode/a\n");
    assert!(cli(steps()).run(&["watch", "-o", "yaml"]).out.starts_with("---\nchange:\n  node:\n"));
}

#[test]
fn get_with_watch_is_a_watch_of_that_node() {
    let cli = cli(steps());
    assert!(cli.run(&["get", "nodes", "a", "-w"]).out.contains("DELETED"));
    assert_eq!(cli.fake.watch_requests()[0].filter, "name = \"a\"");
}

#[test]
fn selector_filter_and_token_are_sent() {
    let cli = cli(steps());
    cli.run(&["watch", "-l", "team=red", "--filter", "ready = true", "--resume-token", "t9"]);
    let request = cli.fake.watch_requests().remove(0);
    assert_eq!((request.label_selector.as_str(), request.filter.as_str()), ("team=red", "ready = true"));
    assert_eq!(request.resume_token, "t9");
}

#[test]
fn only_changes_are_shown_if_the_snapshot_is_not_wanted() {
    let out = cli(steps()).run(&["watch", "--watch-only", "-o", "name"]).out;
    assert_eq!(out, "node/a\n");
}

#[test]
fn an_interruption_is_told_once_and_survived() {
    let fake = Fake::default();
    fake.next_watch([change(Type::Added, worker("a"), "t1"), Step::Fail(unavailable())])
        .next_watch([Step::Fail(unavailable())])
        .next_watch([change(Type::Added, worker("b"), "t2"), last()]);
    let run = Cli::of(fake).run(&["watch", "-o", "name"]);
    assert_eq!(run.out, "node/a\nnode/b\n");
    assert_eq!(run.err.matches("trying again").count(), 1, "{}", run.err);
    assert_eq!(run.err.matches("the watch goes on").count(), 1, "{}", run.err);
}

#[test]
fn a_server_that_was_never_there_ends_the_watch_at_the_timeout() {
    let nobody = Nobody::listens();
    let run = Run::of(bare_command(&["watch", "--endpoint", &nobody.url(), "--timeout", "100ms"]).output().unwrap());
    assert_eq!(run.code, 5, "{run:?}");
}

#[test]
fn a_server_that_accepts_and_never_answers_ends_the_watch_at_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let begin = Instant::now();
    let run = Run::of(bare_command(&["watch", "--endpoint", &endpoint, "--timeout", "300ms"]).output().unwrap());
    assert_eq!(run.code, 5, "{run:?}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn a_watch_that_is_accepted_and_hears_nothing_ends_at_the_timeout() {
    let fake = Fake::default();
    fake.next_watch([]);
    assert_eq!(Cli::of(fake).run(&["watch", "--timeout", "300ms"]).code, 5);
}
