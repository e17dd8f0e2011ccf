//! The nodeward server. All it does is in the library; see `nodeward_server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeward_server::run_from(std::env::args_os())
}
