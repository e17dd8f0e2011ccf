//! Which connections are taken.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection;
use super::metrics::Refusal;
use super::networks::Networks;
use super::serving::Shared;

/// How long to wait when no connection can be accepted, for want of file descriptors or memory.
const RECOVERY: Duration = Duration::from_millis(500);

/// The accept loop.
pub(super) struct Accept {
    shared: Arc<Shared>,
    connections: TaskTracker,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
    networks: Networks,
    is_full: bool,
}

impl Accept {
    /// A loop that serves at most so many connections at a time, and so many of one network.
    pub fn new(most: u32, most_of_one: u32, connections: TaskTracker, shared: Shared) -> Self {
        let places = Arc::new(Semaphore::new(most as usize));
        let networks = Networks::new(most_of_one);
        Self { shared: Arc::new(shared), connections, places, networks, is_full: false }
    }

    /// Accepts connections until the server stops.
    pub async fn run(mut self, listener: TcpListener) {
        let stop = self.shared.stop.clone();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, address)) => self.accepted(stream, address),
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection broke before it was accepted")
                }
                Err(error) => {
                    warn!(%error, "can't accept connections at the moment");
                    stop.run_until_cancelled(tokio::time::sleep(RECOVERY)).await;
                }
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, address: SocketAddr) {
        let Some(of_network) = self.networks.enter(address.ip()) else {
            debug!(peer = %address, "closed: its network has as many connections as it may have");
            return self.shared.metrics.refused(Refusal::FullOfOne);
        };
        let Some(place) = self.place() else { return };
        // What little is written should not wait for more. It fails only if the connection is broken, which then shows.
        let _ = stream.set_nodelay(true);
        let open = self.shared.metrics.opened();
        let shared = self.shared.clone();
        self.connections.spawn(async move {
            connection::serve(stream, address, shared).await;
            drop((place, of_network, open));
        });
    }

    /// A place for one more connection, if there is one.
    fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok();
        if place.is_none() {
            self.shared.metrics.refused(Refusal::Full);
            if !self.is_full {
                warn!("there are as many connections as there may be (--max-connections): further ones are closed");
            }
        }
        self.is_full = place.is_none();
        place
    }
}

/// Whether the next connection may well be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}
