//! Every change is on record before it is made, and what came of it afterwards.

use std::time::Duration;

use nodeward_api::v1::{CordonNodeRequest, DeleteNodeRequest, DeleteNodesRequest, GetNodeRequest, UncordonNodeRequest};
use nodeward_audit_log::Verifier;
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::{AuditOptions, Stage};
use nodeward_server::server::Server;
use serde_json::json;
use tempfile::TempDir;
use tonic::{Code, Response};

use crate::support::apiserver_log::change;
use crate::support::records::records;
use crate::support::{assert_error, connect, eventually, world};

/// A server that keeps records, and where.
async fn server() -> (Server, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let audit = AuditOptions { audit_dir: Some(dir.path().join("log")), ..AuditOptions::default() };
    (world().await.another_server(ServeOptions { audit, ..ServeOptions::default() }).await, dir)
}

fn cordon(node: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), reason: "new disk".into(), ..Default::default() }
}

fn audit_id<T>(response: &Response<T>) -> String {
    response.metadata().get("x-audit-id").unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_is_recorded_before_and_after_with_what_it_changed() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let response = connect(server.address()).await.cordon_node(cordon(&node)).await.unwrap();
    let id = audit_id(&response);
    let uid = response.into_inner().metadata.unwrap().uid.unwrap();

    let [intent, outcome] = &records(&dir.path().join("log"))[..] else { panic!("two records") };
    assert_eq!((intent.stage, outcome.stage), (Stage::RequestReceived, Stage::ResponseComplete));
    for record in [intent, outcome] {
        assert_eq!(record.audit_id.to_string(), id);
        assert_eq!(record.rpc, "nodeward.v1.NodeService/CordonNode");
        assert_eq!(record.request.reason, "new disk");
        assert_eq!(record.request.object_ref.as_ref().unwrap().name, node);
        assert_eq!(record.source_ips, ["127.0.0.1"]);
        assert!(record.user_agent.contains("tonic"), "{}", record.user_agent);
    }
    assert_eq!(outcome.request.object_ref.as_ref().unwrap().uid, uid);
    let status = outcome.response_status.as_ref().unwrap();
    assert_eq!((status.code.as_str(), status.outcome.as_str()), ("OK", "changed"));
    assert_eq!(status.before["spec"], json!({"unschedulable": null}));
    assert_eq!(status.after["spec"], json!({"unschedulable": true}));
    let claims = status.after["metadata"]["annotations"]["nodeward.dev/cordon-claims"].as_str().unwrap();
    assert!(claims.contains("new disk"), "{claims}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn kubernetes_files_the_change_under_the_same_id() {
    let node = world().await.node("audit").await;
    let (server, _dir) = server().await;
    let id = audit_id(&connect(server.address()).await.cordon_node(cordon(&node)).await.unwrap());
    eventually("Kubernetes' audit log has the id", async || {
        let log = std::fs::read_to_string(world().await.sandbox.audit_log_path()).ok()?;
        log.lines().find(|line| line.contains(&id) && line.contains("\"verb\":\"patch\"")).map(drop)
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn one_change_is_the_same_in_nodewards_log_in_kubernetes_log_and_in_its_trace() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let response = connect(server.address()).await.cordon_node(cordon(&node)).await.unwrap();
    let id = audit_id(&response);
    let trace = response.metadata().get("x-trace-id").unwrap().to_str().unwrap();

    let records = records(&dir.path().join("log"));
    let record = records.iter().find(|record| record.audit_id.to_string() == id).expect("a record of this id");
    assert_eq!(record.trace_id, trace);
    let event = change("patch", &node, 200).await;
    assert_eq!(event["auditID"], id.as_str(), "{event:#}");
    let span = world().await.collector.wait_for(trace, &record.rpc, Duration::from_secs(20)).await;
    assert_eq!(span.attribute("nodeward.audit.id"), Some(id));
    assert_eq!(span.attribute("k8s.node.name"), Some(node));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_fails_or_is_refused_is_recorded_with_why() {
    let (server, dir) = server().await;
    let mut client = connect(server.address()).await;
    assert_error(client.cordon_node(cordon("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
    let bad = CordonNodeRequest { etag: "not an etag".into(), ..cordon("nowhere") };
    assert_error(client.cordon_node(bad).await, Code::InvalidArgument, "INVALID_FIELD");

    let outcomes: Vec<_> = records(&dir.path().join("log"))
        .into_iter()
        .filter_map(|record| record.response_status)
        .map(|status| (status.code, status.reason))
        .collect();
    let expected = [("NOT_FOUND", "NODE_NOT_FOUND"), ("INVALID_ARGUMENT", "INVALID_FIELD")];
    assert_eq!(outcomes, expected.map(|(code, reason)| (code.to_owned(), reason.to_owned())));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn reads_and_dry_runs_are_told_from_changes() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let mut client = connect(server.address()).await;
    client.get_node(GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }).await.unwrap();
    client.cordon_node(CordonNodeRequest { validate_only: true, ..cordon(&node) }).await.unwrap();
    let records = records(&dir.path().join("log"));
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.request.dry_run));
    assert_eq!(records[1].response_status.as_ref().unwrap().outcome, "validated");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_deletion_of_several_is_recorded_with_the_nodes_that_were_asked_for_and_those_that_were_deleted() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let filter = format!("name = \"{node}\"");
    let request = DeleteNodesRequest { filter: filter.clone(), expected_count: 1, ..Default::default() };
    connect(server.address()).await.delete_nodes(request).await.unwrap();
    let [intent, outcome] = &records(&dir.path().join("log"))[..] else { panic!("two records") };
    assert_eq!(intent.request.filter, filter);
    assert_eq!(outcome.response_status.as_ref().unwrap().nodes, [node]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_verifies_and_says_so_if_it_was_tampered_with() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let log = dir.path().join("log");
    let mut client = connect(server.address()).await;
    client.cordon_node(cordon(&node)).await.unwrap();
    let uncordon = UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    client.uncordon_node(uncordon).await.unwrap();
    server.stop().await.unwrap();
    assert!(Verifier::trusting_the_log().verify(&log).unwrap().is_intact());

    let segment = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("new disk", "old disk", 1)).unwrap();
    assert!(!Verifier::trusting_the_log().verify(&log).unwrap().is_intact());
}

#[tokio::test]
async fn nothing_is_changed_without_a_record_and_reads_go_on() {
    let node = world().await.node("audit").await;
    let (server, dir) = server().await;
    let mut client = connect(server.address()).await;
    client.cordon_node(cordon(&node)).await.unwrap();
    // Somebody takes the log away.
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();

    let delete = DeleteNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    assert_error(client.delete_node(delete).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    client.get_node(GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }).await.unwrap();
    assert!(world().await.kubernetes().await.get_opt(&node).await.unwrap().is_some());
    server.stop().await.unwrap();
}
