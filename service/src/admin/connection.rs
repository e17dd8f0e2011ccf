//! One connection, within its limits.

use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;

/// What a client may ask for at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The longest time until a request is there, and between requests.
    pub silence: Duration,
    /// The longest time that a connection lasts. Answers are as large as the metrics are, and clients may read slowly.
    pub age: Duration,
    /// The longest time for the answer under way when the connection, or the server, is to end.
    pub last_answer: Duration,
    /// The largest head of a request, in bytes. A body is not read at all.
    pub head: usize,
    /// The most connections at a time; others wait.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(10),
            age: Duration::from_secs(60),
            last_answer: Duration::from_secs(2),
            head: 16 * 1024,
            connections: 64,
        }
    }
}

/// Answers the requests of a connection until the client, a limit or `stop` ends it.
pub(super) async fn serve(stream: TcpStream, routes: Routes, limits: Limits, stop: CancellationToken) {
    let service = service_fn(|request| ready(Ok::<_, Infallible>(routes.answer(&request))));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.silence).max_buf_size(limits.head);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whatever went wrong with it, its client knows, and nobody else needs to.
        _ = connection.as_mut() => return,
        _ = timeout(limits.age, stop.cancelled()) => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(limits.last_answer, connection).await;
}
