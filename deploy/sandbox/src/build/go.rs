//! Runs the Go toolchain, and turns its failures into messages that say what to do.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cache;
use crate::error::SandboxError;
use crate::progress::{Progress, Step};

/// The oldest toolchain that Kubernetes' go.mod allows.
const GO_NEEDED: &str = "1.26";

/// How many lines of Go's output an error carries.
const KEPT_LINES: usize = 20;

/// Builds `commands` of the module in `source` into `output`.
pub(super) async fn build(
    source: &Path,
    output: &Path,
    commands: &[&str],
    linker_flags: &str,
    progress: Progress,
) -> Result<(), SandboxError> {
    let packages: Vec<String> = commands.iter().map(|command| format!("./{command}")).collect();

    let step = progress.step("Downloading the Go modules of the control plane (once, about 0.3 GB)");
    let mut modules = 0;
    let mut list = go(source);
    list.args(["list", "-mod=readonly", "-deps"]).args(&packages);
    let listed = run(list, source, "downloading Go modules", |line| {
        if line.starts_with("go: downloading") {
            modules += 1;
            step.at(format!("{modules} modules"));
        }
    })
    .await?;
    step.done();

    let total = listed.lines().count();
    let step = progress.step("Building etcd, Kubernetes and kwok (once, several minutes)");
    let mut compile = go(source);
    compile.args(["build", "-mod=readonly", "-buildvcs=false", "-v", "-trimpath", "-ldflags", linker_flags]);
    // The compiler's processes are short-lived: less garbage collection makes a cold build 8 % shorter.
    compile.args(["-gcflags", super::COMPILER_FLAGS]).env("GOGC", "400").arg("-o");
    compile.arg(output).args(&packages);
    let mut compiled = 0;
    run(compile, source, "building the control plane", |_| {
        compiled += 1;
        show(&step, compiled, total);
    })
    .await?;
    step.done();
    Ok(())
}

/// Go names a package when it begins to compile it, and says nothing about those that its cache already has.
fn show(step: &Step, compiled: usize, total: usize) {
    step.at(format!("{compiled} of at most {total} packages"));
}

fn go(source: &Path) -> Command {
    let mut command = Command::new("go");
    // No C compiler is needed, and a workspace of the user's does not concern this module.
    command.current_dir(source).env("CGO_ENABLED", "0").env("GOWORK", "off").stdin(Stdio::null());
    // A group of its own, so that it can be ended together with the compilers that it starts.
    command.process_group(0);
    command
}

/// Runs Go, gives each line of its stderr to `on_line`, and returns its stdout. Dropped before, it ends Go.
async fn run(
    mut command: Command,
    source: &Path,
    step: &'static str,
    mut on_line: impl FnMut(&str),
) -> Result<String, SandboxError> {
    let wrap = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => SandboxError::GoMissing { needed: GO_NEEDED },
        _ => SandboxError::io("run", Path::new("go"), e),
    };
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(wrap)?);
    let (stdout, stderr) = (running.0.stdout.take(), running.0.stderr.take());
    let mut kept = VecDeque::with_capacity(KEPT_LINES);
    let mut text = String::new();
    let read_errors = async {
        let Some(stderr) = stderr else { return Ok(()) };
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            on_line(&line);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
        Ok(())
    };
    // Both at once, or Go would block on whichever pipe is full.
    let read_output = async {
        match stdout {
            Some(mut stdout) => stdout.read_to_string(&mut text).await.map(drop),
            None => Ok(()),
        }
    };
    tokio::try_join!(read_errors, read_output).map_err(wrap)?;
    let status = running.0.wait().await.map_err(wrap)?;
    if status.success() {
        return Ok(text);
    }
    let output = Vec::from(kept).join("\n");
    let proxy = proxy(source).await;
    Err(diagnose(step, status, &output, proxy))
}

/// A running Go, and the compilers that it runs.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // No id: it has been waited for, and its group is gone.
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Says what a failure of Go means.
fn diagnose(step: &'static str, status: ExitStatus, output: &str, proxy: String) -> SandboxError {
    let line_with = |needles: &[&str]| {
        output.lines().find(|line| needles.iter().any(|needle| line.contains(needle))).map(str::trim).map(String::from)
    };
    if let Some(detail) = line_with(&["no space left on device", "disk quota exceeded"]) {
        return SandboxError::DiskFull { detail, cache: cache::root().unwrap_or_default() };
    }
    // "go: go.mod requires go >= 1.26.0 (running go 1.25.1; GOTOOLCHAIN=local)"; toolchains before 1.21 fail to parse
    // the go.mod itself.
    if let Some(line) = line_with(&["requires go >=", "note: module requires Go", "invalid go version"]) {
        let running = line.split("running ").nth(1).and_then(|rest| rest.split([';', ')']).next());
        let found = running.map_or_else(|| "too old".to_string(), String::from);
        return SandboxError::GoTooOld { found, needed: GO_NEEDED };
    }
    let network = [
        "dial tcp",
        "no such host",
        "i/o timeout",
        "connection refused",
        "connection reset",
        "network is unreachable",
        "TLS handshake",
        "proxyconnect",
        "tls: ",
        "x509: ",
        "module lookup disabled",
        "403 Forbidden",
        "404 Not Found",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "unexpected EOF",
    ];
    if let Some(detail) = line_with(&network) {
        return SandboxError::ModulesUnreachable { proxy, detail };
    }
    SandboxError::Build { step, status, output: output.to_string() }
}

async fn proxy(source: &Path) -> String {
    let output = go(source).args(["env", "GOPROXY"]).output().await;
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn diagnosed(output: &str) -> SandboxError {
        diagnose("building", ExitStatus::from_raw(256), output, "https://proxy.example".into())
    }

    #[test]
    fn an_old_toolchain_is_named() {
        let error = diagnosed("go: go.mod requires go >= 1.26.0 (running go 1.22.2; GOTOOLCHAIN=local)");
        assert!(matches!(&error, SandboxError::GoTooOld { found, .. } if found == "go 1.22.2"), "{error}");
        assert!(error.to_string().contains("GOTOOLCHAIN=auto"), "{error}");
    }

    #[test]
    fn a_full_disk_is_named_with_what_it_takes() {
        let error = diagnosed("link: running ld failed\ncompile: write /tmp/x.a: no space left on device");
        assert!(matches!(&error, SandboxError::DiskFull { .. }), "{error}");
        assert!(error.to_string().contains("5 GB"), "{error}");
    }

    #[test]
    fn an_unreachable_module_proxy_is_named() {
        let error =
            diagnosed("go: k8s.io/api@v0.36.3: Get \"https://proxy.example/k8s.io\": dial tcp: lookup: no such host");
        assert!(matches!(&error, SandboxError::ModulesUnreachable { .. }), "{error}");
        assert!(error.to_string().contains("https://proxy.example"), "{error}");
    }

    #[test]
    fn any_other_failure_shows_what_go_said() {
        let error = diagnosed("./main.go:3:1: syntax error");
        assert!(error.to_string().contains("syntax error"), "{error}");
    }
}
