//! The listener, and the connections that it accepts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connection::{self, Limits};
use super::routes::Routes;
use super::{AdminListen, AdminOptions, Probes};
use crate::telemetry::Metrics;

/// How long accepting rests after it has failed, which it does while the process has too many open files.
const REST: Duration = Duration::from_millis(100);

/// A port on which nothing is answered yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens where the options say. None if they say that metrics and probes are not served.
pub async fn bind(options: &AdminOptions) -> anyhow::Result<Option<Listening>> {
    let AdminListen::At(wanted) = options.admin_listen else { return Ok(None) };
    let listener = TcpListener::bind(wanted).await.with_context(|| {
        format!("can't listen on {wanted} for metrics and probes; choose another address with --admin-listen, or `off`")
    })?;
    let address = listener.local_addr()?;
    Ok(Some(Listening { listener, address }))
}

impl Listening {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on.
    pub fn serve(self, metrics: Metrics, probes: Probes) -> Endpoint {
        self.serve_within(Routes { metrics, probes }, Limits::default())
    }

    fn serve_within(self, routes: Routes, limits: Limits) -> Endpoint {
        let stop = CancellationToken::new();
        let serving = tokio::spawn(accept(self.listener, routes, limits, stop.clone()));
        Endpoint { address: self.address, stop: stop.drop_guard(), serving }
    }
}

/// The running endpoint. It stops when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stop: DropGuard,
    serving: JoinHandle<()>,
}

impl Endpoint {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits until the answers under way are sent, though not for long.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "metrics and probes were not served any more");
        }
    }
}

async fn accept(listener: TcpListener, routes: Routes, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    while let Some((stream, place)) = stop.run_until_cancelled(next(&listener, &places)).await {
        let connection = connection::serve(stream, routes.clone(), limits, stop.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection, and its place among those that there may be.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It is never closed, so that there always is a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "can't accept connections for metrics and probes, going on");
                sleep(REST).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
