//! Drains of nodes with very many pods: what is written down of them stays within what etcd takes, and all of them are shown.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::iter;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use nodeward_api::v1::StreamOperationEventsRequest;
use nodeward_api::v1::operation_event::Event;
use nodeward_api::v1::operation_service_client::OperationServiceClient;
use nodeward_api::v1::pod_progress::State as PodState;
use nodeward_server::operation::{NodeOperation, State};
use serde_json::json;
use tokio::time::timeout;

use crate::support::crash::{Ground, Replica, Story, times};
use crate::support::drains::{drain, drains_of};
use crate::support::eventually;
use crate::support::shape::Shape;
use crate::support::workload::{Workload, is_ready};

/// How many budgets there are. Half of the pods of each are not ready, and so none may go.
const BUDGETS: usize = 10;

/// The most bytes that the operation may have: etcd takes 1.5 MiB, and requests have more around it.
const ALLOWED: usize = 1280 * 1024;

/// How many requests there are at a time.
const AT_A_TIME: usize = 16;

/// The longest that a drain may take to get further.
const PATIENCE: Duration = Duration::from_secs(300);

/// A name as long as names may be.
fn long(number: usize) -> String {
    format!("{number:0>4}{}", "n".repeat(249))
}

fn app(number: usize) -> String {
    format!("app-{}", number % BUDGETS)
}

/// A node with so many pods.
async fn crowded(ground: &Ground, count: usize) -> (String, Workload) {
    let workload = Workload::new(ground.client().await, "crowd").await;
    let node = workload.namespace.clone();
    ground.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
    iter(0..count)
        .for_each_concurrent(AT_A_TIME, async |number| {
            workload.shaped_pod(&long(number), &Shape::of(&app(number)).grace(1), &node).await;
        })
        .await;
    let pods = workload.pods();
    timeout(PATIENCE, async {
        while pods.list(&Default::default()).await.unwrap().iter().filter(|pod| is_ready(pod)).count() < count {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .expect("all pods are ready");
    let not_ready = Patch::Strategic(json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }));
    iter((0..count).filter(|number| (number / BUDGETS).is_multiple_of(2)))
        .for_each_concurrent(AT_A_TIME, async |number| {
            pods.patch_status(&long(number), &PatchParams::default(), &not_ready).await.unwrap();
        })
        .await;
    let each = i32::try_from(count / BUDGETS).unwrap();
    for number in 0..BUDGETS {
        workload.budget(&format!("{}{number}", "b".repeat(200)), &app(number), each * 6 / 10, each / 2).await;
    }
    (node, workload)
}

/// The uids of the pods that whoever follows the operation sees, once they have seen all of them in this state.
async fn followed(server: &Replica, name: &str, state: PodState, count: usize) -> BTreeSet<String> {
    let mut client = OperationServiceClient::connect(format!("http://{}", server.process.address)).await.unwrap();
    let request = StreamOperationEventsRequest { name: format!("operations/{name}"), after_sequence: 0 };
    let mut events = client.stream_operation_events(request).await.unwrap().into_inner();
    let mut seen = BTreeSet::new();
    timeout(PATIENCE, async {
        while seen.len() < count {
            let event = events.message().await.unwrap().expect("it goes on").event.unwrap();
            if let Event::Pod(pod) = event
                && pod.state() == state
            {
                seen.insert(pod.pod.unwrap().uid);
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} pods are {state:?}", seen.len()));
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_very_many_blocked_pods_with_long_names_is_drained_and_all_of_them_are_shown() {
    let (ground, count) = (&Ground::start(0).await, times(300, 1000));
    let begun = Instant::now();
    let (node, workload) = crowded(ground, count).await;
    eprintln!("{count} pods are there after {:?}", begun.elapsed());
    let pods = workload.pods().list(&Default::default()).await.unwrap();
    let uids: BTreeSet<String> = pods.iter().filter_map(ResourceExt::uid).collect();
    assert_eq!(uids.len(), count);

    ground.let_anybody_drain().await;
    let server = Replica::start_steady(ground).await.leads().await;
    let asked = drains_of(server.process.address).await.drain_node(drain(&node)).await.unwrap().into_inner();
    let operations: Api<NodeOperation> = Api::all(ground.sandbox.server_client().await.unwrap());
    let name = asked.name.trim_start_matches("operations/");
    let story = Story::of(operations.clone(), &operations.get(name).await.unwrap());
    assert_eq!(followed(&server, name, PodState::Blocked, count).await, uids);
    eprintln!("all of them are blocked after {:?}", begun.elapsed());

    for budget in workload.budgets().list(&Default::default()).await.unwrap() {
        workload.delete_budget(&budget.name_any()).await;
    }
    let watcher = followed(&server, name, PodState::Gone, count);
    let (gone, versions) = tokio::join!(watcher, story.to_its_end());
    eprintln!("they are gone after {:?}, and {} writes", begun.elapsed(), versions.len());
    assert_eq!(gone, uids);
    assert_eq!(versions.last().unwrap().state, State::Succeeded, "{:#?}", versions.last().unwrap().message);
    let largest = versions.iter().map(|status| serde_json::to_vec(status).unwrap().len()).max().unwrap();
    eprintln!("what is written down of them has at most {largest} bytes");
    assert!(largest < ALLOWED, "{largest} bytes");
    eventually("they are not there any more", async || {
        workload.pods().list(&Default::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;
}
