//! `audit`.

use std::path::Path;

use nodeward_audit_log::{AuditLog, Options, Position, Record};
use nodeward_client::Code;
use nodeward_client::api::{ManagedFieldsEntry, Node, ObjectMeta};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Cli, Run, bare_command};
use crate::fake::{Fake, intent, marks, outcome, sends, status, unavailable};

/// A log with calls a and b, b not ended yet, and worker-3, which somebody cordoned with kubectl in second 3.
fn cli() -> Cli {
    let entry = |manager: &str, seconds| ManagedFieldsEntry {
        manager: Some(manager.into()),
        operation: Some("Update".into()),
        time: Some(Timestamp { seconds, nanos: 0 }),
        fields_v1_json: Some(r#"{"f:spec":{"f:unschedulable":{}}}"#.into()),
        ..ManagedFieldsEntry::default()
    };
    let managed_fields = vec![entry("kubectl-cordon", 3), entry("nodeward", 2)];
    let metadata = ObjectMeta { managed_fields, ..ObjectMeta::default() };
    let node = Node { name: "nodes/worker-3".into(), metadata: Some(metadata), ..Node::default() };
    let pages = [vec![intent("b", 4)], vec![], vec![outcome("a", 2), intent("a", 2)]];
    Cli::of(Fake::with([node]).with_audit_pages(pages))
}

#[test]
fn a_call_is_one_line_and_what_did_not_come_through_nodeward_is_another() {
    let expected = "\
TIME                   USER        RPC          NODE       OUTCOME                AUDIT-ID   WHY
1970-01-01T00:00:04Z   alice       CordonNode   worker-3   pending                b          new disk
1970-01-01T00:00:03Z   <unknown>   <none>       worker-3   not-through-nodeward   <none>     kubectl-cordon (Update) has set spec.unschedulable
1970-01-01T00:00:02Z   alice       CordonNode   worker-3   changed                a          new disk
";
    assert_eq!(cli().run(&["audit", "list", "--node", "worker-3"]).ok(), expected);
}

#[test]
fn the_other_changes_are_asked_for_with_a_node_alone() {
    for flags in [&["--user", "alice"][..], &["--node", "worker-3", "--outcome", "changed"]] {
        let cli = cli();
        let out = cli.run(&[&["audit", "list"], flags].concat()).ok();
        assert!(!out.contains("not-through-nodeward"), "{out}");
        assert_eq!(cli.fake.calls().len(), 3, "the pages");
    }
}

#[test]
fn times_bound_the_other_changes_too() {
    let node = ["audit", "list", "--node", "worker-3"];
    let out = cli().run(&[&node[..], &["--since", "1970-01-01T00:00:03.5Z"]].concat()).ok();
    assert!(out.contains("not-through-nodeward"), "Kubernetes' times are in seconds: {out}");
    let out = cli().run(&[&node[..], &["--since", "1970-01-01T00:00:04Z"]].concat()).ok();
    assert!(!out.contains("not-through-nodeward"), "{out}");
    let out = cli().run(&[&node[..], &["--until", "1970-01-01T00:00:03Z"]].concat()).ok();
    assert!(!out.contains("not-through-nodeward"), "{out}");
}

#[test]
fn of_a_node_that_is_gone_the_records_are_shown() {
    let cli = cli();
    cli.fake.lock().nodes.clear();
    let run = cli.run(&["audit", "list", "--node", "worker-3"]);
    assert!(run.err.contains("does not exist now"), "{run:?}");
    assert!(run.ok().contains("changed"));
}

#[test]
fn the_flags_are_sent_as_the_filter() {
    let cli = cli();
    let flags =
        ["--user", "bob", "--rpc", "DeleteNode", "--outcome", "failed", "--audit-id", "x", "--until", "1970-01-02"];
    cli.run(&[&["audit", "list", "--since", "1970-01-01T00:00:01Z"][..], &flags].concat()).ok();
    let request = cli.fake.audit_list_requests().remove(0);
    let filter = request.filter.unwrap();
    assert_eq!((filter.username.as_str(), filter.rpc.as_str(), filter.audit_id.as_str()), ("bob", "DeleteNode", "x"));
    assert_eq!(filter.result().as_str_name(), "RESULT_FAILED");
    let seconds = |time: Option<Timestamp>| time.unwrap().seconds;
    assert_eq!((seconds(request.since_time), seconds(request.until_time)), (1, 86_400));
}

#[test]
fn no_more_calls_are_shown_than_asked_for_and_it_is_said_that_there_are_more() {
    let run = cli().run(&["audit", "list", "--limit", "1"]);
    assert!(run.err.contains("more than these 1 calls"), "{run:?}");
    assert_eq!(run.ok().lines().count(), 2);
    assert_eq!(cli().run(&["audit", "list", "--limit", "0"]).err, "");
}

#[test]
fn json_is_the_message_of_the_contract_with_the_other_changes() {
    let run = cli().run(&["audit", "list", "--node", "worker-3", "-o", "json"]);
    let value: Value = serde_json::from_str(&run.ok()).unwrap();
    assert_eq!(value["auditRecords"][1]["outcome"]["result"], "RESULT_CHANGED");
    assert_eq!(value["log"], "2f19aff2-10ab-4485-9cf4-234e4a0d742c");
    let other = json!({
        "node": "worker-3",
        "manager": "kubectl-cordon",
        "operation": "Update",
        "time": "1970-01-01T00:00:03Z",
        "fields": ["spec.unschedulable"],
    });
    assert_eq!(value["notThroughNodeward"], json!([other]));
}

#[test]
fn the_wide_table_has_positions_to_keep() {
    let out = cli().run(&["audit", "list", "-o", "wide"]).ok();
    assert!(out.lines().next().unwrap().ends_with("POSITION   WHY"), "{out}");
}

#[test]
fn followed_calls_are_lines_as_they_end_and_interruptions_are_told_once() {
    let fake = Fake::default();
    fake.next_audit_stream([marks("t0"), sends(intent("a", 1), "t1"), sends(outcome("a", 1), "t2")])
        .next_audit_stream([Err(unavailable())])
        .next_audit_stream([Err(unavailable())])
        .next_audit_stream([marks("t2"), sends(outcome("b", 2), "t3")]);
    let cli = Cli::of(fake);
    let run = cli.run(&["audit", "follow"]);
    let calls: Vec<&str> = run.out.lines().skip(1).map(|line| line.split_whitespace().nth(5).unwrap()).collect();
    assert_eq!((calls, run.code), (vec!["a", "b"], 6), "{run:?}");
    assert_eq!(run.err.matches("trying again").count(), 1, "{}", run.err);
    assert_eq!(cli.fake.audit_stream_requests().last().unwrap().resume_token, "t3");
}

#[test]
fn followed_messages_are_json_on_each_line() {
    let fake = Fake::default();
    fake.next_audit_stream([marks("t0"), sends(intent("a", 1), "t1")]);
    let out = Cli::of(fake).run(&["audit", "follow", "-o", "json"]).out;
    let messages: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages[0], json!({"bookmark": {}, "resumeToken": "t0"}));
    assert_eq!(messages[1]["record"]["stage"], "STAGE_REQUEST_RECEIVED");
}

#[test]
fn a_log_that_is_not_the_one_of_the_token_is_a_conflict() {
    let fake = Fake::default();
    fake.next_audit_stream([Err(status(Code::OutOfRange, "AUDIT_LOG_MISMATCH", "another log", None))]);
    assert_eq!(Cli::of(fake).run(&["audit", "follow", "--resume-token", "t9"]).code, 4);
}

/// A log with a few records, its public key, and where it is after the first of them.
struct Written {
    dir: TempDir,
    key: String,
    position: Position,
}

impl Written {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("log"), dir.path().join("key"));
        let (key, position) = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let log = AuditLog::open(options).await.unwrap();
            let key = log.public_key();
            let position = log.append(Record::new(&json!({"reason": "new disk"})).unwrap()).await.unwrap();
            log.append(Record::new(&json!({"reason": "old disk"})).unwrap()).await.unwrap();
            log.close().await.unwrap();
            (key, position)
        });
        std::fs::write(dir.path().join("key.pub.pem"), key.to_pem()).unwrap();
        Self { dir, key: key.to_string(), position }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Verifies it with its key and these flags.
    fn verify(&self, flags: &[&str]) -> Run {
        verify(&self.path("log"), &[&["--public-key", &self.key], flags].concat())
    }
}

fn verify(log: &str, flags: &[&str]) -> Run {
    Run::of(bare_command(&[&["audit", "verify", log], flags].concat()).output().unwrap())
}

#[test]
fn a_log_that_is_what_was_written_is_intact() {
    let log = Written::new();
    std::fs::copy(Path::new(&log.path("log")).join("head"), log.path("kept")).unwrap();
    let kept = ["--expect", &log.position.to_string(), "--checkpoint", &log.path("kept")];
    let out = log.verify(&kept).ok();
    assert!(out.contains("The log is intact.") && out.contains(&format!("Checked with the given key {}", log.key)));
    verify(&log.path("log"), &["--public-key", &log.path("key.pub.pem")]).ok();
}

#[test]
fn a_log_that_was_changed_is_not_intact_and_it_is_said_where() {
    let log = Written::new();
    let segment = Path::new(&log.path("log")).join("audit-0000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("new disk", "no  disk", 1)).unwrap();
    let run = log.verify(&[]);
    assert_eq!(run.code, 7, "{run:?}");
    assert!(run.out.contains("audit-0000000001.jsonl, line 3, entry 3: the line was changed"), "{}", run.out);
    let report: Value = serde_json::from_str(&log.verify(&["-o", "json"]).out).unwrap();
    assert_eq!(report["problems"][0]["place"]["line"], 3);
}

#[test]
fn another_log_than_the_expected_one_is_not_intact() {
    let [log, other] = [Written::new(), Written::new()];
    assert_eq!(verify(&log.path("log"), &["--public-key", &other.key]).code, 7);
    assert_eq!(log.verify(&["--expect", &other.position.to_string()]).code, 7);
}

#[test]
fn what_can_not_be_verified_is_a_mistake_of_the_command_line() {
    let log = Written::new();
    assert_eq!(verify(&log.path("nowhere"), &["--public-key", &log.key]).code, 2);
    assert_eq!(verify(&log.path("log"), &[]).code, 2, "nobody has said whom to trust");
    assert_eq!(verify(&log.path("log"), &["--public-key", &log.path("key")]).code, 2, "that is the private key");
    assert_eq!(log.verify(&["--expect", "7"]).code, 2);
    std::fs::write(log.path("kept"), "\nnonsense\n").unwrap();
    let run = log.verify(&["--checkpoint", &log.path("kept")]);
    assert!(run.code == 2 && run.err.contains("line 2"), "{run:?}");
}

#[test]
fn without_a_key_from_elsewhere_the_report_says_what_it_is_worth() {
    let log = Written::new();
    let out = verify(&log.path("log"), &["--trust-the-log"]).ok();
    assert!(out.contains("Checked with the log's own key"), "{out}");
}
