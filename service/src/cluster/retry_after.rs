//! When Kubernetes wants to be asked again, where its answer says so in the header only.
//!
//! An apiserver that has too much to do (priority and fairness, the bound on requests in flight, its shutdown) refuses
//! requests before they reach its API: with 429, a `Retry-After` header and plain text. The Kubernetes client keeps nothing
//! of the headers of a failure, so what they say is put where it reads it: into the Status of the body.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::DynBody;
use kube::core::Status;
use kube::core::response::StatusDetails;
use tower::BoxError;

/// The answer of an HTTP service for the Kubernetes client.
type Answer = Response<Box<DynBody>>;

/// The same answer, but if Kubernetes asks to slow down, then with a body that says for how long.
pub(super) async fn told_in_the_body(answer: Answer) -> Result<Answer, BoxError> {
    let wait = (answer.status() == StatusCode::TOO_MANY_REQUESTS).then(|| seconds(answer.headers())).flatten();
    let Some(wait) = wait else { return Ok(answer) };
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = serde_json::to_vec(&with_wait(status(&body), wait))?;
    Ok(Response::from_parts(head, Box::new(Full::new(Bytes::from(body)).map_err(Into::into))))
}

/// The header's seconds. The other form of it, a date, is none that Kubernetes uses.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What the body says: Kubernetes' own status, or else words.
fn status(body: &[u8]) -> Status {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        Status::failure(String::from_utf8_lossy(body).trim(), "TooManyRequests")
            .with_code(StatusCode::TOO_MANY_REQUESTS.as_u16())
    })
}

/// What the body says of the time itself is not touched.
fn with_wait(mut status: Status, wait: Duration) -> Status {
    let details = status.details.get_or_insert_with(no_details);
    if details.retry_after_seconds == 0 {
        details.retry_after_seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
    }
    status
}

fn no_details() -> StatusDetails {
    let [name, group, kind, uid] = [(); 4].map(|()| String::new());
    StatusDetails { name, group, kind, uid, causes: Vec::new(), retry_after_seconds: 0 }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use kube::Api;
    use kube::api::{Patch, PatchParams};
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::fault::about_node;
    use super::super::{ClusterOptions, Connection};
    use crate::error::Error;

    /// What `http.Error` makes of tooManyRequests in apiserver's pkg/server/filters/maxinflight.go, which priority and
    /// fairness answers with as well.
    const REFUSAL: &str = "HTTP/1.1 429 Too Many Requests\r\n\
        Audit-Id: 1d5bd7ac-7d9d-4bd4-9d1c-8d3b0d8c1a9e\r\n\
        Cache-Control: no-cache, private\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Retry-After: 7\r\n\
        X-Content-Type-Options: nosniff\r\n\
        X-Kubernetes-Pf-Flowschema-Uid: 2a2b5c3e-6a0c-4a3a-8f2d-0b1d6a1c9b11\r\n\
        X-Kubernetes-Pf-Prioritylevel-Uid: 9a2b5c3e-6a0c-4a3a-8f2d-0b1d6a1c9b11\r\n\
        Content-Length: 43\r\n\
        \r\n\
        Too many requests, please try again later.\n";

    /// The node as the client has it of an apiserver that answers everything with these bytes.
    async fn nodes(answer: &'static str) -> (Api<Node>, tempfile::TempDir) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while connection.read(&mut request).await.is_ok_and(|length| length > 0) {
                        let _ = connection.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
            "clusters": [{ "name": "fake", "cluster": { "server": server } }],
            "users": [{ "name": "fake", "user": {} }],
        });
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        let options = ClusterOptions { kubeconfig: Some(path), ..ClusterOptions::default() };
        (Api::all(Connection::open(&options).await.unwrap().client), dir)
    }

    /// What a read and a write are refused with.
    async fn refusals(answer: &'static str) -> [Error; 2] {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (nodes, _dir) = nodes(answer).await;
        let read = nodes.get("worker-1").await.unwrap_err();
        let patch = Patch::Merge(json!({ "spec": { "unschedulable": true } }));
        let write = nodes.patch("worker-1", &PatchParams::default(), &patch).await.unwrap_err();
        [read, write].map(|error| about_node(error, "worker-1"))
    }

    async fn assert_wait(answer: &'static str, expected: u64) {
        for error in refusals(answer).await {
            let Error::Throttled { retry_after } = error else { panic!("{error:?}") };
            assert_eq!(retry_after.as_secs(), expected);
        }
    }

    #[tokio::test]
    async fn an_apiserver_that_has_too_much_to_do_says_in_the_header_when_to_try_again() {
        assert_wait(REFUSAL, 7).await;
    }

    #[tokio::test]
    async fn what_the_body_says_of_it_counts_before_the_header() {
        let answer = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\
            Content-Length: 84\r\n\r\n\
            {\"status\":\"Failure\",\"code\":429,\"message\":\"later\",\"details\":{\"retryAfterSeconds\":11}}";
        assert_wait(answer, 11).await;
    }

    #[tokio::test]
    async fn a_refusal_without_a_time_that_can_be_read_is_one_all_the_same() {
        let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\
            Content-Length: 5\r\n\r\nlater";
        assert_wait(answer, 1).await;
    }
}
