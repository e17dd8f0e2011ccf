//! `create`.

use super::Cli;
use crate::fake::{Call, Fake, worker};

const MANIFEST: &str = "\
apiVersion: v1
kind: Node
metadata:
  name: new-1
  uid: a7
  labels: {team: blue}
spec:
  taints:
  - {key: gpu, effect: NoSchedule}
status:
  phase: Running
";

fn cli() -> Cli {
    Cli::of(Fake::with([worker("a")]))
}

#[test]
fn a_manifest_becomes_a_node() {
    let cli = cli();
    let run = cli.run_with_input(&["create", "-f", "-"], MANIFEST);
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (0, "node/new-1 created\n", "warning: node/new-1: not taken over: metadata.uid\n")
    );
    let node = cli.fake.get("new-1").unwrap();
    assert_eq!(node.status.unwrap().phase.as_deref(), Some("Running"));
    assert_eq!(node.metadata.unwrap().labels["team"], "blue");
    assert_eq!(node.spec.unwrap().taints[0].key, "gpu");
}

#[test]
fn several_documents_become_several_nodes() {
    let second = MANIFEST.replace("new-1", "new-2");
    let run = cli().run_with_input(&["create", "-f", "-"], &format!("{MANIFEST}---\n{second}"));
    assert_eq!(run.ok(), "node/new-1 created\nnode/new-2 created\n");
}

#[test]
fn a_file_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "new-3"}}"#).unwrap();
    assert_eq!(cli().run(&["create", "-f", file.path().to_str().unwrap()]).ok(), "node/new-3 created\n");
}

#[test]
fn a_field_that_is_not_known_is_named_and_nothing_created() {
    let cli = cli();
    let bad = MANIFEST.replace("new-1", "new-2").replace("taints", "tains");
    let run = cli.run_with_input(&["create", "-f", "-"], &format!("{MANIFEST}---\n{bad}"));
    assert_eq!((run.code, run.err.as_str()), (2, "error: -: spec.tains is not a known field\n"));
    assert!(cli.fake.calls().is_empty());
}

#[test]
fn a_node_that_exists_is_a_conflict() {
    let run = cli().run_with_input(&["create", "-f", "-"], &MANIFEST.replace("new-1", "a"));
    assert_eq!(run.code, 4);
    assert!(run.err.contains("error: node \"a\" exists already (NODE_ALREADY_EXISTS)"), "{}", run.err);
}

#[test]
fn a_dry_run_is_sent() {
    let cli = cli();
    let run = cli.run_with_input(&["create", "-f", "-", "--dry-run=server"], MANIFEST);
    assert_eq!(run.ok(), "node/new-1 created (server dry run)\n");
    assert!(matches!(cli.fake.calls().pop(), Some(Call::Create(request)) if request.validate_only));
}

#[test]
fn what_holds_no_node_is_a_usage_error() {
    for input in ["", "kind: Pod\napiVersion: v1\n", "[1", "text"] {
        assert_eq!(cli().run_with_input(&["create", "-f", "-"], input).code, 2, "{input:?}");
    }
    assert_eq!(cli().run(&["create", "-f", "/nowhere"]).code, 2);
}
