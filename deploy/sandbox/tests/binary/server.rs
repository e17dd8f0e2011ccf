//! Where the nodeward server listens, and with which settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use crate::support::{WITH_SERVER, greeting, run, sandbox, spawn, stop};

#[test]
fn a_port_in_use_that_was_asked_for_is_refused_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (output, said) = run(&mut sandbox(dir.path(), &["--listen", &address]));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("--listen"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_default_port_that_is_taken_while_the_control_plane_starts_is_passed_over() {
    const DEFAULT: &str = "127.0.0.1:7443";
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(&mut sandbox(dir.path(), &[]));
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("Starting Kubernetes"), "{said}");
    // If it fails, somebody else has it, which is as good.
    let _taken = TcpListener::bind(DEFAULT);
    let greeting = greeting(&mut child);
    assert!(greeting.contains("  nodeward    https://127.0.0.1:"), "{greeting}");
    assert!(!greeting.contains(DEFAULT), "{greeting}");
    stop(child);
}

#[test]
fn the_users_settings_for_a_server_of_theirs_do_not_reach_that_of_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sandbox(dir.path(), &[WITH_SERVER]);
    command.env("NODEWARD_LISTEN", "nowhere").env("NODEWARD_KUBECONFIG", "/their/kubeconfig");
    command.env("NODEWARD_CONTEXT", "theirs").env("NODEWARD_IN_CLUSTER", "true").env("NODEWARD_NAMESPACE", "theirs");
    command.env("NODEWARD_PLAINTEXT", "true").env("NODEWARD_NO_AUTH", "true").env("NODEWARD_WRITE_AS", "server");
    command
        .env("NODEWARD_TLS_CERT", "theirs")
        .env("NODEWARD_TLS_KEY", "theirs")
        .env("NODEWARD_TLS_CLIENT_CA", "theirs");
    command
        .env("NODEWARD_ADMIN_LISTEN", "nowhere")
        .env("NODEWARD_AUDIT_DIR", "theirs")
        .env("NODEWARD_AUDIT_KEY", "/their/key")
        .env("NODEWARD_NO_AUDIT", "true");
    let mut child = spawn(&mut command);
    greeting(&mut child);
    stop(child);
}
