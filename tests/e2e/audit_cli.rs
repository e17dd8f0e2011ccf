//! The audit log from the command line: who changed this node, and whether the log is what was written.

use std::path::{Path, PathBuf};
use std::process::Output;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use nodeward_api::v1::{CordonNodeRequest, UncordonNodeRequest};
use nodeward_audit_log::SigningKey;
use nodeward_sandbox::{CertificateFiles, ClientCertificate, Subject, User};
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::AuditOptions;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::Code;

use crate::support::guarded::guarded;
use crate::support::process::binary;
use crate::support::{assert_error, connect, unique, world};

/// What a run of the command gave.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

async fn nodeward(args: &[&str]) -> Run {
    let mut command = Command::new(binary("nodeward").await);
    command.args(args).env_clear().env("NODEWARD_CONFIG", "/nowhere/config.yaml");
    Run::of(command.output().await.unwrap())
}

/// The command, run by whoever has this certificate, against the server that knows its callers.
async fn nodeward_as(certificate: &CertificateFiles, args: &[&str]) -> Run {
    let endpoint = format!("https://localhost:{}", guarded().await.server.address().port());
    let ca = world().await.sandbox.server_ca();
    let [ca, cert, key] = [&ca, &certificate.certificate, &certificate.key].map(|path| path.to_str().unwrap());
    nodeward(&[args, &["--endpoint", &endpoint, "--ca-file", ca, "--cert", cert, "--key", key]].concat()).await
}

async fn cordon_as(user: User, node: &str, reason: &str) -> Result<(), tonic::Status> {
    let request = CordonNodeRequest { name: format!("nodes/{node}"), reason: reason.into(), ..Default::default() };
    guarded().await.user(user).await.client().cordon_node(request).await.map(drop)
}

/// A node that a viewer tried to cordon, an operator has cordoned, and somebody has labelled past nodeward.
async fn node_with_a_past() -> String {
    let node = guarded().await.node("past").await;
    assert_error(cordon_as(User::Viewer, &node, "just so").await, Code::PermissionDenied, "ACCESS_DENIED");
    cordon_as(User::Operator, &node, "new disk").await.unwrap();
    let label = json!({ "metadata": { "labels": { "team": "blue" } } });
    let params = PatchParams { field_manager: Some("kubectl-label".to_owned()), ..PatchParams::default() };
    world().await.kubernetes().await.patch(&node, &params, &Patch::Merge(&label)).await.unwrap();
    node
}

#[tokio::test]
async fn who_changed_a_node_when_and_why_is_one_command_also_where_it_was_not_through_nodeward() {
    let node = node_with_a_past().await;
    let auditor = world().await.sandbox.user_certificate(User::Auditor);
    let out = nodeward_as(&auditor, &["audit", "list", "--node", &node]).await.ok();
    let line = |text: &str| out.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {out}"));
    let cells = |text: &str| line(text).split_whitespace().skip(1).take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells("new disk"), ["operator", "CordonNode", &node, "changed"]);
    assert_eq!(cells("just so"), ["viewer", "CordonNode", &node, "ACCESS_DENIED"]);
    let other = line("kubectl-label (Update) has set metadata.labels.team");
    assert!(other.contains("not-through-nodeward"), "{out}");
    assert!(!out.contains("nodeward (Update)"), "what came through nodeward is shown once: {out}");

    let json = nodeward_as(&auditor, &["audit", "list", "--node", &node, "-o", "json"]).await.ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["auditRecords"].as_array().unwrap().len(), 2, "{json}");
    assert!(json["notThroughNodeward"].as_array().unwrap().iter().any(|one| one["manager"] == "kubectl-label"));
}

/// Somebody who may list audit records, and nothing else.
async fn reader_of_records_alone() -> CertificateFiles {
    let name = unique("records-alone");
    let rules = json!([{ "apiGroups": ["nodeward.dev"], "resources": ["auditrecords"], "verbs": ["list"] }]);
    let role = serde_json::from_value(json!({ "metadata": { "name": name }, "rules": rules })).unwrap();
    let sandbox = &world().await.sandbox;
    let roles: Api<ClusterRole> = Api::all(sandbox.client().await.unwrap());
    roles.create(&PostParams::default(), &role).await.unwrap();
    sandbox.bind(&Subject::user(&name), &name).await.unwrap();
    sandbox.issue(&ClientCertificate::of(name)).unwrap()
}

#[tokio::test]
async fn whoever_may_not_get_the_node_is_shown_the_records_and_told_what_is_missing() {
    let node = node_with_a_past().await;
    let run = nodeward_as(&reader_of_records_alone().await, &["audit", "list", "--node", &node]).await;
    assert!(run.err.contains("not shown") && run.err.contains("get nodes"), "{run:?}");
    let out = run.ok();
    assert!(out.contains("new disk") && !out.contains("not-through-nodeward"), "{out}");
}

#[tokio::test]
async fn an_operator_may_not_read_the_audit_log() {
    let operator = world().await.sandbox.user_certificate(User::Operator);
    let run = nodeward_as(&operator, &["audit", "list"]).await;
    assert_eq!(run.code, 6, "{run:?}");
    assert!(run.err.contains("the caller may not list auditrecords.nodeward.dev (ACCESS_DENIED)"), "{run:?}");
}

/// A log that a server has written, with two changes of a node.
struct Written {
    dir: TempDir,
    node: String,
}

impl Written {
    async fn new() -> Self {
        let written = Self { dir: tempfile::tempdir().unwrap(), node: world().await.node("written").await };
        written.serve().await;
        written
    }

    /// Changes the node twice, by a server on this log, which then stops.
    async fn serve(&self) {
        let audit = AuditOptions { audit_dir: Some(self.log()), ..AuditOptions::default() };
        let server = world().await.another_server(ServeOptions { audit, ..ServeOptions::default() }).await;
        let mut client = connect(server.address()).await;
        let name = format!("nodes/{}", self.node);
        let cordon = CordonNodeRequest { name: name.clone(), reason: "new disk".into(), ..Default::default() };
        client.cordon_node(cordon).await.unwrap();
        client.uncordon_node(UncordonNodeRequest { name, ..Default::default() }).await.unwrap();
        server.stop().await.unwrap();
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn segment(&self) -> PathBuf {
        self.log().join("audit-0000000001.jsonl")
    }

    /// Changes the lines of the log.
    fn tamper(&self, change: impl FnOnce(&mut Vec<String>)) {
        let text = std::fs::read_to_string(self.segment()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        std::fs::write(self.segment(), lines.join("\n") + "\n").unwrap();
    }

    /// A copy of a file or of the whole log.
    fn keep(&self, name: &str) -> PathBuf {
        let kept = self.dir.path().join(unique("kept"));
        copy(&self.log().join(name), &kept);
        kept
    }

    /// Verifies the log with its key and these flags.
    async fn verify(&self, flags: &[&str]) -> Run {
        let key = SigningKey::load(&self.dir.path().join("audit-key.pem")).unwrap().public_key().to_string();
        let log = self.log();
        nodeward(&[&["audit", "verify", log.to_str().unwrap(), "--public-key", &key], flags].concat()).await
    }

    /// Asserts that the log is not intact, and that the report says this.
    async fn assert_found(&self, says: &str) {
        let run = self.verify(&[]).await;
        assert_eq!(run.code, 7, "{run:?}");
        assert!(run.out.contains(says), "{says:?} is not in {}", run.out);
    }
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

// The lines: a header, a checkpoint, intent and outcome of the first change, those of the second, a checkpoint.

#[tokio::test]
async fn a_log_that_a_server_wrote_is_intact() {
    let out = Written::new().await.verify(&[]).await.ok();
    assert!(out.contains("The log is intact.") && out.contains("4 of them records"), "{out}");
}

#[tokio::test]
async fn an_edited_line_is_found() {
    let log = Written::new().await;
    log.tamper(|lines| lines[2] = lines[2].replace("new disk", "no reason"));
    log.assert_found("audit-0000000001.jsonl, line 3, entry 3: the line was changed").await;
}

#[tokio::test]
async fn a_removed_line_is_found() {
    let log = Written::new().await;
    log.tamper(|lines| drop(lines.remove(3)));
    log.assert_found("audit-0000000001.jsonl, line 4, entry 5: entry 4 was removed before this one").await;
}

#[tokio::test]
async fn reordered_lines_are_found() {
    let log = Written::new().await;
    log.tamper(|lines| lines.swap(3, 4));
    log.assert_found("audit-0000000001.jsonl, line 5, entry 4: entries up to 4 stand here out of order").await;
}

#[tokio::test]
async fn a_truncated_log_is_found_by_its_head() {
    let log = Written::new().await;
    log.tamper(|lines| lines.truncate(4));
    log.assert_found("the log was truncated: it ends here, but by the file head it had entry 7").await;
}

#[tokio::test]
async fn a_log_that_was_truncated_with_its_head_is_found_by_a_checkpoint_kept_elsewhere() {
    let log = Written::new().await;
    let kept = log.keep("head");
    log.tamper(|lines| lines.truncate(4));
    let text = std::fs::read_to_string(log.segment()).unwrap();
    std::fs::write(log.log().join("head"), format!("{}\n", text.lines().nth(1).unwrap())).unwrap();
    log.verify(&[]).await.ok(); // as docs/audit-log.md says

    let run = log.verify(&["--checkpoint", kept.to_str().unwrap()]).await;
    assert_eq!(run.code, 7, "{run:?}");
    assert!(run.out.contains("by what was kept elsewhere it had entry 7"), "{}", run.out);
}

#[tokio::test]
async fn a_log_that_was_put_back_and_continued_is_found_by_a_position_kept_elsewhere() {
    let log = Written::new().await;
    let then = log.keep("");
    log.serve().await;
    let report: Value = serde_json::from_str(&log.verify(&["-o", "json"]).await.ok()).unwrap();
    let last = &report["last"];
    let position = format!("{}:{}", last["sequence"], last["hash"].as_str().unwrap());
    log.verify(&["--expect", &position]).await.ok();

    std::fs::remove_dir_all(log.log()).unwrap();
    std::fs::rename(&then, log.log()).unwrap();
    log.serve().await;
    log.verify(&[]).await.ok();
    let run = log.verify(&["--expect", &position]).await;
    assert_eq!(run.code, 7, "{run:?}");
    assert!(run.out.contains("the log was rewritten or forked: by what was kept elsewhere it had"), "{}", run.out);
}
