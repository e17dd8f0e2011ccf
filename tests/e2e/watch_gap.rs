//! WatchNodes over a gap: Kubernetes no longer remembers what has happened since the server last heard from it (410). The
//! server reads all nodes again, and its clients see what differs, as changes like any other.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{NodeChange, WatchNodesRequest};
use nodeward_sandbox::{Component, Sandbox};
use nodeward_server::args::ServeOptions;
use serde_json::json;
use tonic::Code;

use crate::support::fragile::{fragile_sandbox, has_forgotten};
use crate::support::nodes::{create_bare, delete, set_label};
use crate::support::proxy::Proxy;
use crate::support::watcher::{Watcher, mask, watch};
use crate::support::{assert_error, connect, eventually, start_server, unique};

/// A change in few words.
fn short(change: &NodeChange, group: &str) -> String {
    let node = change.node.as_ref().unwrap();
    let sign = match change.r#type() {
        Type::Added => '+',
        Type::Deleted => '-',
        _ => '~',
    };
    let name = node.name.trim_start_matches("nodes/").trim_start_matches(group).trim_start_matches('-');
    format!("{sign}{name} {}", node.metadata.as_ref().unwrap().labels["step"])
}

fn watch_group(group: &str) -> WatchNodesRequest {
    let read_mask = mask(&["name", "metadata.labels", "metadata.uid"]);
    WatchNodesRequest { read_mask, ..watch(format!(r#"name = "{group}-*""#)) }
}

/// An apiserver that has just started knows nothing of the time before.
async fn forget(sandbox: &Sandbox) {
    sandbox.kill(Component::ApiServer).await.unwrap();
    sandbox.restart(Component::ApiServer).await.unwrap();
}

#[tokio::test]
async fn what_kubernetes_has_forgotten_becomes_differences() {
    let sandbox = fragile_sandbox().await;
    let nodes: Api<Node> = Api::all(sandbox.client().await.unwrap());
    let group = unique("gap");
    let [changed, same, gone, again, new, fleeting] =
        ["changed", "same", "gone", "again", "new", "fleeting"].map(|name| format!("{group}-{name}"));
    for name in [&changed, &same, &gone, &again] {
        create_bare(&nodes, name, json!({ "step": "0" })).await;
    }
    let proxy = Proxy::start(&sandbox).await;
    let server = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    server.ready().await;
    let client = connect(server.address()).await;
    let mut watcher = Watcher::open(&client, watch_group(&group)).await;
    assert_eq!(watcher.snapshot().await.len(), 4);

    proxy.cut();
    let before = set_label(&nodes, &changed, "step", Some("1")).await.metadata.resource_version.unwrap();
    set_label(&nodes, &changed, "step", Some("2")).await;
    create_bare(&nodes, &fleeting, json!({ "step": "3" })).await;
    create_bare(&nodes, &new, json!({ "step": "4" })).await;
    delete(&nodes, &fleeting).await;
    delete(&nodes, &gone).await;
    delete(&nodes, &again).await;
    create_bare(&nodes, &again, json!({ "step": "5" })).await;
    forget(&sandbox).await;
    assert!(has_forgotten(&nodes, &before).await);
    proxy.mend();

    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(short(&watcher.change().await, &group));
    }
    seen.sort();
    assert_eq!(seen, ["+again 5", "+new 4", "-again 0", "-gone 0", "~changed 2"]);
    assert!(matches!(watcher.message().await.event, Some(Event::Bookmark(_))), "and nothing else");

    set_label(&nodes, &same, "step", Some("6")).await;
    assert_eq!(short(&watcher.change().await, &group), "~same 6");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_client_knows_from_another_server_is_not_lost_in_a_gap() {
    let sandbox = fragile_sandbox().await;
    let nodes: Api<Node> = Api::all(sandbox.client().await.unwrap());
    let group = unique("gap");
    let fleeting = format!("{group}-fleeting");
    let proxy = Proxy::start(&sandbox).await;
    let steady = start_server(sandbox.kubeconfig_path(), ServeOptions::default()).await;
    let cut_off = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    tokio::join!(steady.ready(), cut_off.ready());
    let mut elsewhere = Watcher::open(&connect(steady.address()).await, watch_group(&group)).await;
    assert_eq!(elsewhere.snapshot().await.len(), 0);

    // A node comes and goes while one server hears nothing of it; a client of the other one has seen it come.
    proxy.cut();
    create_bare(&nodes, &fleeting, json!({ "step": "1" })).await;
    let resume_token = loop {
        let message = elsewhere.message().await;
        if matches!(message.event, Some(Event::Change(_))) {
            break message.resume_token;
        }
    };
    let client = connect(cut_off.address()).await;
    let request = WatchNodesRequest { resume_token, ..watch_group(&group) };
    let mut early = Watcher::open(&client, request.clone()).await;
    delete(&nodes, &fleeting).await;
    forget(&sandbox).await;
    proxy.mend();

    // The server can't tell what is new to this client: it must begin anew.
    let early = eventually("the server has noticed the gap", async || early.next().await.err()).await;
    assert_error(Err::<(), _>(early), Code::OutOfRange, "RESUME_TOKEN_EXPIRED");
    let late = Watcher::try_open(&client, request).await.map(|_| "a stream");
    assert_error(late, Code::OutOfRange, "RESUME_TOKEN_EXPIRED");
    steady.stop().await.unwrap();
    cut_off.stop().await.unwrap();
}
