//! The endpoint for those who run the server: metrics and probes, over HTTP/1.1, on a port of its own.
//!
//! - `GET /metrics`: all metrics in the text format of Prometheus,
//! - `GET /livez`: 200 while the server does its work; otherwise it should be started anew,
//! - `GET /readyz`: 200 while it can be sent calls: not before it has read the cluster's state, nor once it is stopping.
//!
//! What is not well says why, in a line of text. The endpoint is up from before the first call to after the last: whoever
//! asks while the server stops learns that it does. It has no encryption and asks nobody who they are, so it says nothing
//! of nodes or callers, and no client can keep more of it than a connection for a minute.
//!
//! ```no_run
//! # use nodeward_server::{admin, telemetry::{self, TelemetryOptions}};
//! # async fn run(options: admin::AdminOptions) -> anyhow::Result<()> {
//! # let telemetry = telemetry::init(&TelemetryOptions::default())?;
//! let listening = admin::bind(&options).await?;
//! let probes = admin::Probes::default();
//! let endpoint = listening.map(|listening| listening.serve(telemetry.metrics(), probes.clone()));
//! // ... start the server, and:
//! probes.ready();
//! // ... until it is to stop:
//! probes.stopping();
//! // ... and when all calls have ended:
//! if let Some(endpoint) = endpoint {
//!     endpoint.stop().await;
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
mod endpoint;
mod options;
mod probes;
mod routes;

pub use endpoint::{Endpoint, Listening, bind};
pub use options::{AdminListen, AdminOptions};
pub use probes::{Probes, Running};
