//! Runs the Go toolchain, and turns its failures into messages that say what to do.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::leashed::{Leashed, NOT_FOUND};
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
    list.args(["list", "-deps"]).args(&packages);
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
    compile.args(["build", "-buildvcs=false", "-v", "-trimpath", "-ldflags", linker_flags]);
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
    let mut command = Leashed::command("go");
    // What the user has set for other builds, also with `go env -w`, does not concern this one: no C compiler is
    // needed, no workspace, and the binaries run here.
    command.current_dir(source).env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", "-mod=readonly");
    command.env("GOOS", go_name(std::env::consts::OS)).env("GOARCH", go_name(std::env::consts::ARCH));
    command
}

/// What Go calls the system or the processor that Rust calls `rust_name`.
fn go_name(rust_name: &str) -> &str {
    match rust_name {
        "macos" => "darwin",
        "x86" => "386",
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        same => same,
    }
}

/// Runs Go, gives each line of its stderr to `on_line`, and returns its stdout. Dropped before, it ends Go.
async fn run(
    command: Command,
    source: &Path,
    step: &'static str,
    on_line: impl FnMut(&str),
) -> Result<String, SandboxError> {
    let Ended { status, stdout, last_lines } = run_to_end(command, on_line).await?;
    if status.success() {
        return Ok(stdout);
    }
    if status.code() == Some(NOT_FOUND) {
        return Err(SandboxError::GoMissing { needed: GO_NEEDED });
    }
    Err(diagnose(step, status, &last_lines, proxy(source).await))
}

/// A Go that has ended.
struct Ended {
    status: ExitStatus,
    stdout: String,
    /// Of its stderr.
    last_lines: String,
}

async fn run_to_end(command: Command, mut on_line: impl FnMut(&str)) -> Result<Ended, SandboxError> {
    let wrap = |e: io::Error| SandboxError::io("run", Path::new("go"), e);
    let mut running = Leashed::spawn(command).map_err(wrap)?;
    let mut kept = VecDeque::with_capacity(KEPT_LINES);
    let mut text = String::new();
    if let Some((mut stdout, stderr)) = running.output() {
        let read_errors = async {
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
        tokio::try_join!(read_errors, stdout.read_to_string(&mut text)).map_err(wrap)?;
    }
    let status = running.ended().await.map_err(wrap)?;
    Ok(Ended { status, stdout: text, last_lines: Vec::from(kept).join("\n") })
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
    let mut command = go(source);
    command.args(["env", "GOPROXY"]);
    run_to_end(command, |_| {}).await.map(|ended| ended.stdout.trim().to_string()).unwrap_or_default()
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
