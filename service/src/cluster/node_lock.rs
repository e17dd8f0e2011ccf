//! One operation a node at a time, whichever servers are asked, and whatever crashes.
//!
//! Each node that has had an operation has a Lease (coordination.k8s.io/v1) in the namespace of the server's own objects, which
//! names the last one. It promises:
//!
//! - an operation is stored only after the lease names it, and the lease names another one only when that one has ended or is
//!   gone. All writes of the lease carry the version that was read: of those who want it at the same time one gets it,
//! - nobody has to give it up: it is the operation's state that says whether the node is free,
//! - a server that crashes after the lease names an operation, and before that is stored, holds others up for [`TO_STORE`] and no
//!   longer. How long that is each server sees for itself: clocks of different servers are never compared,
//! - the lease goes with its node.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, sleep};

use super::Operations;
use super::fault;
use super::fault::within;
use super::operations::own_fault;
use crate::error::Error;
use crate::operation::{NodeIdentity, NodeOperation};

/// How long an operation may take to be stored once the lease names it.
const TO_STORE: Duration = Duration::from_secs(5);

/// How often somebody who waits for that looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What has become of an operation that was to be stored.
#[derive(Debug)]
pub enum Stored {
    /// It is stored.
    Now(NodeOperation),
    /// One of its name was stored before.
    Before(NodeOperation),
}

/// The leases of nodes.
#[derive(Clone)]
pub(super) struct NodeLocks {
    leases: Api<Lease>,
    namespace: String,
}

/// What is known of a lease.
enum Found {
    /// It may be made to name another operation.
    Free(Option<Lease>),
    /// It names this one already.
    Own(Lease),
    /// It names one that has not ended.
    Taken { operation: String },
    /// It names one that is not there, and may be stored every moment.
    Announced { version: Option<String> },
}

impl Operations {
    /// Stores an operation, unless its node has one that has not ended.
    pub async fn create_alone(&self, operation: &NodeOperation, deadline: Instant) -> Result<Stored, Error> {
        let name = operation.name_any();
        let lease = Box::pin(self.take(&operation.spec.node, &name, deadline)).await?;
        match self.try_create(operation, deadline).await? {
            Ok(stored) => {
                self.locks.confirm(lease, deadline).await;
                Ok(Stored::Now(stored))
            }
            Err(error) if fault::api_status(&error).is_some_and(|status| status.is_already_exists()) => {
                let before = self.get(&name, deadline).await?;
                let gone = || Error::Unreachable { detail: "the operation was deleted meanwhile".to_owned() };
                before.map(Stored::Before).ok_or_else(gone)
            }
            Err(error) => {
                let error = own_fault(error);
                if error.is_refusal() {
                    self.locks.give_up(lease, deadline).await;
                }
                Err(error)
            }
        }
    }

    /// Refuses if the node has an operation that has not ended.
    pub async fn check_idle(&self, node: &NodeIdentity, deadline: Instant) -> Result<(), Error> {
        match self.look(node, "", deadline).await? {
            Found::Taken { operation } => Err(in_progress(node, &operation)),
            Found::Free(_) | Found::Own(_) | Found::Announced { .. } => Ok(()),
        }
    }

    /// Makes the node's lease name this operation.
    async fn take(&self, node: &NodeIdentity, operation: &str, deadline: Instant) -> Result<Lease, Error> {
        let mut announced: Option<(Option<String>, Instant)> = None;
        loop {
            match self.look(node, operation, deadline).await? {
                Found::Own(lease) => return Ok(lease),
                Found::Taken { operation } => return Err(in_progress(node, &operation)),
                Found::Free(lease) => {
                    if let Some(lease) = self.locks.write(node, lease, operation, deadline).await? {
                        return Ok(lease);
                    }
                }
                Found::Announced { version } => match &announced {
                    Some((seen, since)) if *seen == version && since.elapsed() >= TO_STORE => {
                        let lease =
                            self.locks.get(node, deadline).await?.filter(|lease| lease.resource_version() == version);
                        let Some(lease) = lease else { continue };
                        if let Some(lease) = self.locks.write(node, Some(lease), operation, deadline).await? {
                            return Ok(lease);
                        }
                    }
                    Some((seen, _)) if *seen == version => {
                        within(deadline, "waiting for another request for the same node", sleep(LOOK_AGAIN)).await?;
                    }
                    _ => announced = Some((version, Instant::now())),
                },
            }
        }
    }

    /// How the node's lease stands for this operation.
    async fn look(&self, node: &NodeIdentity, operation: &str, deadline: Instant) -> Result<Found, Error> {
        let Some(lease) = self.locks.get(node, deadline).await? else { return Ok(Found::Free(None)) };
        let spec = lease.spec.clone().unwrap_or_default();
        let named = spec.holder_identity.unwrap_or_default();
        if named.is_empty() {
            return Ok(Found::Free(Some(lease)));
        }
        if named == operation {
            return Ok(Found::Own(lease));
        }
        match self.get(&named, deadline).await? {
            Some(found) if found.spec.node.uid == node.uid => {
                let is_over = found.status.is_some_and(|status| status.state.is_final());
                Ok(if is_over { Found::Free(Some(lease)) } else { Found::Taken { operation: named } })
            }
            // The same request id was sent for two nodes: the operation of that name is the other's.
            Some(_) => Ok(Found::Free(Some(lease))),
            // It was stored, and is forgotten.
            None if spec.lease_duration_seconds.is_none() => Ok(Found::Free(Some(lease))),
            None => Ok(Found::Announced { version: lease.resource_version() }),
        }
    }
}

fn in_progress(node: &NodeIdentity, operation: &str) -> Error {
    Error::OperationInProgress { node: node.name.clone(), operation: format!("operations/{operation}") }
}

impl NodeLocks {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { leases: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    async fn get(&self, node: &NodeIdentity, deadline: Instant) -> Result<Option<Lease>, Error> {
        within(deadline, "reading the node's lease", self.leases.get_opt(&name(node))).await?.map_err(own_fault)
    }

    /// Makes the lease, which was read like this, name an operation that is about to be stored. None if another was faster.
    async fn write(
        &self,
        node: &NodeIdentity,
        lease: Option<Lease>,
        operation: &str,
        deadline: Instant,
    ) -> Result<Option<Lease>, Error> {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = LeaseSpec {
            holder_identity: Some(operation.to_owned()),
            lease_duration_seconds: Some(i32::try_from(TO_STORE.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: now.clone(),
            renew_time: now,
            ..LeaseSpec::default()
        };
        let metadata = lease.map_or_else(|| metadata(node), |lease| lease.metadata);
        self.put(Lease { metadata, spec: Some(spec) }, deadline).await
    }

    /// Notes that the operation which the lease names is stored. Best effort: without it, whoever comes when that operation is
    /// forgotten waits a little.
    async fn confirm(&self, lease: Lease, deadline: Instant) {
        let spec = LeaseSpec { lease_duration_seconds: None, ..lease.spec.unwrap_or_default() };
        self.best_effort(Lease { spec: Some(spec), metadata: lease.metadata }, deadline).await;
    }

    /// Names no operation any more: the one that it names was refused. Best effort, as that.
    async fn give_up(&self, lease: Lease, deadline: Instant) {
        self.best_effort(Lease { spec: Some(LeaseSpec::default()), metadata: lease.metadata }, deadline).await;
    }

    async fn best_effort(&self, lease: Lease, deadline: Instant) {
        if let Err(error) = self.put(lease, deadline).await {
            tracing::warn!(%error, "the lease of a node could not be brought up to date");
        }
    }

    /// Writes the lease, if it is still at the version that this one was read at. None if it is not.
    async fn put(&self, lease: Lease, deadline: Instant) -> Result<Option<Lease>, Error> {
        let (name, params) = (lease.name_any(), PostParams::default());
        let written = async {
            match lease.resource_version() {
                Some(_) => self.leases.replace(&name, &params, &lease).await,
                None => self.leases.create(&params, &lease).await,
            }
        };
        match within(deadline, "writing the node's lease", written).await? {
            Ok(lease) => Ok(Some(lease)),
            Err(error) => match fault::api_status(&error).map(|status| status.code) {
                Some(409) => Ok(None),
                // It has gone with its node, or there is no such namespace.
                Some(404) if lease.resource_version().is_some() => Ok(None),
                Some(404) => {
                    let advice = "create it, or choose another with --namespace";
                    let message =
                        format!("namespace {:?}, where the leases of nodes are kept, does not exist", self.namespace);
                    Err(Error::Denied { message: format!("{message}: {advice}") })
                }
                _ => Err(own_fault(error)),
            },
        }
    }
}

fn name(node: &NodeIdentity) -> String {
    format!("nodeward-node-{}", node.uid)
}

fn metadata(node: &NodeIdentity) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.name.clone(),
        uid: node.uid.clone(),
        ..OwnerReference::default()
    };
    ObjectMeta { name: Some(name(node)), owner_references: Some(vec![owner]), ..ObjectMeta::default() }
}
