//! One connection, from the handshake to its end.
//!
//! It ends when its client closes it, when it has reached its age, or when the server stops. In the last two cases its
//! client is told to send no more calls (GOAWAY), its streams are told to end, and its calls come to their end. A stream
//! whose client no longer listens can't end: it is what is left when no call is being worked on and nothing moves any more.
//! Then the connection is closed, which is no failure.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;
use tracing::{debug, warn};

use super::calls::{Calls, LONGEST, Running};
use super::limits;
use super::metrics::Refusal;
use super::peer::Peer;
use super::serving::Shared;
use super::tls::ALPN;
use super::wire::{Flow, Wire};

/// Serves a connection until its end.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>) {
    let connection = Connection {
        deadline: Instant::now() + shared.limits.handshake,
        end: shared.stop.child_token(),
        running: Arc::default(),
        flow: Arc::default(),
        address,
        shared,
    };
    // Boxed, since what waits for a handshake should not be as large as what serves calls.
    match &connection.shared.tls {
        None => Box::pin(connection.serve_plain(stream)).await,
        Some(tls) => {
            let acceptor = TlsAcceptor::from(tls.borrow().clone());
            let handshake = timeout_at(connection.deadline, acceptor.accept(stream));
            match connection.end.clone().run_until_cancelled(handshake).await {
                None => {}
                Some(Ok(Ok(stream))) => Box::pin(connection.serve_tls(stream)).await,
                Some(Ok(Err(error))) => connection.refused(Refusal::Handshake, &error),
                Some(Err(elapsed)) => connection.refused(Refusal::Silent, &elapsed),
            }
        }
    }
}

struct Connection {
    /// By when its client must have spoken.
    deadline: Instant,
    /// Ends its streams, and it in consequence.
    end: CancellationToken,
    running: Arc<Running>,
    flow: Arc<Flow>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Connection {
    async fn serve_plain(self, stream: TcpStream) {
        let calls = self.calls(&stream, Peer::new(self.address, None));
        self.serve_http(stream, calls).await;
    }

    async fn serve_tls(self, stream: TlsStream<TcpStream>) {
        let (tcp, tls) = stream.get_ref();
        if tls.alpn_protocol() != Some(ALPN) {
            return self.refused(Refusal::Handshake, &"the client did not ask for HTTP/2");
        }
        let calls = self.calls(tcp, Peer::new(self.address, Some(tls)));
        self.serve_http(stream, calls).await;
    }

    fn calls(&self, tcp: &TcpStream, peer: Peer) -> Calls {
        Calls {
            services: self.shared.services.clone(),
            peer,
            tcp: tcp.connect_info(),
            end: self.end.clone(),
            running: self.running.clone(),
        }
    }

    async fn serve_http<T: AsyncRead + AsyncWrite + Unpin>(self, stream: T, calls: Calls) {
        let wire = Wire::new(stream, self.flow.clone(), self.deadline, self.end.clone());
        let mut http = pin!(limits::http2().serve_connection(TokioIo::new(wire), calls));
        tokio::select! {
            ended = &mut http => return self.ended(ended),
            () = self.end.cancelled() => {}
            () = sleep(jittered(self.shared.max_age)) => self.end.cancel(),
        }
        http.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut http => self.ended(ended),
            () = self.falls_silent() => debug!(peer = %self.address, "closed: its client does not listen"),
            () = self.is_overdue() => self.cut_off(),
        }
    }

    /// Waits until for some time nothing has moved: no call was being worked on, and the client has taken nothing.
    async fn falls_silent(&self) {
        loop {
            let before = self.flow.written();
            sleep(self.shared.limits.silence).await;
            if self.running.count() == 0 && self.flow.written() == before {
                return;
            }
        }
    }

    /// Waits until the server has to stop, or else until no call can take any longer.
    async fn is_overdue(&self) {
        tokio::select! {
            () = sleep(LONGEST) => {}
            () = async {
                self.shared.stop.cancelled().await;
                sleep(self.shared.grace).await;
            } => {}
        }
    }

    fn cut_off(&self) {
        let calls = self.running.count();
        if calls > 0 {
            warn!(peer = %self.address, calls, "calls have not ended in time and are cut off");
            self.shared.count_cut_off(calls);
        }
    }

    fn ended(&self, ended: hyper::Result<()>) {
        match ended {
            _ if self.end.is_cancelled() => {}
            Ok(()) => {}
            Err(error) if !self.flow.has_spoken() => self.refused(Refusal::Silent, &error),
            Err(error) => debug!(peer = %self.address, %error, "the connection broke"),
        }
    }

    fn refused(&self, why: Refusal, error: &dyn std::fmt::Display) {
        debug!(peer = %self.address, %error, "no connection came about");
        self.shared.metrics.refused(why);
    }
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
}
