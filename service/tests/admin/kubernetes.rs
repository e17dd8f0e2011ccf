//! A Kubernetes that knows one node, and does not list it before it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nodeward_server::cluster::{ClusterOptions, Connection};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

type Body = BoxBody<Bytes, Infallible>;

pub struct Kubernetes {
    address: SocketAddr,
    lists: watch::Sender<bool>,
    directory: tempfile::TempDir,
}

impl Kubernetes {
    pub async fn start() -> Self {
        crate::watchdog::watch();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let lists = watch::Sender::new(false);
        tokio::spawn(accept(listener, lists.subscribe()));
        Self { address, lists, directory: tempfile::tempdir().expect("a directory") }
    }

    /// Lists its node from now on.
    pub fn lists_nodes(&self) {
        self.lists.send_replace(true);
    }

    /// Where it listens.
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// A connection to it.
    pub async fn connection(&self) -> Connection {
        let kubeconfig = self.directory.path().join("kubeconfig");
        write_kubeconfig(&kubeconfig, self.address);
        let options = ClusterOptions { kubeconfig: Some(kubeconfig), ..Default::default() };
        Connection::open(&options).await.expect("a kubeconfig")
    }
}

fn write_kubeconfig(path: &Path, address: SocketAddr) {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    std::fs::write(path, kubeconfig.to_string()).expect("a file");
}

async fn accept(listener: TcpListener, lists: watch::Receiver<bool>) {
    while let Ok((stream, _)) = listener.accept().await {
        let lists = lists.clone();
        let service = service_fn(move |request| answer(request, lists.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, mut lists: watch::Receiver<bool>) -> Result<Response<Body>, Infallible> {
    let asks_for = |what: &str| request.uri().query().is_some_and(|query| query.contains(what));
    let watches = asks_for("watch=true");
    Ok(match request.uri().path() {
        // It does not know lists that are watches.
        _ if asks_for("sendInitialEvents=true") => refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        _ if watches => Response::new(nothing_for_now()),
        "/api/v1/nodes" => {
            // Fails when the test has ended.
            let _ = lists.wait_for(|lists| *lists).await;
            let node = json!({"metadata": {"name": "worker-1", "uid": "u-1", "resourceVersion": "3"}});
            list("NodeList", &[node])
        }
        "/api/v1/namespaces/default/configmaps" => list("ConfigMapList", &[]),
        _ => refusal(StatusCode::NOT_FOUND, "NotFound"),
    })
}

fn list(kind: &str, items: &[serde_json::Value]) -> Response<Body> {
    object(&json!({"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "7"}, "items": items}))
}

fn refusal(code: StatusCode, reason: &str) -> Response<Body> {
    let code_number = code.as_u16();
    let status = json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code_number, "message": ""});
    let mut refusal = object(&status);
    *refusal.status_mut() = code;
    refusal
}

fn object(object: &serde_json::Value) -> Response<Body> {
    Response::new(Full::from(object.to_string()).boxed())
}

fn nothing_for_now() -> Body {
    StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed()
}
