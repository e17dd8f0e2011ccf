//! One attempt to remove a pod: may the caller, is it still the pod that was meant, and what does Kubernetes say.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::core::Status;

use super::refused::{meaning, unavailable};
use super::{PodRemoval, RemovalMethod, RemovalRefused, Remover, budgets, request};
use crate::caller::{Caller, Permission};
use crate::cluster::WritesAs;
use crate::cluster::fault;
use crate::cluster::impersonate::impersonate;
use crate::error::Error;

pub(super) struct Attempt<'a> {
    pub remover: &'a Remover,
    pub removal: &'a PodRemoval,
    /// In whose name it is sent.
    pub writes_as: WritesAs,
}

impl Attempt<'_> {
    pub async fn make(self) -> Result<(), RemovalRefused> {
        // First of all, so that whoever may not remove a pod does not learn whether there is one.
        self.require_right().await?;
        let pod = self.look().await?;
        match self.send().await? {
            None => Ok(()),
            Some((status, retry_after)) => Err(self.explain(&pod, &status, retry_after).await),
        }
    }

    /// Asks for the caller's right, if Kubernetes will not do it itself because the request is in the server's name.
    async fn require_right(&self) -> Result<(), RemovalRefused> {
        let PodRemoval { caller: Caller::User(user), namespace, deadline, .. } = self.removal else { return Ok(()) };
        if self.writes_as == WritesAs::Caller {
            return Ok(());
        }
        let permission = self.permission();
        match self.remover.reviews.allows_in(user, namespace, &permission, *deadline).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RemovalRefused::Forbidden {
                message: Error::AccessDenied { permission: permission.to_string() }.to_string(),
                admission: String::new(),
            }),
            Err(error) => Err(not_answered(error)),
        }
    }

    fn permission(&self) -> Permission {
        let (verb, subresource) = match self.removal.method {
            RemovalMethod::Evict => ("create", "eviction"),
            RemovalMethod::Delete => ("delete", ""),
        };
        Permission { verb, group: "", resource: "pods", subresource, name: self.removal.name.clone() }
    }

    /// The pod, if it is the one that was meant and is still to be removed.
    async fn look(&self) -> Result<Pod, RemovalRefused> {
        let PodRemoval { namespace, name, uid, node, .. } = self.removal;
        let found = self.remover.pods(namespace).get_opt(name).await;
        let pod = found.map_err(failed)?.ok_or(RemovalRefused::Gone)?;
        let found_node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        if pod.metadata.uid.as_ref() != Some(uid) || found_node != *node {
            return Err(RemovalRefused::Conflict { uid: pod.metadata.uid.unwrap_or_default(), node: found_node });
        }
        if pod.metadata.deletion_timestamp.is_some() && !self.would_shorten(&pod) {
            return Err(RemovalRefused::Terminating);
        }
        Ok(pod)
    }

    /// Whether this would leave a pod that is being removed less time than it has. An eviction is not meant to.
    fn would_shorten(&self, pod: &Pod) -> bool {
        let left = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        let grace = self.removal.grace_seconds.map(i64::from);
        self.removal.method == RemovalMethod::Delete && grace.is_some_and(|grace| grace < left)
    }

    /// Sends it. A refusal is its status, and when to try again if a header says so.
    async fn send(&self) -> Result<Option<(Status, Option<Duration>)>, RemovalRefused> {
        let mut request = request::of(self.removal).map_err(failed)?;
        if let Some(user) = self.writes_as.impersonated(&self.removal.caller) {
            impersonate(user, &mut request).map_err(failed)?;
        }
        if self.remover.term.as_ref().is_some_and(|term| !term.is_valid()) {
            return Err(unavailable("the term within which it was to be sent is over".to_owned()));
        }
        let response = self.remover.client.send(request).await.map_err(failed)?;
        if response.status().is_success() {
            return Ok(None);
        }
        request::refusal(response).await.map(Some).map_err(failed)
    }

    /// What a refusal means, with what must be looked up to know it.
    async fn explain(&self, pod: &Pod, status: &Status, retry_after: Option<Duration>) -> RemovalRefused {
        let refused = meaning(status, retry_after);
        match (status.code, refused) {
            (404, refused) => self.look().await.err().unwrap_or(refused),
            // Not the uid: then somebody else wrote at the same time.
            (409, _) => self.look().await.err().unwrap_or_else(|| unavailable(status.message.clone())),
            (_, RemovalRefused::Budget { message, budget: None, retry_after }) => {
                // With several, Kubernetes would have said something else: they have just changed.
                let budget = <[String; 1]>::try_from(self.covering(pod).await).ok().map(|[budget]| budget);
                RemovalRefused::Budget { message, budget, retry_after }
            }
            // Kubernetes' answer for a pod with several budgets has no reason. If there are several, that is what it is.
            (500, refused) if self.is_unreasoned(status) => match self.covering(pod).await {
                budgets if budgets.len() > 1 => RemovalRefused::SeveralBudgets { budgets },
                _ => refused,
            },
            (_, refused) => refused,
        }
    }

    fn is_unreasoned(&self, status: &Status) -> bool {
        self.removal.method == RemovalMethod::Evict && status.reason.is_empty()
    }

    /// The budgets that cover the pod. None if they can't be read: that is no reason to fail.
    async fn covering(&self, pod: &Pod) -> Vec<String> {
        budgets::covering(self.remover.client.clone(), pod).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the budgets that block an eviction can't be read");
            Vec::new()
        })
    }
}

/// What it means that there is no answer, or that the pod can't be read. If the server may not, that is not the caller's fault.
fn failed(error: kube::Error) -> RemovalRefused {
    not_answered(fault::from_kube(error))
}

fn not_answered(error: Error) -> RemovalRefused {
    match error {
        Error::Throttled { retry_after } => RemovalRefused::Throttled { retry_after },
        Error::Unreachable { detail } => unavailable(detail),
        error => unavailable(error.to_string()),
    }
}
