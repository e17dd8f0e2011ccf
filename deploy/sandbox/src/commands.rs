//! How each component is run: its flags and its files. What is unusual about a flag is said beside it.

use std::path::{Path, PathBuf};

use crate::build::Binaries;
use crate::component::Component;
use crate::layout::Layout;
use crate::pki::{ETCD_CLIENT, Pki};
use crate::ports::ReservedPort;
use crate::process::{Environment, Spec};

/// Services get their addresses from here, so that no two sandboxes or the host are disturbed: nothing routes it.
const SERVICE_RANGE: &str = "10.0.0.0/16";

/// What the apiserver writes into its audit log.
pub(crate) const AUDIT_POLICY: &str = include_str!("audit-policy.yaml");

/// How long the controller-manager waits for a sign of life of a node. Longer than kwok's longest silence
/// (`nodeLeaseDurationSeconds` / 4 in kwok.yaml), or thousands of quiet nodes would be declared lost.
const NODE_MONITOR_GRACE: &str = "30m";

/// The ports of one sandbox.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) etcd: ReservedPort,
    pub(crate) etcd_peer: ReservedPort,
    pub(crate) api_server: ReservedPort,
    pub(crate) controller_manager: ReservedPort,
    pub(crate) scheduler: ReservedPort,
    pub(crate) kwok: ReservedPort,
}

impl Ports {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;

    /// Gives each reserved port a purpose. None if there are not [`Ports::COUNT`] of them.
    pub(crate) fn assign(reserved: Vec<ReservedPort>) -> Option<Self> {
        let [etcd, etcd_peer, api_server, controller_manager, scheduler, kwok] = reserved.try_into().ok()?;
        Some(Self { etcd, etcd_peer, api_server, controller_manager, scheduler, kwok })
    }
}

/// Everything that the command lines depend on.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) binaries: Binaries,
    pub(crate) layout: Layout,
    pub(crate) pki: Pki,
    pub(crate) ports: Ports,
    /// Flags of the caller's, after ours and so stronger.
    pub(crate) api_server_args: Vec<String>,
}

impl Commands {
    /// The address of the apiserver.
    pub(crate) fn api_server_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api_server.number())
    }

    /// The address of etcd.
    pub(crate) fn etcd_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.etcd.number())
    }

    /// The kubeconfig with which a component can be asked whether it is ready.
    pub(crate) fn kubeconfig_for(&self, component: Component) -> PathBuf {
        match component {
            Component::Etcd => self.layout.kubeconfig_of(ETCD_CLIENT),
            _ => self.layout.kubeconfig(),
        }
    }

    /// Where a component says whether it is ready: server and path.
    pub(crate) fn readiness(&self, component: Component) -> (String, &'static str) {
        let (scheme, port, path) = match component {
            Component::Etcd => ("https", &self.ports.etcd, "/readyz"),
            Component::ApiServer => ("https", &self.ports.api_server, "/readyz"),
            Component::ControllerManager => ("https", &self.ports.controller_manager, "/healthz"),
            Component::Scheduler => ("https", &self.ports.scheduler, "/readyz"),
            Component::Kwok => ("http", &self.ports.kwok, "/healthz"),
        };
        (format!("{scheme}://127.0.0.1:{}", port.number()), path)
    }

    /// What to run for a component.
    pub(crate) fn spec(&self, component: Component) -> Spec {
        let mut flags = Flags::default();
        match component {
            Component::Etcd => self.etcd(&mut flags),
            Component::ApiServer => self.api_server(&mut flags),
            Component::ControllerManager => self.controller_manager(&mut flags),
            Component::Scheduler => self.scheduler(&mut flags),
            Component::Kwok => self.kwok(&mut flags),
        }
        let (program, name) = match component {
            Component::Kwok => (self.binaries.kwok(), None),
            _ => (self.binaries.control_plane(), Some(component.name())),
        };
        Spec {
            program,
            args: name.map(Into::into).into_iter().chain(flags.0.into_iter().map(Into::into)).collect(),
            environment: Environment::Home(self.layout.home()),
            log: self.layout.log(component.name()),
        }
    }

    fn etcd(&self, flags: &mut Flags) {
        let client = self.etcd_url();
        let peer = format!("https://127.0.0.1:{}", self.ports.etcd_peer.number());
        flags.set("name", "sandbox");
        flags.path("data-dir", &self.layout.etcd_data());
        flags.set("listen-client-urls", &client);
        flags.set("advertise-client-urls", &client);
        flags.set("listen-peer-urls", &peer);
        flags.set("initial-advertise-peer-urls", &peer);
        flags.set("initial-cluster", &format!("sandbox={peer}"));
        // A sandbox that survives a power cut is worth less than one that starts at once.
        flags.set("unsafe-no-fsync", "true");
        // Loopback is shared by all users of the machine, and etcd's own authority has vouched for the apiserver alone.
        for prefix in ["", "peer-"] {
            flags.path(&format!("{prefix}cert-file"), &self.pki.cert("etcd"));
            flags.path(&format!("{prefix}key-file"), &self.pki.key("etcd"));
            flags.path(&format!("{prefix}trusted-ca-file"), &self.pki.etcd_ca());
            flags.set(&format!("{prefix}client-cert-auth"), "true");
        }
    }

    fn api_server(&self, flags: &mut Flags) {
        flags.set("etcd-servers", &self.etcd_url());
        flags.path("etcd-cafile", &self.pki.etcd_ca());
        flags.path("etcd-certfile", &self.pki.cert(ETCD_CLIENT));
        flags.path("etcd-keyfile", &self.pki.key(ETCD_CLIENT));
        flags.set("bind-address", "127.0.0.1");
        // The address under which the `kubernetes` service is published. Loopback is refused there, and a machine
        // without a network has no other; this one is reserved for documentation and reaches nobody.
        flags.set("advertise-address", "192.0.2.1");
        self.serve(flags, self.ports.api_server.number());
        flags.path("client-ca-file", &self.pki.ca());
        flags.set("authorization-mode", "Node,RBAC");
        flags.set("enable-admission-plugins", "NodeRestriction");
        flags.set("enable-bootstrap-token-auth", "true");
        flags.set("allow-privileged", "true");
        flags.path("service-account-key-file", &self.pki.service_account_public_key());
        flags.path("service-account-signing-key-file", &self.pki.service_account_key());
        flags.set("service-account-issuer", "https://kubernetes.default.svc");
        flags.set("service-cluster-ip-range", SERVICE_RANGE);
        flags.path("audit-policy-file", &self.layout.audit_policy());
        flags.path("audit-log-path", &self.layout.audit_log());
        // In MB, and as many again of the file before: some 25,000 requests each.
        flags.set("audit-log-maxsize", "20");
        flags.set("audit-log-maxbackup", "1");
        flags.0.extend(self.api_server_args.iter().cloned());
    }

    fn controller_manager(&self, flags: &mut Flags) {
        self.client_of(flags, "controller-manager");
        self.serve(flags, self.ports.controller_manager.number());
        flags.set("leader-elect", "false");
        flags.set("use-service-account-credentials", "true");
        flags.path("service-account-private-key-file", &self.pki.service_account_key());
        flags.path("root-ca-file", &self.pki.ca());
        flags.path("cluster-signing-cert-file", &self.pki.ca());
        flags.path("cluster-signing-key-file", &self.pki.ca_key());
        flags.set("service-cluster-ip-range", SERVICE_RANGE);
        flags.set("node-monitor-grace-period", NODE_MONITOR_GRACE);
        // The ttl controller writes an annotation to every node whenever the fleet crosses a size, for kubelets that
        // are not here.
        flags.set("controllers", "*,bootstrap-signer-controller,token-cleaner-controller,-ttl-controller");
        self.unthrottled(flags);
    }

    fn scheduler(&self, flags: &mut Flags) {
        self.client_of(flags, "scheduler");
        self.serve(flags, self.ports.scheduler.number());
        flags.set("leader-elect", "false");
        self.unthrottled(flags);
    }

    fn kwok(&self, flags: &mut Flags) {
        flags.path("config", &self.layout.kwok_config());
        flags.path("kubeconfig", &self.layout.kubeconfig_of("kwok"));
        flags.set("server-address", &format!("127.0.0.1:{}", self.ports.kwok.number()));
    }

    fn serve(&self, flags: &mut Flags, port: u16) {
        flags.set("secure-port", &port.to_string());
        flags.path("tls-cert-file", &self.pki.cert("serving"));
        flags.path("tls-private-key-file", &self.pki.key("serving"));
    }

    fn client_of(&self, flags: &mut Flags, client: &str) {
        flags.set("bind-address", "127.0.0.1");
        for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            flags.path(flag, &self.layout.kubeconfig_of(client));
        }
    }

    /// The defaults of 20 to 50 requests a second would make thousands of nodes and pods wait for minutes.
    fn unthrottled(&self, flags: &mut Flags) {
        flags.set("kube-api-qps", "1000");
        flags.set("kube-api-burst", "2000");
    }
}

#[derive(Default)]
struct Flags(Vec<String>);

impl Flags {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push(format!("--{name}={value}"));
    }

    fn path(&mut self, name: &str, path: &Path) {
        self.set(name, &path.display().to_string());
    }
}
