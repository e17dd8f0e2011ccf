//! Deleting all nodes that match.
//!
//! Not Kubernetes' own deletecollection, which takes no filter of ours, no count and no precondition: each node is
//! deleted by its uid and a version at which it matched.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Node;

use super::delete::{Deleted, Propagation};
use super::entry::{Entry, Target};
use super::ledger::Begun;
use super::{Mutation, Mutator, Outcome, step_aside};
use crate::cluster::fault;
use crate::error::Error;
use crate::node::set_etag;

/// How many nodes are deleted at the same time.
const PARALLEL: usize = 8;

/// How often the deletion of a node that keeps changing is tried.
const ATTEMPTS: u32 = 8;

/// Which nodes, and what the caller knows of them.
pub struct Collection<'a> {
    /// Whether a node is one of them.
    pub matches: &'a (dyn Fn(&Node) -> bool + Send + Sync),
    /// How many the caller expects.
    pub expected_count: usize,
    /// The etag of the set of nodes, if the caller gave one.
    pub set_etag: Option<&'a str>,
    /// What happens to what the nodes own.
    pub propagation: Propagation,
}

impl Mutator {
    /// Deletes the nodes of a collection: their names in order, and what became of the request.
    pub async fn delete_collection(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
    ) -> Result<(Vec<String>, Outcome), Error> {
        self.refuse_reuse(mutation, "").await?;
        if let Some(request) = mutation.to_record()
            && let Some(entry) = self.ledger.find(mutation, request).await?
        {
            return self.delete_collection_again(mutation, collection, &entry).await;
        }
        let targets = self.matching(mutation, collection).await?;
        let entry = match self.note_deletion(mutation, targets.clone()).await? {
            Some(Begun::Before(entry)) => return self.delete_collection_again(mutation, collection, &entry).await,
            Some(Begun::Now(entry)) => Some(entry),
            None => None,
        };
        let deleted = self.delete_targets(mutation, collection, &targets).await;
        if let (Err(error), Some(entry)) = (&deleted, &entry)
            && error.is_refusal()
        {
            self.ledger.forget(mutation, entry).await;
        }
        Ok((deleted?, if mutation.validate_only { Outcome::Validated } else { Outcome::Changed }))
    }

    /// Goes on with what an earlier try of the request has begun.
    async fn delete_collection_again(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
        entry: &Entry,
    ) -> Result<(Vec<String>, Outcome), Error> {
        let deleted = self.delete_targets(mutation, collection, entry.targets()).await?;
        Ok((deleted, Outcome::Replayed))
    }

    /// The nodes that match, if they are what the caller expects.
    async fn matching(&self, mutation: &Mutation, collection: &Collection<'_>) -> Result<Vec<Target>, Error> {
        let listed = mutation.within("listing the nodes", self.write.list()).await?.map_err(fault::from_kube)?;
        let matching: Vec<Node> = listed.into_iter().filter(|node| (collection.matches)(node)).collect();
        if let Some(expected) = collection.set_etag {
            let current = set_etag(&matching);
            if current != expected {
                let what = "the set of matching nodes".to_owned();
                return Err(Error::EtagMismatch { what, expected: expected.to_owned(), current });
            }
        }
        if matching.len() != collection.expected_count {
            return Err(Error::CountMismatch { expected: collection.expected_count, actual: matching.len() });
        }
        Ok(matching.iter().map(Target::versioned).collect())
    }

    /// The names of the targets, all of which are gone then. If none could be deleted, the error is the first one's.
    async fn delete_targets(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
        targets: &[Target],
    ) -> Result<Vec<String>, Error> {
        let results: Vec<Result<(), Error>> = stream::iter(targets.to_vec())
            .map(|target| self.delete_while_matching(mutation, collection, target))
            .buffered(PARALLEL)
            .collect()
            .await;
        let names = || targets.iter().map(|target| target.name.clone());
        let failures = names().zip(results).filter_map(|(name, result)| Some((name, result.err()?)));
        let failures: Vec<(String, Error)> = failures.collect();
        let deleted = targets.len() - failures.len();
        match failures.first() {
            None => Ok(names().collect()),
            Some((_, error)) if deleted == 0 || mutation.validate_only => Err(error.clone()),
            Some(_) => {
                let failed = failures.iter().map(|(name, error)| format!("{name}: {error}")).collect();
                Err(Error::PartiallyDeleted { deleted, failed })
            }
        }
    }

    /// Deletes the target at the version at which it matched; if it has changed since, it must match still.
    async fn delete_while_matching(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
        mut target: Target,
    ) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            match self.delete_target(mutation, &target, collection.propagation).await? {
                Deleted::Gone => return Ok(()),
                Deleted::Overtaken(node) if (collection.matches)(&node) => target = Target::versioned(&node),
                Deleted::Overtaken(_) => break,
            }
            mutation.within("waiting for others to finish", step_aside(attempt)).await?;
        }
        Err(Error::Conflict { node: target.name })
    }
}
