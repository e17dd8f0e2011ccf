//! Requests whose answers are lost, and which are sent again, to the same server or to another one.

use k8s_openapi::api::core::v1::Node as Object;
use nodeward_api::v1::{
    CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, Node, PatchNodeRequest, UpdateNodeRequest,
    patch_node_request::PatchType,
};
use nodeward_server::args::ServeOptions;
use prost_types::FieldMask;
use serde_json::json;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::support::deaf::deaf_client;
use crate::support::nodes::{delete, set_label};
use crate::support::{Client, assert_error, connect, eventually, unique, world};

fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// Sends a request whose answer is lost, and waits until its effect is there.
async fn lose_the_answer<T: Send + 'static, F>(
    send: impl FnOnce(Client) -> F,
    node: &str,
    is_done: impl Fn(Option<Object>) -> bool,
) where
    F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
{
    let call = tokio::spawn(send(deaf_client(world().await.server.address()).await));
    let kubernetes = world().await.kubernetes().await;
    eventually("the request is carried out", async || is_done(kubernetes.get_opt(node).await.ok()?).then_some(()))
        .await;
    assert!(!call.is_finished());
    call.abort();
}

/// Clients of the same server and of another one.
async fn clients() -> [Client; 2] {
    let other = world().await.another_server(ServeOptions::default()).await;
    let clients = [world().await.client().await, connect(other.address()).await];
    std::mem::forget(other); // It serves until the tests end.
    clients
}

fn label(object: Option<Object>) -> Option<String> {
    object?.metadata.labels?.remove("team")
}

#[tokio::test]
async fn a_cordon_is_not_made_again() {
    let node = world().await.node("lost").await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), request_id: request_id(), ..Default::default() };
    let cordon = request.clone();
    let is_cordoned = |object: Option<Object>| object.unwrap().spec.unwrap().unschedulable == Some(true);
    lose_the_answer(move |mut client| async move { client.cordon_node(cordon).await }, &node, is_cordoned).await;

    world().await.sandbox.kubectl(["uncordon", &node]).await.unwrap();
    for mut client in clients().await {
        client.cordon_node(request.clone()).await.unwrap();
        assert!(!is_cordoned(world().await.kubernetes().await.get_opt(&node).await.unwrap()));
    }
}

#[tokio::test]
async fn an_update_and_a_patch_are_not_made_again() {
    let node = world().await.node("lost").await;
    let name = format!("nodes/{node}");
    let kubernetes = world().await.kubernetes().await;
    let labels = [("team".to_owned(), "blue".to_owned())].into();
    let metadata = Some(nodeward_api::v1::ObjectMeta { labels, ..Default::default() });
    let update = UpdateNodeRequest {
        node: Some(Node { name: name.clone(), metadata, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["metadata.labels.team".to_owned()] }),
        request_id: request_id(),
        ..Default::default()
    };
    let patch = PatchNodeRequest {
        name,
        r#type: PatchType::Merge.into(),
        patch: json!({"metadata": {"labels": {"team": "blue"}}}).to_string(),
        request_id: request_id(),
        ..Default::default()
    };
    let is_blue = |object| label(object).as_deref() == Some("blue");
    let [first, second] = [update.clone(), update];
    lose_the_answer(move |mut client| async move { client.update_node(first).await }, &node, is_blue).await;
    set_label(&kubernetes, &node, "team", None).await;
    let sent = patch.clone();
    lose_the_answer(move |mut client| async move { client.patch_node(sent).await }, &node, is_blue).await;
    set_label(&kubernetes, &node, "team", Some("green")).await;

    for mut client in clients().await {
        client.update_node(second.clone()).await.unwrap();
        client.patch_node(patch.clone()).await.unwrap();
        assert_eq!(label(kubernetes.get_opt(&node).await.unwrap()).as_deref(), Some("green"));
    }
}

#[tokio::test]
async fn a_node_is_not_created_again() {
    let node = unique("lost");
    let request = CreateNodeRequest {
        node_id: node.clone(),
        node: Some(Node::default()),
        request_id: request_id(),
        ..Default::default()
    };
    let create = request.clone();
    lose_the_answer(move |mut client| async move { client.create_node(create).await }, &node, |node| node.is_some())
        .await;
    for mut client in clients().await {
        let again = client.create_node(request.clone()).await.unwrap().into_inner();
        assert_eq!(again.name, format!("nodes/{node}"));
    }
    delete(&world().await.kubernetes().await, &node).await;
    for mut client in clients().await {
        assert_error(client.create_node(request.clone()).await, Code::NotFound, "NODE_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_new_node_of_the_name_is_not_deleted() {
    let node = world().await.node("lost").await;
    let request = DeleteNodeRequest { name: format!("nodes/{node}"), request_id: request_id(), ..Default::default() };
    let sent = request.clone();
    lose_the_answer(move |mut client| async move { client.delete_node(sent).await }, &node, |node| node.is_none())
        .await;

    world().await.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
    for mut client in clients().await {
        client.delete_node(request.clone()).await.unwrap();
        assert!(world().await.kubernetes().await.get_opt(&node).await.unwrap().is_some());
    }
}
