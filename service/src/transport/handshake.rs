//! From an accepted connection to one whose client speaks HTTP/2, over TLS or not.
//!
//! A client speaks first, in TLS as in HTTP/2. As long as it doesn't, next to nothing is kept for it: a port scanner, a load
//! balancer's probe and thousands of attackers cost a socket each, and that until a deadline.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::ALPN;
use super::wire::Wire;

/// The most TLS handshakes at a time. Further clients wait for their turn.
const MOST: usize = 256;

/// How long a handshake may take if others wait.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Waits until the client says something.
pub(super) async fn begun(stream: TcpStream) -> io::Result<TcpStream> {
    // Not `readable`, which may be mistaken.
    stream.peek(&mut [0]).await?;
    Ok(stream)
}

/// The TLS handshakes that are under way. There may be many at a time, since each costs some KiB, but not any number.
#[derive(Debug)]
pub(super) struct Handshakes(Semaphore);

impl Handshakes {
    pub fn new() -> Self {
        Self(Semaphore::new(MOST))
    }

    /// Waits until the client speaks HTTP/2 in TLS.
    pub async fn tls(&self, stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Wire<TlsStream<TcpStream>>> {
        let _place = self.0.acquire().await.map_err(io::Error::other)?;
        tokio::select! {
            wire = handshake(stream, config) => wire,
            () = self.others_wait() => Err(io::Error::new(io::ErrorKind::TimedOut, "others are waiting")),
        }
    }

    /// Waits until the place is better given to somebody else: a client that goes on takes milliseconds, and those who
    /// stop in the middle must not keep it out.
    async fn others_wait(&self) {
        loop {
            sleep(LONG_ENOUGH).await;
            if self.0.available_permits() == 0 {
                return;
            }
        }
    }
}

async fn handshake(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Wire<TlsStream<TcpStream>>> {
    // Boxed: as long as a handshake lasts there is no place for what comes after it.
    let stream = Box::pin(TlsAcceptor::from(config).accept(stream)).await?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client did not ask for HTTP/2"));
    }
    Box::pin(Wire::open(stream)).await
}

/// Whether the client has gone by itself, as probes do.
pub(super) fn has_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
