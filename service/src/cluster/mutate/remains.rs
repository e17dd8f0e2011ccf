//! What a change has left in the cluster, for those who don't know what came of it.

use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;
use uuid::Uuid;

use super::Mutator;
use super::entry::{Entry, Target};
use super::record::{self, Remembers};
use crate::cluster::fault::{self, within};
use crate::error::Error;

/// What can be seen in the cluster now.
#[derive(Clone, Debug, Default)]
pub struct Remains {
    /// The node of the name, if there is one.
    pub node: Option<Node>,
    /// What the ledger says, if the request is noted there.
    pub noted: Option<Noted>,
}

/// What the ledger says of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The uid of the node that it created, if it is known to have done that.
    pub created: Option<String>,
    /// The names and uids of the nodes that it was to delete.
    pub to_delete: Vec<(String, String)>,
}

impl Mutator {
    /// Looks for what a change of this node, and of this request, has left. Kubernetes is asked itself, not the cache.
    pub async fn remains(&self, node: &str, request: Option<Uuid>, deadline: Instant) -> Result<Remains, Error> {
        let look = async {
            let node = match node {
                "" => None,
                name => self.write.get(name).await.map_err(fault::from_kube)?,
            };
            let noted = match request {
                Some(id) => self.ledger.entry(id).await?.map(Noted::from),
                None => None,
            };
            Ok(Remains { node, noted })
        };
        within(deadline, "looking for what a change has left", look).await?
    }
}

impl Remains {
    /// What the node remembers of this id, as that of a request of this RPC.
    pub fn memory_of(&self, id: Uuid, method: &str) -> Option<Remembers> {
        self.node.as_ref().map(|node| record::memory_of(node, id, method))
    }

    /// The audit id of the node's last change.
    pub fn last_change(&self) -> Option<Uuid> {
        self.node.as_ref().and_then(record::last_change)
    }
}

impl From<Entry> for Noted {
    fn from(entry: Entry) -> Self {
        let targets = entry.targets().iter().map(|Target { name, uid, .. }| (name.clone(), uid.clone())).collect();
        Self { created: entry.created, to_delete: targets }
    }
}
