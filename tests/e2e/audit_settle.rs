//! A server that is killed in the midst of a change leaves its outcome unknown; the next one finds out what it can.

use std::path::{Path, PathBuf};

use nodeward_api::v1::{CordonNodeRequest, DeleteNodeRequest};
use nodeward_server::audit::{AuditRecord, ResponseStatus, Stage};
use tempfile::TempDir;

use crate::support::process::ServerProcess;
use crate::support::proxy::Proxy;
use crate::support::records::{forget_the_outcome, records};
use crate::support::{Client, connect, eventually, world};

/// A server whose requests to Kubernetes can be held back, and its log.
struct Crash {
    proxy: Proxy,
    dir: TempDir,
}

impl Crash {
    async fn new() -> Self {
        Self { proxy: Proxy::start(&world().await.sandbox).await, dir: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    async fn server(&self, kubeconfig: &Path) -> ServerProcess {
        let log = self.log();
        let flags = ["--plaintext", "--no-auth", "--audit-settle", "1", "--audit-dir", log.to_str().unwrap()];
        ServerProcess::start_exactly(kubeconfig, &flags).await
    }

    /// The server is killed when it has sent a change that does not arrive.
    async fn before_the_change<F>(&self, change: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let server = self.server(self.proxy.kubeconfig()).await;
        let client = connect(server.address).await;
        self.proxy.stall();
        let call = tokio::spawn(change(client));
        eventually("the intent is recorded", async || (records(&self.log()).len() == 1).then_some(())).await;
        drop(server); // SIGKILL
        call.await.unwrap();
        self.proxy.cut();
    }

    /// The server is killed when the change is made, but before it records that: its log is as it was then.
    async fn after_the_change<F>(&self, change: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let server = self.server(self.proxy.kubeconfig()).await;
        change(connect(server.address).await).await;
        drop(server); // SIGKILL
        forget_the_outcome(&self.log());
    }

    /// What the next server records of it: that the outcome is unknown, and then what it has found out.
    async fn settled(&self) -> ResponseStatus {
        let server = self.server(world().await.sandbox.kubeconfig_path()).await;
        let unknown = status(&records(&self.log())[1], Stage::ResponseComplete);
        assert_eq!(unknown.reason, "OUTCOME_UNKNOWN");
        let settled = async || records(&self.log()).get(2).map(|record| status(record, Stage::Settled));
        let settled = eventually("it is settled", settled).await;
        drop(server);
        assert_eq!(records(&self.log()).len(), 3, "a change is settled once");
        settled
    }
}

fn status(record: &AuditRecord, stage: Stage) -> ResponseStatus {
    assert_eq!(record.stage, stage, "{record:?}");
    record.response_status.clone().unwrap()
}

fn cordon(node: &str, request_id: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), request_id: request_id.to_owned(), ..Default::default() }
}

const ID: &str = "123e4567-e89b-42d3-a456-426614174077";

#[tokio::test]
async fn a_change_that_never_arrived_was_not_carried_out() {
    let node = world().await.node("settle").await;
    let crash = Crash::new().await;
    let request = cordon(&node, "");
    crash.before_the_change(|mut client| async move { drop(client.cordon_node(request).await) }).await;
    let settled = crash.settled().await;
    assert_eq!((settled.code.as_str(), settled.reason.as_str()), ("ABORTED", "NOT_CARRIED_OUT"));
    assert!(settled.evidence.contains("nothing has changed the node"), "{}", settled.evidence);
}

#[tokio::test]
async fn a_change_that_the_node_remembers_was_carried_out() {
    let node = world().await.node("settle").await;
    let crash = Crash::new().await;
    let request = cordon(&node, "");
    crash.after_the_change(|mut client| async move { drop(client.cordon_node(request).await.unwrap()) }).await;
    let settled = crash.settled().await;
    assert_eq!((settled.code.as_str(), settled.reason.as_str()), ("OK", "CARRIED_OUT"));
    assert!(settled.evidence.contains("last change has this audit id"), "{}", settled.evidence);
}

#[tokio::test]
async fn a_request_whose_id_is_remembered_was_carried_out_whoever_changed_the_node_since() {
    let node = world().await.node("settle").await;
    let crash = Crash::new().await;
    let request = cordon(&node, ID);
    crash.after_the_change(|mut client| async move { drop(client.cordon_node(request).await.unwrap()) }).await;
    let uncordon = nodeward_api::v1::UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    world().await.client().await.uncordon_node(uncordon).await.unwrap();
    let settled = crash.settled().await;
    assert_eq!(settled.reason, "CARRIED_OUT");
    assert!(settled.evidence.contains("its request id is remembered"), "{}", settled.evidence);
}

#[tokio::test]
async fn who_deleted_a_node_that_is_gone_can_not_be_told() {
    let node = world().await.node("settle").await;
    let crash = Crash::new().await;
    let request = DeleteNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    crash.after_the_change(|mut client| async move { drop(client.delete_node(request).await.unwrap()) }).await;
    let settled = crash.settled().await;
    assert_eq!((settled.code.as_str(), settled.reason.as_str()), ("UNKNOWN", "OUTCOME_UNKNOWN"));
    assert!(settled.evidence.contains("the node is gone"), "{}", settled.evidence);
}

#[tokio::test]
async fn a_node_that_was_to_be_deleted_and_is_there_was_not() {
    let node = world().await.node("settle").await;
    let crash = Crash::new().await;
    let request = DeleteNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    crash.before_the_change(|mut client| async move { drop(client.delete_node(request).await) }).await;
    assert_eq!(crash.settled().await.reason, "NOT_CARRIED_OUT");
}
