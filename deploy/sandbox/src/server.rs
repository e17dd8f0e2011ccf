//! The nodeward server in front of the sandbox: this same program, started again as `nodeward-sandbox server FLAGS`, so
//! that `cargo sandbox` builds and finds one program and not two.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;

use nodeward_sandbox::{Companion, Sandbox, SandboxError, say};

use crate::args::DEFAULT_LISTEN;

/// Settings of the user's for a server of theirs: they would lead this one elsewhere, or contradict its flags. What
/// concerns telemetry, for instance, holds for this one too.
const NOT_FOR_THIS_ONE: [&str; 15] = [
    "NODEWARD_LISTEN",
    "NODEWARD_ADMIN_LISTEN",
    "NODEWARD_PLAINTEXT",
    "NODEWARD_TLS_CERT",
    "NODEWARD_TLS_KEY",
    "NODEWARD_TLS_CLIENT_CA",
    "NODEWARD_NO_AUTH",
    "NODEWARD_AUDIT_DIR",
    "NODEWARD_AUDIT_KEY",
    "NODEWARD_NO_AUDIT",
    "NODEWARD_KUBECONFIG",
    "NODEWARD_CONTEXT",
    "NODEWARD_IN_CLUSTER",
    "NODEWARD_NAMESPACE",
    "NODEWARD_WRITE_AS",
];

/// Where the server shows its metrics, unless that is in use.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7444);

/// Whether the address that was asked for can be listened on.
pub(crate) fn check_address(asked: SocketAddr) -> Result<(), SandboxError> {
    free(asked).map(drop).map_err(|e| in_use(asked, e))
}

/// Where the server is to listen: where it was asked to, or the default, or a free port if that is in use.
///
/// To be asked for right before the server starts: until that listens, others may still take the port.
pub(crate) fn choose_address(asked: Option<SocketAddr>) -> Result<SocketAddr, SandboxError> {
    choose(asked, DEFAULT_LISTEN)
}

fn choose(asked: Option<SocketAddr>, default: SocketAddr) -> Result<SocketAddr, SandboxError> {
    let wanted = asked.unwrap_or(default);
    match (free(wanted), asked) {
        (Err(e), None) if e.kind() == ErrorKind::AddrInUse => {
            let other = free(SocketAddr::new(wanted.ip(), 0)).map_err(|e| in_use(wanted, e))?;
            say(&format!("{wanted} is in use: nodeward will listen on {other}. Choose another with --listen."));
            Ok(other)
        }
        (found, _) => found.map_err(|e| in_use(wanted, e)),
    }
}

fn in_use(address: SocketAddr, source: io::Error) -> SandboxError {
    SandboxError::PortInUse { address: address.to_string(), source }
}

/// The address, with a port if it had none, if it can be listened on.
fn free(address: SocketAddr) -> io::Result<SocketAddr> {
    TcpListener::bind(address)?.local_addr()
}

/// Where metrics and probes are shown: at the default, or at a free port if that is in use, or nowhere. Nobody asked for
/// them, so they are no reason not to start. The server's log says where.
fn admin_address(default: SocketAddr) -> String {
    let found = free(default).or_else(|_| free(SocketAddr::new(default.ip(), 0)));
    found.map_or_else(|_| "off".to_owned(), |address| address.to_string())
}

/// Starts the server against the sandbox, as it should run everywhere: with TLS, with the rights of its service account and
/// no others, and for nobody who does not show who they are.
pub(crate) fn start(listen: SocketAddr, sandbox: &Sandbox) -> Result<Companion, SandboxError> {
    let program = std::env::current_exe().map_err(|source| SandboxError::Io {
        action: "find",
        path: "this program".into(),
        source,
    })?;
    let certificate = sandbox.server_certificate();
    let flags = [
        OsString::from("server"),
        "--listen".into(),
        listen.to_string().into(),
        "--tls-cert".into(),
        certificate.certificate.into(),
        "--tls-key".into(),
        certificate.key.into(),
        "--tls-client-ca".into(),
        sandbox.client_ca().into(),
        "--audit-dir".into(),
        sandbox.nodeward_dir().join("audit").into(),
        "--admin-listen".into(),
        admin_address(DEFAULT_ADMIN).into(),
        "--kubeconfig".into(),
        sandbox.server_kubeconfig().into(),
    ];
    let log = sandbox.log_path("nodeward-server");
    Companion::start("nodeward-server", &program, flags, &NOT_FOR_THIS_ONE, &log)
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
        let error = check_address(address).unwrap_err().to_string();
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
    fn metrics_are_shown_elsewhere_if_the_default_is_in_use() {
        let (_held, default) = taken();
        let elsewhere: SocketAddr = admin_address(default).parse().unwrap();
        assert_eq!(elsewhere.ip(), default.ip());
        assert_ne!(elsewhere.port(), default.port());
    }

    #[test]
    fn port_zero_means_any_free_port() {
        assert_ne!(choose_address("127.0.0.1:0".parse().ok()).unwrap().port(), 0);
    }
}
