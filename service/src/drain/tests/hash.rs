//! What makes a plan another one.

use super::super::*;
use super::example::*;
use crate::pod::example::PodExample;

fn hash_of(cluster: &Cluster) -> PlanHash {
    cluster.default_plan().hash
}

fn small() -> Cluster {
    cluster([web("web-1"), of_daemon_set("logs-1")]).daemon_set("logs").budget(budget("web").healthy(5, 4, 5))
}

fn changed(change: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = small();
    change(&mut cluster);
    cluster
}

#[test]
fn it_is_the_same_in_every_version_that_has_this_form() {
    let hash = cluster([]).default_plan().hash;
    assert_eq!(hash.as_str().len(), 64);
    let canonical = concat!(
        r#"{"form":"nodeward drain plan 1","node_uid":"uid-node","policy":{"unmanagedPods":"Refuse","#,
        r#""daemonSetPods":"Leave","orphanedDaemonSetPods":"Refuse","emptyDirData":"Refuse","removal":"Evict","#,
        r#""budgetOverrides":[],"podSelector":"","atDeadline":"Fail","ordering":"ByTier","rules":[],"#,
        r#""unreachableNode":"Wait","onUncordon":"CordonAgain"},"pods":[]}"#
    );
    use sha2::{Digest, Sha256};
    let expected: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash.to_string(), expected);
}

#[test]
fn what_changes_by_itself_does_not_change_it() {
    let before = hash_of(&small());
    let others: [(&str, Cluster); 5] = [
        (
            "the numbers of a budget",
            changed(|it| {
                it.budgets[0] = {
                    let mut budget = it.budgets[0].clone();
                    budget.status.as_mut().unwrap().disruptions_allowed = Some(0);
                    budget
                }
            }),
        ),
        ("a node comes", changed(|it| it.others.push(node("new").build()))),
        ("a pod elsewhere", changed(|it| it.pods.push(web("there").on("other").build()))),
        ("a pod becomes unready", changed(|it| it.pods[0] = web("web-1").unready().build())),
        ("a pod that is left is replaced", changed(|it| it.pods[1] = of_daemon_set("logs-2").build())),
    ];
    for (what, cluster) in others {
        assert_eq!(hash_of(&cluster), before, "{what}");
    }
}

#[test]
fn what_the_drain_does_differently_changes_it() {
    let before = hash_of(&small());
    let replace = |pod: PodExample| changed(|it| it.pods[0] = pod.build());
    let others: [(&str, Cluster); 7] = [
        ("another node", changed(|it| it.node.metadata.uid = Some("another".into()))),
        ("another pod under the same name", replace(web("web-1").with(|pod| pod.metadata.uid = Some("new".into())))),
        ("a pod comes", changed(|it| it.pods.push(web("web-2").build()))),
        ("another action", replace(web("web-1").label(DRAIN_LABEL, "wait-completed"))),
        ("another tier", replace(web("web-1").priority(2_000_000_000))),
        ("another budget", changed(|it| it.budgets[0].metadata.name = Some("other".into()))),
        ("a pod that was left goes", changed(|it| it.pods[1] = web("logs-1").build())),
    ];
    for (what, cluster) in others {
        assert_ne!(hash_of(&cluster), before, "{what}");
    }
}

#[test]
fn another_policy_is_another_plan() {
    let policy = DrainPolicy { grace_period_seconds: Some(30), ..DrainPolicy::default() };
    assert_ne!(small().plan(&policy).hash, hash_of(&small()));
}
