//! The only door through which pods are removed: by eviction, which respects budgets, or by deletion, which does not.
//!
//! Whoever drains a node says which pod, in whose name and how, and learns in types what Kubernetes made of it. One call is
//! one attempt: when to try again is decided by who asks. It promises:
//!
//! - the pod that is removed is the one that was meant: its uid goes with every request, and it is looked at before, because
//!   Kubernetes takes an eviction off the budget before it compares the uid,
//! - it is removed in the caller's name. Where that can't be, Kubernetes is asked first whether the caller may,
//! - a refusal is known by its code, reason and causes, never by its text.

mod attempt;
mod budgets;
mod refused;
mod request;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use self::attempt::Attempt;
use super::Reviews;
use super::fault::{self, within};
use super::lease::Term;
use super::write_as::Impersonation;
use crate::caller::Caller;
use crate::error::Error;
use crate::telemetry::with_audit_id;

pub use refused::RemovalRefused;

/// How a pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemovalMethod {
    /// By an eviction, which Kubernetes grants only if the pod's budget allows it.
    Evict,
    /// By deleting it, whatever its budget says.
    Delete,
}

/// Which pod is to be removed, and how.
#[derive(Clone, Debug)]
pub struct PodRemoval {
    /// In whose name.
    pub caller: Caller,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Tells it from all other pods that have or had its name.
    pub uid: String,
    /// The node that it is on.
    pub node: String,
    /// How.
    pub method: RemovalMethod,
    /// How many seconds it is given to end. Without it: as many as the pod itself asks for.
    pub grace_seconds: Option<u32>,
    /// Only ask Kubernetes whether it would do it. It does not count: each of several pods may be allowed of which the budget
    /// allows one.
    pub dry_run: bool,
    /// Under which id Kubernetes' audit log files all that is asked of it.
    pub audit_id: Uuid,
    /// By when it must be answered.
    pub deadline: Instant,
}

/// Removes pods.
#[derive(Clone)]
pub struct Remover {
    /// Also reads the pods, as the server itself. It must not retry by itself: that would hide a blocked eviction.
    client: Client,
    reviews: Reviews,
    impersonation: Impersonation,
    /// The term within which alone anything is sent, if there is one.
    term: Option<Term>,
}

impl Remover {
    pub(super) fn new(client: Client, reviews: Reviews, impersonation: Impersonation) -> Self {
        Self { client, reviews, impersonation, term: None }
    }

    /// The same, but it sends nothing once this term is over: that is looked at right before each removal is sent.
    pub fn within(&self, term: Term) -> Self {
        Self { term: Some(term), ..self.clone() }
    }

    /// Tries once to remove a pod. After success it is on its way out (or would be, after a dry run), but not gone.
    pub async fn remove(&self, removal: &PodRemoval) -> Result<(), RemovalRefused> {
        let attempt = Attempt { remover: self, removal, writes_as: self.impersonation.writes_as() };
        let attempt = with_audit_id(removal.audit_id, Box::pin(attempt.make()));
        timeout_at(removal.deadline, attempt).await.unwrap_or_else(|_| {
            // It may have been carried out all the same.
            Err(RemovalRefused::Unavailable { detail: "the deadline passed before Kubernetes answered".to_owned() })
        })
    }

    /// The pod that has this name now, if there is one, for those who don't know what came of its removal.
    pub async fn find(&self, namespace: &str, name: &str, deadline: Instant) -> Result<Option<Pod>, Error> {
        let found = within(deadline, "looking for a pod", self.pods(namespace).get_opt(name)).await?;
        found.map_err(fault::from_kube)
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
