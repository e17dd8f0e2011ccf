//! The binary, as a user runs it.

mod audit;
mod changes;
mod config;
mod create;
mod drain;
mod errors;
mod metadata;
mod operations;
mod plan;
mod reads;
mod watch;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use tokio::runtime::Runtime;

use crate::fake::{Fake, serve};

/// A served fake, and the binary pointed at it.
pub struct Cli {
    pub fake: Fake,
    pub address: SocketAddr,
    _runtime: Runtime,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Cli {
    pub fn of(fake: Fake) -> Self {
        let (runtime, address) = serve(&fake);
        Self { fake, address, _runtime: runtime }
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Runs it with a text on the standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Run::of(child.wait_with_output().unwrap())
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare_command(arguments);
        command.env("NODEWARD_ENDPOINT", format!("http://{}", self.address));
        command
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it printed, if it succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// The binary without an endpoint, and with nothing of the environment that would point it elsewhere.
pub fn bare_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("NODEWARD_")) {
        command.env_remove(key);
    }
    command
        .args(arguments)
        .env_remove("TRACEPARENT")
        .env("NODEWARD_CONFIG", "/nowhere/config.yaml")
        .stdin(Stdio::null());
    command
}
