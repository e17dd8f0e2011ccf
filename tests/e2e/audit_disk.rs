//! A disk that is full: what can't be put on record is not done, all else goes on, and so does the log when there is room.

use std::path::Path;

use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, ListNodesRequest, UncordonNodeRequest, WatchNodesRequest};
use nodeward_audit_log::Verifier;
use nodeward_server::audit::Stage;
use tonic::Code;

use crate::support::http::get;
use crate::support::nodes::set_label;
use crate::support::process::ServerProcess;
use crate::support::records::{self, records};
use crate::support::series::Scrape;
use crate::support::{assert_error, connect, eventually, world};

async fn server(dir: &Path) -> ServerProcess {
    let log = dir.join("log");
    let flags = ["--plaintext", "--no-auth", "--audit-dir", log.to_str().unwrap()];
    ServerProcess::start_exactly(world().await.sandbox.kubeconfig_path(), &flags).await
}

/// How large the log is.
fn size(dir: &Path) -> u64 {
    records::size(&dir.join("log"))
}

fn cordon(node: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

fn uncordon(node: &str) -> UncordonNodeRequest {
    UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

async fn is_cordoned(node: &str) -> bool {
    let node = world().await.kubernetes().await.get(node).await.unwrap();
    node.spec.unwrap_or_default().unschedulable.unwrap_or_default()
}

async fn end_well(server: ServerProcess, dir: &Path) {
    server.terminate().await;
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(0), "{said}");
    let report = Verifier::trusting_the_log().verify(&dir.join("log")).unwrap();
    assert!(report.is_intact(), "{report}");
}

#[tokio::test]
async fn while_the_disk_is_full_changes_are_refused_and_reads_and_watches_go_on() {
    let node = world().await.node("disk").await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = server(dir.path()).await;
    let mut client = connect(server.address).await;
    client.cordon_node(cordon(&node)).await.unwrap();
    let filter = format!("name = \"{node}\"");
    let watch = WatchNodesRequest { filter: filter.clone(), ..Default::default() };
    let mut watch = client.watch_nodes(watch).await.unwrap().into_inner();

    server.limit_files(Some(size(dir.path())));
    for _ in 0..3 {
        assert_error(client.uncordon_node(uncordon(&node)).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    }
    assert!(is_cordoned(&node).await);
    client.get_node(GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }).await.unwrap();
    let list = client.list_nodes(ListNodesRequest { filter, ..Default::default() }).await.unwrap();
    assert_eq!(list.into_inner().nodes.len(), 1);
    set_label(&world().await.kubernetes().await, &node, "disk", Some("full")).await;
    eventually("the watch goes on", async || {
        let change = watch.message().await.unwrap().unwrap();
        format!("{change:?}").contains("\"disk\": \"full\"").then_some(())
    })
    .await;
    let scrape = Scrape::of(get(server.admin().await, "/metrics").await.1);
    let no_space = [("nodeward_audit_failure", "no_space")];
    assert!(scrape.value("nodeward_audit_append_failures_total", &no_space) >= Some(3.0), "{}", scrape.text);
    assert_eq!(scrape.value("nodeward_audit_size_bytes", &[]), Some(size(dir.path()) as f64));

    server.limit_files(None);
    client.uncordon_node(uncordon(&node)).await.unwrap();
    assert!(!is_cordoned(&node).await);
    // Also what was refused, now that there is room.
    eventually("the refusals are recorded", async || {
        let refused = records(&dir.path().join("log")).into_iter().filter_map(|record| record.response_status);
        (refused.filter(|status| status.reason == "AUDIT_UNAVAILABLE").count() == 3).then_some(())
    })
    .await;
    end_well(server, dir.path()).await;
}

#[tokio::test]
async fn an_outcome_that_finds_no_room_is_recorded_when_there_is_some() {
    let node = world().await.node("disk").await;
    let dir = tempfile::tempdir().unwrap();
    let (log, server) = (dir.path().join("log"), server(dir.path()).await);
    let mut client = connect(server.address).await;
    client.cordon_node(cordon(&node)).await.unwrap();
    let before = size(dir.path());
    client.uncordon_node(uncordon(&node)).await.unwrap();
    // Room for an intent as long as the last, and for a bit more.
    let [.., intent, outcome] = &records(&log)[..] else { panic!("records") };
    let outcome = serde_json::to_string(outcome).unwrap().len() as u64;
    let both = size(dir.path()) - before;
    assert_eq!(intent.stage, Stage::RequestReceived);
    server.limit_files(Some(size(dir.path()) + both - outcome));

    let id = client.cordon_node(cordon(&node)).await.unwrap().metadata().get("x-audit-id").cloned().unwrap();
    assert!(is_cordoned(&node).await);
    let stages = || {
        let of_call = records(&log).into_iter().filter(|record| record.audit_id.to_string() == id.to_str().unwrap());
        of_call.map(|record| record.stage).collect::<Vec<_>>()
    };
    assert_eq!(stages(), [Stage::RequestReceived]);
    server.limit_files(None);
    client.uncordon_node(uncordon(&node)).await.unwrap();
    let both = [Stage::RequestReceived, Stage::ResponseComplete];
    eventually("the outcome is recorded", async || (stages() == both).then_some(())).await;
    end_well(server, dir.path()).await;
}
