//! Makes a cluster large in seconds, by writing into etcd what the apiserver would have written.
//!
//! The apiserver creates some 150 nodes or pods a second on two cores: a cluster of 150,000 pods would take a quarter of an hour.
//! It reads all the same what is there without it, in JSON too, and whoever lists and watches at the apiserver sees what it
//! would see of a cluster that has grown slowly. Those who would act on it are to be paused meanwhile.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use prost::{Message, Oneof};
use serde_json::{Value, json};

use crate::client::{Call, Connection, Endpoint, Windows};

/// How many keys are written at once. etcd takes 128 operations at most.
const BATCH: usize = 100;

/// Where nodes are. The apiserver's name for them is older than theirs.
const NODES: &str = "/registry/minions/";

/// Where pods are, in a namespace of their own.
const PODS: &str = "/registry/pods/ratios/";

/// How the names of nodes begin, and how those of their copies do, which is as long: what stands before a name in protobuf is its
/// length.
const NAMES: [&str; 2] = ["worker-", "copied-"];

/// How many pods a controller has.
const REPLICAS: usize = 10;

/// Writes at etcd.
pub struct Filler {
    connection: Connection,
}

impl Filler {
    /// As etcd's own client.
    pub async fn new(etcd: &Endpoint) -> Result<Self> {
        Ok(Self { connection: Connection::open(etcd, Windows::WIDE).await? })
    }

    /// Makes copies of the first nodes, with names of their own: those of `worker-1` and so on.
    pub async fn copy_nodes(&self, numbers: Range<usize>) -> Result<()> {
        let [name, copied] = NAMES;
        let mut puts = Vec::new();
        for number in numbers {
            let node = self.get(&format!("{NODES}{name}{number}")).await?;
            let key = format!("{NODES}{copied}{number}").into_bytes();
            puts.push(Put { key, value: replaced(node, name.as_bytes(), copied.as_bytes()) });
        }
        self.put(puts).await
    }

    /// Makes pods, evenly on so many nodes.
    pub async fn make_pods(&self, numbers: Range<usize>, nodes: usize) -> Result<()> {
        for start in numbers.clone().step_by(BATCH) {
            let batch = start..numbers.end.min(start + BATCH);
            let puts = batch.map(|number| {
                let (name, pod) = pod(number, nodes);
                Put { key: format!("{PODS}{name}").into_bytes(), value: pod.to_string().into_bytes() }
            });
            self.put(puts.collect()).await?;
        }
        Ok(())
    }

    /// Removes all that was made here.
    pub async fn clear(&self) -> Result<()> {
        for prefix in [format!("{NODES}{}", NAMES[1]), PODS.to_owned()] {
            let request = KeyRange { key: prefix.clone().into(), range_end: end_of(prefix.into()) };
            self.connection.ask(&Call::grpc("/etcdserverpb.KV/DeleteRange", &request)).await?;
        }
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>> {
        let request = KeyRange { key: key.into(), range_end: Vec::new() };
        let answer = self.connection.ask(&Call::grpc("/etcdserverpb.KV/Range", &request)).await?;
        let found = Found::decode(answer.get(5..).unwrap_or_default())?;
        Ok(found.kvs.into_iter().next().with_context(|| format!("etcd has no {key}"))?.value)
    }

    async fn put(&self, puts: Vec<Put>) -> Result<()> {
        for batch in puts.chunks(BATCH) {
            let success = batch.iter().map(|put| Operation { request: Some(Request::Put(put.clone())) }).collect();
            self.connection.ask(&Call::grpc("/etcdserverpb.KV/Txn", &Txn { success })).await?;
        }
        Ok(())
    }
}

/// How many objects of a kind the apiserver knows of, with all that is in etcd now.
pub async fn count(apiserver: &Endpoint, plural: &str) -> Result<usize> {
    let call = Call::get(format!("/api/v1/{plural}?limit=1"), "application/json");
    let list: Value = serde_json::from_slice(&Connection::open(apiserver, Windows::WIDE).await?.ask(&call).await?)?;
    let more = list["metadata"]["remainingItemCount"].as_u64().unwrap_or_default();
    let first = list["items"].as_array().map(Vec::len);
    ensure!(first.is_some(), "{list} is no list");
    Ok(more as usize + first.unwrap_or_default())
}

/// The least key after all that begin so.
fn end_of(mut prefix: Vec<u8>) -> Vec<u8> {
    if let Some(last) = prefix.last_mut() {
        *last += 1;
    }
    prefix
}

fn replaced(mut text: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = memchr::memmem::find_iter(&text, from).collect();
    places.into_iter().for_each(|at| text[at..][..to.len()].copy_from_slice(to));
    text
}

/// The name of a pod, and the pod as the apiserver would have stored it: one of ten that a ReplicaSet has, with two containers.
fn pod(number: usize, nodes: usize) -> (String, Value) {
    let owner = number / REPLICAS;
    let (service, hash) = (format!("service-{owner}"), format!("{:010x}", owner * 7919));
    let name = format!("{service}-{hash}-{number:06x}");
    let owners = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{service}-{hash}"),
        "uid": format!("{owner:08x}-1111-4222-8333-444444444444"), "controller": true, "blockOwnerDeletion": true,
    }]);
    let condition =
        |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-11-01T10:00:05Z" });
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "generateName": format!("{service}-{hash}-"), "namespace": "ratios",
            "uid": format!("{number:08x}-5555-4666-8777-888888888888"), "creationTimestamp": "2026-11-01T10:00:00Z",
            "labels": { "app": service, "app.kubernetes.io/part-of": "shop", "pod-template-hash": hash },
            "ownerReferences": owners,
            "managedFields": [managed("kube-controller-manager"), managed("kubelet")],
        },
        "spec": {
            "nodeName": format!("worker-{}", number % nodes + 1),
            "containers": [container("main"), container("proxy")],
            "volumes": [{ "name": "config", "configMap": { "name": service, "defaultMode": 420 } }],
            "tolerations": [toleration("not-ready"), toleration("unreachable")],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "priority": 0,
            "serviceAccountName": "default", "securityContext": {}, "schedulerName": "default-scheduler",
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {
            "phase": "Running", "conditions": conditions.map(condition), "hostIP": "172.16.0.1",
            "podIP": format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
            "startTime": "2026-11-01T10:00:01Z", "qosClass": "Burstable",
            "containerStatuses": [status("main"), status("proxy")],
        },
    });
    (name, pod)
}

fn container(name: &str) -> Value {
    json!({
        "name": name, "image": image(name), "imagePullPolicy": "IfNotPresent",
        "env": [{ "name": "REGION", "value": "region-1" }, { "name": "LOG_LEVEL", "value": "info" }],
        "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "256Mi" } },
        "volumeMounts": [{ "name": "config", "mountPath": "/etc/config", "readOnly": true }],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    })
}

fn status(name: &str) -> Value {
    json!({
        "name": name, "image": image(name), "ready": true, "started": true, "restartCount": 0,
        "imageID": format!("{}@sha256:{}", image(name), "0123456789abcdef".repeat(4)),
        "containerID": format!("containerd://{}", "fedcba9876543210".repeat(4)),
        "state": { "running": { "startedAt": "2026-11-01T10:00:04Z" } },
    })
}

fn image(name: &str) -> String {
    format!("registry.example.com/shop/{name}:v1.17.3")
}

fn toleration(condition: &str) -> Value {
    let key = format!("node.kubernetes.io/{condition}");
    json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 })
}

fn managed(manager: &str) -> Value {
    let fields = json!({
        "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:app": {}, "f:pod-template-hash": {} } },
        "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": { ".": {}, "f:image": {}, "f:name": {}, "f:resources": {} } } },
    });
    json!({
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-11-01T10:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

// What is needed of `etcdserverpb`.

/// `RangeRequest`, and `DeleteRangeRequest`, which begins in the same way.
#[derive(Clone, PartialEq, Message)]
struct KeyRange {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

/// `RangeResponse`.
#[derive(Clone, PartialEq, Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

/// `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// `TxnRequest`, without a condition.
#[derive(Clone, PartialEq, Message)]
struct Txn {
    #[prost(message, repeated, tag = "2")]
    success: Vec<Operation>,
}

/// `RequestOp`.
#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(oneof = "Request", tags = "2")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Request {
    #[prost(message, tag = "2")]
    Put(Put),
}

/// `PutRequest`.
#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_long_and_has_the_other_name_everywhere() {
        let copy = replaced(b"\x09worker-12 and worker-12".to_vec(), b"worker-", b"copied-");
        assert_eq!(copy, b"\x09copied-12 and copied-12");
        assert_eq!(NAMES[0].len(), NAMES[1].len());
    }

    #[test]
    fn pods_have_names_of_their_own_and_are_spread_evenly() {
        let pods: Vec<_> = (0..100).map(|number| pod(number, 10)).collect();
        let names: std::collections::BTreeSet<_> = pods.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 100);
        let on_first = pods.iter().filter(|(_, pod)| pod["spec"]["nodeName"] == "worker-1");
        assert_eq!(on_first.count(), 10);
    }
}
