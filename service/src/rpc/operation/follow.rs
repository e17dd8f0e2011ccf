//! One operation, followed in the view of all.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::cluster::Operations;
use crate::cluster::observe::View;
use crate::error::Error;
use crate::operation::NodeOperation;

/// How long it may take to find out whether an operation that the view lacks exists.
const PATIENCE: Duration = Duration::from_secs(10);

/// An operation on its way.
pub(super) struct Followed {
    operations: Operations,
    view: View<NodeOperation>,
    /// The operation as it was last seen.
    last: Arc<NodeOperation>,
}

impl Followed {
    /// Follows an operation that was read a moment ago, perhaps before the view had it.
    pub(super) fn new(operations: Operations, view: View<NodeOperation>, operation: NodeOperation) -> Self {
        Self { operations, view, last: operation.into() }
    }

    /// The operation as it was last seen.
    pub(super) fn last(&self) -> &Arc<NodeOperation> {
        &self.last
    }

    /// Waits for a change of any operation. If it is dropped before, the change is still to be told.
    pub(super) async fn changed(&mut self) {
        self.view.changed().await;
    }

    /// Looks again. It never goes back to what was before: a view may be behind of what was read elsewhere.
    ///
    /// # Errors
    /// The operation was deleted.
    pub(super) async fn look(&mut self) -> Result<&Arc<NodeOperation>, Error> {
        let name = self.last.name_any();
        match self.view.get("", &name) {
            Some(seen) if seen.uid() == self.last.uid() => {
                if is_newer(&seen, &self.last) {
                    self.last = seen;
                }
            }
            // Deleted, or not in the view yet.
            _ => match self.operations.get(&name, Instant::now() + PATIENCE).await {
                Ok(Some(operation)) if operation.uid() == self.last.uid() => self.last = operation.into(),
                Ok(_) => return Err(Error::OperationNotFound { operation: name }),
                // It is looked for again with the next change.
                Err(error) => tracing::warn!(%error, operation = name, "whether an operation exists is not known"),
            },
        }
        Ok(&self.last)
    }
}

/// Versions are ordered integers (KEP-5504).
fn is_newer(operation: &NodeOperation, than: &NodeOperation) -> bool {
    let version =
        |operation: &NodeOperation| operation.resource_version().and_then(|version| version.parse::<u64>().ok());
    version(operation) > version(than)
}
