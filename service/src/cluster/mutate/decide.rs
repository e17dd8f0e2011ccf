//! Read, decide, write, and once more if another was faster.

use k8s_openapi::api::core::v1::Node;

use super::{Changed, Mutation, Mutator, Outcome, record, step_aside};
use crate::error::Error;

/// How often a change is decided anew before it is given up. Heartbeats come every few seconds at most; more than this
/// is a storm.
const ATTEMPTS: u32 = 12;

/// The node that a change is decided on.
pub(super) struct Basis {
    /// Unset if there is no such node, which an apply may then create.
    pub(super) node: Option<Node>,
    /// Whether Kubernetes gave it for this request. What comes from the cache may be outdated: good enough to try a write
    /// that carries its resource version, but not to say that there is nothing to do.
    is_live: bool,
}

impl Basis {
    /// A node that is only missing from the cache has no resource version to lock the write with.
    fn may_be_written(&self) -> bool {
        self.is_live || self.node.is_some()
    }
}

/// What a single change does with the node it finds.
pub(super) trait Change: Sync {
    /// What is sent to Kubernetes.
    type Write: Send;

    /// Whether it can only be decided on all of the node: the cache does without its managed fields.
    fn needs_managed_fields(&self) -> bool {
        false
    }

    /// What to send for the node as it is; `None` if it is already as it should be.
    fn decide(&self, mutation: &Mutation, current: Option<&Node>) -> Result<Option<Self::Write>, Error>;

    /// Sends it.
    fn send(
        &self,
        mutator: &Mutator,
        mutation: &Mutation,
        current: Option<&Node>,
        write: Self::Write,
    ) -> impl Future<Output = Result<Node, Sent>> + Send;
}

/// Why a write did not succeed.
pub(super) enum Sent {
    /// The node has changed since it was read: decide anew.
    Overtaken,
    /// For good.
    Failed(Error),
}

impl Sent {
    /// A failed write whose lock was the resource version.
    pub(super) fn locked(error: Error) -> Self {
        match error {
            Error::Conflict { .. } => Self::Overtaken,
            other => Self::Failed(other),
        }
    }
}

impl From<Error> for Sent {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Mutator {
    /// Carries out a change of the node of this name.
    pub(super) async fn change(&self, mutation: &Mutation, name: &str, change: &impl Change) -> Result<Changed, Error> {
        self.refuse_reuse(mutation, name).await?;
        let mut basis =
            if change.needs_managed_fields() { self.reread(mutation, name).await? } else { self.cached(name) };
        for attempt in 0..ATTEMPTS {
            let decided = match decide(mutation, change, basis.node.as_ref()) {
                Ok(Decision::Write(write)) if basis.may_be_written() => write,
                _ if !basis.is_live => {
                    basis = self.reread(mutation, name).await?;
                    continue;
                }
                Ok(Decision::Write(write)) => write,
                Ok(Decision::Done(outcome)) => return Ok(Changed::same(basis.node.unwrap_or_default(), outcome)),
                Err(error) => return Err(error),
            };
            match change.send(self, mutation, basis.node.as_ref(), decided).await {
                Ok(after) => return Ok(Changed::between(&basis.node.unwrap_or_default(), after, mutation)),
                Err(Sent::Failed(error)) => return Err(error),
                Err(Sent::Overtaken) => {
                    mutation.within("waiting for others to finish", step_aside(attempt)).await?;
                    basis = self.reread(mutation, name).await?;
                }
            }
        }
        Err(Error::Conflict { node: name.to_owned() })
    }

    fn cached(&self, name: &str) -> Basis {
        Basis { node: self.store.get(name).map(|view| view.object().clone()), is_live: false }
    }

    async fn reread(&self, mutation: &Mutation, name: &str) -> Result<Basis, Error> {
        Ok(Basis { node: self.live(mutation, name).await?, is_live: true })
    }
}

enum Decision<W> {
    Write(W),
    Done(Outcome),
}

/// The order matters: a request that was carried out is answered before its etag is compared, which its own change has
/// made outdated.
fn decide<C: Change>(mutation: &Mutation, change: &C, current: Option<&Node>) -> Result<Decision<C::Write>, Error> {
    if let Some(node) = current {
        if record::is_replay(node, mutation)? {
            return Ok(Decision::Done(Outcome::Replayed));
        }
        mutation.check_etag(node)?;
    }
    match change.decide(mutation, current)? {
        Some(write) => Ok(Decision::Write(write)),
        None if mutation.validate_only => Ok(Decision::Done(Outcome::Validated)),
        None => Ok(Decision::Done(Outcome::Unchanged)),
    }
}
