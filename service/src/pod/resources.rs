//! What a pod requests, as Kubernetes' scheduler counts it (`k8s.io/component-helpers/resource.PodRequests`).
//!
//! Containers run side by side, so their requests add up. Init containers run one after another, each beside the sidecars
//! (init containers that restart always) begun before it: of those moments the greatest counts. What the pod requests as a
//! whole takes the place of the sum, and the overhead of its runtime comes on top.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Amount;

/// Amounts by the names of their resources. One that is not there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<String, Amount>);

type List = BTreeMap<String, Quantity>;

impl Resources {
    /// The amounts that a list of Kubernetes says. What is not a quantity, which Kubernetes never hands out, counts nothing.
    pub fn of(list: Option<&List>) -> Self {
        let entries = list.into_iter().flatten();
        Self(entries.filter_map(|(name, amount)| Some((name.clone(), Amount::parse(&amount.0)?))).collect())
    }

    /// The amount of one resource.
    pub fn get(&self, name: &str) -> Amount {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The amount of one resource in the unit that the scheduler counts it in: thousandths of a core, or whole bytes and
    /// pieces, rounded up.
    pub fn scheduler_units(&self, name: &str) -> i64 {
        let amount = self.get(name);
        if name == "cpu" { amount.millis_rounded_up() } else { amount.units_rounded_up() }
    }

    /// The resources and their amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Amount)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Whether nothing is in it, not even a zero.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds other amounts.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.plus(*amount);
        }
    }

    /// Takes the greater of both amounts, for each resource of the other.
    fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let greatest = self.0.entry(name.clone()).or_insert(*amount);
            *greatest = (*greatest).max(*amount);
        }
    }
}

/// What the scheduler looks for when it has to place a pod like this one: its specification alone.
pub fn requests(pod: &Pod) -> Resources {
    pod.spec.as_ref().map(|spec| sum(spec, |container, _| specified(container))).unwrap_or_default()
}

/// What a pod takes of the node that it is on. While a container is being resized, that is the greatest of what it is to
/// have, has been promised and has.
pub fn occupied(pod: &Pod) -> Resources {
    let Some(spec) = &pod.spec else { return Resources::default() };
    let statuses = statuses(pod);
    let is_infeasible = is_resize_infeasible(pod);
    sum(spec, |container, is_to_end| match statuses.get(container.name.as_str()) {
        // One that has ended, or will before the others start, is not resized.
        Some(status) if status.resources.is_some() && !is_to_end => in_resize(container, status, is_infeasible),
        _ => specified(container),
    })
}

/// The sum over the containers, each asked for with whether it is to end before the others start.
fn sum(spec: &PodSpec, of_container: impl Fn(&Container, bool) -> Resources) -> Resources {
    let mut total = Resources::default();
    for container in &spec.containers {
        total.add(&of_container(container, false));
    }

    let mut sidecars = Resources::default();
    let mut greatest = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let is_sidecar = container.restart_policy.as_deref() == Some("Always");
        let requests = of_container(container, !is_sidecar);
        if is_sidecar {
            total.add(&requests);
            sidecars.add(&requests);
            greatest.raise_to(&sidecars);
        } else {
            let mut moment = requests;
            moment.add(&sidecars);
            greatest.raise_to(&moment);
        }
    }
    total.raise_to(&greatest);

    let of_pod = Resources::of(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    total.0.extend(of_pod.0.into_iter().filter(|(name, _)| can_be_of_pod(name)));
    total.add(&Resources::of(spec.overhead.as_ref()));
    total
}

/// Whether a pod can request a resource as a whole (`IsSupportedPodLevelResource`).
fn can_be_of_pod(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

fn specified(container: &Container) -> Resources {
    Resources::of(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

fn in_resize(container: &Container, status: &ContainerStatus, is_infeasible: bool) -> Resources {
    let mut greatest = Resources::of(status.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    greatest.raise_to(&Resources::of(status.allocated_resources.as_ref()));
    if !is_infeasible {
        greatest.raise_to(&specified(container));
    }
    greatest
}

fn statuses(pod: &Pod) -> BTreeMap<&str, &ContainerStatus> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let all = [&status.container_statuses, &status.init_container_statuses];
    all.into_iter().flatten().flatten().map(|status| (status.name.as_str(), status)).collect()
}

/// Whether the node can never give the pod what it was resized to.
fn is_resize_infeasible(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let pending = conditions.iter().find(|condition| condition.type_ == "PodResizePending");
    pending.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
