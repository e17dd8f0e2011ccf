//! Deleting one node object.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::entry::{Deed, Entry, Target};
use super::ledger::Begun;
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
#[derive(Debug)]
pub(super) enum Deleted {
    /// It is gone, or will be when its finalizers are removed.
    Gone,
    /// It is no longer at the version that it was to be deleted at, but like this.
    Overtaken(Box<Node>),
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
        self.refuse_reuse(mutation, "").await?;
        if let Some(request) = mutation.to_record()
            && let Some(entry) = self.ledger.find(mutation, request).await?
        {
            return self.delete_again(mutation, &entry, propagation).await;
        }
        let node = self.live(mutation, name).await?;
        if node.is_none() && !allow_missing {
            return Err(Error::NotFound { node: name.to_owned() });
        }
        if let Some(node) = &node {
            mutation.check_etag(node)?;
        }
        let target = node.as_ref().map(|node| Target { version: mutation.etag.clone(), ..Target::of(node) });
        let targets: Vec<Target> = target.into_iter().collect();
        let entry = match self.note_deletion(mutation, targets.clone()).await? {
            // Noted even if there is nothing to delete: sent again, it must not delete a node that came meanwhile.
            Some(Begun::Before(entry)) => return self.delete_again(mutation, &entry, propagation).await,
            Some(Begun::Now(entry)) => Some(entry),
            None => None,
        };
        self.delete_noted(mutation, entry.as_ref(), &targets, propagation).await?;
        let outcome = match (&node, mutation.validate_only) {
            (None, _) => Outcome::Unchanged,
            (_, true) => Outcome::Validated,
            (_, false) => Outcome::Changed,
        };
        Ok(Changed::same(node.unwrap_or_default(), outcome))
    }

    /// Notes what a request deletes, if it has an id.
    pub(super) async fn note_deletion(
        &self,
        mutation: &Mutation,
        targets: Vec<Target>,
    ) -> Result<Option<Begun>, Error> {
        match mutation.to_record() {
            Some(request) => Ok(Some(self.ledger.begin(mutation, request, Deed::Delete(targets)).await?)),
            None => Ok(None),
        }
    }

    /// Deletes the targets, and forgets the request, which was noted just now, if that is refused.
    async fn delete_noted(
        &self,
        mutation: &Mutation,
        entry: Option<&Entry>,
        targets: &[Target],
        propagation: Propagation,
    ) -> Result<(), Error> {
        for target in targets {
            if let Err(error) = self.delete_at_version(mutation, target, propagation).await {
                if let Some(entry) = entry.filter(|_| error.is_refusal()) {
                    self.ledger.forget(mutation, entry).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn delete_at_version(
        &self,
        mutation: &Mutation,
        target: &Target,
        propagation: Propagation,
    ) -> Result<(), Error> {
        match self.delete_target(mutation, target, propagation).await? {
            Deleted::Gone => Ok(()),
            Deleted::Overtaken(node) => {
                mutation.check_etag(&node)?;
                Err(Error::Conflict { node: target.name.clone() })
            }
        }
    }

    /// Finishes what an earlier try of the request has begun.
    async fn delete_again(
        &self,
        mutation: &Mutation,
        entry: &Entry,
        propagation: Propagation,
    ) -> Result<Changed, Error> {
        self.delete_noted(mutation, None, entry.targets(), propagation).await?;
        let mut node = Node::default();
        if let Some(target) = entry.targets().first() {
            node.metadata.name = Some(target.name.clone());
            node.metadata.uid = Some(target.uid.clone());
        }
        Ok(Changed::same(node, Outcome::Replayed))
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
        let call = self.write.delete(mutation.impersonated(), &target.name, &params);
        let sent = mutation.within("deleting the node", call).await?;
        match sent.map_err(|error| mutation.failed(error, &target.name)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(Deleted::Gone),
            Err(Error::Conflict { .. }) => self.explain_conflict(mutation, target).await,
            Err(error) => Err(error),
        }
    }

    /// A conflict says that the uid or the version is another one. With another uid, the node is gone; if it is being
    /// deleted already, that is what changed its version.
    async fn explain_conflict(&self, mutation: &Mutation, target: &Target) -> Result<Deleted, Error> {
        match self.live(mutation, &target.name).await? {
            Some(node) if node.metadata.uid.as_ref() != Some(&target.uid) => Ok(Deleted::Gone),
            Some(node) if node.metadata.deletion_timestamp.is_some() => Ok(Deleted::Gone),
            Some(node) => Ok(Deleted::Overtaken(Box::new(node))),
            None => Ok(Deleted::Gone),
        }
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
