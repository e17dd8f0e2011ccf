//! The bytes of a connection, of which two things must be known: whether its client says anything at all, and whether it
//! takes what it is sent.
//!
//! A client speaks first in HTTP/2. One that doesn't (a port scanner, a load balancer's probe) would otherwise keep its
//! connection for ever, and keep a server that is to stop from stopping.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The length of what every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// What is known of the bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    has_spoken: AtomicBool,
    written: AtomicU64,
}

impl Flow {
    /// Whether the client has said that it speaks HTTP/2.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken.load(Ordering::Relaxed)
    }

    /// How many bytes the client has been sent.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// A connection. It ends if its client has said nothing when the server stops, or by the deadline.
pub(super) struct Wire<T> {
    stream: T,
    flow: Arc<Flow>,
    /// How much of the preface is still to come, and what ends the wait for it. `None` once it is there.
    silence: Option<(usize, BoxFuture<'static, ()>)>,
}

impl<T> Wire<T> {
    pub fn new(stream: T, flow: Arc<Flow>, deadline: Instant, stop: CancellationToken) -> Self {
        let over = Box::pin(async move {
            let _ = timeout_at(deadline, stop.cancelled_owned()).await;
        });
        Self { stream, flow, silence: Some((PREFACE, over)) }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = result {
            self.flow.written.fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some((missing, over)) = &mut this.silence {
            *missing = missing.saturating_sub(buffer.filled().len() - filled);
            if *missing == 0 {
                this.silence = None;
                this.flow.has_spoken.store(true, Ordering::Relaxed);
            } else if read.is_pending() && over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(())); // As if the client had closed it.
            }
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// A client and the server's end, which waits for it for a minute.
    fn connection(stop: &CancellationToken) -> (DuplexStream, Wire<DuplexStream>, Arc<Flow>) {
        let (client, server) = tokio::io::duplex(1024);
        let flow = Arc::new(Flow::default());
        let deadline = Instant::now() + Duration::from_secs(60);
        (client, Wire::new(server, flow.clone(), deadline, stop.clone()), flow)
    }

    #[tokio::test]
    async fn a_silent_connection_ends_when_the_server_stops() {
        let stop = CancellationToken::new();
        let (mut client, mut server, flow) = connection(&stop);
        client.write_all(b"PRI * HTTP/2.0").await.unwrap();
        let mut said = [0; 14];
        server.read_exact(&mut said).await.unwrap();
        stop.cancel();
        assert_eq!(server.read(&mut said).await.unwrap(), 0);
        assert!(!flow.has_spoken());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_at_its_deadline() {
        let (_client, mut server, _) = connection(&CancellationToken::new());
        let begun = Instant::now();
        assert_eq!(server.read(&mut [0; 16]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 60);
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_goes_on_when_the_server_stops() {
        let stop = CancellationToken::new();
        let (mut client, mut server, flow) = connection(&stop);
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        server.read_exact(&mut [0; PREFACE]).await.unwrap();
        stop.cancel();
        client.write_all(b"more").await.unwrap();
        assert_eq!(server.read(&mut [0; 16]).await.unwrap(), 4);
        assert!(flow.has_spoken());
    }

    #[tokio::test]
    async fn what_the_client_has_been_sent_is_counted() {
        let (_client, mut server, flow) = connection(&CancellationToken::new());
        server.write_all(b"settings").await.unwrap();
        assert_eq!(flow.written(), 8);
    }
}
