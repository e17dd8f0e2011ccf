//! An operation that several servers write, at an apiserver that loses answers.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::audit::Auditor;
use crate::cluster::Connection;

/// An apiserver that keeps one operation.
#[derive(Clone)]
struct Apiserver(Arc<Mutex<Kept>>);

struct Kept {
    operation: NodeOperation,
    version: u64,
    /// How many writes were sent.
    writes: usize,
    /// How many answers to writes are still to be lost.
    lost_answers: usize,
}

impl Apiserver {
    fn new() -> Self {
        let operation = NodeOperation::new("drain", OperationSpec::default());
        let apiserver = Self(Arc::new(Mutex::new(Kept { operation, version: 10, writes: 0, lost_answers: 0 })));
        apiserver.change(|_| {});
        apiserver
    }

    /// Somebody else changes it.
    fn change(&self, change: impl FnOnce(&mut NodeOperation)) {
        let mut kept = self.0.lock().unwrap();
        change(&mut kept.operation);
        kept.version += 1;
        kept.operation.metadata.resource_version = Some(kept.version.to_string());
    }

    fn lose_answers(&self, count: usize) {
        self.0.lock().unwrap().lost_answers = count;
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    fn status(&self) -> OperationStatus {
        self.0.lock().unwrap().operation.status.clone().unwrap_or_default()
    }

    fn write(&self, body: &[u8]) -> (u16, Value) {
        let written: NodeOperation = serde_json::from_slice(body).unwrap();
        let is_current =
            written.metadata.resource_version == self.0.lock().unwrap().operation.metadata.resource_version;
        if is_current {
            self.change(|operation| operation.status = written.status);
        }
        let mut kept = self.0.lock().unwrap();
        kept.writes += 1;
        match (kept.lost_answers, is_current) {
            (1.., _) => {
                kept.lost_answers -= 1;
                (504, failure(504, "Timeout"))
            }
            (_, true) => (200, json!(kept.operation)),
            (_, false) => (409, failure(409, "Conflict")),
        }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if query.contains("watch=true") {
            return std::future::pending().await;
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = request.into_body().collect_bytes().await?;
        let (code, answer) = match method {
            Method::PUT => self.write(&body),
            _ if path.ends_with("/drain") => (200, json!(self.0.lock().unwrap().operation)),
            _ => (200, json!({ "metadata": { "resourceVersion": "10" }, "items": [] })),
        };
        let response = Response::builder().status(StatusCode::from_u16(code)?);
        Ok(response.body(Body::from(answer.to_string().into_bytes()))?)
    }

    /// The journal of a server whose term is of this epoch and has ten seconds left.
    async fn journal(&self, epoch: u32) -> Journal {
        let apiserver = self.clone();
        let service = tower::service_fn(move |request| apiserver.clone().answer(request));
        let cluster = Cluster::new(Connection::of(Client::new(service, "default")));
        let term = Term::until(epoch, Instant::now() + Duration::from_secs(10));
        let operations = cluster.operations().view();
        Journal::open(cluster.clone(), &trails(&cluster), "drain", operations, term).await.unwrap().unwrap()
    }
}

fn trails(cluster: &Cluster) -> Trails {
    Trails::new(cluster.clone(), Auditor::nowhere(), "test")
}

fn failure(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": "" })
}

fn saying(journal: &Journal, message: &str) -> OperationStatus {
    let mut status = journal.status();
    status.enter(State::Running, message, Timestamp::UNIX_EPOCH);
    status
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_not_taken_for_that_of_another_server() {
    let apiserver = Apiserver::new();
    let mut journal = apiserver.journal(1).await;
    journal.begin("one").await.unwrap();
    apiserver.lose_answers(2);
    journal.write(saying(&journal, "still here")).await.unwrap();
    assert_eq!((apiserver.status().message.as_str(), apiserver.writes()), ("still here", 4));
    journal.write(saying(&journal, "and on")).await.unwrap();
    assert_eq!(apiserver.status().message, "and on");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_wants_it_to_end_does_not_keep_a_write_from_being_made() {
    let apiserver = Apiserver::new();
    let mut journal = apiserver.journal(1).await;
    journal.begin("one").await.unwrap();
    apiserver
        .change(|operation| operation.spec.cancel = Some(Cancel { username: "alice".into(), ..Cancel::default() }));
    journal.write(saying(&journal, "still here")).await.unwrap();
    assert_eq!(apiserver.status().message, "still here");
    assert_eq!(journal.cancel().map(|cancel| cancel.username.as_str()), Some("alice"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_replaced_writes_nothing_more() {
    let apiserver = Apiserver::new();
    let (mut one, mut two) = (apiserver.journal(1).await, apiserver.journal(2).await);
    one.begin("one").await.unwrap();
    // The one before has written since the other has read.
    two.begin("two").await.unwrap();
    let error = one.write(saying(&one, "still here")).await.unwrap_err();
    assert!(error.is::<Overtaken>(), "{error}");
    let status = apiserver.status();
    assert_eq!((status.holder.as_str(), status.term, status.message.as_str()), ("two", 2, ""));
    assert!(apiserver.journal(1).await.begin("one").await.is_err(), "its term is a lower one");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_once_the_term_is_over() {
    let apiserver = Apiserver::new();
    let mut journal = apiserver.journal(1).await;
    journal.begin("one").await.unwrap();
    apiserver.lose_answers(usize::MAX);
    // It is tried again for as long as the term lasts, and not after it.
    journal.write(saying(&journal, "still here")).await.unwrap_err();
    let writes = apiserver.writes();
    assert!(writes > 2, "{writes}");
    journal.write(saying(&journal, "and on")).await.unwrap_err();
    assert_eq!(apiserver.writes(), writes);
}

#[tokio::test]
async fn what_has_ended_is_not_carried_out() {
    let apiserver = Apiserver::new();
    let mut journal = apiserver.journal(1).await;
    let mut status = journal.status();
    status.end(State::Succeeded, "", Timestamp::UNIX_EPOCH);
    journal.write(status).await.unwrap();
    let trails = trails(&journal.cluster);
    let again =
        Journal::open(journal.cluster.clone(), &trails, "drain", journal.operations.clone(), journal.term.clone());
    assert!(again.await.unwrap().is_none());
}
