//! Sandboxes whose data is kept.

use crate::support::{WITHOUT_SERVER, program, run, sandbox, start, stop};

#[test]
fn a_kept_sandbox_goes_on_where_it_stopped_and_kubectl_reaches_it() {
    let dir = tempfile::tempdir().unwrap();
    let kubectl = |args: &[&str]| run(program(&["--dir"]).arg(dir.path()).args(["--", "kubectl"]).args(args));
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
