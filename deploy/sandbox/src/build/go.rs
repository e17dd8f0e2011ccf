//! Runs the Go toolchain, and turns its failures into messages that say what to do.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use crate::cache;
use crate::error::SandboxError;
use crate::progress::{Progress, Step};

/// The oldest toolchain that Kubernetes' go.mod allows.
const GO_NEEDED: &str = "1.26";

/// How many lines of Go's output an error carries.
const KEPT_LINES: usize = 20;

/// Builds `commands` of the module in `source` into `output`.
pub(super) fn build(
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
    })?;
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
    })?;
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
    command
}

/// Runs Go, gives each line of its stderr to `on_line`, and returns its stdout.
fn run(
    mut command: Command,
    source: &Path,
    step: &'static str,
    mut on_line: impl FnMut(&str),
) -> Result<String, SandboxError> {
    let wrap = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => SandboxError::GoMissing { needed: GO_NEEDED },
        _ => SandboxError::io("run", Path::new("go"), e),
    };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(wrap)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Read beside stderr, or Go would block on whichever pipe is full.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.map(|mut out| out.read_to_string(&mut text));
        text
    });
    let mut kept = VecDeque::with_capacity(KEPT_LINES);
    for line in stderr.into_iter().flat_map(|err| BufReader::new(err).lines()).map_while(Result::ok) {
        on_line(&line);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    let status = child.wait().map_err(wrap)?;
    let text = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(text);
    }
    let output = Vec::from(kept).join("\n");
    Err(diagnose(step, status, &output, || proxy(source)))
}

/// Says what a failure of Go means. `proxy` is asked only if the network is to blame.
fn diagnose(step: &'static str, status: ExitStatus, output: &str, proxy: impl FnOnce() -> String) -> SandboxError {
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
        return SandboxError::ModulesUnreachable { proxy: proxy(), detail };
    }
    SandboxError::Build { step, status, output: output.to_string() }
}

fn proxy(source: &Path) -> String {
    let output = go(source).args(["env", "GOPROXY"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn diagnosed(output: &str) -> SandboxError {
        diagnose("building", ExitStatus::from_raw(256), output, || "https://proxy.example".into())
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
