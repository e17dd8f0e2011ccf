//! What it takes to be connected.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Request, Response};
use nodeward_server::transport::TransportOptions;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;

use crate::fixture::{Fixture, PATIENCE, call, plain, tls};
use crate::tls::Site;

const HANDSHAKE: Duration = Duration::from_millis(300);

async fn answer(_: Request<Body>) -> Response<Body> {
    Response::new(Body::empty())
}

fn hasty(mut options: TransportOptions) -> TransportOptions {
    options.limits.handshake = HANDSHAKE;
    options
}

/// Whoever says this and no more is disconnected, no sooner and not much later than after the time for the handshake.
async fn assert_disconnected(address: SocketAddr, said: &[u8]) {
    let mut client = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    client.write_all(said).await.unwrap();
    let read = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
    // Whether in good order or not.
    let _ = read.expect("the server closes the connection");
    assert!(begun.elapsed() >= HANDSHAKE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_of_plain_text_that_says_too_little_is_disconnected() {
    let server = Fixture::start(&hasty(plain()), PATIENCE, answer).await;
    assert_disconnected(server.address, b"").await;
    assert_disconnected(server.address, b"PRI * HTTP/2.0").await;
}

#[tokio::test]
async fn a_client_of_tls_that_says_too_little_is_disconnected() {
    let site = Site::new();
    let server = Fixture::start(&hasty(tls(&site)), PATIENCE, answer).await;
    assert_disconnected(server.address, b"").await;
    // The first bytes of a handshake.
    assert_disconnected(server.address, &[22, 3, 1, 0, 200, 1]).await;
    // A handshake, and then not a word of HTTP/2.
    let mut client = site.connect(server.address, &[&TLS13], &["h2"]).await.unwrap();
    let read = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
    let _ = read.expect("the server closes the connection");
}

#[tokio::test]
async fn tls_before_1_3_is_refused() {
    let site = Site::new();
    let server = Fixture::start(&tls(&site), PATIENCE, answer).await;
    let error = site.connect(server.address, &[&TLS12], &["h2"]).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    site.connect(server.address, &[&TLS12, &TLS13], &["h2"]).await.unwrap();
}

#[tokio::test]
async fn who_does_not_ask_for_http_2_is_refused() {
    let site = Site::new();
    let server = Fixture::start(&tls(&site), PATIENCE, answer).await;
    site.connect(server.address, &[&TLS13], &["http/1.1"]).await.unwrap_err();
    let mut silent = site.connect(server.address, &[&TLS13], &[]).await.unwrap();
    let read = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    let _ = read.expect("the server closes the connection");
}

#[tokio::test]
async fn another_protocol_in_plain_text_is_refused() {
    let server = Fixture::start(&plain(), PATIENCE, answer).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /index.html HTTP/1.1\r\nHost: nodeward.test\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, client.read_to_end(&mut said)).await.expect("the server closes the connection");
    assert!(said.is_empty());
}

#[tokio::test]
async fn there_are_no_more_connections_than_there_may_be() {
    let options = TransportOptions { max_connections: 2, ..plain() };
    let server = Fixture::start(&options, PATIENCE, answer).await;
    let (first, second) = (server.channel().await, server.channel().await);
    call(&first).await.unwrap();
    call(&second).await.unwrap();

    let mut third = TcpStream::connect(server.address).await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, third.read_to_end(&mut said)).await.expect("it is closed at once");
    assert!(said.is_empty());
    // Those that there are go on, and their places are free again when they go.
    call(&first).await.unwrap();
    drop(second);
    let served = async {
        while call(&server.channel().await).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, served).await.expect("a place is free");
}
