//! The stock server, as a process of its own: tonic's own transport with TLS, a broadcast channel, prost's messages. It has its
//! changes from nodeward's watch, message for message, so that both send the same bytes.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{ListNodesRequest, WatchNodesRequest, WatchNodesResponse};
use prost::Message;
use tokio::sync::broadcast;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use super::service::Stock;

/// How many changes wait for the slowest stream before it loses some.
const BACKLOG: usize = 4096;

#[derive(Debug, Parser)]
struct Flags {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    /// Its certificate
    #[arg(long)]
    cert: PathBuf,
    /// The key of its certificate
    #[arg(long)]
    key: PathBuf,
    /// Where nodeward is
    #[arg(long)]
    upstream: SocketAddr,
    /// Who has signed nodeward's certificate
    #[arg(long)]
    ca: PathBuf,
    /// The file of the token that is shown to nodeward
    #[arg(long)]
    token: PathBuf,
}

/// Serves until the process is ended.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let flags = Flags::parse_from(args);
    let serve = || tokio::runtime::Runtime::new()?.block_on(serve(flags));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> Result<()> {
    let mut upstream = Upstream::connect(&flags).await?;
    let node = upstream.some_node().await?.into();
    let (sender, _) = broadcast::channel(BACKLOG);
    let stock = Stock { changes: sender.clone(), node };
    let identity = Identity::from_pem(tokio::fs::read(&flags.cert).await?, tokio::fs::read(&flags.key).await?);
    let tls = ServerTlsConfig::new().identity(identity);
    let server = Server::builder().tls_config(tls)?.add_service(stock).serve(flags.listen);
    tokio::select! {
        served = server => Ok(served?),
        ended = upstream.follow(sender) => ended.context("follow nodeward's watch"),
    }
}

/// nodeward, where the changes come from.
struct Upstream {
    client: NodeServiceClient<Channel>,
    authorization: MetadataValue<tonic::metadata::Ascii>,
}

impl Upstream {
    async fn connect(flags: &Flags) -> Result<Self> {
        let ca = Certificate::from_pem(tokio::fs::read(&flags.ca).await?);
        let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
        let channel = Endpoint::from_shared(format!("https://{}", flags.upstream))?.tls_config(tls)?.connect().await?;
        let token = tokio::fs::read_to_string(&flags.token).await?;
        Ok(Self { client: NodeServiceClient::new(channel), authorization: format!("Bearer {token}").parse()? })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    /// The bytes of one of the nodes.
    async fn some_node(&mut self) -> Result<Vec<u8>> {
        let request = self.request(ListNodesRequest { page_size: 1, ..ListNodesRequest::default() });
        let list = self.client.list_nodes(request).await?.into_inner();
        Ok(list.nodes.first().context("there are no nodes")?.encode_to_vec())
    }

    /// Hands on all changes.
    async fn follow(&mut self, changes: broadcast::Sender<WatchNodesResponse>) -> Result<()> {
        let mut resume_token = String::new();
        loop {
            let skip_snapshot = resume_token.is_empty();
            let request = WatchNodesRequest { skip_snapshot, resume_token, ..WatchNodesRequest::default() };
            let mut stream = self.client.watch_nodes(self.request(request)).await?.into_inner();
            resume_token = String::new();
            // nodeward ends a stream now and then, and it goes on where it ended.
            while let Some(message) = stream.message().await? {
                resume_token.clone_from(&message.resume_token);
                if let Some(Event::Change(_)) = message.event {
                    // Nobody may be listening.
                    let _ = changes.send(message);
                }
            }
        }
    }
}

/// A stream that has lost changes is of no use.
pub(super) fn lost(count: u64) -> Status {
    Status::data_loss(format!("{count} changes were lost"))
}
