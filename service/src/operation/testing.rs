//! An apiserver that keeps one operation, `drain`, and its node, `worker-1`. It loses answers as it is told.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::trail::Trails;
use super::{NodeIdentity, NodeOperation, OperationSpec, OperationStatus};
use crate::audit::Auditor;
use crate::cluster::lease::Term;
use crate::cluster::{Cluster, Connection};

type Answer = UnsyncBoxBody<Bytes, tower::BoxError>;

/// The apiserver.
#[derive(Clone)]
pub(super) struct Apiserver(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    version: watch::Sender<u64>,
}

struct Kept {
    operation: NodeOperation,
    node: Value,
    lease: Option<Value>,
    pods: Vec<Value>,
    /// The methods and paths of all requests that were answered.
    requests: Vec<String>,
    /// How many answers to writes of the status are still to be lost.
    lost_answers: usize,
    /// Requests that begin like this fail for now.
    failing: Option<&'static str>,
}

impl Apiserver {
    pub fn new() -> Self {
        let node = NodeIdentity { name: "worker-1".to_owned(), uid: "n".to_owned() };
        let operation = NodeOperation::new("drain", OperationSpec { node, ..OperationSpec::default() });
        let metadata = json!({ "name": "worker-1", "uid": "n", "resourceVersion": "10" });
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {} });
        let kept = Kept {
            operation,
            node,
            lease: None,
            pods: Vec::new(),
            requests: Vec::new(),
            lost_answers: 0,
            failing: None,
        };
        let apiserver = Self(Arc::new(Shared { kept: Mutex::new(kept), version: watch::Sender::new(10) }));
        apiserver.change(|_| {});
        apiserver
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap()
    }

    fn next_version(&self) -> String {
        (*self.0.version.borrow() + 1).to_string()
    }

    /// Somebody else changes it.
    pub fn change(&self, change: impl FnOnce(&mut NodeOperation)) {
        let version = self.next_version();
        let mut kept = self.kept();
        change(&mut kept.operation);
        kept.operation.metadata.resource_version = Some(version);
        drop(kept);
        self.0.version.send_modify(|version| *version += 1);
    }

    /// Somebody changes the node by a merge patch.
    pub fn patch_node(&self, patch: &Value) -> Value {
        let version = self.next_version();
        let mut kept = self.kept();
        json_patch::merge(&mut kept.node, patch);
        kept.node["metadata"]["resourceVersion"] = json!(version);
        let node = kept.node.clone();
        drop(kept);
        self.0.version.send_modify(|version| *version += 1);
        node
    }

    /// There is a pod with this uid on the node. No watch tells of it.
    pub fn add_pod(&self, uid: &str) {
        let metadata = json!({ "namespace": "shop", "name": uid, "uid": uid });
        self.kept().pods.push(json!({ "metadata": metadata, "spec": { "nodeName": "worker-1", "containers": [] } }));
    }

    pub fn lose_answers(&self, count: usize) {
        self.kept().lost_answers = count;
    }

    /// Requests that begin like this fail, until it is said otherwise.
    pub fn fail(&self, failing: Option<&'static str>) {
        self.kept().failing = failing;
    }

    /// How many writes of the status were sent.
    pub fn writes(&self) -> usize {
        self.requests("PUT /apis/nodeward.dev").len()
    }

    /// The requests that begin like this.
    pub fn requests(&self, beginning: &str) -> Vec<String> {
        self.kept().requests.iter().filter(|request| request.starts_with(beginning)).cloned().collect()
    }

    pub fn status(&self) -> OperationStatus {
        self.kept().operation.status.clone().unwrap_or_default()
    }

    pub fn node(&self) -> Value {
        self.kept().node.clone()
    }

    /// Waits until the status is like this.
    pub async fn until(&self, is_so: impl Fn(&OperationStatus) -> bool) -> OperationStatus {
        self.wait_for(|apiserver| is_so(&apiserver.status())).await;
        self.status()
    }

    /// Waits until something holds.
    pub async fn wait_for(&self, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            let kept = || self.kept().requests.join("\n");
            assert!(Instant::now() < deadline, "{:?}\n{}", self.status(), kept());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn write(&self, body: &[u8]) -> (u16, Value) {
        let written: NodeOperation = serde_json::from_slice(body).unwrap();
        let is_current = written.metadata.resource_version == self.kept().operation.metadata.resource_version;
        if is_current {
            self.change(|operation| operation.status = written.status);
        }
        let mut kept = self.kept();
        match (kept.lost_answers, is_current) {
            (1.., _) => {
                kept.lost_answers -= 1;
                (504, failure(504, "Timeout"))
            }
            (_, true) => (200, json!(kept.operation)),
            (_, false) => (409, failure(409, "Conflict")),
        }
    }

    fn write_lease(&self, body: &[u8]) -> (u16, Value) {
        let mut lease: Value = serde_json::from_slice(body).unwrap();
        lease["metadata"]["resourceVersion"] = json!(self.next_version());
        self.kept().lease = Some(lease.clone());
        (200, lease)
    }

    fn read(&self, path: &str) -> (u16, Value) {
        let kept = self.kept();
        let last = path.rsplit('/').next().unwrap_or_default();
        let items = match last {
            "drain" => return (200, json!(kept.operation)),
            "worker-1" => return (200, kept.node.clone()),
            "nodeward-operations" => {
                let lease = kept.lease.clone();
                return lease.map_or_else(|| (404, failure(404, "NotFound")), |lease| (200, lease));
            }
            "nodeoperations" => vec![json!(kept.operation)],
            "pods" => kept.pods.clone(),
            "nodes" => vec![kept.node.clone()],
            _ => Vec::new(),
        };
        (200, json!({ "metadata": { "resourceVersion": self.0.version.borrow().to_string() }, "items": items }))
    }

    /// The operation, whenever something changes.
    fn watch(&self) -> Answer {
        let (apiserver, version) = (self.clone(), self.0.version.subscribe());
        let events = stream::unfold((apiserver, version), async |(apiserver, mut version)| {
            version.changed().await.ok()?;
            let event = json!({ "type": "MODIFIED", "object": apiserver.kept().operation });
            Some((Ok::<_, tower::BoxError>(Frame::data(Bytes::from(format!("{event}\n")))), (apiserver, version)))
        });
        StreamBody::new(events.boxed()).boxed_unsync()
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Answer>, tower::BoxError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if query.contains("watch=true") && !query.contains("sendInitialEvents") {
            return match path.ends_with("nodeoperations") {
                true => Ok(Response::new(self.watch())),
                false => std::future::pending().await,
            };
        }
        let body = request.into_body().collect_bytes().await?;
        let line = format!("{method} {path}");
        let is_failing = self.kept().failing.is_some_and(|failing| line.starts_with(failing));
        let (code, answer) = match method {
            _ if is_failing => (503, failure(503, "ServiceUnavailable")),
            // It does not know lists that are watches.
            _ if query.contains("sendInitialEvents") => (422, failure(422, "Invalid")),
            Method::PUT if path.contains("/nodeoperations/") => self.write(&body),
            Method::PATCH if path.trim_end_matches("/status").ends_with("/worker-1") => {
                (200, self.patch_node(&serde_json::from_slice(&body)?))
            }
            Method::POST | Method::PUT if path.contains("/leases") => self.write_lease(&body),
            _ => self.read(&path),
        };
        self.kept().requests.push(line);
        let response = Response::builder().status(StatusCode::from_u16(code)?);
        let answer = Full::from(answer.to_string()).map_err(|never| match never {});
        Ok(response.body(answer.boxed_unsync())?)
    }

    /// The cluster as a server sees it.
    pub fn cluster(&self) -> Cluster {
        let apiserver = self.clone();
        let service = tower::service_fn(move |request| apiserver.clone().answer(request));
        Cluster::new(Connection::of(Client::new(service, "default")))
    }
}

/// The term of this epoch, which has so many seconds left.
pub(super) fn term(epoch: u32, seconds: u64) -> Term {
    Term::until(epoch, Instant::now() + Duration::from_secs(seconds))
}

/// Trails that leave no records.
pub(super) fn trails(cluster: &Cluster) -> Trails {
    Trails::new(cluster.clone(), Auditor::nowhere(), "test")
}

fn failure(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": "" })
}
