//! Removals from an apiserver that answers as it is told.

mod answers;
mod requests;
mod rights;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::client::{Body, ClientBuilder};
use serde_json::{Value, json};

use super::*;
use crate::caller::{Credential, Details, Principal};
use crate::cluster::WriteAs;
use crate::telemetry::KubeTraceLayer;

const POD: &str = "/api/v1/namespaces/shop/pods/web-1";
const EVICTION: &str = "/api/v1/namespaces/shop/pods/web-1/eviction";
const BUDGETS: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What is answered: the code, headers and body.
type Answer = (u16, Vec<(&'static str, &'static str)>, String);

/// An apiserver with one pod.
#[derive(Clone)]
struct Apiserver {
    /// The pod at each look; the last one stays.
    pods: Arc<Mutex<Vec<Option<Value>>>>,
    budgets: Value,
    is_allowed: bool,
    /// To the removal.
    answer: Answer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn pod() -> Value {
    json!({
        "metadata": { "name": "web-1", "namespace": "shop", "uid": "u-1", "labels": { "app": "web" } },
        "spec": { "nodeName": "worker-1", "containers": [] },
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = pod();
    change(&mut pod);
    pod
}

fn budget(name: &str, selector: &Value) -> Value {
    json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": { "selector": selector } })
}

fn eviction() -> PodRemoval {
    let groups = vec!["sre".to_owned()];
    let alice = Principal {
        username: "alice".to_owned(),
        groups,
        details: Details::default(),
        credential: Credential::Certificate,
        expires: None,
    };
    PodRemoval {
        caller: Caller::User(alice.into()),
        namespace: "shop".to_owned(),
        name: "web-1".to_owned(),
        uid: "u-1".to_owned(),
        node: "worker-1".to_owned(),
        method: RemovalMethod::Evict,
        grace_seconds: None,
        dry_run: false,
        audit_id: Uuid::from_u128(7),
        deadline: Instant::now() + Duration::from_secs(10),
    }
}

fn deletion() -> PodRemoval {
    PodRemoval { method: RemovalMethod::Delete, ..eviction() }
}

impl Apiserver {
    /// One that grants everything.
    fn granting() -> Self {
        Self {
            pods: Arc::new(Mutex::new(vec![Some(pod())])),
            budgets: json!([]),
            is_allowed: true,
            answer: (201, vec![], json!({ "kind": "Status", "status": "Success" }).to_string()),
            seen: Arc::default(),
        }
    }

    /// One that answers a removal so.
    fn answering(code: u16, body: &Value) -> Self {
        Self { answer: (code, vec![], body.to_string()), ..Self::granting() }
    }

    fn with_pods(self, pods: impl IntoIterator<Item = Option<Value>>) -> Self {
        *self.pods.lock().unwrap() = pods.into_iter().collect();
        self
    }

    fn with_budgets(self, budgets: impl IntoIterator<Item = Value>) -> Self {
        Self { budgets: budgets.into_iter().collect(), ..self }
    }

    fn answer(&self, request: &Seen) -> Answer {
        let found = |body: Value| (200, vec![], body.to_string());
        match (request.method.as_str(), request.target.split('?').next().unwrap()) {
            ("GET", POD) => {
                let mut pods = self.pods.lock().unwrap();
                let pod = if pods.len() > 1 { pods.remove(0) } else { pods[0].clone() };
                let missing = json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404 });
                pod.map_or_else(|| (404, vec![], missing.to_string()), found)
            }
            ("GET", BUDGETS) => found(json!({ "metadata": {}, "items": self.budgets })),
            ("POST", REVIEWS) => found(json!({ "metadata": {}, "spec": {}, "status": { "allowed": self.is_allowed } })),
            ("POST", EVICTION) | ("DELETE", POD) => self.answer.clone(),
            _ => panic!("{request:?}"),
        }
    }

    /// Removes a pod from it, with requests in the caller's name or in the server's.
    async fn remove_as(&self, write_as: WriteAs, removal: &PodRemoval) -> Result<(), RemovalRefused> {
        let apiserver = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let apiserver = apiserver.clone();
            async move {
                let seen = Seen::of(request).await;
                apiserver.seen.lock().unwrap().push(seen.clone());
                let (code, headers, body) = apiserver.answer(&seen);
                let response = headers
                    .into_iter()
                    .fold(Response::builder().status(code), |response, (name, value)| response.header(name, value));
                Ok::<_, std::io::Error>(response.body(Body::from(body.into_bytes())).unwrap())
            }
        });
        let layer = KubeTraceLayer::new(&"http://localhost".parse().unwrap());
        let client = ClientBuilder::new(service, "default").with_layer(&layer).build();
        let remover = Remover::new(client.clone(), Reviews::new(client), Impersonation::new(write_as));
        remover.remove(removal).await
    }

    async fn remove(&self, removal: &PodRemoval) -> Result<(), RemovalRefused> {
        self.remove_as(WriteAs::Caller, removal).await
    }

    async fn refusal(&self) -> RemovalRefused {
        self.remove(&eviction()).await.unwrap_err()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests that would change something.
    fn writes(&self) -> Vec<Seen> {
        let is_write = |seen: &Seen| seen.method != "GET" && seen.target.split('?').next() != Some(REVIEWS);
        self.seen().into_iter().filter(is_write).collect()
    }
}

impl Seen {
    async fn of(request: Request<Body>) -> Self {
        let method = request.method().to_string();
        let target = request.uri().path_and_query().unwrap().to_string();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let headers = request.headers().iter().map(text).collect();
        let body = request.into_body().collect_bytes().await.unwrap();
        Self { method, target, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}
