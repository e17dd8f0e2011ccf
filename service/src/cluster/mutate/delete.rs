//! Deleting one node object.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::ledger::Target;
use super::{Changed, Mutation, Mutator, Outcome};
use crate::error::Error;

/// What happens to the objects that name a deleted node as their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// What became of the deletion of one node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// It is gone, now or before.
    Gone,
    /// It is no longer at the version that it was to be deleted at.
    Overtaken,
}

impl Mutator {
    /// Deletes the node. The answer holds its last known state; it is empty if there was none.
    pub async fn delete(
        &self,
        mutation: &Mutation,
        name: &str,
        propagation: Propagation,
        allow_missing: bool,
    ) -> Result<Changed, Error> {
        self.refuse_foreign_request(mutation, "")?;
        if let Some(request) = mutation.to_record()
            && let Some(begun) = self.ledger.find(mutation, request).await?
        {
            return self.delete_again(mutation, &begun.targets, propagation).await;
        }
        let Some(node) = self.live(mutation, name).await? else {
            return if allow_missing {
                Ok(Changed::same(Node::default(), Outcome::Unchanged))
            } else {
                Err(Error::NotFound { node: name.to_owned() })
            };
        };
        mutation.check_etag(&node)?;
        let target = Target { version: mutation.etag.clone(), ..target(&node) };
        self.delete_first(mutation, node, target, propagation).await
    }

    async fn delete_first(
        &self,
        mutation: &Mutation,
        node: Node,
        target: Target,
        propagation: Propagation,
    ) -> Result<Changed, Error> {
        let targets = match mutation.to_record() {
            Some(request) => self.ledger.begin(mutation, request, vec![target.clone()]).await?.targets,
            None => vec![target],
        };
        for target in &targets {
            if self.delete_target(mutation, target, propagation).await? == Deleted::Overtaken {
                if let Some(request) = mutation.to_record() {
                    self.ledger.forget(mutation, request).await?;
                }
                let current = self.live(mutation, &target.name).await?.unwrap_or_default();
                mutation.check_etag(&current)?;
                return Err(Error::Conflict { node: target.name.clone() });
            }
        }
        let outcome = if mutation.validate_only { Outcome::Validated } else { Outcome::Changed };
        Ok(Changed::same(node, outcome))
    }

    /// Finishes what an earlier try of the request has begun.
    async fn delete_again(
        &self,
        mutation: &Mutation,
        targets: &[Target],
        propagation: Propagation,
    ) -> Result<Changed, Error> {
        for target in targets {
            if self.delete_target(mutation, target, propagation).await? == Deleted::Overtaken {
                return Err(Error::Conflict { node: target.name.clone() });
            }
        }
        Ok(Changed::same(Node::default(), Outcome::Replayed))
    }

    /// Deletes the node with this uid, and no other.
    pub(super) async fn delete_target(
        &self,
        mutation: &Mutation,
        target: &Target,
        propagation: Propagation,
    ) -> Result<Deleted, Error> {
        let params = DeleteParams {
            dry_run: mutation.validate_only,
            propagation_policy: Some(propagation.into()),
            preconditions: Some(Preconditions {
                uid: Some(target.uid.clone()),
                resource_version: target.version.clone(),
            }),
            ..DeleteParams::default()
        };
        let sent = mutation.within("deleting the node", self.write.delete(&target.name, &params)).await?;
        match sent.map_err(|error| mutation.failed(error, &target.name)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(Deleted::Gone),
            Err(Error::Conflict { .. }) => self.explain_conflict(mutation, target).await,
            Err(error) => Err(error),
        }
    }

    /// A conflict says that the uid or the version is another one: with another uid, the node is gone.
    async fn explain_conflict(&self, mutation: &Mutation, target: &Target) -> Result<Deleted, Error> {
        let current = self.live(mutation, &target.name).await?;
        match current.and_then(|node| node.metadata.uid) {
            Some(uid) if uid == target.uid => Ok(Deleted::Overtaken),
            _ => Ok(Deleted::Gone),
        }
    }
}

/// The node as a target, by its uid.
pub(super) fn target(node: &Node) -> Target {
    Target {
        name: node.metadata.name.clone().unwrap_or_default(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        version: None,
    }
}

impl From<Propagation> for PropagationPolicy {
    fn from(propagation: Propagation) -> Self {
        match propagation {
            Propagation::Background => Self::Background,
            Propagation::Foreground => Self::Foreground,
            Propagation::Orphan => Self::Orphan,
        }
    }
}
