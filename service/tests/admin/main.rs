//! What those who run a server see of it: probes and metrics, over real connections to a real server.

mod kubernetes;
#[path = "../../../tests/support/series.rs"]
mod series;
#[path = "../../../tests/support/watchdog.rs"]
mod watchdog;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, WatchNodesRequest};
use nodeward_server::admin::{self, AdminListen, AdminOptions, Endpoint};
use nodeward_server::args::ServeOptions;
use nodeward_server::server::Server;
use nodeward_server::telemetry::{self, Metrics, TelemetryOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kubernetes::Kubernetes;
use crate::series::Scrape;

/// How long tests wait for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

/// The metrics of this process, which all tests share.
fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS
        .get_or_init(|| {
            let options = TelemetryOptions { log_filter: "off".to_owned(), ..Default::default() };
            let telemetry = telemetry::init(&options).expect("telemetry");
            let metrics = telemetry.metrics();
            std::mem::forget(telemetry); // Measures until the process ends.
            metrics
        })
        .clone()
}

/// A server in front of `kubernetes`, and its endpoint.
async fn serve(kubernetes: &Kubernetes) -> (Server, Endpoint) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = metrics();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let admin = AdminOptions { admin_listen: AdminListen::At(anywhere) };
    let listening = admin::bind(&admin).await.expect("a free port").expect("it is not off");
    let mut options = ServeOptions { listen: anywhere, ..Default::default() };
    options.transport.plaintext = true;
    options.access.no_auth = true;
    options.audit.no_audit = true;
    let server = Server::start(&options, kubernetes.connection().await).await.expect("a server");
    let endpoint = listening.serve(metrics, server.probes());
    (server, endpoint)
}

/// The status and the body of what is answered to a request for this path.
async fn get(endpoint: &Endpoint, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(endpoint.address()).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

async fn scrape(endpoint: &Endpoint) -> Scrape {
    let (status, text) = get(endpoint, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    Scrape::of(text)
}

async fn client(server: &Server) -> NodeServiceClient<tonic::transport::Channel> {
    NodeServiceClient::connect(format!("http://{}", server.address())).await.expect("a connection")
}

#[tokio::test]
async fn a_server_is_ready_when_it_has_read_the_nodes_and_until_it_stops() {
    let kubernetes = Kubernetes::start().await;
    let (server, endpoint) = serve(&kubernetes).await;
    let not_yet = (503, "the state of the cluster has not been read yet\n".to_owned());
    assert_eq!(get(&endpoint, "/readyz").await, not_yet);
    assert_eq!(get(&endpoint, "/livez").await.0, 200);

    kubernetes.lists_nodes();
    let ready = async {
        while get(&endpoint, "/readyz").await != (200, "ok\n".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.expect("it gets ready");

    server.stop().await.unwrap();
    assert_eq!(get(&endpoint, "/readyz").await, (503, "the server is stopping\n".to_owned()));
    assert_eq!(get(&endpoint, "/livez").await.0, 200);
    let address = endpoint.address();
    endpoint.stop().await;
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn the_metrics_of_a_server_say_how_its_calls_and_its_cache_are() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.lists_nodes();
    let (server, endpoint) = serve(&kubernetes).await;
    server.ready().await;
    let mut client = client(&server).await;
    client.get_node(GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() }).await.unwrap();
    let watch = client.watch_nodes(WatchNodesRequest::default()).await.unwrap();

    let scrape = scrape(&endpoint).await;
    let get = [("rpc_method", "nodeward.v1.NodeService/GetNode"), ("rpc_response_status_code", "OK")];
    assert!(scrape.value("rpc_server_call_duration_seconds_count", &get) >= Some(1.0), "{}", scrape.text);
    let open = [("rpc_method", "nodeward.v1.NodeService/WatchNodes")];
    assert!(scrape.value("nodeward_streams_open", &open) >= Some(1.0), "{}", scrape.text);
    let nodes = [("nodeward_cache_name", "nodes")];
    assert!(scrape.value("nodeward_cache_age_seconds", &nodes) < Some(10.0), "{}", scrape.text);
    assert!(scrape.value("nodeward_cache_relists_total", &nodes).is_some(), "{}", scrape.text);
    let port = kubernetes.port();
    let list = [
        ("nodeward_kubernetes_verb", "list"),
        ("nodeward_kubernetes_resource", "nodes"),
        ("server_port", port.as_str()),
    ];
    assert_eq!(scrape.value("http_client_request_duration_seconds_count", &list), Some(1.0), "{}", scrape.text);
    drop(watch);
}

#[test]
fn a_cache_is_measured_until_it_is_gone() {
    let scrape = || Scrape::of(metrics().to_prometheus().expect("metrics"));
    metrics();
    let observed = telemetry::observe_cache("tests", || Duration::from_millis(2500));
    let name = [("nodeward_cache_name", "tests")];
    assert_eq!(scrape().value("nodeward_cache_age_seconds", &name), Some(2.5));
    assert_eq!(scrape().value("nodeward_cache_relists_total", &name), Some(0.0));
    telemetry::count_relist("tests");
    assert_eq!(scrape().value("nodeward_cache_relists_total", &name), Some(1.0));
    drop(observed);
    assert_eq!(scrape().value("nodeward_cache_age_seconds", &name), None);
}

#[tokio::test]
async fn no_name_of_a_node_is_in_the_metrics() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.lists_nodes();
    let (server, endpoint) = serve(&kubernetes).await;
    server.ready().await;
    let mut client = client(&server).await;
    for name in ["worker-1", "canary-2"] {
        let request = CordonNodeRequest { name: format!("nodes/{name}"), ..Default::default() };
        client.cordon_node(request).await.unwrap_err();
    }
    let scrape = scrape(&endpoint).await;
    let cordon = [("rpc_method", "nodeward.v1.NodeService/CordonNode"), ("rpc_response_status_code", "NOT_FOUND")];
    assert!(scrape.value("rpc_server_call_duration_seconds_count", &cordon) >= Some(1.0), "{}", scrape.text);
    assert!(!scrape.text.contains("worker-1") && !scrape.text.contains("canary-2"), "{}", scrape.text);
}

#[tokio::test]
async fn every_metric_is_explained_where_it_is_shown_and_in_the_documentation() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.lists_nodes();
    let (server, endpoint) = serve(&kubernetes).await;
    server.ready().await;
    let mut client = client(&server).await;
    client.get_node(GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() }).await.unwrap();
    drop(client.watch_nodes(WatchNodesRequest::default()).await.unwrap());
    let documented = include_str!("../../../docs/metrics.md");
    let scrape = scrape(&endpoint).await;
    assert!(scrape.metrics().len() >= 6, "{}", scrape.text);
    for (name, explanation) in scrape.metrics() {
        assert!(!explanation.is_empty(), "{name}");
        assert!(documented.contains(&format!("| `{name}` |")), "docs/metrics.md lacks {name}");
    }
}
