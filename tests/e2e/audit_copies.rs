//! Copies of the audit log, which are kept elsewhere: at an OTLP collector.

use std::time::Duration;

use nodeward_api::v1::CordonNodeRequest;
use nodeward_audit_log::{Checkpoint, Expected, Verifier};
use nodeward_server::audit::AuditRecord;

use crate::support::process::{ServerProcess, run_server};
use crate::support::records::records;
use crate::support::{Collector, LogRecord, connect, world};

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn records_and_checkpoints_arrive_at_the_collector_as_they_are_in_the_log() {
    let node = world().await.node("copies").await;
    let (collector, dir) = (Collector::start().await, tempfile::tempdir().unwrap());
    let log = dir.path().join("log");
    let flags = [
        "--plaintext",
        "--no-auth",
        "--audit-dir",
        log.to_str().unwrap(),
        "--audit-otlp",
        "--otlp-endpoint",
        collector.endpoint(),
    ];
    let server = ServerProcess::start_exactly(world().await.sandbox.kubeconfig_path(), &flags).await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), reason: "new disk".into(), ..Default::default() };
    let answer = connect(server.address).await.cordon_node(request).await.unwrap();
    let [trace, id] = ["x-trace-id", "x-audit-id"].map(|name| answer.metadata().get(name).unwrap().to_str().unwrap());

    for stage in ["RequestReceived", "ResponseComplete"] {
        let is_wanted = |copy: &LogRecord| {
            let is = |name, value: &str| copy.attribute(name).as_deref() == Some(value);
            is("nodeward.audit.id", id) && is("nodeward.audit.stage", stage)
        };
        let copy = collector.wait_for_log(is_wanted, DEADLINE).await;
        assert_eq!(copy.data.event_name, "nodeward.audit.record");
        assert_eq!(copy.trace_id(), trace);
        assert_eq!(copy.attribute("k8s.node.name").as_deref(), Some(node.as_str()));
        assert_eq!(copy.attribute("rpc.method").as_deref(), Some("nodeward.v1.NodeService/CordonNode"));
        let copied: AuditRecord = serde_json::from_str(&copy.body()).unwrap();
        assert!(records(&log).contains(&copied), "{copied:?}");
    }

    server.terminate().await;
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(0), "{said}");
    let of_log = |copy: &&LogRecord| copy.data.event_name == "nodeward.audit.checkpoint";
    let checkpoints: Vec<Checkpoint> =
        collector.logs().iter().filter(of_log).map(|copy| copy.body().parse().unwrap()).collect();
    // The last one says all, and the log must be as it says.
    let last = checkpoints.last().unwrap().clone();
    assert!(said.contains(&last.position().sequence.to_string()), "{said}");
    let report = Verifier::trusting_the_log().expect(checkpoints.into_iter().map(Expected::Checkpoint)).verify(&log);
    let report = report.unwrap();
    assert!(report.is_intact(), "{report}");
    assert_eq!(report.last, Some(last.position()));
}

#[tokio::test]
async fn copies_need_a_log_and_somewhere_to_go() {
    let kubeconfig = world().await.sandbox.kubeconfig_path().to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let common = ["--kubeconfig", kubeconfig, "--plaintext", "--no-auth", "--listen", "127.0.0.1:0", "--audit-otlp"];
    for (flags, named) in
        [(vec!["--no-audit"], "--no-audit"), (vec!["--audit-dir", log.to_str().unwrap()], "--otlp-endpoint")]
    {
        let output = run_server(&[&common[..], &flags].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{said}");
    }
}
