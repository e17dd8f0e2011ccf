//! The rights of the server itself: deploy/rbac grants those that it needs and no others, and it names each that it lacks.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::PostParams;
use nodeward_sandbox::{SERVER_ACCOUNT, SERVER_NAMESPACE, Subject};
use nodeward_server::access::own_rights::{missing, needed};
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection, WritesAs};
use serde_json::json;
use tempfile::TempDir;

use crate::support::guarded::rbac_only;
use crate::support::process::ServerProcess;
use crate::support::tls::Site;
use crate::support::tokens::{NAMESPACE, token_for};
use crate::support::{unique, world};

/// The rules in the words of the server, one for each verb and resource.
fn in_words(rules: Vec<PolicyRule>, place: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for PolicyRule { api_groups, resources, verbs, .. } in rules {
        for group in api_groups.iter().flatten() {
            for resource in resources.iter().flatten() {
                words.extend(verbs.iter().map(|verb| {
                    format!("{{apiGroups: [{group:?}], resources: [{resource:?}], verbs: [{verb:?}]}} {place}")
                }));
            }
        }
    }
    words
}

#[tokio::test]
async fn the_manifests_grant_what_the_server_needs_and_nothing_else() {
    // Those of deploy/rbac, which the sandbox has applied.
    let client = world().await.sandbox.client().await.unwrap();
    let role = Api::<ClusterRole>::all(client.clone()).get(SERVER_ACCOUNT).await.unwrap();
    let mut granted = in_words(role.rules.unwrap(), "in a ClusterRole");
    let role = Api::<Role>::namespaced(client, SERVER_NAMESPACE).get(SERVER_ACCOUNT).await.unwrap();
    granted.extend(in_words(role.rules.unwrap(), &format!("in a Role of namespace {SERVER_NAMESPACE}")));
    let needed = needed(SERVER_NAMESPACE, WritesAs::Caller);
    assert_eq!(needed.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), granted);
}

#[tokio::test]
async fn the_server_finds_that_it_has_all_that_it_needs() {
    let missing_of = async |cluster: &ClusterOptions, writes_as| {
        let cluster = Cluster::new(Connection::open(cluster).await.unwrap());
        missing(cluster.reviews(), needed(SERVER_NAMESPACE, writes_as)).await.unwrap().len()
    };
    assert_eq!(missing_of(&rbac_only().await, WritesAs::Caller).await, 0);
    assert_eq!(missing_of(&rbac_only().await, WritesAs::Server).await, 6);
}

/// The rights of deploy/rbac without one rule, for another service account: its kubeconfig.
async fn without(removed: impl Fn(&PolicyRule) -> bool, verb: &str, directory: &TempDir) -> String {
    let sandbox = &world().await.sandbox;
    let name = unique("lacking");
    let roles: Api<ClusterRole> = Api::all(sandbox.client().await.unwrap());
    let mut rules = roles.get(SERVER_ACCOUNT).await.unwrap().rules.unwrap();
    rules.iter_mut().filter(|rule| removed(rule)).for_each(|rule| rule.verbs.retain(|one| one != verb));
    // Everything that it keeps is in its own namespace; that of this one is another.
    for (group, resource) in [("", "configmaps"), ("coordination.k8s.io", "leases")] {
        let rule = json!({ "apiGroups": [group], "resources": [resource], "verbs": ["*"] });
        rules.push(serde_json::from_value(rule).unwrap());
    }
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    let token = token_for(&name, &[]).await;
    sandbox.bind(&Subject::service_account(NAMESPACE, &name), &name).await.unwrap();
    let kubeconfig = std::fs::read_to_string(sandbox.server_kubeconfig()).unwrap();
    let (before, rest) = kubeconfig.split_once("token: ").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, format!("{before}token: {token}\n{after}")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a server with this kubeconfig says that it lacks.
async fn lacks(kubeconfig: &str) -> Vec<String> {
    let site = Site::new();
    let flags = site.flags();
    let flags: Vec<&str> = ["--no-audit"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let server = ServerProcess::start_exactly(kubeconfig.as_ref(), &flags).await;
    let said = server.said.iter().filter_map(|line| line.split_once("the server lacks a right right="));
    said.map(|(_, right)| right.to_owned()).collect()
}

#[tokio::test]
async fn a_server_names_exactly_the_rule_that_it_lacks() {
    let directory = TempDir::new().unwrap();
    let status =
        |rule: &PolicyRule| rule.resources.as_ref().is_some_and(|one| one.contains(&"nodes/status".to_owned()));
    let verb = "impersonate-on:serviceaccount:patch";
    let kubeconfig = without(status, verb, &directory).await;
    let expected = format!(r#"{{apiGroups: [""], resources: ["nodes/status"], verbs: ["{verb}"]}} in a ClusterRole"#);
    assert_eq!(lacks(&kubeconfig).await, [expected]);
}

#[tokio::test]
async fn a_server_with_the_rights_of_the_manifests_lacks_none() {
    let kubeconfig = world().await.sandbox.server_kubeconfig();
    assert!(lacks(kubeconfig.to_str().unwrap()).await.is_empty());
}
