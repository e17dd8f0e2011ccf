//! The endpoint over real connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;
use crate::telemetry::{Telemetry, TelemetryOptions};

/// How long tests wait for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

async fn endpoint(limits: Limits) -> Endpoint {
    let anywhere = AdminListen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listening = bind(&AdminOptions { admin_listen: anywhere }).await.unwrap().unwrap();
    let (telemetry, _) = Telemetry::build(&TelemetryOptions::default()).unwrap();
    listening.serve_within(Routes { metrics: telemetry.metrics(), probes: Probes::default() }, limits)
}

/// A connection that has sent this.
async fn sent(endpoint: &Endpoint, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// All that is answered until the connection ends, which it must.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too: that of a client that has said more than was read.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8(answer).unwrap()
}

/// What is answered to a request for this path.
async fn get(endpoint: &Endpoint, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    rest(&mut sent(endpoint, request.as_bytes()).await).await
}

#[tokio::test]
async fn requests_are_answered_one_after_another() {
    let endpoint = endpoint(Limits::default()).await;
    let requests =
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\nHEAD /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = rest(&mut sent(&endpoint, requests.as_bytes()).await).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert!(answers.contains("\r\n\r\nok\nHTTP/1.1") && answers.ends_with("\r\n\r\n"), "{answers}");
}

#[tokio::test]
async fn a_client_that_says_nothing_more_is_given_up() {
    let endpoint = endpoint(Limits { silence: Duration::from_millis(50), ..Limits::default() }).await;
    for beginning in ["", "GET /livez HTT", "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let begun = Instant::now();
        rest(&mut sent(&endpoint, beginning.as_bytes()).await).await;
        assert!(begun.elapsed() < DEADLINE, "{beginning}");
    }
}

#[tokio::test]
async fn a_connection_that_is_too_old_ends_though_its_client_goes_on() {
    let endpoint = endpoint(Limits { age: Duration::from_millis(100), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let goes_on = async {
        let mut answer = [0; 1024];
        loop {
            let request = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
            if request.is_err() || matches!(stream.read(&mut answer).await, Ok(0) | Err(_)) {
                return;
            }
        }
    };
    timeout(DEADLINE, goes_on).await.expect("the connection ends");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let endpoint = endpoint(Limits::default()).await;
    let huge = format!("GET /livez HTTP/1.1\r\nhost: a\r\nx-huge: {}\r\n\r\n", "a".repeat(32 * 1024));
    let answer = rest(&mut sent(&endpoint, huge.as_bytes()).await).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn the_body_of_a_request_is_not_waited_for() {
    let endpoint = endpoint(Limits::default()).await;
    let head = "GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n";
    let answer = rest(&mut sent(&endpoint, head.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn those_who_hold_connections_only_delay_others() {
    let limits = Limits { connections: 2, silence: Duration::from_millis(100), ..Limits::default() };
    let endpoint = endpoint(limits).await;
    let _held = [sent(&endpoint, b"GET").await, sent(&endpoint, b"GET").await];
    let answer = get(&endpoint, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn it_ends_when_it_is_told_to_whatever_clients_do() {
    let endpoint = endpoint(Limits { last_answer: Duration::from_millis(50), ..Limits::default() }).await;
    let address = endpoint.address();
    let mut held = [sent(&endpoint, b"").await, sent(&endpoint, b"GET /livez").await];
    timeout(DEADLINE, endpoint.stop()).await.expect("it ends");
    TcpStream::connect(address).await.unwrap_err();
    for stream in &mut held {
        rest(stream).await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_says_what_to_do() {
    let endpoint = endpoint(Limits::default()).await;
    let taken = AdminOptions { admin_listen: AdminListen::At(endpoint.address()) };
    let error = format!("{:#}", bind(&taken).await.unwrap_err());
    for expected in [&endpoint.address().to_string(), "metrics and probes", "--admin-listen", "`off`", "in use"] {
        assert!(error.contains(expected), "{expected} is missing: {error}");
    }
}

#[tokio::test]
async fn it_can_be_off() {
    assert!(bind(&AdminOptions { admin_listen: AdminListen::Off }).await.unwrap().is_none());
}
