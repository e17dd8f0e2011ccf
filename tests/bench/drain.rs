//! The same drain by `kubectl drain` and by `nodeward drain`: a node with pods whose budget opens as their replacements become
//! ready.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use serde_json::json;
use tokio::process::Command;
use tokio::time::sleep;

use crate::ratio::{Pair, print};
use crate::support::crash::{Ground, Witness, deployment, healthy, label};
use crate::support::process::{ServerProcess, binary};
use crate::support::workload::Workload;

/// How many pods are on each node.
const PODS: usize = 20;

/// How many of them may be away at a time.
const MAY_BE_AWAY: usize = 4;

/// How many nodes there are to which pods can move.
const SPARES: usize = 4;

/// After how long a pod that replaces one is ready, and the budget opens. Few are as quick as the first.
const READY_AFTER: [&str; 2] = ["50ms", "3s"];

/// Who drains.
#[derive(Clone, Copy, Debug)]
enum Tool {
    Kubectl,
    Nodeward,
}

/// How long it took.
struct Took {
    /// Until the last pod was gone.
    emptied: f64,
    /// Until the tool had ended.
    ended: f64,
}

/// Measures so many pairs, and prints them.
pub async fn compare(pairs: usize) {
    binary("nodeward").await; // Built before anything is measured.
    let ground = Ground::start(SPARES).await;
    let flags = ["--operations-lease-seconds", "15"];
    let server = ServerProcess::start(ground.sandbox.kubeconfig_path(), &flags).await;
    for ready_after in READY_AFTER {
        compare_with(&ground, &server, pairs, ready_after).await;
    }
}

async fn compare_with(ground: &Ground, server: &ServerProcess, pairs: usize, ready_after: &str) {
    let (mut emptied, mut ended) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let order = if pair % 2 == 0 { [Tool::Kubectl, Tool::Nodeward] } else { [Tool::Nodeward, Tool::Kubectl] };
        let mut took = BTreeMap::new();
        for tool in order {
            took.insert(tool as usize, drain(ground, server, tool, ready_after).await);
        }
        let [kubectl, nodeward] = [Tool::Kubectl, Tool::Nodeward].map(|tool| &took[&(tool as usize)]);
        emptied.push(Pair { kubectl: kubectl.emptied, nodeward: nodeward.emptied });
        ended.push(Pair { kubectl: kubectl.ended, nodeward: nodeward.ended });
    }
    println!("\npods that become ready after {ready_after}");
    print("until the last pod was gone", &emptied);
    print("until the command had ended", &ended);
}

/// A drain of a new node.
async fn drain(ground: &Ground, server: &ServerProcess, tool: Tool, ready_after: &str) -> Took {
    let client = ground.client().await;
    let workload = Workload::new(client.clone(), "bench").await;
    let node = workload.namespace.clone();
    ground.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
    let pool = format!("example.com/{node}");
    label(&client, &node, json!({ &pool: "" })).await;
    deployment(&client, &node, "web", (PODS, ready_after), &json!({ &pool: "" })).await;
    let leaving: BTreeSet<String> = healthy(&workload.pods(), "web", PODS).await.into_iter().collect();
    let needed = PODS - MAY_BE_AWAY;
    let [min, count] = [needed, PODS].map(|count| i32::try_from(count).unwrap());
    workload.budget("web", "web", min, count).await;
    for spare in 1..=SPARES {
        label(&client, &format!("worker-{spare}"), json!({ &pool: "" })).await;
    }
    let budgets = BTreeMap::from([("web".to_owned(), needed)]);
    let witness = Witness::of(workload.pods(), budgets, BTreeSet::new()).await;

    let begun = Instant::now();
    let empty = async {
        while witness.pods().iter().any(|pod| leaving.contains(&pod.uid().unwrap())) {
            sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed().as_secs_f64()
    };
    let end = async {
        run(ground, server, tool, &node).await;
        begun.elapsed().as_secs_f64()
    };
    let (emptied, ended) = tokio::join!(empty, end);
    witness.assert_content();
    healthy(&workload.pods(), "web", PODS).await;
    workload.delete().await;
    eprintln!("{tool:?}: empty after {emptied:.1} s, ended after {ended:.1} s");
    Took { emptied, ended }
}

async fn run(ground: &Ground, server: &ServerProcess, tool: Tool, node: &str) {
    let output = match tool {
        Tool::Kubectl => ground.sandbox.kubectl(["drain", node]).await.unwrap(),
        Tool::Nodeward => {
            let endpoint = format!("http://{}", server.address);
            let mut command = Command::new(binary("nodeward").await);
            command.args(["drain", node, "--endpoint", &endpoint]).kill_on_drop(true).output().await.unwrap()
        }
    };
    assert!(output.status.success(), "{tool:?}: {}", String::from_utf8_lossy(&output.stderr));
}
