//! The program itself: what it leaves behind, however it ends, and what it says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nodeward-sandbox");
const DEADLINE: Duration = Duration::from_secs(120);

const WITHOUT_SERVER: &str = "--no-server";
const WITH_SERVER: &str = "--listen=127.0.0.1:0";

/// Starts the program without nodes, and waits until it says that it runs.
fn start(dir: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["--nodes", "0", "--dir"]).arg(dir).args(more);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    if lines.any(|line| line.unwrap().starts_with("The sandbox is running")) {
        return child;
    }
    panic!("the sandbox did not start: {}", stderr(&mut child));
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// The processes that work in `dir`, by their command lines.
fn processes(dir: &Path) -> Vec<(u32, String)> {
    let of = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter_map(of).filter(|(_, line)| line.contains(&dir.display().to_string())).collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
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
    let mut child = start(dir.path(), &["--keep", WITHOUT_SERVER]);
    let found = processes(dir.path());
    let (scheduler, _) = found.iter().find(|(_, line)| line.contains("kube-scheduler")).unwrap();
    signal(*scheduler, Signal::KILL);
    let said = stderr(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains("kube-scheduler died (signal: 9 (SIGKILL))"), "{said}");
    assert!(said.contains("What to do:"), "{said}");
    assert!(said.contains(&format!("{}/logs/kube-scheduler.log", dir.path().display())), "{said}");
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
    assert!(said.contains("logs/nodeward-server.log") && said.contains("--no-server starts"), "{said}");
    assert_eq!(processes(dir.path()), []);
}

#[test]
fn a_kept_sandbox_goes_on_where_it_stopped_and_kubectl_reaches_it() {
    let dir = tempfile::tempdir().unwrap();
    let kubectl =
        |args: &[&str]| run(Command::new(PROGRAM).arg("--dir").arg(dir.path()).args(["--", "kubectl"]).args(args));
    let mut child = start(dir.path(), &["--keep", WITHOUT_SERVER]);
    let (output, said) = kubectl(&["create", "namespace", "kept"]);
    assert!(output.status.success(), "{said}");
    signal(child.id(), Signal::INT);
    assert!(child.wait().unwrap().success());

    let (output, said) = kubectl(&["get", "namespaces"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no sandbox is running in") && said.contains("cargo sandbox"), "{said}");

    let mut child = start(dir.path(), &["--keep", WITHOUT_SERVER]);
    let (output, said) = kubectl(&["get", "namespace", "kept", "--output=name"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "namespace/kept\n", "{said}");
    let (output, said) = run(Command::new(PROGRAM).args(["--no-server", "--dir"]).arg(dir.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("already running in"), "{said}");
    signal(child.id(), Signal::INT);
    assert!(child.wait().unwrap().success());
}

#[test]
fn without_go_the_message_says_what_to_install() {
    let cache = tempfile::tempdir().unwrap();
    let (output, said) = run(Command::new(PROGRAM)
        .args(["--no-server", "--nodes", "0"])
        .env("PATH", cache.path())
        .env("XDG_CACHE_HOME", cache.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("Go is not installed") && said.contains("https://go.dev/dl/"), "{said}");
}

#[test]
fn a_port_in_use_that_was_asked_for_is_refused_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (output, said) = run(Command::new(PROGRAM).args(["--listen", &address, "--dir"]).arg(dir.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("--listen"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
