//! What the server and the users of a sandbox may do: all of it, and nothing besides.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use nodeward_sandbox::{SERVER_ACCOUNT, SERVER_NAMESPACE, User};
use serde_json::json;

use crate::support::{DISTURBED, sandbox};

/// The rights of whoever has this client, in a namespace and beyond, as `verb resource.group`.
async fn rights(client: Client, namespace: &str) -> BTreeSet<String> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let answer = Api::<SelfSubjectRulesReview>::all(client).create(&PostParams::default(), &review).await.unwrap();
    let mut rights = BTreeSet::new();
    for rule in answer.status.unwrap().resource_rules {
        assert_eq!(rule.resource_names, None, "{rule:?}");
        for group in rule.api_groups.unwrap() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| format!("{verb} {resource}.{group}")));
            }
        }
    }
    rights
}

/// What everybody may do.
const EVERYBODYS: [&str; 3] = [
    "create selfsubjectaccessreviews.authorization.k8s.io",
    "create selfsubjectreviews.authentication.k8s.io",
    "create selfsubjectrulesreviews.authorization.k8s.io",
];

const SERVERS: [&str; 49] = [
    "create events.events.k8s.io",
    "create nodeoperations.nodeward.dev",
    "create subjectaccessreviews.authorization.k8s.io",
    "create tokenreviews.authentication.k8s.io",
    "delete nodeoperations.nodeward.dev",
    "get daemonsets.apps",
    "get namespaces.",
    "get nodeoperations.nodeward.dev",
    "get nodes.",
    "get persistentvolumeclaims.",
    "get poddisruptionbudgets.policy",
    "get pods.",
    "get volumeattachments.storage.k8s.io",
    "impersonate-on:serviceaccount:create nodes.",
    "impersonate-on:serviceaccount:create pods/eviction.",
    "impersonate-on:serviceaccount:delete nodes.",
    "impersonate-on:serviceaccount:delete pods.",
    "impersonate-on:serviceaccount:patch nodes.",
    "impersonate-on:serviceaccount:patch nodes/status.",
    "impersonate-on:user-info:create nodes.",
    "impersonate-on:user-info:create pods/eviction.",
    "impersonate-on:user-info:delete nodes.",
    "impersonate-on:user-info:delete pods.",
    "impersonate-on:user-info:patch nodes.",
    "impersonate-on:user-info:patch nodes/status.",
    "impersonate:serviceaccount serviceaccounts.authentication.k8s.io",
    "impersonate:user-info groups.authentication.k8s.io",
    "impersonate:user-info users.authentication.k8s.io",
    "list daemonsets.apps",
    "list namespaces.",
    "list nodeoperations.nodeward.dev",
    "list nodes.",
    "list persistentvolumeclaims.",
    "list poddisruptionbudgets.policy",
    "list pods.",
    "list volumeattachments.storage.k8s.io",
    "patch events.events.k8s.io",
    "patch nodeoperations.nodeward.dev",
    "patch nodeoperations/status.nodeward.dev",
    "update nodeoperations.nodeward.dev",
    "update nodeoperations/status.nodeward.dev",
    "watch daemonsets.apps",
    "watch namespaces.",
    "watch nodeoperations.nodeward.dev",
    "watch nodes.",
    "watch persistentvolumeclaims.",
    "watch poddisruptionbudgets.policy",
    "watch pods.",
    "watch volumeattachments.storage.k8s.io",
];

const SERVERS_IN_ITS_NAMESPACE: [&str; 10] = [
    "create configmaps.",
    "create leases.coordination.k8s.io",
    "delete configmaps.",
    "delete leases.coordination.k8s.io",
    "get configmaps.",
    "get leases.coordination.k8s.io",
    "list configmaps.",
    "patch configmaps.",
    "update leases.coordination.k8s.io",
    "watch configmaps.",
];

#[tokio::test]
async fn the_server_has_these_rights_and_no_others() {
    let _undisturbed = DISTURBED.read().await;
    let client = sandbox().await.server_client().await.unwrap();
    let set = |parts: &[&[&str]]| parts.iter().copied().flatten().map(|right| (*right).to_owned()).collect();
    let everywhere: BTreeSet<String> = set(&[&EVERYBODYS, &SERVERS]);
    assert_eq!(rights(client.clone(), "default").await, everywhere);
    let at_home: BTreeSet<String> = set(&[&EVERYBODYS, &SERVERS, &SERVERS_IN_ITS_NAMESPACE]);
    assert_eq!(rights(client, SERVER_NAMESPACE).await, at_home);
}

#[tokio::test]
async fn the_servers_kubeconfig_is_its_service_accounts_in_its_namespace() {
    let _undisturbed = DISTURBED.read().await;
    let client = sandbox().await.server_client().await.unwrap();
    assert_eq!(client.default_namespace(), SERVER_NAMESPACE);
    let review = SelfSubjectReview::default();
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    let username = answer.status.unwrap().user_info.unwrap().username.unwrap();
    assert_eq!(username, format!("system:serviceaccount:{SERVER_NAMESPACE}:{SERVER_ACCOUNT}"));
    assert!(!Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap().items.is_empty());
    Api::<ConfigMap>::default_namespaced(client).list(&ListParams::default()).await.unwrap();
}

/// Of these rights, as verb, group and resource, those that a user has.
async fn of<'a>(user: User, rights: &[(&'a str, &'a str, &'a str)]) -> Vec<(&'a str, &'a str, &'a str)> {
    let reviews: Api<SubjectAccessReview> = Api::all(sandbox().await.client().await.unwrap());
    let mut has = Vec::new();
    for (verb, group, resource) in rights {
        let attributes = json!({ "verb": verb, "group": group, "resource": resource });
        let spec = json!({ "user": user.name(), "groups": [user.group()], "resourceAttributes": attributes });
        let review = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        if reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed {
            has.push((*verb, *group, *resource));
        }
    }
    has
}

#[tokio::test]
async fn each_user_has_other_rights() {
    let _undisturbed = DISTURBED.read().await;
    const RIGHTS: [(&str, &str, &str); 14] = [
        ("get", "", "nodes"),
        ("list", "", "nodes"),
        ("watch", "", "nodes"),
        ("patch", "", "nodes"),
        ("create", "", "pods/eviction"),
        ("create", "", "nodes"),
        ("delete", "", "nodes"),
        ("delete", "", "pods"),
        ("list", "nodeward.dev", "auditrecords"),
        ("watch", "nodeward.dev", "auditrecords"),
        ("list", "", "secrets"),
        ("create", "nodeward.dev", "nodeoperations"),
        ("patch", "nodeward.dev", "nodeoperations"),
        ("delete", "nodeward.dev", "nodeoperations"),
    ];
    assert_eq!(of(User::Admin, &RIGHTS).await, RIGHTS[..8]);
    assert_eq!(of(User::Operator, &RIGHTS).await, RIGHTS[..5]);
    assert_eq!(of(User::Viewer, &RIGHTS).await, RIGHTS[..3]);
    assert_eq!(of(User::Auditor, &RIGHTS).await, [RIGHTS[0], RIGHTS[8], RIGHTS[9]]);
}

#[tokio::test]
async fn the_manifests_are_applied_by_kubectl_too() {
    let _undisturbed = DISTURBED.read().await;
    for folder in ["../crd", "../rbac", "../rbac/examples"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let flags = ["apply", "--dry-run=server", "--server-side", "--field-manager=nodeward-sandbox", "-k"];
        let args = flags.map(Into::into).into_iter().chain([folder.into_os_string()]);
        let output = sandbox().await.kubectl(args).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_service_account_is_good_for_its_audience_only() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let token =
        sandbox.service_account_token("default", "backend", &["nodeward"], Duration::from_secs(600)).await.unwrap();
    let reviews: Api<TokenReview> = Api::all(sandbox.server_client().await.unwrap());
    let review = async |audience: &str| {
        let spec = json!({ "token": token, "audiences": [audience] });
        let review = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap()
    };
    let good = review("nodeward").await;
    assert_eq!(good.user.unwrap().username.as_deref(), Some("system:serviceaccount:default:backend"));
    assert_ne!(review("https://kubernetes.default.svc").await.authenticated, Some(true));
}
