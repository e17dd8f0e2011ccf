//! What is said once the sandbox runs: where everything is, and what to try.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use nodeward_sandbox::Sandbox;

use crate::args::DEFAULT_LISTEN;

/// What there is to say something about.
#[derive(Debug)]
pub(crate) struct Greeting<'a> {
    dir: &'a Path,
    apiserver: &'a str,
    kubeconfig: &'a Path,
    /// Whether kubectl finds the sandbox without its directory.
    current: bool,
    /// Where the server listens, if there is one.
    listen: Option<SocketAddr>,
}

impl<'a> Greeting<'a> {
    pub(crate) fn of(sandbox: &'a Sandbox, listen: Option<SocketAddr>) -> Self {
        let kubeconfig = sandbox.kubeconfig_path();
        let current = nodeward_sandbox::find(None).is_ok_and(|state| state.kubeconfig == kubeconfig);
        Self { dir: sandbox.dir(), apiserver: sandbox.apiserver_url(), kubeconfig, current, listen }
    }

    pub(crate) fn text(&self) -> String {
        let Self { dir, apiserver, kubeconfig, .. } = self;
        let (dir, kubeconfig) = (dir.display(), kubeconfig.display());
        let named = if self.current { String::new() } else { format!(" --dir {dir}") };
        let mut text = format!(
            "
The sandbox is running in {dir}
  apiserver   {apiserver}
  kubeconfig  {kubeconfig}
"
        );
        let address = self.listen.map(reachable);
        if let Some(address) = address {
            text.push_str(&format!("  nodeward    http://{address}\n"));
        }
        text.push_str("\nTry, in another terminal:\n");
        if let Some(address) = address {
            let endpoint = endpoint_flags(address);
            text.push_str(&format!(
                "  cargo nodeward{endpoint} list
  cargo nodeward{endpoint} cordon worker-3 --reason \"a look around\"
  cargo nodeward{endpoint} watch
"
            ));
        }
        text.push_str(&format!("  cargo sandbox{named} -- kubectl get nodes\n"));
        if let Some(address) = address {
            text.push_str(&format!(
                "  grpcurl -plaintext {address} list      \
                 # go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest\n"
            ));
        }
        text.push_str("\nCtrl-C stops it.\n");
        text
    }
}

/// An address at which whoever listens on `listen` can be reached from this machine.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What the client must be told: it finds the default by itself, and speaks in plain text to loopback only.
fn endpoint_flags(address: SocketAddr) -> String {
    match address {
        DEFAULT_LISTEN => String::new(),
        _ if address.ip().is_loopback() => format!(" --endpoint http://{address}"),
        _ => format!(" --endpoint http://{address} --plaintext"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(current: bool, listen: Option<&str>) -> String {
        let (dir, apiserver, kubeconfig) = (Path::new("/d"), "https://127.0.0.1:1", Path::new("/d/kubeconfig"));
        let listen = listen.map(|address| address.parse().unwrap());
        Greeting { dir, apiserver, kubeconfig, current, listen }.text()
    }

    #[test]
    fn the_default_address_needs_no_flags() {
        let text = text(true, Some("127.0.0.1:7443"));
        assert!(text.contains("  cargo nodeward list\n"), "{text}");
        assert!(text.contains("  cargo sandbox -- kubectl get nodes\n"), "{text}");
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_loopback() {
        for (listen, reached) in [("0.0.0.0:7443", "127.0.0.1:7443"), ("[::]:99", "[::1]:99")] {
            let text = text(true, Some(listen));
            assert!(text.contains(&format!("  nodeward    http://{reached}\n")), "{text}");
            assert!(text.contains(&format!("grpcurl -plaintext {reached} list")), "{text}");
            assert!(!text.contains(listen), "{text}");
        }
    }

    #[test]
    fn an_address_that_is_not_loopback_is_given_with_the_leave_to_speak_in_plain_text() {
        let text = text(true, Some("192.0.2.7:7443"));
        assert!(text.contains("cargo nodeward --endpoint http://192.0.2.7:7443 --plaintext list\n"), "{text}");
    }

    #[test]
    fn a_sandbox_that_is_not_the_current_one_is_named_by_its_directory() {
        assert!(text(false, None).contains("cargo sandbox --dir /d -- kubectl get nodes\n"));
    }

    #[test]
    fn without_a_server_nothing_is_said_of_one() {
        let text = text(true, None);
        assert!(!text.contains("nodeward ") && !text.contains("grpcurl"), "{text}");
    }
}
