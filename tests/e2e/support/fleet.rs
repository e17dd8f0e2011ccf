//! Nodes that are always being changed, by clients of Kubernetes and of the server, whatever happens to the apiserver.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use nodeward_api::v1;
use nodeward_api::v1::{CordonNodeRequest, UncordonNodeRequest};
use nodeward_server::node::convert;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tonic::Code;
use uuid::Uuid;

use super::Client;
use super::nodes::bare;

/// The longest that a change may take, with all that is tried again.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The node as it was after a change, by the answer, as the cache has it. None if it is gone, or if the answer was lost.
pub type Written = Option<v1::Node>;

/// Some nodes, and who changes them.
pub struct Fleet {
    nodes: Api<Node>,
    client: Client,
    random: StdRng,
    names: Vec<String>,
    exists: Vec<bool>,
    steps: usize,
}

impl Fleet {
    /// A fleet of so many nodes, none of which exists yet.
    pub fn new(nodes: Api<Node>, client: Client, size: usize, seed: u64) -> Self {
        let names = (0..size).map(|number| format!("fleet-{number:02}")).collect();
        Self { nodes, client, random: StdRng::seed_from_u64(seed), names, exists: vec![false; size], steps: 0 }
    }

    /// Makes a change, in Kubernetes or through the server, and tries until it has succeeded.
    pub async fn change(&mut self) -> Written {
        self.change_by(true).await
    }

    /// The same, but only in Kubernetes.
    pub async fn change_in_kubernetes(&mut self) -> Written {
        self.change_by(false).await
    }

    async fn change_by(&mut self, server_too: bool) -> Written {
        self.steps += 1;
        let index = self.random.random_range(0..self.names.len());
        let name = self.names[index].clone();
        match (self.exists[index], self.random.random_range(0..10)) {
            (false, _) => {
                self.exists[index] = true;
                self.create(&name).await
            }
            (true, 0..2) => {
                self.exists[index] = false;
                self.delete(&name).await
            }
            (true, 2..5) if server_too => self.cordon_or_uncordon(&name).await,
            (true, _) => self.label(&name).await,
        }
    }

    fn labels(&mut self) -> serde_json::Value {
        let team = ["blue", "green", "red"].choose(&mut self.random).unwrap();
        json!({ "team": team, "step": self.steps.to_string() })
    }

    async fn create(&mut self, name: &str) -> Written {
        let node = bare(name, self.labels());
        until_done(async || match self.nodes.create(&PostParams::default(), &node).await {
            Ok(node) => Some(Some(convert::to_contract(&node))),
            // An attempt whose answer was lost.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Some(None),
            Err(_) => None,
        })
        .await
    }

    async fn delete(&mut self, name: &str) -> Written {
        until_done(async || match self.nodes.delete(name, &DeleteParams::default()).await {
            Ok(_) => Some(None),
            Err(kube::Error::Api(status)) if status.is_not_found() => Some(None),
            Err(_) => None,
        })
        .await
    }

    async fn label(&mut self, name: &str) -> Written {
        let patch = Patch::Merge(json!({ "metadata": { "labels": self.labels() } }));
        until_done(async || {
            let patched = self.nodes.patch(name, &PatchParams::default(), &patch).await;
            patched.ok().map(|node| Some(convert::to_contract(&node)))
        })
        .await
    }

    async fn cordon_or_uncordon(&mut self, name: &str) -> Written {
        let (name, request_id) = (format!("nodes/{name}"), Uuid::new_v4().to_string());
        let is_cordon: bool = self.random.random();
        until_done(async || {
            let (name, request_id, mut client) = (name.clone(), request_id.clone(), self.client.clone());
            let changed = if is_cordon {
                client.cordon_node(CordonNodeRequest { name, request_id, ..Default::default() }).await
            } else {
                client.uncordon_node(UncordonNodeRequest { name, request_id, ..Default::default() }).await
            };
            match changed {
                Ok(node) => Some(Some(node.into_inner())),
                Err(status) => {
                    let may_try_again = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted];
                    assert!(may_try_again.contains(&status.code()), "{status:?}");
                    None
                }
            }
        })
        .await
    }
}

/// The node as the cache has it.
pub fn cached(mut node: v1::Node) -> v1::Node {
    node.metadata.iter_mut().for_each(|metadata| metadata.managed_fields.clear());
    node
}

/// Tries until there is a result.
async fn until_done(mut attempt: impl AsyncFnMut() -> Option<Written>) -> Written {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(Some(written)) = timeout(ATTEMPT, attempt()).await {
            return written.map(cached);
        }
        assert!(Instant::now() < deadline, "a change failed for {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
