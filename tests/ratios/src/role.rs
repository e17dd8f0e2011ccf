//! What this process is: the benchmark, or one of the servers that the benchmark starts.

use std::ffi::OsString;
use std::process::ExitCode;
use std::{io, thread};

/// The first argument of the nodeward server.
pub const SERVER: &str = "server";

/// The first argument of the stock tonic server.
pub const ANCHOR: &str = "anchor";

/// What a process of this program is.
pub enum Role {
    /// The nodeward server, with these flags.
    Server(Vec<OsString>),
    /// The stock tonic server, with these flags.
    Anchor(Vec<OsString>),
    /// What starts and measures the others.
    Benchmark,
}

/// What this process is to be, by its first argument.
pub fn of_this_process() -> Role {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(first) if first == SERVER => Role::Server(args.collect()),
        Some(first) if first == ANCHOR => Role::Anchor(args.collect()),
        _ => Role::Benchmark,
    }
}

/// Is the nodeward server.
pub fn be_the_server(args: Vec<OsString>) -> ExitCode {
    end_with_the_benchmark();
    nodeward_server::run_from(std::iter::once("nodeward-server".into()).chain(args))
}

/// Is the stock tonic server.
pub fn be_the_anchor(args: Vec<OsString>) -> ExitCode {
    end_with_the_benchmark();
    crate::anchor::stock::server::run(std::iter::once("anchor".into()).chain(args))
}

/// Whatever ends the benchmark ends this process too: its standard input is closed then.
fn end_with_the_benchmark() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}
