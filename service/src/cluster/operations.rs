//! Operations as Kubernetes keeps them: custom resources of one kind, written by nodeward alone, in its own name.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::Instant;

use super::fault::{self, within};
use super::feed::Whole;
use super::node_lock::NodeLocks;
use super::observe::{Shared, View};
use crate::error::Error;
use crate::operation::{Cancel, NodeOperation};

/// Reads and writes operations.
#[derive(Clone)]
pub struct Operations {
    api: Api<NodeOperation>,
    watched: Shared<Whole<NodeOperation>>,
    pub(super) locks: NodeLocks,
}

impl Operations {
    /// The operations of a cluster. That a node has one at a time is kept in this namespace.
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        let locks = NodeLocks::new(client.clone(), namespace);
        let api = Api::all(client);
        Self { watched: Shared::new(Whole::new(api.clone()), "nodeoperations"), api, locks }
    }

    /// All operations. They are watched once, for as long as anybody holds a view.
    pub fn view(&self) -> View<NodeOperation> {
        self.watched.view()
    }

    /// Stores a new operation, whatever else is done to its node.
    pub async fn create(&self, operation: &NodeOperation, deadline: Instant) -> Result<NodeOperation, Error> {
        self.try_create(operation, deadline).await?.map_err(own_fault)
    }

    /// The same, but what Kubernetes answers is left to the caller.
    pub(super) async fn try_create(
        &self,
        operation: &NodeOperation,
        deadline: Instant,
    ) -> Result<kube::Result<NodeOperation>, Error> {
        let params = PostParams::default();
        within(deadline, "storing the operation", self.api.create(&params, operation)).await
    }

    /// The operation of this name, now. None if there is none.
    pub async fn get(&self, name: &str, deadline: Instant) -> Result<Option<NodeOperation>, Error> {
        match within(deadline, "reading the operation", self.api.get(name)).await? {
            Ok(operation) => Ok(Some(operation)),
            Err(kube::Error::Api(status)) if is_missing(&status, name) => Ok(None),
            Err(error) => Err(own_fault(error)),
        }
    }

    /// Writes the status, if the operation is still at the version that this one was read at. None if it is not, or is gone.
    pub async fn write_status(
        &self,
        operation: &NodeOperation,
        deadline: Instant,
    ) -> Result<Option<NodeOperation>, Error> {
        let (name, params) = (operation.name_any(), PostParams::default());
        let write = self.api.replace_status(&name, &params, operation);
        match within(deadline, "writing how far the operation has come", write).await? {
            Ok(written) => Ok(Some(written)),
            Err(kube::Error::Api(status)) if status.is_conflict() || is_missing(&status, &name) => Ok(None),
            Err(error) => Err(own_fault(error)),
        }
    }

    /// Notes that an operation is to end, if it is still at the version that this one was read at. None if it is not, or is gone.
    pub async fn cancel(
        &self,
        operation: &NodeOperation,
        cancel: &Cancel,
        deadline: Instant,
    ) -> Result<Option<NodeOperation>, Error> {
        let version = &operation.metadata.resource_version;
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "spec": {"cancel": cancel}}));
        let (name, params) = (operation.name_any(), PatchParams::default());
        match within(deadline, "cancelling the operation", self.api.patch(&name, &params, &patch)).await? {
            Ok(written) => Ok(Some(written)),
            Err(kube::Error::Api(status)) if status.is_conflict() || is_missing(&status, &name) => Ok(None),
            Err(error) => Err(own_fault(error)),
        }
    }

    /// Forgets an operation, if it is still at the version that this one was read at. Whether it was.
    pub async fn delete(&self, operation: &NodeOperation, deadline: Instant) -> Result<bool, Error> {
        let (uid, resource_version) = (operation.uid(), operation.resource_version());
        let (name, params) = (operation.name_any(), DeleteParams::default());
        let params = params.preconditions(Preconditions { uid, resource_version });
        match within(deadline, "deleting the operation", self.api.delete(&name, &params)).await? {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_conflict() || is_missing(&status, &name) => Ok(false),
            Err(error) => Err(own_fault(error)),
        }
    }
}

/// Whether there is no object of this name. Of a resource that Kubernetes does not know it says that too, but names no object.
fn is_missing(status: &Status, name: &str) -> bool {
    status.is_not_found() && status.details.as_ref().is_some_and(|details| details.name == name)
}

/// What a failed call means. It is sent in the server's own name, so that callers can't do anything about what is refused.
pub(super) fn own_fault(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => Error::OperationsUnavailable,
        error => fault::of_the_server(error),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    #[test]
    fn a_missing_operation_is_told_from_a_missing_kind() {
        let of_kind = Status::failure("404 page not found", "Failed to parse error data").with_code(404);
        assert!(!is_missing(&of_kind, "a"));
        assert!(matches!(own_fault(kube::Error::Api(of_kind.boxed())), Error::OperationsUnavailable));
        let [group, kind, uid] = [(); 3].map(|()| String::new());
        let details = StatusDetails { name: "a".into(), group, kind, uid, causes: vec![], retry_after_seconds: 0 };
        assert!(is_missing(&Status::failure("not found", "NotFound").with_code(404).with_details(details), "a"));
    }
}
