//! The nodeward server in front of the sandbox: this same program, started again as `nodeward-sandbox server FLAGS`, so
//! that `cargo sandbox` builds and finds one program and not two.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;

use nodeward_sandbox::{Companion, Sandbox, SandboxError, say};

use crate::args::DEFAULT_LISTEN;

/// Where the server will listen: where it was asked to, or the default, or a free port if that is in use.
pub(crate) fn choose_address(asked: Option<SocketAddr>) -> Result<SocketAddr, SandboxError> {
    choose(asked, DEFAULT_LISTEN)
}

fn choose(asked: Option<SocketAddr>, default: SocketAddr) -> Result<SocketAddr, SandboxError> {
    let wanted = asked.unwrap_or(default);
    let in_use = |source| SandboxError::PortInUse { address: wanted.to_string(), source };
    match (free(wanted), asked) {
        (Err(e), None) if e.kind() == ErrorKind::AddrInUse => {
            let other = free(SocketAddr::new(wanted.ip(), 0)).map_err(in_use)?;
            say(&format!("{wanted} is in use: nodeward will listen on {other}. Choose another with --listen."));
            Ok(other)
        }
        (found, _) => found.map_err(in_use),
    }
}

/// The address, with a port if it had none, if it can be listened on.
fn free(address: SocketAddr) -> io::Result<SocketAddr> {
    TcpListener::bind(address)?.local_addr()
}

/// Starts the server against the sandbox.
pub(crate) fn start(listen: SocketAddr, sandbox: &Sandbox) -> Result<Companion, SandboxError> {
    let program = std::env::current_exe().map_err(|source| SandboxError::Io {
        action: "find",
        path: "this program".into(),
        source,
    })?;
    let flags = [
        OsString::from("server"),
        "--listen".into(),
        listen.to_string().into(),
        "--plaintext".into(),
        "--kubeconfig".into(),
        sandbox.kubeconfig_path().into(),
    ];
    Companion::start("nodeward-server", &program, flags, &sandbox.log_path("nodeward-server"))
}

/// Is the server, with the server's own flags, and ends when the sandbox that started it does.
pub(crate) fn be_the_server(args: Vec<OsString>) -> ExitCode {
    if std::env::var_os("NODEWARD_EXIT_WITH_STDIN").is_some_and(|value| value == "1") {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            std::process::exit(0);
        });
    }
    // The first argument is the name of the program, as everywhere.
    nodeward_server::run_from(std::iter::once("nodeward-server".into()).chain(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn an_address_in_use_that_was_asked_for_is_an_error_that_says_what_to_do() {
        let (_held, address) = taken();
        let error = choose_address(Some(address)).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen 127.0.0.1:0"), "{error}");
    }

    #[test]
    fn another_port_is_taken_if_the_default_is_in_use() {
        let (_held, default) = taken();
        let chosen = choose(None, default).unwrap();
        assert_ne!(chosen.port(), default.port());
        assert_eq!(chosen.ip(), default.ip());
    }

    #[test]
    fn port_zero_means_any_free_port() {
        assert_ne!(choose_address("127.0.0.1:0".parse().ok()).unwrap().port(), 0);
    }
}
