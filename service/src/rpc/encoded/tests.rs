use futures::stream;
use http_body::Body as _;
use http_body_util::BodyExt;
use nodeward_api::v1::{GetNodeRequest, Node};
use tonic::Code;

use super::*;
use crate::error::Error;

/// A request as it is on the wire.
fn request(accepts: &str) -> http::Request<Body> {
    let message = GetNodeRequest { name: "nodes/a".into(), ..Default::default() }.encode_to_vec();
    let body: Vec<u8> = Encoded::from(Bytes::from(message)).frames().into_iter().flatten().collect();
    let body = Body::new(http_body_util::Full::new(Bytes::from(body)).map_err(|never| match never {}));
    let request = http::Request::builder().header("grpc-accept-encoding", accepts);
    request.header("content-type", "application/grpc").body(body).unwrap()
}

/// The frames of an answer, and its status.
async fn frames(response: http::Response<Body>) -> (Vec<Bytes>, Code) {
    let (mut frames, mut code) = (Vec::new(), None);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => frames.push(data),
            Err(trailers) => code = Status::from_header_map(&trailers.into_trailers().unwrap()).map(|s| s.code()),
        }
    }
    assert!(body.is_end_stream());
    (frames, code.unwrap())
}

fn node(name: &str) -> Encoded {
    Encoded::from(Bytes::from(Node { name: name.into(), ..Default::default() }.encode_to_vec()))
}

#[tokio::test]
async fn the_handler_is_given_the_request_and_its_message_is_sent_as_it_is() {
    let handler =
        |request: Request<GetNodeRequest>| async move { Ok(Response::new(node(&request.get_ref().name).into())) };
    let response = answer(request("identity"), handler).await;
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let (frames, code) = frames(response).await;
    assert_eq!((frames.len(), code), (1, Code::Ok));
    assert_eq!(frames[0][..5], [0, 0, 0, 0, frames[0].len() as u8 - 5]);
    assert_eq!(Node::decode(&frames[0][5..]).unwrap().name, "nodes/a");
}

#[tokio::test]
async fn large_pieces_are_not_copied_and_small_ones_are_sent_together() {
    let large = Bytes::from(vec![1; PIECE + 1]);
    let small = Bytes::from_static(&[2, 3]);
    let message = Encoded::of(vec![small.clone(), small.clone(), large.clone(), small.clone(), small]);
    let (length, frames) = (message.len(), message.frames());
    assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), [HEADER + 4, large.len(), 4]);
    assert_eq!(frames[0][..HEADER], [[0].as_slice(), &(length as u32).to_be_bytes()].concat());
    assert_eq!(frames[1].as_ptr(), large.as_ptr());
}

#[tokio::test]
async fn an_answer_that_may_be_compressed_is() {
    let text = "x".repeat(10_000);
    let handler = |_: Request<GetNodeRequest>| async { Ok(Response::new(node(&text).into())) };
    for encoding in ["gzip", "zstd"] {
        let response = answer(request(encoding), handler).await;
        assert_eq!(response.headers()["grpc-encoding"], encoding);
        let (frames, code) = frames(response).await;
        assert_eq!((frames[0][0], code), (1, Code::Ok));
        assert!(frames[0].len() < 1000);
    }
}

#[tokio::test]
async fn what_is_refused_has_no_messages() {
    let handler = |_: Request<GetNodeRequest>| async { Err::<Response<Messages>, _>(Status::not_found("")) };
    let response = answer(request("identity"), handler).await;
    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::NotFound);
    let nonsense = http::Request::new(Body::new(
        http_body_util::Full::new(Bytes::from_static(&[0, 0, 0, 0, 1, 7])).map_err(|never| match never {}),
    ));
    let response = answer(nonsense, handler).await;
    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_ends_with_the_status_of_its_error() {
    let messages =
        || stream::iter([Ok(node("a")), Ok(node("b")), Err(Error::ShuttingDown.into()), Ok(node("c"))]).boxed();
    let handler = |_: Request<GetNodeRequest>| async { Ok(Response::new(Messages::Many(messages()))) };
    for accepts in ["identity", "gzip"] {
        let (frames, code) = frames(answer(request(accepts), handler).await).await;
        assert_eq!((frames.len(), code), (2, Code::Unavailable), "{accepts}");
    }
}
