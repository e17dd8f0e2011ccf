//! What the server can do by itself, without a caller.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use nodeward_api::v1::{CordonNodeRequest, SchedulingState};
use nodeward_sandbox::User;
use serde_json::json;

use crate::support::guarded::guarded;
use crate::support::world;

#[tokio::test]
async fn what_the_server_may_not_do_itself_it_does_for_those_who_may() {
    let guarded = guarded().await;
    let node = guarded.node("alone").await;
    let alone: Api<Node> = Api::all(world().await.sandbox.server_client().await.unwrap());
    let patch = Patch::Merge(json!({ "spec": { "unschedulable": true } }));
    let refused = alone.patch(&node, &PatchParams::default(), &patch).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code, 403, "{status:?}");

    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let cordoned = guarded.user(User::Operator).await.client().cordon_node(request).await.unwrap().into_inner();
    assert_eq!(cordoned.scheduling_state(), SchedulingState::Cordoned);
}
