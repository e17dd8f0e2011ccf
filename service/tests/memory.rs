//! What the store's views of nodes take, by the memory of this process: the budget of the change log relies on it.
//!
//! There is one test only, so that nothing else takes memory meanwhile.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A test that unwraps in vain has failed, which is what it is for.

use k8s_openapi::api::core::v1::Node;
use nodeward_server::cluster::store::NodeView;
use serde_json::{Map, Value, json};

const COUNT: usize = 1000;

/// The resident memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A map of so many texts of this length.
fn texts(what: &str, count: usize, length: usize) -> Map<String, Value> {
    (0..count).map(|index| (format!("example.com/{what}-{index}"), "x".repeat(length).into())).collect()
}

/// What the watch brings of a node with a kubelet that has pulled some images.
fn node(index: usize, images: usize) -> String {
    let (labels, annotations) = (texts("label", 15, 8), texts("annotation", 8, 50));
    let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", "Ready"];
    let condition = |kind: &&str| {
        json!({
            "type": kind, "status": "False", "reason": "KubeletHasSufficientMemory",
            "message": "kubelet has sufficient memory available",
            "lastHeartbeatTime": "2026-11-01T10:00:00Z", "lastTransitionTime": "2026-11-01T10:00:00Z",
        })
    };
    let image = |index: usize| {
        let name = format!("registry.example.com/team/component-{index:03}");
        json!({ "names": [format!("{name}@sha256:{:064}", index), format!("{name}:v1.2.3")], "sizeBytes": 123_456_789 })
    };
    let resources = json!({
        "cpu": "64", "memory": "263839288Ki", "pods": "110", "ephemeral-storage": "1055762868Ki", "hugepages-1Gi": "0",
    });
    json!({
        "metadata": {
            "name": format!("worker-{index:05}"), "uid": format!("{index:036}"), "resourceVersion": index.to_string(),
            "labels": labels, "annotations": annotations,
        },
        "spec": { "podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "providerID": format!("cloud:///{index:020}") },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }],
            "allocatable": resources, "capacity": resources,
            "conditions": conditions.iter().map(condition).collect::<Vec<_>>(),
            "images": (0..images).map(image).collect::<Vec<_>>(),
            "nodeInfo": {
                "architecture": "amd64", "bootID": "x".repeat(36), "containerRuntimeVersion": "containerd://2.1.0",
                "kernelVersion": "6.12.0-1-amd64", "kubeProxyVersion": "", "kubeletVersion": "v1.36.0",
                "machineID": "x".repeat(32), "operatingSystem": "linux", "osImage": "Linux", "systemUUID": "x".repeat(36),
            },
        },
    })
    .to_string()
}

#[test]
fn a_view_takes_about_as_much_memory_as_it_says() {
    // The largest last: what the others leave behind is too small for it.
    let mut kept = Vec::new();
    for images in [0, 10, 50] {
        let texts: Vec<String> = (0..COUNT).map(|index| node(index, images)).collect();
        let before = resident();
        let views: Vec<NodeView> =
            texts.iter().map(|text| NodeView::new(serde_json::from_str::<Node>(text).unwrap())).collect();
        let taken = (resident() - before) / COUNT;
        let said = views.iter().map(NodeView::bytes).sum::<usize>() / COUNT;
        eprintln!("{images} images: {taken} bytes, {said} by its own account, {} as JSON", texts[0].len());
        assert!((said * 2 / 3..said * 3 / 2).contains(&taken), "{images} images: {taken} bytes, said {said}");
        kept.push((texts, views));
    }
}
