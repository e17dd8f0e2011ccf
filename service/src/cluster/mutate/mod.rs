//! The only door to a write.
//!
//! A `Mutation` says what all changes have in common: which RPC, which request, why, until when. Whoever wants to change
//! something in Kubernetes hands one to the `Mutator`, which alone holds the client that may write. It promises:
//!
//! - a change that depends on what was read carries its resourceVersion; if another was faster, it is decided anew,
//! - a request id is carried out at most once: it is written into the node in the same step as the change that it stands
//!   for (`record`), or, where the node comes and goes with the change, noted beforehand (`ledger`),
//! - a node says which audit records its last change has (`record`), so that what a crash interrupted can be settled,
//! - what belongs to controllers and to nodeward itself is not changed for a caller, in whatever way (`guard`),
//! - a change that would change nothing is not sent.

mod create;
mod decide;
mod delete;
mod delete_collection;
mod entry;
mod guard;
mod ledger;
mod patch;
mod quota;
mod record;
mod remains;
mod update;
mod write;

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::fault;
use super::store::{NodeView, Store};
use super::write_as::WritesAs;
use crate::caller::{Caller, Principal};
use crate::error::Error;
use crate::node::claim;
use crate::node::mask::changed_paths;
use crate::node::update::diff;

pub use delete::Propagation;
pub use delete_collection::Collection;
pub use patch::{NodePatch, PatchFormat};
pub use quota::LedgerOptions;
pub use record::{Digest, Remembers};
pub use remains::{Noted, Remains};
pub use write::Subresource;

/// The field manager of changes for which the caller names none.
pub const FIELD_MANAGER: &str = "nodeward";

/// What all changes have in common.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Who asks for it.
    pub caller: Caller,
    /// In whose name it is sent to Kubernetes.
    pub writes_as: WritesAs,
    /// The name of the RPC, for example `CordonNode`.
    pub method: &'static str,
    /// The request's id and what it asks for, if the caller gave an id.
    pub request: Option<Request>,
    /// The resource version that the node must still be at.
    pub etag: Option<String>,
    /// Only ask Kubernetes whether it would do it.
    pub validate_only: bool,
    /// Why, in the caller's words.
    pub reason: String,
    /// The id of the audit records of the call.
    pub audit_id: Uuid,
    /// By when it must be done.
    pub deadline: Instant,
}

/// A request that is carried out at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The id that the caller gave.
    pub id: Uuid,
    /// Stands for all else that the request holds.
    pub digest: Digest,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Changed,
    /// It was so already.
    Unchanged,
    /// The same request was carried out before.
    Replayed,
    /// It was not to be made, and Kubernetes would accept it.
    Validated,
}

impl Outcome {
    /// The name in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Replayed => "replayed",
            Self::Validated => "validated",
        }
    }
}

/// A node after a change.
#[derive(Debug)]
pub struct Changed {
    /// The node, as it is now (or would be).
    pub node: Node,
    /// What became of the change.
    pub outcome: Outcome,
    /// The paths of the fields that changed (or would).
    pub changed_paths: Vec<String>,
    /// Those fields as they were, as a merge patch.
    pub before: Value,
    /// Those fields as they are now, as a merge patch.
    pub after: Value,
}

impl Changed {
    fn same(node: Node, outcome: Outcome) -> Self {
        Self { node, outcome, changed_paths: Vec::new(), before: Value::Null, after: Value::Null }
    }

    fn between(before: &Node, after: Node, mutation: &Mutation) -> Self {
        let paths = changed_paths(NodeView::new(before.clone()).encoded(), NodeView::new(after.clone()).encoded());
        let changed_paths: Vec<String> = paths.into_iter().filter(|path| is_of_interest(path)).collect();
        let outcome = match (mutation.validate_only, changed_paths.is_empty()) {
            (true, _) => Outcome::Validated,
            (false, true) => Outcome::Unchanged,
            (false, false) => Outcome::Changed,
        };
        let [old, new] = [before, &after].map(without_bookkeeping);
        let [before, after_values] = [diff(&new, &old), diff(&old, &new)].map(Option::unwrap_or_default);
        Self { node: after, outcome, changed_paths, before, after: after_values }
    }
}

/// A node without what each write changes.
fn without_bookkeeping(node: &Node) -> Value {
    let mut node = node.clone();
    node.metadata.managed_fields = None;
    node.metadata.resource_version = None;
    let is_kept = |key: &str| key == claim::ANNOTATION || !guard::is_own(key);
    node.metadata.annotations.iter_mut().for_each(|annotations| annotations.retain(|key, _| is_kept(key)));
    node.metadata.annotations = node.metadata.annotations.filter(|annotations| !annotations.is_empty());
    serde_json::to_value(node).unwrap_or_default()
}

/// Each write changes these; they say nothing about what was asked for.
fn is_of_interest(path: &str) -> bool {
    const BOOKKEEPING: [&str; 4] =
        ["etag", "metadata.resource_version", "metadata.managed_fields", "metadata.annotations.`nodeward.dev/"];
    !BOOKKEEPING.iter().any(|prefix| path.starts_with(prefix))
}

/// Makes changes in Kubernetes.
#[derive(Clone)]
pub struct Mutator {
    write: write::WriteClient,
    ledger: ledger::Ledger,
    store: Store,
}

impl Mutator {
    /// A mutator that notes creations and deletions in this namespace. The client must not retry by itself.
    pub(super) fn new(client: Client, namespace: &str, limits: LedgerOptions, store: Store) -> Self {
        let ledger = ledger::Ledger::new(client.clone(), namespace, limits);
        Self { ledger, write: write::WriteClient::new(client), store }
    }

    /// Keeps up with the requests that other servers note. Goes on until it is dropped.
    pub async fn follow_requests(&self) {
        self.ledger.follow().await;
    }

    /// Waits until the noted requests are known.
    pub(super) async fn requests_known(&self) {
        self.ledger.ready().await;
    }

    /// Forgets the noted requests that nobody will send again.
    pub async fn forget_old_requests(&self) -> Result<(), Error> {
        self.ledger.sweep().await
    }

    /// The node in Kubernetes, now.
    async fn live(&self, mutation: &Mutation, name: &str) -> Result<Option<Node>, Error> {
        mutation.within("reading the node", self.write.get(name)).await?.map_err(|error| fault::about_node(error, name))
    }

    /// Refuses a request id that stands for another request, as far as that is known of nodes without asking Kubernetes: one
    /// that another node remembers, or that is noted in the ledger. `name` is the node that may remember this request itself.
    pub async fn refuse_reuse(&self, mutation: &Mutation, name: &str) -> Result<(), Error> {
        let Some(request) = &mutation.request else { return Ok(()) };
        self.ledger.refuse_reuse(mutation, request).await?;
        let nodes = self.store.snapshot().nodes;
        let mut others = nodes.iter().filter(|view| view.name() != name);
        match others.find_map(|view| record::find(view.object(), request.id)) {
            Some(record) => Err(record.conflict()),
            None => Ok(()),
        }
    }
}

impl Mutation {
    /// Refuses a request id that stands for a change of this node: for requests that are not remembered there themselves.
    pub fn refuse_id_of_change(&self, node: &Node) -> Result<(), Error> {
        let request = self.request.as_ref();
        match request.and_then(|request| record::find(node, request.id)) {
            Some(record) => Err(record.conflict()),
            None => Ok(()),
        }
    }

    /// The result of a call, or that the deadline has passed.
    async fn within<T>(&self, stage: &'static str, call: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.deadline, call).await.map_err(|_| Error::DeadlineExceeded { stage })
    }

    /// What a failed write of this node means.
    fn failed(&self, error: kube::Error, node: &str) -> Error {
        if self.validate_only { fault::about_dry_run(error, node) } else { fault::about_node(error, node) }
    }

    /// Whom it is sent in the name of, if not in the server's own.
    fn impersonated(&self) -> Option<&Principal> {
        self.writes_as.impersonated(&self.caller)
    }

    /// Refuses a change of a node that is no longer at the version of the request.
    pub fn check_etag(&self, current: &Node) -> Result<(), Error> {
        match &self.etag {
            Some(expected) if Some(expected) != current.metadata.resource_version.as_ref() => {
                Err(Error::EtagMismatch {
                    what: format!("node {:?}", current.metadata.name.as_deref().unwrap_or_default()),
                    expected: format!("{expected:?}"),
                    current: format!("{:?}", current.metadata.resource_version.as_deref().unwrap_or_default()),
                })
            }
            _ => Ok(()),
        }
    }

    /// The request to remember with the change. A dry run is not remembered.
    fn to_record(&self) -> Option<&Request> {
        self.request.as_ref().filter(|_| !self.validate_only)
    }
}

/// Waits a little, differently each time, before a change that another overtook is decided anew.
async fn step_aside(attempt: u32) {
    let most = 5 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..most))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Credential, Details};

    #[test]
    fn a_change_is_sent_in_the_name_that_was_decided_on_at_its_beginning() {
        let alice = Principal {
            username: "alice".to_owned(),
            groups: Vec::new(),
            details: Details::default(),
            credential: Credential::Certificate,
            expires: None,
        };
        let begun = |caller, writes_as| Mutation {
            caller,
            writes_as,
            method: "CordonNode",
            request: None,
            etag: None,
            validate_only: false,
            audit_id: Uuid::nil(),
            reason: String::new(),
            deadline: Instant::now(),
        };
        let caller = Caller::User(alice.clone().into());
        assert_eq!(begun(caller.clone(), WritesAs::Caller).impersonated(), Some(&alice));
        assert_eq!(begun(caller, WritesAs::Server).impersonated(), None);
        assert_eq!(begun(Caller::Server, WritesAs::Caller).impersonated(), None);
    }
}
