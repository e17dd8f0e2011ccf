//! The bytes of a connection whose client has spoken: what it said first is there to be read again, and what it has taken
//! is counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many bytes a client has been sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(Arc<AtomicU64>);

impl Written {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection whose client speaks HTTP/2.
#[derive(Debug)]
pub(super) struct Wire<T> {
    stream: T,
    written: Written,
    /// What is left of what the client said first.
    said: &'static [u8],
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Waits until the client has said that it speaks HTTP/2. Until then next to nothing is kept for it.
    pub async fn open(mut stream: T) -> io::Result<Self> {
        let mut said = [0; PREFACE.len()];
        stream.read_exact(&mut said).await?;
        if said != *PREFACE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak HTTP/2"));
        }
        Ok(Self { stream, written: Written::default(), said: PREFACE })
    }
}

impl<T> Wire<T> {
    /// The stream below.
    pub fn stream(&self) -> &T {
        &self.stream
    }

    /// How much the client has been sent, by now and later on.
    pub fn written(&self) -> Written {
        self.written.clone()
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written.0.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.said.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let (now, later) = self.said.split_at(self.said.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.said = later;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(written)
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
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_the_client_has_said_is_read_in_its_order() {
        let (mut client, server) = duplex(1024);
        client.write_all(PREFACE).await.unwrap();
        client.write_all(b"more").await.unwrap();
        let mut wire = Wire::open(server).await.unwrap();
        let (mut first, mut rest) = ([0; 5], [0; 23]);
        wire.read_exact(&mut first).await.unwrap();
        wire.read_exact(&mut rest).await.unwrap();
        assert_eq!([&first[..], &rest].concat(), [&PREFACE[..], b"more"].concat());
    }

    #[tokio::test]
    async fn a_client_of_another_protocol_is_told_from_one_that_has_gone() {
        let (mut client, server) = duplex(1024);
        client.write_all(b"GET /index.html HTTP/1.1\r\n").await.unwrap();
        assert_eq!(Wire::open(server).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (mut client, server) = duplex(1024);
        client.write_all(b"PRI * HTTP/2.0").await.unwrap();
        drop(client);
        assert_eq!(Wire::open(server).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_the_client_has_been_sent_is_counted() {
        let (mut client, server) = duplex(1024);
        client.write_all(PREFACE).await.unwrap();
        let mut wire = Wire::open(server).await.unwrap();
        wire.write_all(b"settings").await.unwrap();
        assert_eq!(wire.written().bytes(), 8);
    }
}
