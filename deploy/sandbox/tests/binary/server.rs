//! Where the nodeward server listens, and with which settings.

use std::fs;
use std::net::TcpListener;

use crate::support::{run, sandbox};

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
