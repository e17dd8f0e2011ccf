//! The limits as callers meet them: requests through the layer, in front of handlers that answer, wait, panic or stream.

mod answers;
mod load;
mod metrics;
mod places;
mod side;
mod users;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{FutureExt, StreamExt};
use governor::clock::FakeRelativeClock;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry::global;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt, service_fn};

use super::limits::Limits;
use super::time::Time;
use super::{LimitLayer, LimitOptions, LimitedBody};
use crate::caller::{Caller, Credential, Details, Principal};

const GET: &str = "/nodeward.v1.NodeService/GetNode";
const WATCH: &str = "/nodeward.v1.NodeService/WatchNodes";
const CORDON: &str = "/nodeward.v1.NodeService/CordonNode";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

type Answer = Response<LimitedBody<Body>>;

/// Nothing is limited but what a test sets.
fn no_limits() -> LimitOptions {
    LimitOptions {
        read_rate: 0,
        read_concurrency: 0,
        watch_rate: 0,
        watch_concurrency: 0,
        mutation_rate: 0,
        mutation_concurrency: 0,
        max_calls: 0,
        max_streams: 0,
        ..LimitOptions::default()
    }
}

/// A layer with these limits, and the hand that moves its clock.
fn limited(options: &LimitOptions) -> (LimitLayer, FakeRelativeClock) {
    let (time, hand) = Time::by_hand();
    (Limits::new(options, &time, &global::meter("tests")).into(), hand)
}

fn user(name: &str) -> Option<Caller> {
    Some(Caller::User(Arc::new(Principal {
        username: name.to_owned(),
        groups: Vec::new(),
        details: Details::default(),
        credential: Credential::Certificate,
        expires: None,
    })))
}

fn request(path: &str, caller: Option<Caller>) -> Request<()> {
    let mut request = Request::get(path).body(()).unwrap();
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    request
}

/// A call to a handler that answers with this body.
fn call_for(layer: &LimitLayer, path: &str, caller: Option<Caller>, body: Body) -> Answer {
    let mut body = Some(body);
    let mut answer = move || Response::new(body.take().unwrap());
    let handler = service_fn(move |_: Request<()>| std::future::ready(Ok::<_, Infallible>(answer())));
    layer.layer(handler).oneshot(request(path, caller)).now_or_never().unwrap().unwrap()
}

/// A call that stays in progress until its answer, whose body is a stream without an end, is dropped.
fn call(layer: &LimitLayer, path: &str, caller: Option<Caller>) -> Result<Answer, Status> {
    let body = Body::new(StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>()));
    let answer = call_for(layer, path, caller, body);
    match Status::from_header_map(answer.headers()) {
        Some(status) => Err(status),
        None => Ok(answer),
    }
}

/// How many calls in a row are let in and stay in progress.
fn let_in(layer: &LimitLayer, path: &str, caller: Option<Caller>) -> Vec<Answer> {
    (0..1000).map_while(|_| call(layer, path, caller.clone()).ok()).collect()
}

/// The reason of a refusal.
fn reason(refused: Result<Answer, Status>) -> String {
    let status = refused.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    status.get_details_error_info().unwrap().reason
}

/// A body that is fed by hand.
fn fed() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (feed, frames) = mpsc::unbounded();
    (feed, Body::new(StreamBody::new(frames.map(Ok::<_, Infallible>))))
}
