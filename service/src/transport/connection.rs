//! One connection, from the handshake to its end.
//!
//! It ends when its client closes it, when it has reached its age, when for some time nobody known has called on it, or when
//! the server stops. In all cases but the first its client is told to send no more calls (GOAWAY), its streams are told to
//! end, and its calls come to their end. A stream whose client no longer listens can't end: it is what is left when no call
//! is being worked on and nothing moves any more. Then the connection is closed, which is no failure. Calls of strangers are
//! not waited for: whatever they have sent in earnest is answered long before.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected as _, TcpConnectInfo};
use tracing::{debug, warn};

use super::calls::{Calls, LONGEST, Running};
use super::metrics::Refusal;
use super::peer::Peer;
use super::serving::Shared;
use super::wire::{Wire, Written};
use super::{handshake, limits};
use crate::standing::Standing;

/// Serves a connection until its end. What serves calls is far larger than what waits for a client to speak, and is made
/// when it has.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>) {
    let deadline = Instant::now() + shared.limits.handshake;
    let standing = Standing::new(address.ip());
    let connection = Connection { end: shared.stop.child_token(), running: Arc::default(), address, standing, shared };
    if let Some(stream) = connection.by(deadline, handshake::begun(stream)).await {
        match connection.shared.tls.as_ref().map(|tls| tls.borrow().clone()) {
            None => Box::pin(connection.serve_plain(stream, deadline)).await,
            Some(config) => Box::pin(connection.serve_tls(stream, config, deadline)).await,
        }
    }
}

struct Connection {
    /// Ends its streams, and it in consequence.
    end: CancellationToken,
    running: Arc<Running>,
    address: SocketAddr,
    standing: Standing,
    shared: Arc<Shared>,
}

impl Connection {
    async fn serve_plain(self, stream: TcpStream, deadline: Instant) {
        if let Some(wire) = self.by(deadline, Wire::open(stream)).await {
            let (tcp, peer) = (wire.stream().connect_info(), Peer::new(self.address, None));
            Box::pin(self.serve_calls(tcp, peer, wire)).await;
        }
    }

    async fn serve_tls(self, stream: TcpStream, config: Arc<ServerConfig>, deadline: Instant) {
        if let Some(wire) = self.by(deadline, self.shared.handshakes.tls(stream, config)).await {
            let (tcp, tls) = wire.stream().get_ref();
            let (tcp, peer) = (tcp.connect_info(), Peer::new(self.address, Some(tls)));
            Box::pin(self.serve_calls(tcp, peer, wire)).await;
        }
    }

    /// What a part of the handshake comes to, unless it takes too long or the server stops.
    async fn by<T>(&self, deadline: Instant, handshake: impl Future<Output = io::Result<T>>) -> Option<T> {
        match self.end.run_until_cancelled(timeout_at(deadline, handshake)).await? {
            Ok(Ok(established)) => return Some(established),
            Ok(Err(error)) if handshake::has_gone(&error) => {
                debug!(peer = %self.address, %error, "the client has gone")
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => self.refused(Refusal::Silent, &error),
            Ok(Err(error)) => self.refused(Refusal::Handshake, &error),
            Err(elapsed) => self.refused(Refusal::Silent, &elapsed),
        }
        None
    }

    fn refused(&self, why: Refusal, error: &dyn Display) {
        debug!(peer = %self.address, %error, "no connection came about");
        self.shared.metrics.refused(why);
    }

    async fn serve_calls<T>(self, tcp: TcpConnectInfo, peer: Peer, wire: Wire<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let written = wire.written();
        let (services, end, running) = (self.shared.services.clone(), self.end.clone(), self.running.clone());
        let calls = Calls { services, peer, standing: self.standing.clone(), tcp, end, running };
        let mut http = pin!(limits::http2().serve_connection(TokioIo::new(wire), calls));
        tokio::select! {
            ended = &mut http => return self.ended(ended),
            () = self.end.cancelled() => {}
            () = sleep(jittered(self.shared.max_age)) => self.end.cancel(),
            () = self.stays_unknown() => {
                debug!(peer = %self.address, "given up: nobody known has called");
                self.shared.metrics.refused(Refusal::Unknown);
                self.end.cancel();
            }
        }
        http.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut http => self.ended(ended),
            () = self.falls_silent(&written) => debug!(peer = %self.address, "closed: its client does not listen"),
            () = self.stays_unknown() => debug!(peer = %self.address, "closed: its client is a stranger"),
            () = self.is_overdue() => self.cut_off(),
        }
    }

    fn ended(&self, ended: hyper::Result<()>) {
        if let Err(error) = ended {
            debug!(peer = %self.address, %error, "the connection broke");
        }
    }

    /// Waits until so much time has passed as a stranger has; for ever, if somebody known has called by then.
    async fn stays_unknown(&self) {
        sleep(self.shared.limits.unknown).await;
        if self.standing.is_known() {
            std::future::pending().await
        }
    }

    /// Waits until for some time nothing has moved: no call was being worked on, and the client has taken nothing. A call
    /// that has only just ended counts, since its answer may not have been written yet.
    async fn falls_silent(&self, written: &Written) {
        loop {
            let before = (written.bytes(), self.running.ended());
            sleep(self.shared.limits.silence).await;
            if self.running.count() == 0 && (written.bytes(), self.running.ended()) == before {
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
}

/// A tenth more or less, so that the clients of a replica don't all come back at once.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
}
