//! What is said about a failure, and the exit code.

use std::time::Duration;

use nodeward_client::Code;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Cli, Run, bare_command};
use crate::fake::{Fake, Fate, Step, TRACE_ID, expired, put_off, status, unavailable, worker};
use crate::nobody::Nobody;

fn cli() -> Cli {
    Cli::of(Fake::with([worker("a"), worker("b")]))
}

fn failing(status: Status) -> Run {
    let cli = cli();
    cli.fake.next(Fate::Fail(status));
    cli.run(&["cordon", "a"])
}

#[test]
fn the_exit_code_tells_the_kind_of_the_failure() {
    let cases = [
        (Code::NotFound, "NODE_NOT_FOUND", 3),
        (Code::Aborted, "ETAG_MISMATCH", 4),
        (Code::AlreadyExists, "NODE_ALREADY_EXISTS", 4),
        (Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT", 4),
        (Code::FailedPrecondition, "CLUSTER_DENIED", 6),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 5),
        (Code::PermissionDenied, "ACCESS_DENIED", 6),
        (Code::Unauthenticated, "CREDENTIALS_INVALID", 6),
        (Code::InvalidArgument, "INVALID_FIELD", 2),
        (Code::InvalidArgument, "MALFORMED_MESSAGE", 1),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE", 2),
        (Code::Internal, "INTERNAL", 1),
    ];
    for (code, reason, expected) in cases {
        assert_eq!(failing(status(code, reason, "no", None)).code, expected, "{reason}");
    }
}

#[test]
fn the_reason_the_hint_and_the_trace_are_shown() {
    let run = failing(status(Code::Aborted, "CONFLICT", "others changed it", Some("send it again")));
    assert_eq!(run.err, format!("error: others changed it (CONFLICT)\nhint: send it again\ntrace: {TRACE_ID}\n"));
}

#[test]
fn each_bad_field_is_shown() {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("reason", "is too long").add_bad_request_violation("etag", "must be quoted");
    let run = failing(Status::with_error_details(Code::InvalidArgument, "the request is invalid", details));
    assert_eq!(run.err, "error: the request is invalid\n  reason: is too long\n  etag: must be quoted\n");
}

#[test]
fn a_bad_field_that_the_message_names_is_not_shown_twice() {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("etag", "must be quoted");
    let run = failing(Status::with_error_details(Code::InvalidArgument, "bad: etag: must be quoted", details));
    assert_eq!(run.err, "error: bad: etag: must be quoted\n");
}

#[test]
fn a_terminal_sequence_of_the_server_is_not_obeyed() {
    assert!(failing(status(Code::Internal, "X", "a\u{1b}[31m", None)).err.starts_with("error: a\\u{1b}[31m (X)"));
}

#[test]
fn there_are_no_colours_in_a_pipe() {
    assert!(!failing(status(Code::Internal, "X", "no", None)).err.contains('\u{1b}'));
}

fn too_late() -> Fate {
    Fate::Lose(status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "too late", None))
}

#[test]
fn a_change_of_which_the_outcome_is_open_says_how_to_repeat_it() {
    let cli = cli();
    cli.fake.next(too_late());
    let run = cli.run(&["cordon", "a"]);
    let id = cli.fake.request_ids().remove(0);
    let expected = format!("request: {id} (repeat the command with --request-id {id} to have it done once)\n");
    assert!(run.err.contains(&expected), "{}", run.err);
}

#[test]
fn one_of_several_changes_is_repeated_alone() {
    let cli = cli();
    cli.fake.next(too_late()).next(too_late());
    let run = cli.run(&["cordon", "a", "b"]);
    assert!(run.err.contains("error: node/a: too late") && run.err.contains("error: node/b: too late"), "{}", run.err);
    assert_eq!(run.err.matches("(repeat the command for node/").count(), 2, "{}", run.err);
    assert!(run.err.contains("(repeat the command for node/b alone with --request-id "), "{}", run.err);
}

#[test]
fn a_dry_run_need_not_be_done_once() {
    let cli = cli();
    cli.fake.next(too_late());
    assert!(!cli.run(&["cordon", "a", "--dry-run"]).err.contains("repeat the command"));
}

#[test]
fn a_read_need_not_be_done_once() {
    let cli = cli();
    cli.fake.next(too_late());
    assert!(!cli.run(&["list"]).err.contains("repeat the command"));
}

#[test]
fn a_change_that_was_refused_is_not_to_be_repeated() {
    let run = failing(status(Code::FailedPrecondition, "CLUSTER_DENIED", "no", None));
    assert!(!run.err.contains("repeat the command"), "{}", run.err);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = Nobody::listens();
    let run = Run::of(bare_command(&["list", "--endpoint", &nobody.url()]).output().unwrap());
    assert_eq!(run.code, 5);
    assert!(run.err.starts_with("error: the connection to the server failed: "), "{}", run.err);
    assert!(
        run.err.contains("onnection refused") && run.err.contains(&format!("a server runs at {}", nobody.url())),
        "{}",
        run.err
    );
}

#[test]
fn a_server_that_does_not_answer_is_left_at_the_timeout() {
    let cli = cli();
    cli.fake.next(Fate::Hang);
    assert_eq!(cli.run(&["cordon", "a", "--timeout", "200ms"]).code, 5);
}

#[test]
fn a_server_that_is_unavailable_for_a_moment_is_asked_again() {
    let cli = cli();
    cli.fake.next(Fate::Fail(unavailable()));
    assert_eq!(cli.run(&["cordon", "a"]).ok(), "node/a cordoned\n");
}

#[test]
fn who_is_put_off_until_after_the_timeout_exits_with_5() {
    let cli = cli();
    cli.fake.next(Fate::Fail(put_off("RATE_LIMITED", Duration::from_secs(60))));
    let run = cli.run(&["cordon", "a"]);
    assert_eq!(run.code, 5);
    // Nothing was done: there is no outcome to ask for.
    assert!(run.err.contains("try again in 60s") && !run.err.contains("--request-id"), "{}", run.err);
}

#[test]
fn who_is_not_known_is_not_known_for_the_other_nodes_either() {
    let names: Vec<String> = (1..=10).map(|number| format!("n{number}")).collect();
    let cli = Cli::of(Fake::with(names.iter().map(|name| worker(name))));
    // Those that are asked about at the same time.
    for _ in 0..8 {
        cli.fake.next(Fate::Fail(status(Code::Unauthenticated, "CREDENTIALS_INVALID", "who are you", None)));
    }
    let run = cli.run(&["cordon"].into_iter().chain(names.iter().map(String::as_str)).collect::<Vec<&str>>());
    assert_eq!((run.code, cli.fake.request_ids().len()), (6, 8));
    assert!(run.err.ends_with("not tried: n9, n10\n"), "{}", run.err);
}

#[test]
fn failures_of_different_kinds_exit_with_1() {
    let cli = cli();
    cli.fake.next(Fate::Fail(status(Code::Aborted, "CONFLICT", "no", None)));
    assert_eq!(cli.run(&["cordon", "a", "missing", "b"]).code, 1);
}

#[test]
fn options_of_the_connection_that_can_not_be_used_are_usage_errors() {
    for arguments in [
        &["--endpoint", "http://nodeward.example.com"][..],
        &["--endpoint", "nodeward.example.com:7443"],
        &["--endpoint", "https://localhost", "--ca-file", "/nowhere"],
        &["--endpoint", "https://localhost", "--cert", "a.pem"],
        &["--token", "a", "--token-file", "b"],
        &["--timeout", "soon"],
    ] {
        let run = Run::of(bare_command(&[&["list"], arguments].concat()).output().unwrap());
        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
    }
}

#[test]
fn a_plain_endpoint_elsewhere_says_how_to_allow_it() {
    let run = Run::of(bare_command(&["list", "--endpoint", "http://nodeward.example.com"]).output().unwrap());
    assert!(run.err.contains("hint: use https://, or give --plaintext"), "{}", run.err);
}

#[test]
fn the_token_and_the_callers_trace_are_sent() {
    let cli = cli();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut command = cli.command(&["get", "a"]);
    Run::of(command.env("NODEWARD_TOKEN", "secret").env("TRACEPARENT", parent).output().unwrap()).ok();
    let metadata = cli.fake.lock().metadata[0].clone();
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer secret");
    assert_eq!(metadata.get("traceparent").unwrap(), parent);
    assert!(metadata.get("user-agent").unwrap().to_str().unwrap().starts_with("nodeward/"));
}

#[test]
fn the_help_does_not_show_the_token() {
    let mut command = bare_command(&["list", "--help"]);
    let output = command.env("NODEWARD_TOKEN", "secret").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("secret"));
}

/// What `get a` sent as its token, and how it ended, with these variables and flags.
fn token_sent(variables: &[(&str, &str)], flags: &[&str]) -> (i32, Option<String>) {
    let cli = cli();
    let mut command = cli.command(&[&["get", "a"], flags].concat());
    command.envs(variables.iter().copied());
    let code = Run::of(command.output().unwrap()).code;
    let metadata = cli.fake.lock().metadata.clone();
    let token = metadata.first().and_then(|one| one.get("authorization")).map(|one| one.to_str().unwrap().to_owned());
    (code, token)
}

#[test]
fn a_flag_for_the_token_overrides_both_variables() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "of-file").unwrap();
    let path = file.path().to_str().unwrap();
    let (of_file, of_flag) = ((0, Some("Bearer of-file".to_owned())), (0, Some("Bearer of-flag".to_owned())));
    assert_eq!(token_sent(&[("NODEWARD_TOKEN", "x")], &["--token-file", path]), of_file);
    assert_eq!(token_sent(&[("NODEWARD_TOKEN_FILE", "/nowhere")], &["--token", "of-flag"]), of_flag);
    assert_eq!(token_sent(&[("NODEWARD_TOKEN", "x")], &["--token", "of-flag"]), of_flag);
    assert_eq!(token_sent(&[("NODEWARD_TOKEN_FILE", path)], &[]), of_file);
}

#[test]
fn two_variables_for_the_token_are_a_usage_error() {
    assert_eq!(token_sent(&[("NODEWARD_TOKEN", "x"), ("NODEWARD_TOKEN_FILE", "y")], &[]), (2, None));
}

#[test]
fn a_variable_that_turns_something_on_takes_the_usual_words() {
    let run = |value: &str| {
        let mut command = bare_command(&["list", "--endpoint", "http://nodeward.invalid", "--timeout", "100ms"]);
        Run::of(command.env("NODEWARD_PLAINTEXT", value).output().unwrap())
    };
    for on in ["1", "true", "yes", "on"] {
        assert_eq!(run(on).code, 5, "{on}");
    }
    for off in ["0", "false", "no", "off"] {
        assert!(run(off).err.contains("is not encrypted"), "{off}");
    }
    assert_eq!(run("maybe").code, 2);
}

#[test]
fn a_timeout_of_millennia_is_no_error() {
    cli().run(&["cordon", "a", "--timeout", "20000y"]).ok();
}

#[test]
fn a_resume_token_that_can_not_be_used_has_its_documented_exit_code() {
    for (status, code) in [
        (expired(), 4),
        (status(Code::InvalidArgument, "INVALID_RESUME_TOKEN", "the token is not of this watch", None), 2),
    ] {
        let fake = Fake::default();
        fake.next_watch([Step::Fail(status)]);
        assert_eq!(Cli::of(fake).run(&["watch", "--resume-token", "t0"]).code, code);
    }
}
