//! A server whose handlers are given by the test, a client of it, and a collector of its traces.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, Node, WatchNodesResponse};
use nodeward_server::telemetry::{RpcTraceLayer, Telemetry, TelemetryOptions};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::collector::Collector;
use crate::subscriber::set_default;

/// How long tests wait for what must come.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The trace that [`traced`] callers are in.
pub const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
/// The span that they call from.
pub const PARENT_ID: &str = "b7ad6b7169203331";
/// The names of the spans of the methods that tests call.
pub const CORDON: &str = "nodeward.v1.NodeService/CordonNode";
pub const GET: &str = "nodeward.v1.NodeService/GetNode";
pub const WATCH: &str = "nodeward.v1.NodeService/WatchNodes";

pub type Answer = BoxFuture<'static, Result<Node, Status>>;

pub struct Fixture {
    pub client: NodeServiceClient<Channel>,
    pub channel: Channel,
    // Before telemetry, whose own end is not to be logged.
    _default: DefaultGuard,
    pub telemetry: Telemetry,
    _spans: EndOfSpans,
    // The last, since what is dropped before it exports what there is.
    pub collector: Collector,
}

impl Fixture {
    /// A server that answers each unary call with `answer`.
    pub async fn start(options: TelemetryOptions, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::logging_to(options, std::io::stderr, answer).await
    }

    /// The same, with a log that goes to `log`.
    pub async fn logging_to<W>(
        options: TelemetryOptions,
        log: W,
        answer: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let collector = Collector::start().await;
        let (telemetry, _default) = telemetry(&collector, options, log);
        let _spans = EndOfSpans(telemetry.provider().clone());
        let layer =
            RpcTraceLayer::new().measured_by(&telemetry.meter()).advertised(Some(("nodeward.test".to_owned(), 443)));
        let channel = serve(layer, Nodes { answer: Arc::new(answer) }).await;
        let client = NodeServiceClient::new(channel.clone());
        Self { client, channel, _default, telemetry, _spans, collector }
    }

    /// One that answers with an empty node, with the default options.
    pub async fn ok() -> Self {
        Self::start(TelemetryOptions::default(), || Box::pin(ready(Ok(Node::default())))).await
    }

    /// One that fails.
    pub async fn failing(status: Status) -> Self {
        Self::start(TelemetryOptions::default(), move || Box::pin(ready(Err(status.clone())))).await
    }

    pub async fn cordon(&mut self, metadata: MetadataMap) -> Result<MetadataMap, Status> {
        self.client.cordon_node(with(metadata, CordonNodeRequest::default())).await.map(metadata_of)
    }

    pub async fn get(&mut self, metadata: MetadataMap) -> Result<MetadataMap, Status> {
        self.client.get_node(with(metadata, GetNodeRequest::default())).await.map(metadata_of)
    }

    /// Makes a change in the trace [`TRACE_ID`], and leaves it at `left`.
    pub async fn cordon_until(&mut self, left: impl Future<Output = ()>) {
        tokio::select! {
            answer = self.cordon(traced(true)) => panic!("{answer:?}"),
            () = left => {}
        }
    }

    /// The trace that a change without a caller's trace context was given.
    pub async fn cordon_id(&mut self) -> String {
        match self.cordon(MetadataMap::new()).await {
            Ok(metadata) => trace_id(&metadata),
            Err(status) => trace_id(status.metadata()),
        }
    }
}

/// Ends the provider of spans, and with it its thread: the subscriber, which outlives the fixture, has a reference to it.
struct EndOfSpans(SdkTracerProvider);

impl Drop for EndOfSpans {
    fn drop(&mut self) {
        // An error says that the test has ended it, or that the last spans are lost, which nobody waits for any more.
        let _ = self.0.shutdown();
    }
}

/// Traces of this thread go to `collector`, and metrics, and at once.
fn telemetry<W>(collector: &Collector, options: TelemetryOptions, log: W) -> (Telemetry, DefaultGuard)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let endpoint = options.otlp_endpoint.or_else(|| Some(collector.endpoint().to_owned()));
    let options = TelemetryOptions {
        otlp_endpoint: endpoint,
        trace_export_delay_ms: 10,
        metric_export_interval_ms: 50,
        ..options
    };
    let (telemetry, subscriber) = Telemetry::logging_to(&options, log, false).expect("telemetry");
    (telemetry, set_default(subscriber))
}

async fn serve(layer: RpcTraceLayer, nodes: Nodes) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = Server::builder().layer(layer).add_service(nodes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Channel::from_shared(endpoint).expect("a URL").connect().await.expect("a connection")
}

/// The metadata of a caller that is in a trace, which it samples or not.
pub fn traced(sampled: bool) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let flags = if sampled { "01" } else { "00" };
    metadata.insert("traceparent", format!("00-{TRACE_ID}-{PARENT_ID}-{flags}").parse().expect("ASCII"));
    metadata
}

pub fn trace_id(metadata: &MetadataMap) -> String {
    metadata.get("x-trace-id").expect("a trace id").to_str().expect("ASCII").to_owned()
}

pub fn with<T>(metadata: MetadataMap, message: T) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata;
    request
}

fn metadata_of<T>(response: Response<T>) -> MetadataMap {
    response.metadata().clone()
}

/// Stands for the service of the contract without all of its methods.
#[derive(Clone)]
struct Nodes {
    answer: Arc<dyn Fn() -> Answer + Send + Sync>,
}

impl NamedService for Nodes {
    const NAME: &str = "nodeward.v1.NodeService";
}

impl Service<http::Request<Body>> for Nodes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = Arc::clone(&self.answer);
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("WatchNodes") => watch(request).await,
                Some("CordonNode" | "GetNode") => unary(answer, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

async fn unary(answer: Arc<dyn Fn() -> Answer + Send + Sync>, request: http::Request<Body>) -> http::Response<Body> {
    let handler = service_fn(move |_: Request<()>| {
        let answer = answer();
        async move { answer.await.map(Response::new) }
    });
    Grpc::new(ProstCodec::<Node, ()>::default()).unary(handler, request).await
}

/// A stream of one message that stays open.
async fn watch(request: http::Request<Body>) -> http::Response<Body> {
    let handler = service_fn(|_: Request<()>| ready(Ok::<_, Status>(Response::new(one_change()))));
    Grpc::new(ProstCodec::<WatchNodesResponse, ()>::default()).server_streaming(handler, request).await
}

fn one_change() -> impl Stream<Item = Result<WatchNodesResponse, Status>> + Send + 'static {
    let change = || {
        tracing::debug!(target: "nodeward::test", "a change is sent");
        Ok(WatchNodesResponse::default())
    };
    stream::iter([()]).map(move |()| change()).chain(stream::pending())
}
