//! What is said once the sandbox runs: where everything is, and what to try.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use nodeward_client::Context;
use nodeward_sandbox::{ClientContexts, Sandbox, User};

use crate::clients::{Clients, Told};

/// What there is to say something about.
#[derive(Debug)]
pub(crate) struct Greeting<'a> {
    dir: &'a Path,
    apiserver: &'a str,
    kubeconfig: &'a Path,
    /// Whether kubectl finds the sandbox without its directory.
    current: bool,
    /// Of the nodeward server, if there is one.
    server: Option<Server<'a>>,
}

/// How clients reach the nodeward server.
#[derive(Debug)]
struct Server<'a> {
    address: SocketAddr,
    operator: &'a Context,
    told: &'a Told,
}

impl<'a> Greeting<'a> {
    pub(crate) fn of(sandbox: &'a Sandbox, clients: Option<&'a Clients>) -> Self {
        let kubeconfig = sandbox.kubeconfig_path();
        let current = nodeward_sandbox::find(None).is_ok_and(|state| state.kubeconfig == kubeconfig);
        let server = clients.map(|clients| Server {
            address: clients.address,
            operator: &clients.operator,
            told: &clients.told,
        });
        Self { dir: sandbox.dir(), apiserver: sandbox.apiserver_url(), kubeconfig, current, server }
    }

    pub(crate) fn text(&self) -> String {
        let Self { dir, apiserver, kubeconfig, .. } = self;
        let (dir, kubeconfig) = (dir.display(), kubeconfig.display());
        let named = if self.current { String::new() } else { format!(" --dir {dir}") };
        let parts = |server: &Server<'_>| [server.line(), server.nodeward(), server.grpcurl()];
        let [address, nodeward, grpcurl] = self.server.as_ref().map(parts).unwrap_or_default();
        format!(
            "
The sandbox is running in {dir}
  apiserver   {apiserver}
  kubeconfig  {kubeconfig}
{address}
Try, in another terminal:
{nodeward}  cargo sandbox{named} -- kubectl get nodes
{grpcurl}
Ctrl-C stops it.
"
        )
    }
}

impl Server<'_> {
    fn line(&self) -> String {
        format!("  nodeward    {}\n", self.operator.endpoint)
    }

    fn nodeward(&self) -> String {
        let users = [User::Admin, User::Viewer, User::Operator, User::Auditor];
        let [admin, viewer, operator, auditor] = users.map(ClientContexts::name);
        let (before, admin) = match self.told {
            Told::Nothing => (String::new(), String::new()),
            Told::Context => (String::new(), format!(" --context {admin}")),
            Told::Config(file) => (format!("  export NODEWARD_CONFIG={}\n", file.display()), String::new()),
        };
        format!(
            "{before}  cargo nodeward{admin} list
  cargo nodeward{admin} watch
  cargo nodeward --context {viewer} cordon worker-3    # denied: a viewer may only look
  cargo nodeward --context {operator} cordon worker-3 --reason \"a look around\"
  cargo nodeward --context {auditor} audit list --node worker-3    # who, when, why, and what came of it
  cargo nodeward --context {operator} plan worker-2                # what a drain would do, pod by pod
  cargo nodeward --context {operator} drain worker-2 --ignore-daemonsets --force --delete-emptydir-data
"
        )
    }

    /// For clients that have to be told everything.
    fn grpcurl(&self) -> String {
        let Context { ca_file, server_name, client_certificate, client_key, .. } = self.operator;
        let shown = |file: Option<&Path>| file.map(|file| file.display().to_string()).unwrap_or_default();
        let pki = shown(ca_file.as_deref().and_then(Path::parent));
        let files = [ca_file, client_certificate, client_key];
        let [ca, certificate, key] = files.map(|file| shown(file.as_deref()).replace(&pki, "$pki"));
        let name = server_name.as_deref().map(|name| format!(" -servername {name}")).unwrap_or_default();
        let address = self.address;
        format!(
            "
The same with grpcurl (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest), as the operator:
  pki={pki}
  grpcurl -cacert {ca} -cert {certificate} -key {key}{name} {address} list
"
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(server_name: Option<&str>) -> Context {
        let mut context = Context::new("https://127.0.0.1:7443");
        context.ca_file = Some("/d/pki/ca.crt".into());
        context.client_certificate = Some("/d/pki/operator.crt".into());
        context.client_key = Some("/d/pki/operator.key".into());
        context.server_name = server_name.map(str::to_owned);
        context
    }

    fn text(current: bool, server: Option<(&Context, Told)>) -> String {
        let (dir, apiserver, kubeconfig) = (Path::new("/d"), "https://127.0.0.1:1", Path::new("/d/kubeconfig"));
        let address = "127.0.0.1:7443".parse().unwrap();
        let server = server.as_ref().map(|(operator, told)| Server { address, operator, told });
        Greeting { dir, apiserver, kubeconfig, current, server }.text()
    }

    #[test]
    fn clients_that_find_the_sandbox_by_themselves_need_no_flags() {
        let text = text(true, Some((&operator(None), Told::Nothing)));
        assert!(text.contains("  nodeward    https://127.0.0.1:7443\n\nTry"), "{text}");
        assert!(text.contains("  cargo nodeward list\n"), "{text}");
        assert!(text.contains("  cargo nodeward --context sandbox-viewer cordon worker-3 "), "{text}");
        assert!(text.contains("  cargo sandbox -- kubectl get nodes\n"), "{text}");
    }

    #[test]
    fn those_of_a_user_with_another_current_context_are_told_the_sandboxs() {
        let text = text(true, Some((&operator(None), Told::Context)));
        assert!(text.contains("  cargo nodeward --context sandbox-admin list\n"), "{text}");
    }

    #[test]
    fn those_that_would_find_another_sandbox_are_told_the_configuration_first() {
        let text = text(true, Some((&operator(None), Told::Config("/d/nodeward.yaml".into()))));
        assert!(text.contains("  export NODEWARD_CONFIG=/d/nodeward.yaml\n  cargo nodeward list\n"), "{text}");
    }

    #[test]
    fn grpcurl_is_told_everything() {
        let command = "  pki=/d/pki\n  grpcurl -cacert $pki/ca.crt -cert $pki/operator.crt -key $pki/operator.key";
        let of = |operator: Context| text(true, Some((&operator, Told::Nothing)));
        let plain = of(operator(None));
        assert!(plain.contains(&format!("{command} 127.0.0.1:7443 list\n")), "{plain}");
        let named = of(operator(Some("localhost")));
        assert!(named.contains(&format!("{command} -servername localhost 127.0.0.1:7443 list\n")), "{named}");
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_loopback() {
        for (listen, reached) in
            [("0.0.0.0:7443", "127.0.0.1:7443"), ("[::]:99", "[::1]:99"), ("192.0.2.7:1", "192.0.2.7:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), reached.parse().unwrap());
        }
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
