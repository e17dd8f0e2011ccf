//! What is sent, to the byte.

use super::*;

async fn written(removal: &PodRemoval) -> Seen {
    let apiserver = Apiserver::granting();
    apiserver.remove(removal).await.unwrap();
    let [write] = apiserver.writes().try_into().unwrap();
    write
}

#[tokio::test]
async fn an_eviction_names_the_uid_where_kubernetes_reads_it() {
    let write = written(&eviction()).await;
    assert_eq!((write.method.as_str(), write.target.as_str()), ("POST", EVICTION));
    assert_eq!(
        write.body,
        r#"{"apiVersion":"policy/v1","kind":"Eviction","deleteOptions":{"preconditions":{"uid":"u-1"}},"metadata":{"name":"web-1","namespace":"shop"}}"#
    );
    assert_eq!(write.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_grace_period_is_sent_only_if_there_is_one_and_zero_is_one() {
    for (grace, expected) in [(0, r#"{"gracePeriodSeconds":0,"#), (7, r#"{"gracePeriodSeconds":7,"#)] {
        let write = written(&PodRemoval { grace_seconds: Some(grace), ..eviction() }).await;
        assert!(write.body.contains(&format!(r#""deleteOptions":{expected}"#)), "{}", write.body);
    }
    assert!(!written(&deletion()).await.body.contains("gracePeriodSeconds"));
}

#[tokio::test]
async fn a_dry_run_says_so_to_admission_and_to_the_eviction_itself() {
    let write = written(&PodRemoval { dry_run: true, ..eviction() }).await;
    assert_eq!(write.target, format!("{EVICTION}?dryRun=All"));
    assert!(write.body.contains(r#""deleteOptions":{"dryRun":["All"],"#), "{}", write.body);
}

#[tokio::test]
async fn a_deletion_names_the_uid_too() {
    let removal = PodRemoval { grace_seconds: Some(1), dry_run: true, ..deletion() };
    let write = written(&removal).await;
    assert_eq!((write.method.as_str(), write.target.as_str()), ("DELETE", POD));
    assert_eq!(write.body, r#"{"dryRun":["All"],"gracePeriodSeconds":1,"preconditions":{"uid":"u-1"}}"#);
}

#[tokio::test]
async fn all_that_is_asked_is_filed_under_the_audit_id() {
    let apiserver = Apiserver::granting();
    apiserver.remove(&eviction()).await.unwrap();
    let ids: Vec<_> = apiserver.seen().iter().map(|seen| seen.header("audit-id").map(str::to_owned)).collect();
    assert_eq!(ids, [(); 2].map(|()| Some("00000000-0000-0000-0000-000000000007".to_owned())));
}

#[tokio::test]
async fn a_blocked_eviction_is_sent_once() {
    let status = json!({ "kind": "Status", "reason": "TooManyRequests", "code": 429, "details": {
        "causes": [{ "reason": "DisruptionBudget", "message": "" }], "retryAfterSeconds": 1
    } });
    let apiserver = Apiserver::answering(429, &status);
    apiserver.refusal().await;
    assert_eq!(apiserver.writes().len(), 1);
}
