//! Fake nodes that look like real ones: three zones, two machine types, addresses, images, pod ranges.
//!
//! They are created with a complete status, as a kubelet that registers with one: a node costs one write, not three.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::wait_for;
use crate::build::KUBERNETES_VERSION;
use crate::error::SandboxError;
use crate::kwok::{MANAGED_LABEL, MANAGED_VALUE};
use crate::progress::Step;

/// How many nodes are created at once. The apiserver is the limit, at some 200 a second on two cores.
const PARALLEL: usize = 32;

/// Nodes up to this one also run the demo's DaemonSet, so that a fleet of thousands does not start as many pods.
const WITH_AGENT: usize = 100;

/// The label of the nodes that run the demo's DaemonSet.
const AGENT_LABEL: &str = "nodeward.dev/log-agent";

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// Machine type, cores, memory in KiB.
const MACHINES: [(&str, u32, u64); 2] = [("standard-4", 4, 16 << 20), ("standard-8", 8, 32 << 20)];

/// What the kubelet keeps for the system, in KiB.
const RESERVED_MEMORY: u64 = 1 << 20;

const IMAGES: [(&str, u64); 5] = [
    ("registry.example/demo/web:1.4.2", 71_303_168),
    ("registry.example/demo/api:2.0.1", 104_857_600),
    ("registry.example/demo/ledger:0.9.7", 156_237_824),
    ("registry.example/demo/log-agent:3.1.0", 48_234_496),
    ("registry.example/pause:3.10", 742_080),
];

/// The names of the nodes of a sandbox.
pub(crate) fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("worker-{number}")).collect()
}

/// Creates nodes, the first of which is the `first`th of the sandbox, counted from 0. Those that exist stay as they are;
/// the names of the others are returned.
pub(crate) async fn create(
    client: &Client,
    names: &[String],
    first: usize,
    step: Option<&Step>,
) -> Result<Vec<String>, SandboxError> {
    let api: Api<Node> = Api::all(client.clone());
    let now = Timestamp::now();
    let mut answers = stream::iter(names.iter().enumerate().map(|(offset, name)| {
        let api = api.clone();
        async move {
            let wrap = |e| SandboxError::kube(format!("create the node {name}"), e);
            let node = node(name, first + offset, now).map_err(|e| wrap(kube::Error::SerdeError(e)))?;
            match api.create(&PostParams::default(), &node).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                other => other.map(|_| Some(name.clone())).map_err(wrap),
            }
        }
    }))
    .buffer_unordered(PARALLEL);
    let mut created = Vec::with_capacity(names.len());
    while let Some(name) = answers.try_next().await? {
        created.extend(name);
        if let Some(step) = step {
            step.at(format!("{} of {} created", created.len(), names.len()));
        }
    }
    Ok(created)
}

/// Waits until all of the nodes are Ready and free of the taint that every node is born with.
pub(crate) async fn wait_ready(
    client: &Client,
    names: &[String],
    logs: &Path,
    step: Option<&Step>,
) -> Result<(), SandboxError> {
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    let count = wanted.len() as u32;
    // Listing thousands of nodes is work for the apiserver, which has enough to do just then.
    let every = (Duration::from_millis(1) * count).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let deadline = Duration::from_secs(60) + Duration::from_millis(100) * count;
    wait_for("all nodes being Ready", deadline, every, logs, || async {
        // Any version will do: an old one shows a node less ready than it is, never more.
        let request = Request::get("/api/v1/nodes?resourceVersion=0").body(Vec::new()).unwrap_or_default();
        let nodes = client.request::<Seen>(request).await.map_err(|e| SandboxError::kube("list the nodes", e))?.items;
        let ready = nodes.iter().filter(|node| wanted.contains(&*node.metadata.name) && node.is_ready()).count();
        let state = format!("{ready} of {} ready", wanted.len());
        if let Some(step) = step {
            step.at(state.clone());
        }
        Ok((ready < wanted.len()).then_some(state))
    })
    .await
}

/// What readiness depends on. A whole node takes ten times as long to read, and thousands are read several times.
#[derive(Deserialize)]
struct Seen {
    items: Vec<SeenNode>,
}

#[derive(Deserialize)]
struct SeenNode {
    metadata: SeenMetadata,
    #[serde(default)]
    spec: SeenSpec,
    #[serde(default)]
    status: SeenStatus,
}

#[derive(Deserialize)]
struct SeenMetadata {
    name: String,
}

#[derive(Deserialize, Default)]
struct SeenSpec {
    #[serde(default)]
    taints: Vec<SeenTaint>,
}

#[derive(Deserialize)]
struct SeenTaint {
    key: String,
}

#[derive(Deserialize, Default)]
struct SeenStatus {
    #[serde(default)]
    conditions: Vec<SeenCondition>,
}

#[derive(Deserialize)]
struct SeenCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl SeenNode {
    fn is_ready(&self) -> bool {
        let tainted = self.spec.taints.iter().any(|taint| taint.key == "node.kubernetes.io/not-ready");
        !tainted && self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    }
}

/// The `index`th node of a sandbox.
fn node(name: &str, index: usize, now: Timestamp) -> Result<Node, serde_json::Error> {
    let zone = ZONES[index % ZONES.len()];
    let (machine, cores, memory) = MACHINES[(index / ZONES.len()) % MACHINES.len()];
    let pod_range = pod_range(index);
    let mut labels = json!({
        MANAGED_LABEL: MANAGED_VALUE,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": machine,
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": zone,
    });
    if index < WITH_AGENT {
        labels[AGENT_LABEL] = json!("true");
    }
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "podCIDR": pod_range,
            "podCIDRs": [pod_range],
            "providerID": format!("sandbox://{zone}/{name}"),
        },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": address(index) },
                { "type": "Hostname", "address": name },
            ],
            "capacity": resources(cores * 1000, memory),
            "allocatable": resources(cores * 1000 - 100, memory - RESERVED_MEMORY),
            "conditions": conditions(now),
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": id(name, "boot"),
                "containerRuntimeVersion": "containerd://2.2.1",
                "kernelVersion": "6.12.48",
                "kubeProxyVersion": "",
                "kubeletVersion": KUBERNETES_VERSION,
                "machineID": id(name, "machine").replace('-', ""),
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 13 (trixie)",
                "systemUUID": id(name, "system"),
            },
            "images": IMAGES.map(|(image, size)| json!({ "names": [image], "sizeBytes": size })),
        },
    }))
}

fn resources(millicores: u32, memory: u64) -> Value {
    json!({
        "cpu": if millicores.is_multiple_of(1000) { (millicores / 1000).to_string() } else { format!("{millicores}m") },
        "memory": format!("{memory}Ki"),
        "ephemeral-storage": "102687672Ki",
        "hugepages-2Mi": "0",
        "pods": "110",
    })
}

fn conditions(now: Timestamp) -> Value {
    // Whole seconds, as the apiserver stores them.
    let now = format!("{now:.0}");
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!([
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}

/// A /24 of 10.64.0.0/10, which has 16,384 of them.
fn pod_range(index: usize) -> String {
    let index = index % (1 << 14);
    format!("10.{}.{}.0/24", 64 + index / 256, index % 256)
}

/// An address of 172.16.0.0/12.
fn address(index: usize) -> String {
    let host = (index + 10) % (1 << 20);
    format!("172.{}.{}.{}", 16 + host / 65536, host / 256 % 256, host % 256)
}

/// An id that is the same at each start.
fn id(name: &str, kind: &str) -> String {
    let hash = Sha256::new().chain_update(kind).chain_update("/").chain_update(name).finalize();
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_thousand_nodes_have_as_many_addresses_and_pod_ranges() {
        let distinct = |of: fn(usize) -> String| (0..5000).map(of).collect::<HashSet<_>>().len();
        assert_eq!(distinct(address), 5000);
        assert_eq!(distinct(pod_range), 5000);
    }

    #[test]
    fn a_node_lies_in_one_of_three_zones_and_is_played_by_kwok() {
        let zones: HashSet<_> = (0..12)
            .map(|index| {
                let labels = node("n", index, Timestamp::UNIX_EPOCH).unwrap().metadata.labels.unwrap();
                assert_eq!(labels[MANAGED_LABEL], MANAGED_VALUE);
                labels["topology.kubernetes.io/zone"].clone()
            })
            .collect();
        assert_eq!(zones.len(), 3);
    }
}
