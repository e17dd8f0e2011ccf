//! HTTP/2 by hand, frame by frame, for clients that don't keep to the rules.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// The types of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

// Flags of frames.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

// Settings.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The error of a connection whose client asks too much.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// The most bytes of a frame, unless both sides agree on more.
pub const LARGEST_FRAME: usize = 16 << 10;

/// A frame as far as tests look at it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The settings that a SETTINGS frame holds.
    pub fn settings(&self) -> Vec<(u16, u32)> {
        assert_eq!(self.kind, SETTINGS, "{self:?}");
        let pair = |bytes: &[u8]| {
            (u16::from_be_bytes([bytes[0], bytes[1]]), u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]))
        };
        self.payload.chunks_exact(6).map(pair).collect()
    }
}

/// A frame as it is sent.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A SETTINGS frame.
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let pairs = settings.iter().map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &pairs.collect::<Vec<_>>().concat())
}

/// The headers of a gRPC call, compressed in the simplest way: each is spelled out.
pub fn call(path: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "nodeward.test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers.into_iter().flat_map(|(name, value)| header(name, value.as_bytes())).collect()
}

/// A header, "literal without indexing" (RFC 7541, section 6.2.2).
pub fn header(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0][..], &length(name.len()), name.as_bytes(), &length(value.len()), value].concat()
}

/// A length in the 7 bits after a flag (RFC 7541, section 5.1).
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![length as u8] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// An empty gRPC message.
pub const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// A connection on which anything can be said.
pub struct RawConnection<T = TcpStream> {
    stream: T,
}

impl RawConnection {
    /// A connection that has said nothing yet.
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// A connection that has introduced itself with these settings.
    pub async fn open(address: SocketAddr, own: &[(u16, u32)]) -> Self {
        let mut connection = Self::connect(address).await;
        connection.send(&[PREFACE, &settings(own)].concat()).await.unwrap();
        connection
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> RawConnection<T> {
    /// A connection over this stream.
    pub fn over(stream: T) -> Self {
        Self { stream }
    }

    /// Sends bytes, unless the server has closed the connection or takes nothing any more.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    /// The next frame, or `None` if the server has closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("a frame in time").ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        timeout(PATIENCE, self.stream.read_exact(&mut payload)).await.expect("a frame in time").ok()?;
        Some(Frame { kind: head[3], payload })
    }

    /// Waits until the server closes the connection: why it did, if it said so.
    pub async fn closed(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                reason = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        reason
    }
}
