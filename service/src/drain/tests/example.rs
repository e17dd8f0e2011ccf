//! A small cluster in words. The node that is emptied is called `node`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, Pod, Taint};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::super::*;
use crate::pod::example::{PodExample, list};

pub(crate) use crate::pod::example::pod;

/// The time at which everything is looked at.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// So many seconds before or after.
pub(crate) fn seconds_from_now(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

/// What somebody saw of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub node: Node,
    pub others: Vec<Node>,
    pub pods: Vec<Pod>,
    pub daemon_sets: Vec<DaemonSetReference>,
    pub budgets: Vec<PodDisruptionBudget>,
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

/// A cluster with these pods, on the node that is emptied unless they say otherwise, and with no other node.
pub(crate) fn cluster(pods: impl IntoIterator<Item = PodExample>) -> Cluster {
    Cluster {
        node: node("node").0,
        others: Vec::new(),
        pods: pods.into_iter().map(PodExample::build).collect(),
        daemon_sets: Vec::new(),
        budgets: Vec::new(),
        namespaces: BTreeMap::new(),
    }
}

impl Cluster {
    pub fn emptying(mut self, node: NodeExample) -> Self {
        self.node = node.0;
        self
    }

    pub fn node(mut self, node: NodeExample) -> Self {
        self.others.push(node.0);
        self
    }

    /// A DaemonSet in the namespace `default`, whose pods are `owned_by("apps/v1", "DaemonSet", name)`.
    pub fn daemon_set(mut self, name: &str) -> Self {
        let (namespace, uid) = ("default".to_owned(), format!("uid-{name}"));
        self.daemon_sets.push(DaemonSetReference { namespace, name: name.into(), uid });
        self
    }

    pub fn budget(mut self, budget: BudgetExample) -> Self {
        self.budgets.push(budget.0);
        self
    }

    pub fn namespace(mut self, name: &str, key: &str, value: &str) -> Self {
        self.namespaces.entry(name.into()).or_default().insert(key.into(), value.into());
        self
    }

    pub fn input(&self) -> PlanInput<'_> {
        PlanInput {
            node: &self.node,
            nodes: std::iter::once(&self.node).chain(&self.others).collect(),
            pods: self.pods.iter().collect(),
            daemon_sets: self.daemon_sets.clone(),
            budgets: self.budgets.iter().collect(),
            namespaces: self.namespaces.clone(),
            now: now(),
        }
    }

    pub fn plan(&self, policy: &DrainPolicy) -> DrainPlan {
        plan(&self.input(), policy)
    }

    /// The plan under the default policy.
    pub fn default_plan(&self) -> DrainPlan {
        self.plan(&DrainPolicy::default())
    }
}

/// A node in the making.
#[derive(Clone, Debug)]
pub(crate) struct NodeExample(Node);

/// A node that is ready, with four cores, 16 GiB and room for 110 pods.
pub(crate) fn node(name: &str) -> NodeExample {
    let labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.to_owned())]);
    let metadata = ObjectMeta {
        name: Some(name.into()),
        uid: Some(format!("uid-{name}")),
        labels: Some(labels),
        ..Default::default()
    };
    let node = Node { metadata, spec: Some(NodeSpec::default()), status: Some(NodeStatus::default()) };
    NodeExample(node).ready("True").allocatable(&[("cpu", "4"), ("memory", "16Gi"), ("pods", "110")])
}

impl NodeExample {
    pub fn build(self) -> Node {
        self.0
    }

    pub fn ready(mut self, status: &str) -> Self {
        let ready = NodeCondition { type_: "Ready".into(), status: status.into(), ..Default::default() };
        self.0.status.get_or_insert_default().conditions = Some(vec![ready]);
        self
    }

    pub fn allocatable(mut self, amounts: &[(&str, &str)]) -> Self {
        self.0.status.get_or_insert_default().allocatable = Some(list(amounts));
        self
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0.metadata.labels.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    pub fn cordoned(mut self) -> Self {
        self.0.spec.get_or_insert_default().unschedulable = Some(true);
        self
    }

    pub fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        let value = Some(value.to_owned()).filter(|value| !value.is_empty());
        let taint = Taint { key: key.into(), effect: effect.into(), value, time_added: None };
        self.0.spec.get_or_insert_default().taints.get_or_insert_default().push(taint);
        self
    }
}

/// A budget in the making.
#[derive(Clone, Debug)]
pub(crate) struct BudgetExample(PodDisruptionBudget);

/// A budget over the pods of the namespace `default` that are labelled `app=NAME`. It allows none to go.
pub(crate) fn budget(name: &str) -> BudgetExample {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        namespace: Some("default".into()),
        generation: Some(1),
        ..Default::default()
    };
    let status = PodDisruptionBudgetStatus { observed_generation: Some(1), ..Default::default() };
    let budget = PodDisruptionBudget { metadata, spec: Some(Default::default()), status: Some(status) };
    BudgetExample(budget).over("app", name)
}

impl BudgetExample {
    pub fn over(self, key: &str, value: &str) -> Self {
        let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let selector = LabelSelector { match_labels: Some(labels), match_expressions: None };
        self.spec(|spec| spec.selector = Some(selector))
    }

    /// Of so many pods so many are healthy, and so many are needed. It allows what that makes.
    pub fn healthy(self, healthy: i32, desired: i32, expected: i32) -> Self {
        self.status(|status| {
            status.current_healthy = Some(healthy);
            status.desired_healthy = Some(desired);
            status.expected_pods = Some(expected);
            status.disruptions_allowed = Some((healthy - desired).max(0));
        })
    }

    pub fn spec(mut self, change: impl FnOnce(&mut PodDisruptionBudgetSpec)) -> Self {
        change(self.0.spec.get_or_insert_default());
        self
    }

    pub fn status(mut self, change: impl FnOnce(&mut PodDisruptionBudgetStatus)) -> Self {
        change(self.0.status.get_or_insert_default());
        self
    }

    pub fn generation(mut self, generation: i64) -> Self {
        self.0.metadata.generation = Some(generation);
        self
    }

    pub fn always_allowing_unready(self) -> Self {
        self.spec(|spec| spec.unhealthy_pod_eviction_policy = Some("AlwaysAllow".into()))
    }
}

/// A pod of a Deployment, labelled `app=web`.
pub(crate) fn web(name: &str) -> PodExample {
    pod(name).label("app", "web").replicated()
}

/// A pod of the DaemonSet `logs`.
pub(crate) fn of_daemon_set(name: &str) -> PodExample {
    pod(name).owned_by("apps/v1", "DaemonSet", "logs")
}

/// The plan of one pod.
pub(crate) fn planned<'a>(plan: &'a DrainPlan, name: &str) -> &'a PodPlan {
    plan.pods.iter().find(|pod| pod.facts.reference.name == name).unwrap()
}

/// The names of the pods, in the order of the plan.
pub(crate) fn names(plan: &DrainPlan) -> Vec<&str> {
    plan.pods.iter().map(|pod| pod.facts.reference.name.as_str()).collect()
}
