//! All operations in memory: watched once for all calls.

use tokio::time::{Instant, timeout_at};

use super::OperationRpc;
use crate::cluster::observe::View;
use crate::error::Error;
use crate::operation::NodeOperation;

impl OperationRpc {
    /// A view of all operations, once they have been read.
    ///
    /// # Errors
    /// They can't be read in time: what keeps them from being read, if it is known.
    pub(super) async fn view(&self, deadline: Instant) -> Result<View<NodeOperation>, Error> {
        let operations = self.rpc.cluster.operations();
        let view = self.operations.get_or_init(|| operations.view()).clone();
        if !view.is_in_sync() {
            // A watch tries for ever: whether it can succeed at all, a call says at once.
            operations.get(PROBE, deadline).await?;
            let in_sync = timeout_at(deadline, view.in_sync()).await;
            in_sync.map_err(|_| Error::DeadlineExceeded { stage: "reading the operations" })?;
        }
        Ok(view)
    }
}

/// A name that no operation has.
const PROBE: &str = "00000000-0000-0000-0000-000000000000";
