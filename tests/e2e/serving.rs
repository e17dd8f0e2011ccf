//! What every client of a gRPC server expects: reflection, compression, health, deadlines, and errors that say why.

use std::time::Duration;

use nodeward_api::v1::{Consistency, CordonNodeRequest, GetNodeRequest, ListNodesRequest, WatchNodesRequest};
use nodeward_server::args::ServeOptions;
use tonic::codec::CompressionEncoding;
use tonic::{Code, IntoRequest};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

use crate::fuzz::channel;
use crate::support::nodes::set_label;
use crate::support::proxy::Proxy;
use crate::support::watcher::{Watcher, watch};
use crate::support::{assert_error, connect, eventually, raw, start_server, world};

const SERVICE: &str = "nodeward.v1.NodeService";

fn get(node: &str) -> GetNodeRequest {
    GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

#[tokio::test]
async fn reflection_lists_the_service() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel().await);
    let mut ask = async |request: MessageRequest| {
        let request = v1::ServerReflectionRequest { message_request: Some(request), ..Default::default() };
        let mut answers = client.server_reflection_info(futures::stream::iter([request])).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap().message_response.unwrap()
    };
    match ask(MessageRequest::ListServices(String::new())).await {
        MessageResponse::ListServicesResponse(list) => {
            assert!(list.service.iter().any(|service| service.name == SERVICE))
        }
        other => panic!("{other:?}"),
    }
    match ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())).await {
        MessageResponse::FileDescriptorResponse(files) => assert!(!files.file_descriptor_proto.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reflection_speaks_to_old_tools_too() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel().await);
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = v1alpha::ServerReflectionRequest { message_request, ..Default::default() };
    let mut answers = client.server_reflection_info(futures::stream::iter([request])).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => {
            assert!(list.service.iter().any(|service| service.name == SERVICE))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_and_answers_may_be_compressed() {
    for (encoding, name) in [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")] {
        let client = world().await.client().await;
        let mut client = client.send_compressed(encoding).accept_compressed(encoding);
        let response = client.list_nodes(ListNodesRequest::default()).await.unwrap();
        assert_eq!(response.metadata().get("grpc-encoding").unwrap(), name);
        assert!(response.get_ref().total_size >= 3);
        let response = client.get_node(get("worker-1")).await.unwrap();
        assert_eq!(response.metadata().get("grpc-encoding").unwrap(), name);
        assert_eq!(response.get_ref().name, "nodes/worker-1");
    }
}

#[tokio::test]
async fn answers_are_not_compressed_for_whoever_does_not_ask_for_it() {
    let response = world().await.client().await.list_nodes(ListNodesRequest::default()).await.unwrap();
    assert!(response.metadata().get("grpc-encoding").is_none());
}

#[tokio::test]
async fn a_ready_server_says_that_it_serves() {
    let mut health = HealthClient::new(channel().await);
    for service in ["", SERVICE] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    let unknown = HealthCheckRequest { service: "unknown".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_server_that_has_not_read_the_cluster_says_so() {
    let proxy = Proxy::start(&world().await.sandbox).await;
    proxy.stall();
    let server = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    for service in ["", SERVICE] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::NotServing);
    }
    let mut client = connect(server.address()).await;
    let status = assert_error(client.get_node(get("worker-1")).await, Code::Unavailable, "NOT_READY");
    assert!(status.get_details_retry_info().is_some());
    let list = client.list_nodes(ListNodesRequest::default()).await;
    assert_error(list, Code::Unavailable, "NOT_READY");
    let watch = client.watch_nodes(WatchNodesRequest::default()).await.map(|_| ());
    assert_error(watch, Code::Unavailable, "NOT_READY");

    proxy.mend();
    server.ready().await;
    client.get_node(get("worker-1")).await.unwrap();
    eventually("it says that it serves", async || {
        let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        (answer.status() == ServingStatus::Serving).then_some(())
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_unknown_method_is_named_as_such() {
    for path in ["/nodeward.v1.NodeService/FlyNode", "/nodeward.v2.NodeService/GetNode"] {
        let answer = raw::send(&channel().await, path, Vec::new()).await;
        assert_error(answer, Code::Unimplemented, "METHOD_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let status =
        raw::send(&channel().await, "/nodeward.v1.NodeService/GetNode", vec![b'x'; 5 << 20]).await.unwrap_err();
    assert_eq!(status.get_details_error_info().unwrap().reason, "MESSAGE_TOO_LARGE", "{status:?}");
}

/// A server behind a proxy, which is ready.
async fn behind_a_proxy() -> (nodeward_server::server::Server, Proxy) {
    let proxy = Proxy::start(&world().await.sandbox).await;
    let server = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    server.ready().await;
    (server, proxy)
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_though_kubernetes_does_not_answer() {
    let node = world().await.node("serving").await;
    let (server, proxy) = behind_a_proxy().await;
    let mut client = connect(server.address()).await;
    proxy.stall();
    let mut cordon = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }.into_request();
    cordon.set_timeout(Duration::from_secs(1));
    assert_error(client.cordon_node(cordon).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    let mut read = GetNodeRequest { consistency: Consistency::Consistent.into(), ..get(&node) }.into_request();
    read.set_timeout(Duration::from_secs(1));
    assert_error(client.get_node(read).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    proxy.mend();
    server.stop().await.unwrap();
}

/// How old the cache is that a read is answered from, in milliseconds.
async fn cache_age(client: &mut crate::support::Client, node: &str) -> u64 {
    let response = client.get_node(get(node)).await.unwrap();
    response.metadata().get("x-cache-age-ms").unwrap().to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn without_kubernetes_changes_fail_soon_and_cached_reads_go_on() {
    let node = world().await.node("serving").await;
    let (server, proxy) = behind_a_proxy().await;
    let mut client = connect(server.address()).await;
    let mut watcher = Watcher::open(&client, watch(format!("name = {node:?}"))).await;
    watcher.snapshot().await;

    proxy.cut();
    let cordon = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let status = assert_error(client.cordon_node(cordon).await, Code::Unavailable, "CLUSTER_UNREACHABLE");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    let read = GetNodeRequest { consistency: Consistency::Consistent.into(), ..get(&node) };
    assert_error(client.get_node(read).await, Code::Unavailable, "CLUSTER_UNREACHABLE");

    let begun = cache_age(&mut client, &node).await;
    let old = eventually("the cache grows older", async || {
        Some(cache_age(&mut client, &node).await).filter(|age| *age > begun + 1000)
    })
    .await;

    // Readers of the watch notice nothing but a delay.
    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;
    proxy.mend();
    assert_eq!(watcher.change().await.changed_paths, ["metadata.labels.team"]);
    assert!(cache_age(&mut client, &node).await < old);
    server.stop().await.unwrap();
}
