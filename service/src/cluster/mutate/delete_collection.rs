//! Deleting all nodes that match.
//!
//! Not Kubernetes' own deletecollection, which takes no filter of ours, no count and no precondition: each node is
//! deleted by its uid and the version at which it matched.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Node;

use super::delete::{Deleted, Propagation, target};
use super::ledger::Target;
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
        self.refuse_foreign_request(mutation, "")?;
        let begun = match mutation.to_record() {
            Some(request) => self.ledger.find(mutation, request).await?,
            None => None,
        };
        let (targets, outcome) = match begun {
            Some(deletion) => (deletion.targets, Outcome::Replayed),
            None => (self.begin_collection(mutation, collection).await?, Outcome::Changed),
        };
        let deleted = self.delete_targets(mutation, collection, &targets).await?;
        Ok((deleted, if mutation.validate_only { Outcome::Validated } else { outcome }))
    }

    async fn begin_collection(&self, mutation: &Mutation, collection: &Collection<'_>) -> Result<Vec<Target>, Error> {
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
        let targets: Vec<Target> = matching.iter().map(versioned_target).collect();
        match mutation.to_record() {
            Some(request) => Ok(self.ledger.begin(mutation, request, targets).await?.targets),
            None => Ok(targets),
        }
    }

    async fn delete_targets(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
        targets: &[Target],
    ) -> Result<Vec<String>, Error> {
        let results: Vec<(String, Result<(), String>)> = stream::iter(targets.to_vec())
            .map(|target| async move {
                let name = target.name.clone();
                let result = self.delete_while_matching(mutation, collection, target).await;
                let result = result.map_err(|reason| format!("{name}: {reason}"));
                (name, result)
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        let (deleted, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(|(_, result)| result.is_ok());
        if failed.is_empty() {
            return Ok(deleted.into_iter().map(|(name, _)| name).collect());
        }
        let failed = failed.into_iter().filter_map(|(_, result)| result.err()).collect();
        Err(Error::PartiallyDeleted { deleted: deleted.len(), failed })
    }

    /// Deletes the target at the version at which it matched; if it has changed since, it must match still.
    async fn delete_while_matching(
        &self,
        mutation: &Mutation,
        collection: &Collection<'_>,
        mut target: Target,
    ) -> Result<(), String> {
        for attempt in 0..ATTEMPTS {
            let deleted = self.delete_target(mutation, &target, collection.propagation).await;
            match deleted.map_err(|error| error.to_string())? {
                Deleted::Gone => return Ok(()),
                Deleted::Overtaken => step_aside(attempt).await,
            }
            match self.live(mutation, &target.name).await.map_err(|error| error.to_string())? {
                Some(node) if node.metadata.uid.as_ref() == Some(&target.uid) => {
                    if !(collection.matches)(&node) {
                        return Err("it has changed and no longer matches".to_owned());
                    }
                    target = versioned_target(&node);
                }
                _ => return Ok(()),
            }
        }
        Err("others keep changing it".to_owned())
    }
}

fn versioned_target(node: &Node) -> Target {
    Target { version: node.metadata.resource_version.clone(), ..target(node) }
}
