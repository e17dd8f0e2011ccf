//! The bytes of a removal.
//!
//! They are made here, because kube 5.0 writes the options of an eviction under a name that Kubernetes does not read
//! (`delete_options`): grace period, uid and dry run would be lost without a word.

use std::time::Duration;

use http::{HeaderMap, Request, Response, header};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::Resource;
use kube::client::Body;
use kube::core::Status;

use super::{PodRemoval, RemovalMethod};

/// The request, in nobody's name yet.
pub(super) fn of(removal: &PodRemoval) -> kube::Result<Request<Body>> {
    let request = match removal.method {
        RemovalMethod::Evict => eviction(removal),
        RemovalMethod::Delete => deletion(removal),
    };
    request.map_err(|error| kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error)))
}

fn eviction(removal: &PodRemoval) -> http::Result<Request<Body>> {
    let eviction = Eviction {
        metadata: ObjectMeta {
            name: Some(removal.name.clone()),
            namespace: Some(removal.namespace.clone()),
            ..ObjectMeta::default()
        },
        delete_options: Some(options(removal)),
    };
    // Admission knows a dry run by the address alone: without it, webhooks would be told that this is in earnest.
    let query = if removal.dry_run { "?dryRun=All" } else { "" };
    json(Request::post(format!("{}/eviction{query}", path(removal))), &eviction)
}

fn deletion(removal: &PodRemoval) -> http::Result<Request<Body>> {
    json(Request::delete(path(removal)), &options(removal))
}

fn path(removal: &PodRemoval) -> String {
    format!("{}/{}", Pod::url_path(&(), Some(&removal.namespace)), removal.name)
}

fn options(removal: &PodRemoval) -> DeleteOptions {
    DeleteOptions {
        grace_period_seconds: removal.grace_seconds.map(i64::from),
        preconditions: Some(Preconditions { uid: Some(removal.uid.clone()), resource_version: None }),
        dry_run: removal.dry_run.then(|| vec!["All".to_owned()]),
        ..DeleteOptions::default()
    }
}

fn json(request: http::request::Builder, body: &impl serde::Serialize) -> http::Result<Request<Body>> {
    // Serializing these can't fail: they have no keys that are not strings.
    let body = serde_json::to_vec(body).unwrap_or_default();
    request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body))
}

/// A refusal: its status, and when to try again as its header says. A proxy, or an apiserver that has no time for more, answers
/// with a text and only that header.
pub(super) async fn refusal(response: Response<Body>) -> kube::Result<(Status, Option<Duration>)> {
    let (code, retry_after) = (response.status(), retry_after(response.headers()));
    let body = response.into_body().collect_bytes().await?;
    let status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&body);
        Status::failure(text.trim(), code.canonical_reason().unwrap_or_default())
    });
    Ok((status.with_code(code.as_u16()), retry_after))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
