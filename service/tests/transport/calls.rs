//! What becomes of a call.

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{Fixture, PATIENCE, plain, send};

/// Answers when it has the whole request.
async fn take_all(request: Request<Body>) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(_) => Status::new(Code::AlreadyExists, "taken").into_http(),
        Err(status) => status.into_http(),
    }
}

fn request(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://nodeward.test{path}")).body(body).unwrap()
}

async fn status_of(server: &Fixture, request: Request<Body>) -> Status {
    let response = timeout(PATIENCE, send(&server.channel().await, request)).await.expect("an answer in time");
    Status::from_header_map(response.unwrap().headers()).unwrap()
}

/// Sends a request from a client that does not give up by itself.
async fn send_and_wait(server: &Fixture, request: Request<Body>) -> Response<Incoming> {
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up_at_the_callers_deadline() {
    let server = Fixture::start(&plain(), PATIENCE, take_all).await;
    let endless = Body::new(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>()));
    let mut request = request("/test.Service/Call", endless);
    request.headers_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let response = timeout(PATIENCE, send_and_wait(&server, request)).await.expect("an answer in time");
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_request_may_be_as_large_as_its_rpc_takes() {
    let server = Fixture::start(&plain(), PATIENCE, take_all).await;
    let body = |kib: usize| Body::new(Full::new(Bytes::from(vec![0; kib << 10])));
    for (path, most) in [("/nodeward.v1.NodeService/GetNode", 64), ("/nodeward.v1.NodeService/PatchNode", 1536)] {
        assert_eq!(status_of(&server, request(path, body(most))).await.code(), Code::AlreadyExists, "{path}");
        let status = status_of(&server, request(path, body(most + 1))).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{path}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), &info.metadata["limit"]), ("MESSAGE_TOO_LARGE", &(most << 10).to_string()));
    }
}
