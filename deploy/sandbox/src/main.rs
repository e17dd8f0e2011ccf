//! `cargo sandbox`: see `args` for what it can be asked to do.

mod args;
mod clients;
mod greeting;
mod health;
mod run;
mod server;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use args::Invocation;
use nodeward_sandbox::SandboxError;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os()) {
        Ok(Invocation::Run(args)) => run::run(args),
        Ok(Invocation::Kubectl { dir, args }) => Err(kubectl(dir, args)),
        Ok(Invocation::Server(args)) => return server::be_the_server(args),
        Err(e) => e.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            nodeward_sandbox::say(&format!("error: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Becomes kubectl; returns only if that fails.
fn kubectl(dir: Option<std::path::PathBuf>, args: Vec<std::ffi::OsString>) -> SandboxError {
    match nodeward_sandbox::find(dir.as_deref()) {
        Ok(state) => {
            let mut command = Command::new(&state.control_plane);
            let source = command.arg("kubectl").args(args).env("KUBECONFIG", &state.kubeconfig).exec();
            SandboxError::Io { action: "run", path: state.control_plane, source }
        }
        Err(e) => e,
    }
}
