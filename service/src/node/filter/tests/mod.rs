//! Tests of the filter as a whole.

mod docs;
mod errors;
mod matching;
mod properties;

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use super::*;

/// The filter of a text that is one.
fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The canonical form of a text.
fn canonical(text: &str) -> String {
    filter(text).to_string()
}

fn node(json: serde_json::Value) -> Node {
    serde_json::from_value(json).unwrap()
}

/// A node that has something in every field, and nothing wrong with it.
fn worker() -> Node {
    node(json!({
        "metadata": {
            "name": "worker-1",
            "uid": "7d1f0f5c-8c1b-4a57-9e0e-6f7f2b9b2a11",
            "creationTimestamp": "2026-07-01T08:30:00Z",
            "labels": {
                "team": "blue",
                "empty": "",
                "generation": "10",
                "kubernetes.io/hostname": "worker-1",
                "topology.kubernetes.io/zone": "eu-1a",
                "topology.kubernetes.io/region": "eu-1",
                "node.kubernetes.io/instance-type": "m5.large",
            },
            "annotations": { "Example.com/owner": "the *ops* team", "note": "say \"hi\"\n" },
        },
        "spec": {
            "providerID": "aws:///eu-1a/i-0abc",
            "podCIDR": "10.244.1.0/24",
            "taints": [
                { "key": "dedicated", "value": "gpu", "effect": "NoSchedule" },
                { "key": "dedicated", "value": "batch", "effect": "PreferNoSchedule" },
                { "key": "example.com/bare", "effect": "NoExecute" },
            ],
        },
        "status": {
            "capacity": { "cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "8" },
            "allocatable": { "cpu": "3920m", "memory": "16179869184" },
            "conditions": [
                { "type": "Ready", "status": "True" },
                { "type": "MemoryPressure", "status": "False" },
            ],
            "addresses": [
                { "type": "InternalIP", "address": "10.0.0.5" },
                { "type": "InternalIP", "address": "fe80::1" },
                { "type": "Hostname", "address": "worker-1" },
            ],
            "nodeInfo": {
                "architecture": "arm64",
                "bootID": "b",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.8.0-1015-gke",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.35.4-gke.7",
                "machineID": "m",
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 13 (trixie)",
                "systemUUID": "s",
            },
        },
    }))
}

/// Checks that all filters are true of the node.
fn assert_match(node: &Node, filters: &[&str]) {
    for text in filters {
        assert!(filter(text).matches(node), "does not match: {text}");
    }
}

/// Checks that no filter is true of the node.
fn assert_no_match(node: &Node, filters: &[&str]) {
    for text in filters {
        assert!(!filter(text).matches(node), "matches: {text}");
    }
}
