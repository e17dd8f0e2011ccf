//! A sandbox from its start to its end: what is printed, which signals end it, and in which order.

use std::io::Write;
use std::process::exit;
use std::time::Duration;

use nodeward_sandbox::{ClientContexts, Companion, Progress, Sandbox, SandboxError, SandboxOptions, say};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Args;
use crate::clients::Clients;
use crate::greeting::{self, Greeting};
use crate::health::Health;
use crate::server;

/// How long the server may take to be ready: its caches fill first.
const SERVER_DEADLINE: Duration = Duration::from_secs(60);

/// How long the server may take to stop in good order: a little longer than it allows itself.
const SERVER_GRACE: Duration = Duration::from_secs(25);

/// Runs a sandbox until a signal ends it or something in it dies.
pub(crate) fn run(args: Args) -> Result<(), SandboxError> {
    let wrap = |e| SandboxError::Io { action: "start", path: "the async runtime".into(), source: e };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(wrap)?;
    let done = runtime.block_on(async {
        // Listened to from here on: no signal may find a half-started sandbox unprepared.
        let signals = Signals::new().map_err(wrap)?;
        sandbox(args, signals).await
    });
    // Whatever may still be under way in a thread must not hold up the end.
    runtime.shutdown_background();
    done
}

async fn sandbox(args: Args, mut signals: Signals) -> Result<(), SandboxError> {
    if let (Some(asked), false) = (args.listen, args.no_server) {
        // Before anything is started: a port that is in use should not take a minute to be found out.
        server::check_address(asked)?;
    }
    let options = SandboxOptions {
        nodes: args.nodes,
        dir: args.dir.clone(),
        keep: args.keep,
        progress: Progress::auto(),
        // Its own server has its service account. Whoever runs another one may want it to be an administrator's.
        guard_operations: !args.no_server,
        ..SandboxOptions::default()
    };
    let sandbox = tokio::select! {
        started = Sandbox::start(options) => started?,
        // What was started is dropped with the future, and so killed.
        () = signals.next() => {
            say("Stopped before it was ready.");
            return Ok(());
        }
    };

    let mut server = None;
    let ended = tokio::select! {
        ended = serve(&sandbox, &args, &mut server) => ended,
        died = sandbox.died() => Err(died),
        () = signals.next() => Ok(()),
    };
    if let Err(e) = &ended {
        // Said before the rest is stopped, which may take some seconds.
        say(&format!("error: {e}"));
    }
    tokio::spawn(async move {
        signals.next().await;
        exit(130);
    });
    say("Stopping; once more to stop at once.");
    if let Some(server) = server {
        // First, while it still has an apiserver to finish its work with.
        server.stop(SERVER_GRACE).await;
    }
    let kept = args.keep.then(|| sandbox.dir().to_path_buf());
    match ended {
        Ok(()) => sandbox.stop().await?,
        // The message has named a log, which is to be read.
        Err(_) => sandbox.stop_leaving_logs().await?,
    }
    if let Some(dir) = kept {
        say(&format!("The data is kept: go on with `cargo sandbox --keep --dir {}`.", dir.display()));
    }
    if ended.is_err() {
        exit(1)
    }
    Ok(())
}

/// Starts the server, says what there is, and waits until the server dies.
async fn serve(sandbox: &Sandbox, args: &Args, server: &mut Option<Companion>) -> Result<(), SandboxError> {
    nodeward_sandbox::announce(sandbox.dir())?;
    if args.no_server {
        // Best effort: what a killed sandbox has left leads nowhere.
        let _ = ClientContexts::sweep();
        greet(&Greeting::of(sandbox, None));
        return std::future::pending().await;
    }
    let listen = server::choose_address(args.listen)?;
    let server = server.insert(server::start(listen, sandbox)?);
    let address = greeting::reachable(listen);
    let health = Health::of(address, &sandbox.server_ca())?;
    server.ready(async || health.check().await, SERVER_DEADLINE).await?;
    // Until the sandbox ends, or this is given up for a signal.
    let clients = Clients::tell(sandbox, address)?;
    greet(&Greeting::of(sandbox, Some(&clients)));
    Err(server.died().await)
}

fn greet(greeting: &Greeting<'_>) {
    // Not `print!`, which panics if nobody reads on (`cargo sandbox | head -1`).
    let _ = std::io::stdout().write_all(greeting.text().as_bytes());
}

/// The signals that ask for an end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
