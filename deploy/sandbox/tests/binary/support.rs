//! Starts the program and looks at what it does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::watchdog::watch;

pub const WITHOUT_SERVER: &str = "--no-server";
pub const WITH_SERVER: &str = "--listen=127.0.0.1:0";

const DEADLINE: Duration = Duration::from_secs(120);

/// The program, with what its user would type.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward-sandbox"));
    command.args(args);
    command
}

/// The program as it runs a sandbox in `dir`, without nodes unless there are to be `--nodes`. Its user's configuration is there
/// too: that of whoever runs the tests is left alone.
pub fn sandbox(dir: &Path, more: &[&str]) -> Command {
    let mut command = program(more);
    command.env("NODEWARD_CONFIG", config(dir)).env_remove("NODEWARD_CONFIG_CONTEXT");
    if !more.iter().any(|flag| flag.starts_with("--nodes")) {
        command.arg("--nodes=0");
    }
    command.arg("--dir").arg(dir);
    command
}

/// The user's configuration.
pub fn config(dir: &Path) -> PathBuf {
    dir.join("config.yaml")
}

/// Starts a sandbox in `dir` and waits until it says that it runs.
pub fn start(dir: &Path, more: &[&str]) -> Child {
    let mut child = spawn(&mut sandbox(dir, more));
    greeting(&mut child);
    child
}

/// Starts the program.
pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the sandbox runs, and has said all that there is to say of it.
pub fn greeting(child: &mut Child) -> String {
    let mut greeting = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        greeting.push_str(&line.unwrap());
        greeting.push('\n');
        if greeting.ends_with("Ctrl-C stops it.\n") {
            // Not before: the first control plane of a machine is built.
            watch();
            return greeting;
        }
    }
    panic!("the sandbox did not start: {}", stderr(child));
}

/// Ends a sandbox in good order.
pub fn stop(mut child: Child) {
    signal(child.id(), Signal::INT);
    assert!(child.wait().unwrap().success());
}

/// All that the program still says.
pub fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// The processes that work in `dir`, by their command lines.
pub fn processes(dir: &Path) -> Vec<(u32, String)> {
    let of = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter_map(of).filter(|(_, line)| line.contains(&dir.display().to_string())).collect()
}

/// Whether all threads of a process have stopped.
pub fn is_paused(pid: u32) -> bool {
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stopped = |thread: &Path| fs::read_to_string(thread.join("stat")).is_ok_and(|stat| stat.contains(") T "));
    threads.all(|thread| stopped(&thread.unwrap().path()))
}

/// Waits for a condition, but not for ever.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the program to its end; what it says comes apart.
pub fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}
