//! Connections on which nobody known calls, and those of one address.

use std::time::Duration;

use http::Response;
use nodeward_server::standing::Standing;
use nodeward_server::transport::TransportOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::body::Body;

use crate::fixture::{Fixture, PATIENCE, call, plain};

/// How long a stranger may stay.
const UNKNOWN: Duration = Duration::from_millis(300);

fn options() -> TransportOptions {
    let mut options = plain();
    options.limits.unknown = UNKNOWN;
    options
}

/// A server on which everybody is known who calls, or nobody.
async fn server(everybody: bool) -> Fixture {
    Fixture::start(&options(), PATIENCE, move |request: http::Request<Body>| {
        let standing = request.extensions().get::<Standing>().unwrap();
        if everybody {
            standing.vouch();
        }
        let is_first = standing.doubt();
        let answer = Response::builder().header("x-first", is_first.to_string()).body(Body::empty()).unwrap();
        std::future::ready(answer)
    })
    .await
}

async fn is_on_a_new_connection(channel: &tonic::transport::Channel) -> bool {
    is_the_first(&call(channel).await.unwrap())
}

fn is_the_first(answer: &Response<Body>) -> bool {
    answer.headers()["x-first"] == "true"
}

#[tokio::test]
async fn a_connection_on_which_nobody_known_calls_is_given_up() {
    let server = server(false).await;
    let channel = server.channel().await;
    let begun = Instant::now();
    assert!(is_on_a_new_connection(&channel).await);
    // Whoever goes on calls on another one. A call that its client was about to send as this one was closed is lost.
    while !call(&channel).await.is_ok_and(|answer| is_the_first(&answer)) {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() >= UNKNOWN);
}

#[tokio::test]
async fn a_connection_that_only_says_what_http_wants_is_given_up() {
    use tokio::io::AsyncWriteExt;
    let server = server(true).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut said = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn a_connection_on_which_somebody_known_calls_stays() {
    let server = server(true).await;
    let channel = server.channel().await;
    assert!(is_on_a_new_connection(&channel).await);
    sleep(UNKNOWN * 3).await;
    assert!(!is_on_a_new_connection(&channel).await);
}

#[tokio::test]
async fn a_strangers_call_without_an_end_does_not_keep_its_connection() {
    let server = Fixture::start(&options(), PATIENCE, async |_| std::future::pending().await).await;
    let channel = server.channel().await;
    let answer = timeout(PATIENCE, call(&channel)).await.expect("the connection ends");
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let options = TransportOptions { max_connections_of_one: 2, ..plain() };
    let server = Fixture::start(&options, PATIENCE, async |_| Response::new(Body::empty())).await;
    let [first, _second] = [server.channel().await, server.channel().await];
    call(&first).await.unwrap();
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let closed = timeout(PATIENCE, third.read(&mut [0])).await.expect("it is closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
    // Neither those who are there already, nor others.
    call(&first).await.unwrap();
    let elsewhere = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let elsewhere = elsewhere.local_address(Some([127, 0, 0, 2].into())).connect().await.unwrap();
    call(&elsewhere).await.unwrap();
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    let again = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect_lazy();
    while call(&again).await.is_err() {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
}
