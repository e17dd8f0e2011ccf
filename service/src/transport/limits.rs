//! What one connection may use, and how long its client may keep silent.

use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// The limits of a connection. Tests shorten the times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a client may take until it speaks HTTP/2, the TLS handshake included.
    pub handshake: Duration,
    /// How long a connection lasts on which nobody known calls. Health checks make nobody known: whoever sends nothing else
    /// connects again now and then.
    pub unknown: Duration,
    /// How long a connection that is to end may be silent before it is closed: no call is being worked on, and its client
    /// takes nothing of what is to be sent to it.
    pub silence: Duration,
    /// How often the certificates are looked at.
    pub certificate_check: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            unknown: Duration::from_secs(30),
            silence: Duration::from_secs(2),
            certificate_check: Duration::from_secs(5),
        }
    }
}

/// The calls of a connection at a time.
const STREAMS: u32 = 256;

/// How much is kept for a client that reads slowly, for each stream. What is sent in one piece may be more.
const SEND_BUFFER: usize = 16 << 10;

/// How much a client may send that nobody has read yet: of one stream, and of all. The first is HTTP/2's own default.
const WINDOWS: (u32, u32) = ((64 << 10) - 1, 256 << 10);

/// All headers of a request together.
const HEADERS: u32 = 16 << 10;

/// After so long without a sign of life a client is asked for one, which it has so long to give.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Streams that were reset before anybody looked at them, and streams that the server had to reset: the connection of a
/// client that goes beyond is closed (CVE-2023-44487 and its kin).
const RESETS: (usize, usize) = (20, 1024);

/// Serves HTTP/2 connections within these limits.
pub(super) fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1);
    builder
}
