//! `cargo ratios`: what nodeward costs and how fast it is, beside the apiserver, etcd, a stock tonic server and a tonic echo, in
//! one run on one machine. docs/benchmarks.md has the results and says how they come about.
//!
//! This program is also the servers that it measures, each as a process of its own: `nodeward-ratios server FLAGS` is the
//! nodeward server with the server's own flags, and `nodeward-ratios anchor FLAGS` the stock tonic server. So there is one
//! program to build, with the same compiler and the same options for all.

mod anchor;
mod args;
mod calls;
mod client;
mod cpu;
mod fill;
mod ground;
mod load;
mod machine;
mod measure;
mod pairs;
mod report;
mod requests;
mod role;
mod run;
mod stats;
mod system;
mod watchers;
mod writer;

use std::process::ExitCode;

fn main() -> ExitCode {
    match role::of_this_process() {
        role::Role::Server(args) => role::be_the_server(args),
        role::Role::Anchor(args) => role::be_the_anchor(args),
        role::Role::Benchmark => run::from_the_command_line(),
    }
}
