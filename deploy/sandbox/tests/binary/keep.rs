//! Sandboxes whose data is kept.

use std::path::Path;
use std::process::Output;

use crate::support::{WITHOUT_SERVER, program, run, sandbox, start, stop};

fn kubectl(dir: &Path, args: &[&str]) -> (Output, String) {
    run(program(&["--dir"]).arg(dir).args(["--", "kubectl"]).args(args))
}

#[test]
fn a_kept_sandbox_goes_on_where_it_stopped_and_kubectl_reaches_it() {
    let dir = tempfile::tempdir().unwrap();
    let kubectl = |args: &[&str]| kubectl(dir.path(), args);
    let child = start(dir.path(), &["--keep", WITHOUT_SERVER]);
    let (output, said) = kubectl(&["create", "namespace", "kept"]);
    assert!(output.status.success(), "{said}");
    stop(child);

    let (output, said) = kubectl(&["get", "namespaces"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no sandbox is running in") && said.contains("cargo sandbox"), "{said}");

    let child = start(dir.path(), &["--keep", WITHOUT_SERVER]);
    let (output, said) = kubectl(&["get", "namespace", "kept", "--output=name"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "namespace/kept\n", "{said}");
    let (output, said) = run(&mut sandbox(dir.path(), &[WITHOUT_SERVER]));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("already running in"), "{said}");
    stop(child);
}

#[test]
fn a_kept_sandbox_starts_again_whatever_its_user_has_made_of_its_nodes_and_workloads() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--keep", WITHOUT_SERVER, "--nodes=2"];
    let not_ready = r#"{"status":{"conditions":[{"type":"Ready","status":"False"}]}}"#;
    let child = start(dir.path(), &flags);
    for args in [
        // Its kubelet dies, and it is not Ready.
        &["label", "node", "worker-1", "nodeward.dev/sandbox-"][..],
        &["patch", "node", "worker-1", "--subresource=status", "--patch", not_ready],
        // A pod that is never scheduled, a budget of nothing, a deployment that is scaled down.
        &["--namespace=demo", "run", "theirs", "--image=theirs", "--overrides", r#"{"spec":{"schedulerName":"none"}}"#],
        &["--namespace=demo", "create", "poddisruptionbudget", "theirs", "--selector=app=none", "--min-available=1"],
        &["--namespace=demo", "scale", "deployment", "web", "--replicas=0"],
    ] {
        let (output, said) = kubectl(dir.path(), args);
        assert!(output.status.success(), "{said}");
    }
    stop(child);

    let child = start(dir.path(), &flags);
    let (output, said) =
        kubectl(dir.path(), &["--namespace=demo", "get", "deployment", "web", "-o=jsonpath={.spec.replicas}"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0", "{said}");
    stop(child);
}
