//! Whether a caller may remove the pods of a plan: asked when the drain is asked for, since one whose pods are all refused would
//! be blocked for ever. Kubernetes decides once more on each pod.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use crate::caller::{Caller, Permission, Principal};
use crate::cluster::Reviews;
use crate::drain::{Action, AtDeadline, DrainPlan, DrainPolicy};
use crate::error::Error;

/// How many namespaces are asked about at a time.
const AT_A_TIME: usize = 8;

const EVICT: Permission =
    Permission { verb: "create", group: "", resource: "pods", subresource: "eviction", name: String::new() };

const DELETE: Permission =
    Permission { verb: "delete", group: "", resource: "pods", subresource: "", name: String::new() };

/// Refuses a caller who may not remove all pods that the plan removes.
pub(super) async fn require(
    reviews: &Reviews,
    caller: &Caller,
    plan: &DrainPlan,
    policy: &DrainPolicy,
    deadline: Instant,
) -> Result<(), Error> {
    let Caller::User(user) = caller else { return Ok(()) };
    let deletes_in_the_end = policy.at_deadline == AtDeadline::Delete;
    let evicted = namespaces(plan, |action| action == Action::Evict);
    let deleted = namespaces(plan, |action| action == Action::Delete || deletes_in_the_end);
    for (permission, namespaces) in [(EVICT, evicted), (DELETE, deleted)] {
        require_in(reviews, user, permission, namespaces, deadline).await?;
    }
    Ok(())
}

/// The namespaces of the pods that are to go in such a way.
fn namespaces(plan: &DrainPlan, goes_so: impl Fn(Action) -> bool) -> BTreeSet<String> {
    let pods = plan.to_go().filter(|pod| goes_so(pod.verdict.action));
    pods.map(|pod| pod.facts.reference.namespace.clone()).collect()
}

/// Most have the right everywhere, or nowhere: only who has it here and there is asked about by namespace.
async fn require_in(
    reviews: &Reviews,
    user: &Principal,
    permission: Permission,
    namespaces: BTreeSet<String>,
    deadline: Instant,
) -> Result<(), Error> {
    if namespaces.is_empty() || Box::pin(reviews.allows(user, &permission, deadline)).await? {
        return Ok(());
    }
    let permission = &permission;
    let questions = namespaces.into_iter().map(|namespace| async move {
        match Box::pin(reviews.allows_in(user, &namespace, permission, deadline)).await? {
            true => Ok(()),
            false => Err(Error::AccessDenied { permission: format!("{permission} in namespace {namespace}") }),
        }
    });
    stream::iter(questions).buffered(AT_A_TIME).try_collect().await
}
