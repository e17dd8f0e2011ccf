//! The life of the process: arguments, telemetry, serving, signals.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rustix::process::{Resource, Rlimit, Signal as SignalNumber, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin;
use crate::args::ServerArgs;
use crate::cluster::Connection;
use crate::server::Server;
use crate::telemetry::{self, Metrics};

/// How long the last traces and metrics may take to be exported.
const FLUSH: Duration = Duration::from_secs(3);

/// Runs a server with these arguments, the first being the name of the program, until it is told to stop.
pub fn run_from<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let args = match ServerArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are "errors" too, which go to the standard output.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("nodeward-server: {error:#}");
    ExitCode::FAILURE
}

async fn run(args: ServerArgs) -> anyhow::Result<()> {
    allow_open_files();
    outlive_limits_of_files();
    // Fails only if it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = telemetry::init(&args.telemetry)?;
    let result = serve(&args, telemetry.metrics()).await;
    telemetry.shutdown(FLUSH).await;
    result
}

/// As many open files as the process may have, which is often more than it begins with: each connection is one.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // If not, there are fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A file that may not grow any more (`ulimit -f`) is an error of who writes it, as a full disk is, and not the end of the
/// process. A signal stays caught once somebody has asked for it.
fn outlive_limits_of_files() {
    let _ = signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw()));
}

async fn serve(args: &ServerArgs, metrics: Metrics) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let admin = admin::bind(&args.admin).await?;
    let connection = Connection::open(&args.cluster).await?;
    let server = Server::start(&args.serve, connection).await?;
    tracing::info!(address = %server.address(), "listening");
    let admin = admin.map(|listening| listening.serve(metrics, server.probes()));
    if let Some(admin) = &admin {
        tracing::info!(address = %admin.address(), "serving metrics and probes");
    }
    let stopped = serve_until_stopped(args, server, signals).await;
    // The last, so that whoever asks while the server stops learns that it does.
    if let Some(admin) = admin {
        admin.stop().await;
    }
    stopped
}

async fn serve_until_stopped(args: &ServerArgs, mut server: Server, mut signals: Signals) -> anyhow::Result<()> {
    tokio::select! {
        error = server.failed() => return Err(error),
        name = signals.next() => tracing::info!(signal = name, grace = ?args.serve.grace, "stopping"),
    }
    tokio::select! {
        stopped = server.stop() => stopped,
        name = signals.next() => anyhow::bail!("{name} for the second time: stopped without waiting for calls to end"),
    }
}

/// The signals that ask the process to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
