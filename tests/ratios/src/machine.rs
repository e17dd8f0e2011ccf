//! What was measured on and with: without it no number means anything.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use nodeward_sandbox::KUBERNETES_VERSION;

/// The machine and the versions, in words.
pub fn describe() -> BTreeMap<&'static str, String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    BTreeMap::from([
        ("cores", cores.to_string()),
        ("processor", field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())),
        ("memory", field("/proc/meminfo", "MemTotal").unwrap_or_default()),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()),
        ("load before", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()),
        ("kubernetes", KUBERNETES_VERSION.to_owned()),
        ("nodeward", format!("{} {}", env!("CARGO_PKG_VERSION"), commit().unwrap_or_default())),
    ])
}

/// The value of a field in one of Linux' files of `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit that is checked out, if this is run in a checkout.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
