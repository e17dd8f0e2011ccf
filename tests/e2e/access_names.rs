//! Names that nobody may have here.

use nodeward_sandbox::{ClientCertificate, Subject, User};

use crate::support::guarded::guarded;
use crate::support::world;

#[tokio::test]
async fn members_of_system_masters_are_told_at_the_door() {
    for certificate in [
        ClientCertificate::of("admin").group("system:masters"),
        ClientCertificate::of("admin").group(User::Admin.group()).group("system:masters"),
    ] {
        let detail = guarded().await.with(certificate).await.is_unknown().await;
        assert!(detail.contains(r#"names "system:masters""#), "{detail}");
    }
}

#[tokio::test]
async fn nodes_are_told_at_the_door() {
    for certificate in [
        ClientCertificate::of("system:node:worker-1"),
        ClientCertificate::of("system:node:worker-1").group("system:nodes"),
    ] {
        let detail = guarded().await.with(certificate).await.is_unknown().await;
        assert!(detail.contains(r#""system:node"#), "{detail}");
    }
}

#[tokio::test]
async fn no_certificate_is_of_kubernetes_own() {
    // They have rights, which nobody gets by naming them.
    let account = Subject::service_account("default", "named");
    world().await.sandbox.bind(&account, "nodeward-admin").await.unwrap();
    for certificate in [
        ClientCertificate::of("system:serviceaccount:default:named"),
        ClientCertificate::of("system:kube-controller-manager"),
        ClientCertificate::of("system:anonymous"),
        ClientCertificate::of("alice").group("system:serviceaccounts"),
        ClientCertificate::of("alice").group("system:authenticated"),
    ] {
        let detail = guarded().await.with(certificate).await.is_unknown().await;
        assert!(detail.contains("is Kubernetes' own"), "{detail}");
    }
}

#[tokio::test]
async fn a_name_that_would_be_another_one_on_its_way_is_refused() {
    for name in [" admin", "admin ", "ad\nmin", "\tsystem:masters"] {
        for certificate in [ClientCertificate::of(name), ClientCertificate::of("alice").group(name)] {
            let detail = guarded().await.with(certificate).await.is_unknown().await;
            assert!(detail.contains("no control characters nor spaces at their ends"), "{detail}");
        }
    }
}
