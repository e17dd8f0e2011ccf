//! `nodeward`: the nodes of a cluster from the command line, for people who know kubectl.

mod args;
mod commands;
mod connection;
mod drain;
mod exit_code;
mod failure;
mod input;
mod manifest;
mod names;
mod output;
mod pairs;
mod taints;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

// One thread is enough: commands wait for answers.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(None, None);
            ExitCode::from(failure.exit_code())
        }
    }
}
