//! A server that sends changes in its own name, as on clusters that know no constrained impersonation.

use nodeward_api::v1::CordonNodeRequest;
use nodeward_sandbox::{ClientCertificate, SERVER_ACCOUNT, SERVER_NAMESPACE, Sandbox, SandboxOptions, Subject, User};
use nodeward_server::cluster::{ClusterOptions, WriteAs};
use tokio::sync::OnceCell;
use tonic::Code;

use crate::support::apiserver_log::change;
use crate::support::grants::{Grant, eventually_unable};
use crate::support::guarded::{Guarded, options, options_in};
use crate::support::raw::methods;
use crate::support::requests::{AUDIT, OPERATION_CHANGES, OPERATION_READS, PATCHES, READS};
use crate::support::{assert_error, eventually, unique, world};

/// A server whose kubeconfig may do everything.
async fn powerful() -> &'static Guarded {
    static SERVER: OnceCell<Guarded> = OnceCell::const_new();
    let start = async || {
        let kubeconfig = Some(world().await.sandbox.kubeconfig_path().to_owned());
        let cluster = ClusterOptions { kubeconfig, write_as: WriteAs::Server, ..ClusterOptions::default() };
        Guarded::start(cluster, options().await).await
    };
    SERVER.get_or_init(start).await
}

fn cordon(node: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), ..CordonNodeRequest::default() }
}

#[tokio::test]
async fn changes_go_in_the_servers_name() {
    let node = powerful().await.node("in-its-name").await;
    powerful().await.user(User::Operator).await.client().cordon_node(cordon(&node)).await.unwrap();
    let event = change("patch", &node, 200).await;
    assert_eq!(event["user"]["username"], "sandbox-admin", "{event:#}");
    assert!(event["impersonatedUser"].is_null(), "{event:#}");
}

#[tokio::test]
async fn everybody_still_may_call_what_their_role_lets_them_do_and_nothing_else() {
    let server = powerful().await;
    let node = server.node("in-its-name").await;
    let names = methods().into_iter().map(|method| method.name().to_owned());
    let of_nodes: Vec<String> = names.filter(|rpc| !AUDIT.contains(&rpc.as_str())).collect();
    assert_eq!(server.user(User::Admin).await.may(&node).await, of_nodes);
    let mut of_an_operator = server.user(User::Operator).await.may(&node).await;
    of_an_operator.sort();
    let mut expected = [&READS[..], &PATCHES, &OPERATION_READS, &OPERATION_CHANGES].concat();
    expected.sort_unstable();
    assert_eq!(of_an_operator, expected);
    assert!(server.with(ClientCertificate::of("stranger")).await.may(&node).await.is_empty());
}

/// Nobody asks after nodeward: what it has heard before does not count.
#[tokio::test]
async fn a_change_is_refused_as_soon_as_kubernetes_knows_that_the_right_is_gone() {
    let name = unique("in-its-name");
    let node = powerful().await.node("in-its-name").await;
    let subject = Subject::user(&name);
    let grant = Grant::to(subject.clone(), "nodeward-operator").await;
    let somebody = powerful().await.with(ClientCertificate::of(&name)).await;
    somebody.ask("CordonNode", &node).await.unwrap();
    grant.take_away().await;
    eventually_unable(&subject, "patch").await;
    assert_error(somebody.client().cordon_node(cordon(&node)).await, Code::PermissionDenied, "ACCESS_DENIED");
    let cordoned = world().await.kubernetes().await.get(&node).await.unwrap().spec.unwrap().unschedulable;
    assert_eq!(cordoned, None);
}

#[tokio::test]
async fn an_apply_creates_a_node_only_for_those_who_may_create_one() {
    let apply = async |user, name: &str| powerful().await.user(user).await.apply(name).await;
    let name = unique("applied");
    assert_error(apply(User::Operator, &name).await, Code::PermissionDenied, "ACCESS_DENIED");
    assert!(world().await.kubernetes().await.get_opt(&name).await.unwrap().is_none());
    apply(User::Admin, &name).await.unwrap();
    apply(User::Operator, &name).await.unwrap();
}

/// Kubernetes 1.36 knows constrained impersonation, and can be told to do without.
#[tokio::test]
async fn a_cluster_in_which_constrained_impersonation_is_off_is_one_that_does_not_know_it() {
    let off = SandboxOptions {
        nodes: 1,
        seed_workloads: false,
        api_server_args: vec!["--feature-gates=ConstrainedImpersonation=false".to_owned()],
        ..SandboxOptions::default()
    };
    world().await;
    let sandbox: &'static Sandbox = Box::leak(Box::new(Sandbox::start(off).await.unwrap()));
    let account = Subject::service_account(SERVER_NAMESPACE, SERVER_ACCOUNT);
    sandbox.bind(&account, "nodeward-operator").await.unwrap();
    let kubeconfig = Some(sandbox.server_kubeconfig());
    let cluster = ClusterOptions { kubeconfig, ..ClusterOptions::default() };
    let server = Guarded::start_in(sandbox, cluster, options_in(sandbox)).await;

    let operator = server.user(User::Operator).await;
    eventually("the server has found it out", async || operator.client().cordon_node(cordon("worker-1")).await.ok())
        .await;
    let viewer = server.user(User::Viewer).await;
    assert_error(viewer.client().cordon_node(cordon("worker-1")).await, Code::PermissionDenied, "ACCESS_DENIED");
}
