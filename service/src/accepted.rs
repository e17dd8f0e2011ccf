//! A connection that was accepted, and given up if its client says nothing.
//!
//! A client speaks first in HTTP/2. One that doesn't (a port scanner, a load balancer's probe) would otherwise keep its
//! connection for ever, and keep a server that is to stop from stopping.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The length of what every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// How long a client may take to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection. It ends if its client has said nothing when the server stops, or for too long.
pub(crate) struct Accepted {
    stream: TcpStream,
    /// How much of the preface is still to come, and what ends the wait for it. `None` once it is there.
    silence: Option<(usize, BoxFuture<'static, ()>)>,
}

impl Accepted {
    pub(crate) fn new(stream: TcpStream, stop: CancellationToken) -> Self {
        let over = Box::pin(async move {
            let _ = timeout(PATIENCE, stop.cancelled_owned()).await;
        });
        Self { stream, silence: Some((PREFACE, over)) }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some((missing, over)) = &mut this.silence {
            *missing = missing.saturating_sub(buffer.filled().len() - filled);
            if *missing == 0 {
                this.silence = None;
            } else if read.is_pending() && over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(())); // As if the client had closed it.
            }
        }
        read
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Connected for Accepted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn connection(stop: &CancellationToken) -> (TcpStream, Accepted) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Accepted::new(listener.accept().await.unwrap().0, stop.clone()))
    }

    #[tokio::test]
    async fn a_silent_connection_ends_when_the_server_stops() {
        let stop = CancellationToken::new();
        let (mut client, mut accepted) = connection(&stop).await;
        client.write_all(b"PRI * HTTP/2.0").await.unwrap();
        let mut said = [0; 14];
        accepted.read_exact(&mut said).await.unwrap();
        stop.cancel();
        assert_eq!(accepted.read(&mut said).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_goes_on_when_the_server_stops() {
        let stop = CancellationToken::new();
        let (mut client, mut accepted) = connection(&stop).await;
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        accepted.read_exact(&mut [0; PREFACE]).await.unwrap();
        stop.cancel();
        client.write_all(b"more").await.unwrap();
        assert_eq!(accepted.read(&mut [0; 16]).await.unwrap(), 4);
    }
}
