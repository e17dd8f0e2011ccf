//! The build of the control plane, with a stand-in for Go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{WITHOUT_SERVER, processes, program, run, until};

/// A cache without a control plane, which `go` is to build: a shell script, with `$here` for the cache's directory.
fn cache(go: &str) -> TempDir {
    let cache = tempfile::tempdir().unwrap();
    let script = cache.path().join("go");
    fs::write(&script, format!("#!/bin/sh\nhere={}\n{go}\n", cache.path().display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    cache
}

/// The program with this cache, and the `go` in it.
fn sandbox(cache: &TempDir) -> Command {
    let mut command = program(&[WITHOUT_SERVER, "--nodes", "0"]);
    let path = format!("{}:{}", cache.path().display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("XDG_CACHE_HOME", cache.path());
    command
}

#[test]
fn without_go_the_message_says_what_to_install() {
    let cache = tempfile::tempdir().unwrap();
    let (output, said) = run(sandbox(&cache).env("PATH", cache.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("Go is not installed") && said.contains("https://go.dev/dl/"), "{said}");
}

#[test]
fn a_directory_that_will_not_do_is_refused_before_the_build() {
    let (cache, dir) = (cache("touch $here/built; exit 1"), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let (_, said) = run(sandbox(&cache).arg("--dir").arg(dir.path()));
    assert!(said.contains("was not made by a sandbox"), "{said}");
    assert!(!cache.path().join("built").exists());
}

#[test]
fn a_killed_sandbox_leaves_no_build_behind() {
    // The compiler is found by its command line.
    let cache = cache("sh -c 'while :; do sleep 1; done' $here/compiler & touch $here/compiling; wait");
    let mut child = sandbox(&cache).stderr(Stdio::null()).spawn().unwrap();
    // Its file may be there before the compiler, which the shell starts in the background.
    let is_compiling = || processes(cache.path()).iter().any(|(_, line)| line.contains("compiler"));
    until("the build", || cache.path().join("compiling").exists() && is_compiling());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the end of the build", || processes(cache.path()).is_empty());
}

#[test]
fn a_target_of_the_users_does_not_reach_the_build() {
    let cache = cache("env > $here/environment; exit 1");
    let (_, said) = run(sandbox(&cache).env("GOOS", "plan9").env("GOARCH", "mips").env("GOFLAGS", "-tags=theirs"));
    assert!(said.contains("failed"), "{said}");
    let environment = fs::read_to_string(cache.path().join("environment")).unwrap();
    let theirs = ["GOOS=plan9", "GOARCH=mips", "GOFLAGS=-tags=theirs"];
    assert!(!environment.lines().any(|line| theirs.contains(&line)), "{environment}");
}
