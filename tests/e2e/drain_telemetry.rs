//! What traces and metrics say of drains, of servers of their own.

use std::net::SocketAddr;
use std::time::Duration;

use nodeward_server::operation::State;
use tonic::Request;

use crate::support::crash::{HeldNode, Replica, shared_ground};
use crate::support::drains::drain;
use crate::support::http::get;
use crate::support::series::Scrape;
use crate::support::{Collector, Span, eventually};

const DEADLINE: Duration = Duration::from_secs(20);

const REQUEST_TRACE: &str = "0af7651916cd43dd8448eb211c80319d";

/// Whether it is the eviction of this pod.
fn evicts(span: &Span, pod: &str) -> bool {
    span.name() == "evict"
        && span.attribute("k8s.pod.name").as_deref() == Some(pod)
        && span.attribute("nodeward.outcome").as_deref() == Some("changed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_another_server_ends_is_one_trace_that_names_its_request() {
    let ground = &*shared_ground().await;
    let collector = Collector::start().await;
    let flags = ["--no-audit", "--otlp-endpoint", collector.endpoint(), "--trace-export-delay-ms", "50"];
    let leader = Replica::start_with(ground, &flags).await.leads().await;
    let other = Replica::start_with(ground, &flags).await;
    let node = HeldNode::new(ground, false).await;
    let mut request = Request::new(drain(&node.node));
    let parent = format!("00-{REQUEST_TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    let story = node.drained_with(ground, &leader, request).await;
    let by_leader = collector.wait_for_span(|span| evicts(span, "free"), DEADLINE).await;
    leader.kill().await;
    node.open().await;
    let status = story.until("it has ended", |status| status.state == State::Succeeded).await;

    let by_other = collector.wait_for_span(|span| evicts(span, "held"), DEADLINE).await;
    assert_eq!([by_leader.trace_id(), by_other.trace_id()], [status.trace_id.clone(), status.trace_id.clone()]);
    let instance = |span: &Span| span.resource("service.instance.id").unwrap();
    assert_ne!(instance(&by_leader), instance(&by_other));
    // That of the leader had no time to end.
    let root = collector.wait_for(&status.trace_id, "drain", DEADLINE).await;
    assert_eq!((instance(&root), by_other.parent_id()), (instance(&by_other), root.span_id()));
    let [link] = &root.data.links[..] else { panic!("one link: {root:?}") };
    let is_linked = |span: &Span| span.data.trace_id == link.trace_id && span.data.span_id == link.span_id;
    let asked = collector.wait_for_span(is_linked, DEADLINE).await;
    assert_eq!((asked.trace_id().as_str(), asked.name()), (REQUEST_TRACE, "nodeward.v1.DrainService/DrainNode"));
    other.kill().await;
    node.clean_up().await;
}

async fn scrape(admin: SocketAddr) -> Scrape {
    Scrape::of(get(admin, "/metrics").await.1)
}

/// How many evictions were answered so.
fn evictions(scrape: &Scrape, outcome: &str) -> Option<f64> {
    let labels = [("nodeward_removal_method", "evict"), ("nodeward_outcome", outcome)];
    scrape.value("nodeward_pod_removals_total", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_how_far_drains_are_what_blocks_them_and_how_they_end() {
    let ground = &*shared_ground().await;
    let mut server = Replica::start_with(ground, &["--no-audit"]).await.leads().await;
    let admin = server.process.admin().await;
    let node = HeldNode::new(ground, false).await;
    let story = node.drained_by(ground, &server).await;
    let in_state =
        |scrape: &Scrape, state: &str| scrape.value("nodeward_operations", &[("nodeward_operation_state", state)]);
    let during = eventually("the scrape shows that it is blocked", async || {
        let scrape = scrape(admin).await;
        (in_state(&scrape, "blocked") == Some(1.0)).then_some(scrape)
    })
    .await;
    assert_eq!(during.value("nodeward_pods_blocked", &[]), Some(1.0), "{}", during.text);
    assert_eq!(evictions(&during, "changed"), Some(1.0), "{}", during.text);
    let ended = [("nodeward_operation_state", "succeeded")];
    assert_eq!(during.value("nodeward_operations_ended_total", &ended), None, "{}", during.text);

    let was_refused = |pod: &nodeward_server::drain::PodProgress| pod.pod.name == "held" && pod.attempts > 0;
    story.until("Kubernetes was asked", |status| status.pods.iter().any(was_refused)).await;
    eventually("the refusal is counted", async || {
        evictions(&scrape(admin).await, "BUDGET").filter(|count| *count >= 1.0)
    })
    .await;
    node.open().await;
    story.until("it has ended", |status| status.state == State::Succeeded).await;
    let after = eventually("the scrape shows that it has ended", async || {
        let scrape = scrape(admin).await;
        (scrape.value("nodeward_operations_ended_total", &ended) == Some(1.0)).then_some(scrape)
    })
    .await;
    assert_eq!(evictions(&after, "changed"), Some(2.0), "{}", after.text);
    eventually("nothing is carried out any more", async || {
        let scrape = scrape(admin).await;
        let running: f64 = ["running", "blocked"].iter().filter_map(|state| in_state(&scrape, state)).sum();
        let blocked = scrape.value("nodeward_pods_blocked", &[]).unwrap_or_default();
        (running + blocked == 0.0).then_some(())
    })
    .await;
    server.kill().await;
    node.clean_up().await;
}
