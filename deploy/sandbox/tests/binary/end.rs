//! What a sandbox says and leaves behind when it ends.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::{WITH_SERVER, WITHOUT_SERVER, is_paused, processes, signal, start, stderr, until};

/// A log that is to be read must outlive the sandbox.
fn assert_named_and_there(log: &Path, said: &str) {
    assert!(said.contains(&format!("The whole log: {}\n", log.display())), "{said}");
    assert!(log.is_file(), "{said}");
}

#[test]
fn a_killed_sandbox_leaves_no_process_behind_even_paused_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), &[WITH_SERVER]);
    let before = processes(dir.path());
    let components =
        ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", " server --listen"];
    for component in components {
        assert!(before.iter().any(|(_, line)| line.contains(component)), "{component} is not in {before:?}");
    }
    let (paused, _) = before.iter().find(|(_, line)| line.contains("kube-scheduler")).unwrap();
    signal(*paused, Signal::STOP);
    // The kernel wakes what is paused when the sandbox is gone, but not what is only about to be.
    until("the pause", || is_paused(*paused));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the end of all processes", || processes(dir.path()).is_empty());
}

#[test]
fn a_signal_stops_everything_in_order_and_removes_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), &[WITH_SERVER]);
    signal(child.id(), Signal::TERM);
    assert!(child.wait().unwrap().success());
    assert_eq!(processes(dir.path()), []);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_component_that_dies_is_named_with_its_log_and_ends_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), &[WITHOUT_SERVER]);
    let found = processes(dir.path());
    let (scheduler, _) = found.iter().find(|(_, line)| line.contains("kube-scheduler")).unwrap();
    signal(*scheduler, Signal::KILL);
    let said = stderr(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains("kube-scheduler died (signal: 9 (SIGKILL))"), "{said}");
    assert!(said.contains("What to do:"), "{said}");
    assert_named_and_there(&dir.path().join("logs/kube-scheduler.log"), &said);
    assert_eq!(processes(dir.path()), []);
}

#[test]
fn a_server_that_dies_is_named_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), &[WITH_SERVER]);
    let found = processes(dir.path());
    let (server, _) = found.iter().find(|(_, line)| line.contains(" server --listen")).unwrap();
    signal(*server, Signal::KILL);
    let said = stderr(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains("nodeward-server died (signal: 9 (SIGKILL))"), "{said}");
    assert!(said.contains("--no-server starts"), "{said}");
    assert_named_and_there(&dir.path().join("logs/nodeward-server.log"), &said);
    assert_eq!(processes(dir.path()), []);
}
