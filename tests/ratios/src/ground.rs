//! What is measured: a control plane with fake nodes, the nodeward server in front of it as it runs in earnest (TLS, tokens, its
//! own service account's rights, audit records), and the anchors beside it.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::HeaderValue;
use nodeward_sandbox::{Companion, Component, Progress, SERVER_NAMESPACE, Sandbox, SandboxOptions, Subject};

use crate::anchor::{apiserver, etcd, ours, stock};
use crate::args::Plan;
use crate::client::{self, Call, Connection, Endpoint, Windows};
use crate::role;
use crate::system::System;
use crate::writer::Writer;

/// Whose service account asks, at nodeward and at the apiserver alike.
const ACCOUNT: &str = "ratios";

/// What the server is told besides where its files are. One client takes the place of thousands here, so no limit is to hold it
/// up; everything else is as it is by default.
pub const SERVER_FLAGS: [&str; 16] = [
    "--read-rate=0",
    "--read-concurrency=0",
    "--watch-rate=0",
    "--watch-concurrency=0",
    "--mutation-rate=0",
    "--mutation-concurrency=0",
    "--max-calls=0",
    "--max-streams=0",
    "--max-connections=4096",
    "--max-connections-per-address=4096",
    // Longer than any block.
    "--connection-max-age=7200",
    "--watch-max-age=7200",
    "--admin-listen=off",
    "--no-operations",
    "--log=warn",
    "--log-format=text",
];

/// What the apiserver is told. Its audit log is turned off, which would be work that the anchors don't have to do.
const API_SERVER_FLAGS: [&str; 2] = ["--audit-policy-file=", "--audit-log-path="];

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// All that runs. It ends when this is dropped.
pub struct Ground {
    /// How much is to be measured.
    pub plan: Plan,
    /// The control plane.
    pub sandbox: Sandbox,
    /// The nodeward server, unless it has just been stopped.
    server: Option<Companion>,
    /// The stock tonic server, likewise.
    stock: Option<Companion>,
    /// Who changes nodes, as an administrator.
    pub writer: Writer,
    /// nodeward, for a client with a token.
    pub nodeward: Endpoint,
    /// The apiserver, for the same client.
    pub apiserver: Endpoint,
    /// The apiserver, for an administrator.
    pub admin: Endpoint,
    /// etcd, for whoever is the apiserver.
    pub etcd: Endpoint,
    /// The stock tonic server, which asks nobody who they are.
    pub tonic: Endpoint,
}

/// One more nodeward server in front of the same cluster.
pub struct Another {
    pub server: Companion,
    pub endpoint: Endpoint,
    /// How long it took from its start until it was ready.
    pub start: Duration,
}

impl Ground {
    /// Starts everything, and waits until it is ready.
    pub async fn start(plan: Plan) -> Result<Self> {
        let sandbox = Sandbox::start(SandboxOptions {
            nodes: plan.nodes,
            seed_workloads: false,
            progress: Progress::auto(),
            api_server_args: API_SERVER_FLAGS.map(str::to_owned).to_vec(),
            ..SandboxOptions::default()
        })
        .await?;
        sandbox.bind(&Subject::service_account(SERVER_NAMESPACE, ACCOUNT), "nodeward-admin").await?;
        let nodeward = nodeward(&sandbox).await?;
        let server = start_server(&sandbox, &nodeward).await?;
        let tonic = Endpoint { address: free_address()?, token: None, ..nodeward.clone() };
        let stock = start_stock(&sandbox, &nodeward, &tonic).await?;
        let apiserver = apiserver(&sandbox).await?;
        let tls = client::trusting(&sandbox.cluster_ca(), Some(&sandbox.admin_certificate()))?;
        let admin = Endpoint { tls, token: None, ..apiserver.clone() };
        let writer = Writer::new(&admin, plan.nodes).await?;
        let etcd = Endpoint {
            address: address_of(&sandbox.etcd_url())?,
            tls: client::trusting(&sandbox.etcd_ca(), Some(&sandbox.etcd_client_certificate()))?,
            token: None,
        };
        let (server, stock) = (Some(server), Some(stock));
        Ok(Self { plan, sandbox, server, stock, writer, nodeward, apiserver, admin, etcd, tonic })
    }

    /// The process of a part of the control plane.
    pub fn pid(&self, component: Component) -> Result<u32> {
        let found = self.sandbox.pids().into_iter().find(|(running, _)| *running == component);
        Ok(found.with_context(|| format!("{component} does not run"))?.1)
    }

    /// The process of the nodeward server.
    pub fn server_pid(&self) -> Result<u32> {
        Ok(self.server.as_ref().context("the nodeward server does not run")?.id())
    }

    /// The process of the stock tonic server.
    pub fn stock_pid(&self) -> Result<u32> {
        Ok(self.stock.as_ref().context("the stock tonic server does not run")?.id())
    }

    /// nodeward's watch.
    pub fn our_watch(&self) -> Result<System> {
        Ok(ours::watch(self.nodeward.clone(), self.server_pid()?))
    }

    /// The watches that nodeward's is compared with.
    pub fn other_watches(&self) -> Result<[System; 4]> {
        let api_server = self.pid(Component::ApiServer)?;
        Ok([
            apiserver::protobuf_watch(self.apiserver.clone(), api_server),
            apiserver::json_watch(self.apiserver.clone(), api_server),
            etcd::watch(self.etcd.clone(), self.pid(Component::Etcd)?),
            stock::watch(self.tonic.clone(), self.stock_pid()?),
        ])
    }

    /// How many watches of nodes the apiserver has, whoever's they are.
    pub async fn watches_at_apiserver(&self) -> Result<f64> {
        let metrics =
            Connection::open(&self.admin, Windows::WIDE).await?.ask(&Call::get("/metrics", "text/plain")).await?;
        let metrics = String::from_utf8(metrics)?;
        let is_watch = |line: &&str| {
            let labels = ["resource=\"nodes\"", "subresource=\"\"", "verb=\"WATCH\""];
            line.starts_with("apiserver_longrunning_requests{") && labels.iter().all(|label| line.contains(label))
        };
        let counts = metrics.lines().filter(is_watch).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(counts.sum())
    }

    /// Stops the nodeward server, and whoever reads from it.
    pub async fn stop_server(&mut self) {
        for companion in [self.stock.take(), self.server.take()].into_iter().flatten() {
            companion.stop(Duration::from_secs(10)).await;
        }
    }

    /// Starts them again, where they were.
    pub async fn start_server_again(&mut self) -> Result<()> {
        self.server = Some(start_server(&self.sandbox, &self.nodeward).await?);
        self.stock = Some(start_stock(&self.sandbox, &self.nodeward, &self.tonic).await?);
        Ok(())
    }

    /// A new server, of which nobody has asked anything yet.
    pub async fn restart_server(&mut self) -> Result<()> {
        self.stop_server().await;
        self.start_server_again().await
    }

    /// Starts one more nodeward server, with an audit log of its own.
    pub async fn start_another(&self) -> Result<Another> {
        let endpoint = Endpoint { address: free_address()?, ..self.nodeward.clone() };
        let begun = Instant::now();
        let server = spawn_server(&self.sandbox, endpoint.address, "another-nodeward-server")?;
        server.ready(async || will_serve(&endpoint).await, PATIENCE).await?;
        Ok(Another { server, endpoint, start: begun.elapsed() })
    }

    /// Stops everything in order.
    pub async fn stop(mut self) -> Result<()> {
        self.stop_server().await;
        Ok(self.sandbox.stop().await?)
    }
}

/// How nodeward will be reached: a free address, and a token that is meant for it.
async fn nodeward(sandbox: &Sandbox) -> Result<Endpoint> {
    let token = token(sandbox, &["nodeward"]).await?;
    std::fs::write(token_file(sandbox), &token)?;
    let tls = client::trusting(&sandbox.server_ca(), None)?;
    Ok(Endpoint { address: free_address()?, tls, token: Some(bearer(&token)?) })
}

async fn apiserver(sandbox: &Sandbox) -> Result<Endpoint> {
    let tls = client::trusting(&sandbox.cluster_ca(), None)?;
    let token = bearer(&token(sandbox, &[]).await?)?;
    Ok(Endpoint { address: address_of(sandbox.apiserver_url())?, tls, token: Some(token) })
}

async fn token(sandbox: &Sandbox, audiences: &[&str]) -> Result<String> {
    let lifetime = Duration::from_secs(24 * 3600);
    Ok(sandbox.service_account_token(SERVER_NAMESPACE, ACCOUNT, audiences, lifetime).await?)
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn token_file(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir().join("ratios.token")
}

async fn start_server(sandbox: &Sandbox, nodeward: &Endpoint) -> Result<Companion> {
    let server = spawn_server(sandbox, nodeward.address, "nodeward-server")?;
    server.ready(async || is_serving(nodeward).await.map_err(|error| format!("{error:#}")), PATIENCE).await?;
    Ok(server)
}

fn spawn_server(sandbox: &Sandbox, listen: SocketAddr, name: &'static str) -> Result<Companion> {
    let certificate = sandbox.server_certificate();
    let files: [(&str, PathBuf); 4] = [
        ("--tls-cert", certificate.certificate),
        ("--tls-key", certificate.key),
        ("--kubeconfig", sandbox.server_kubeconfig()),
        ("--audit-dir", sandbox.nodeward_dir().join(format!("audit-of-{name}"))),
    ];
    let mut flags = vec![OsString::from(role::SERVER), "--listen".into(), listen.to_string().into()];
    flags.extend(files.into_iter().flat_map(|(flag, path)| [flag.into(), path.into_os_string()]));
    flags.extend(SERVER_FLAGS.iter().map(OsString::from));
    companion(name, flags, sandbox)
}

async fn start_stock(sandbox: &Sandbox, nodeward: &Endpoint, tonic: &Endpoint) -> Result<Companion> {
    let certificate = sandbox.server_certificate();
    let flags: [(&str, OsString); 6] = [
        ("--listen", tonic.address.to_string().into()),
        ("--cert", certificate.certificate.into()),
        ("--key", certificate.key.into()),
        ("--upstream", nodeward.address.to_string().into()),
        ("--ca", sandbox.server_ca().into()),
        ("--token", token_file(sandbox).into()),
    ];
    let flags = flags.into_iter().flat_map(|(flag, value)| [flag.into(), value]);
    let stock = companion("stock-tonic", std::iter::once(role::ANCHOR.into()).chain(flags).collect(), sandbox)?;
    let answers = async || Connection::open(tonic, Windows::WIDE).await?.ask(&Call::grpc_bytes(stock::ECHO, &[])).await;
    stock.ready(async || answers().await.map(drop).map_err(|error| format!("{error:#}")), PATIENCE).await?;
    Ok(stock)
}

/// Starts this program as one of the servers.
fn companion(name: &'static str, flags: Vec<OsString>, sandbox: &Sandbox) -> Result<Companion> {
    let program = std::env::current_exe().context("find this program")?;
    Ok(Companion::start(name, &program, flags, &[], &sandbox.log_path(name))?)
}

/// Whether nodeward says that it is ready.
async fn is_serving(nodeward: &Endpoint) -> Result<()> {
    let connection = Connection::open(nodeward, Windows::WIDE).await?;
    let answer = connection.ask(&Call::grpc_bytes("/grpc.health.v1.Health/Check", &[])).await?;
    // A HealthCheckResponse whose status is SERVING.
    if answer.ends_with(&[8, 1]) { Ok(()) } else { bail!("it is not serving yet") }
}

/// Waits until nodeward says that it is ready, and asks so often that its time is known to some milliseconds.
async fn will_serve(nodeward: &Endpoint) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match is_serving(nodeward).await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => return Err(format!("{error:#}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// An address that nobody listens at. Until somebody does, others may still take it.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn address_of(url: &str) -> Result<SocketAddr> {
    url.trim_start_matches("https://").parse().with_context(|| format!("{url} has no address"))
}
