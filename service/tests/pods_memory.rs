//! What a server takes for the pods of its cluster, by its own heap: it reads them from an apiserver that has nothing else.
//!
//! There is one test only, so that nothing else takes memory meanwhile.

#![allow(clippy::unwrap_used)] // A test that unwraps in vain has failed, which is what it is for.

use nodeward_server::cluster::pods::PodsView;
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection};
use peak_alloc::PeakAlloc;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The most that a pod may take, with its part of what is on its way at the moment.
const BYTES_PER_POD: usize = 700;

/// The pods of a controller.
const REPLICAS: usize = 10;

/// What an apiserver sends of a pod, of which much is left out here that is passed over.
fn pod(index: usize) -> String {
    let (owner, namespace) = (index / REPLICAS, format!("team-{}", index / 1000));
    let hash = format!("{:010x}", owner * 7919);
    let labels =
        json!({ "app": format!("service-{owner}"), "pod-template-hash": hash, "app.kubernetes.io/part-of": "shop" });
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/{name}:v1"), "env": [{ "name": "A", "value": "b" }],
            "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "256Mi" } },
        })
    };
    let owners = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("service-{owner}-{hash}"),
        "uid": format!("{owner:08x}-1111-4222-8333-444444444444"), "controller": true, "blockOwnerDeletion": true,
    }]);
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("service-{owner}-{hash}-{index:05x}"), "namespace": namespace,
            "uid": format!("{index:08x}-5555-4666-8777-888888888888"), "resourceVersion": (index + 1).to_string(),
            "creationTimestamp": "2026-11-01T10:00:00Z", "labels": labels, "ownerReferences": owners,
            "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:status": { "f:phase": {} } } }],
        },
        "spec": {
            "nodeName": format!("worker-{}", index / 30), "priority": 0, "terminationGracePeriodSeconds": 30,
            "containers": [container("main"), container("proxy")], "tolerations": [{ "operator": "Exists" }],
        },
        "status": {
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "main", "image": "x", "imageID": "y", "ready": true, "restartCount": 0 }],
        },
    });
    json!({ "type": "ADDED", "object": object }).to_string()
}

/// Answers the first request with a watch that begins with so many pods, and then stays silent.
async fn serve(listener: TcpListener, count: usize) {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(connection.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("GET /api/v1/pods?") && request.contains("sendInitialEvents=true"), "{request}");
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await.unwrap();
    for index in 0..count {
        connection.write_all(format!("{}\n", pod(index)).as_bytes()).await.unwrap();
    }
    let annotations = json!({ "k8s.io/initial-events-end": "true" });
    let metadata = json!({ "resourceVersion": count.to_string(), "annotations": annotations });
    let bookmark = json!({ "type": "BOOKMARK", "object": { "apiVersion": "v1", "kind": "Pod", "metadata": metadata } });
    connection.write_all(format!("{bookmark}\n").as_bytes()).await.unwrap();
    std::future::pending().await
}

/// A view of so many pods.
async fn view_of(count: usize) -> PodsView {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test", "users": [],
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://{}", listener.local_addr().unwrap()) } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "" } }],
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kubeconfig.to_string()).unwrap();
    let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..ClusterOptions::default() };
    let cluster = Cluster::new(Connection::open(&options).await.unwrap());
    tokio::spawn(serve(listener, count));
    let view = cluster.pods().view();
    view.in_sync().await;
    view
}

#[tokio::test]
async fn a_pod_takes_little_memory_and_as_much_as_any_other() {
    view_of(10).await; // What is set up once is not theirs.
    let mut taken = Vec::new();
    let mut views = Vec::new();
    for count in [3_000, 6_000, 12_000] {
        let before = HEAP.current_usage();
        let view = view_of(count).await;
        let bytes = (HEAP.current_usage() - before) / count;
        eprintln!("{count} pods: {bytes} bytes for each");
        assert!(bytes <= BYTES_PER_POD, "{count} pods: {bytes} bytes for each");
        assert_eq!(view.all().len(), count);
        taken.push(bytes);
        views.push(view);
    }
    let (least, most) = (*taken.iter().min().unwrap(), *taken.iter().max().unwrap());
    assert!(most * 2 < least * 3, "the share of each depends on how many there are: {taken:?}");
}
