//! A client of nodeward, the gRPC service that manages the nodes of a Kubernetes cluster.
//!
//! What it does for its caller, over the generated code:
//! - [`Client`] sends a request again when the server was not available or put it off ([`RetryPolicy`]), within the caller's
//!   timeout. A change keeps its request id over all attempts, so that it is carried out at most once.
//! - [`Client::watch`] goes on where it was when a stream ends, and says what was missed when it can't.
//! - [`Client::drain_node`] empties a node as an operation that goes on without its caller, and [`Client::operation_events`]
//!   follows it over all interruptions.
//! - [`Error`] holds the reason, the bad fields, the hint and the trace of a request that failed.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use nodeward_client::{Change, Client, ConnectOptions, ListOptions, WatchOptions};
//!
//! # #[cfg(feature = "config")]
//! # async fn example() -> Result<(), nodeward_client::Error> {
//! let client = Client::connect(ConnectOptions::from_config(None)?).await?;
//! for node in client.list_all(ListOptions::filter("readiness = LOST_CONTACT")).await?.nodes {
//!     client.cordon(&node.name, Change::because("it does not answer")).await?;
//! }
//! let mut watch = client.watch(WatchOptions::default());
//! while let Some(event) = watch.try_next().await? {
//!     println!("{event:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The messages are those of the contract, [`api`].

mod audit;
mod change;
mod client;
#[cfg(feature = "config")]
mod config;
mod connect;
mod credentials;
mod drain;
mod error;
mod list;
mod mutate;
mod name;
mod operation;
pub mod path;
mod resume;
mod retry;
mod watch;

pub use nodeward_api::google::longrunning;
pub use nodeward_api::v1 as api;
pub use tonic::Code;

pub use crate::audit::{AuditEvent, AuditEventKind, AuditFollowOptions, AuditListOptions};
pub use crate::change::{Change, Changed, CordonOptions, DeleteOptions, Patch, Selection, UncordonOptions};
pub use crate::client::{Client, ReadOptions};
#[cfg(feature = "config")]
pub use crate::config::{Config, Context};
pub use crate::connect::ConnectOptions;
pub use crate::drain::DrainOptions;
pub use crate::error::{Error, FieldViolation, PreconditionViolation};
pub use crate::list::{ListOptions, NodeList};
pub use crate::name::{node_id, operation_name, resource_name};
pub use crate::operation::{
    CancelOptions, OperationEventKind, OperationEventsOptions, OperationListOptions, drain_metadata, drain_response,
    operation_error,
};
pub use crate::retry::RetryPolicy;
pub use crate::watch::{WatchEvent, WatchEventKind, WatchOptions};
