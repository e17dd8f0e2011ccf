//! What is made of the pod as it is, and of each answer.

use super::*;

fn status(code: u16, reason: &str, details: Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Kubernetes' words.", "reason": reason, "details": details, "code": code,
    })
}

fn words() -> String {
    "Kubernetes' words.".to_owned()
}

async fn meaning(code: u16, reason: &str, details: Value) -> RemovalRefused {
    Apiserver::answering(code, &status(code, reason, details)).refusal().await
}

fn terminating(seconds: i64) -> Value {
    changed(|pod| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(seconds);
    })
}

#[tokio::test]
async fn nothing_is_written_for_a_pod_that_is_not_the_one_that_was_meant() {
    let conflict = |uid: &str, node: &str| RemovalRefused::Conflict { uid: uid.to_owned(), node: node.to_owned() };
    for (found, expected) in [
        (None, RemovalRefused::Gone),
        (Some(terminating(30)), RemovalRefused::Terminating),
        (Some(changed(|pod| pod["metadata"]["uid"] = json!("u-2"))), conflict("u-2", "worker-1")),
        (Some(changed(|pod| pod["spec"]["nodeName"] = json!("worker-2"))), conflict("u-1", "worker-2")),
        (Some(changed(|pod| pod["spec"]["nodeName"] = Value::Null)), conflict("u-1", "")),
    ] {
        for removal in [eviction(), deletion()] {
            let apiserver = Apiserver::granting().with_pods([found.clone()]);
            assert_eq!(apiserver.remove(&removal).await, Err(expected.clone()));
            assert_eq!(apiserver.writes(), []);
        }
    }
}

#[tokio::test]
async fn a_pod_that_is_being_removed_is_deleted_again_only_to_give_it_less_time() {
    for (grace, writes) in [(None, 0), (Some(30), 0), (Some(29), 1), (Some(0), 1)] {
        let apiserver = Apiserver::granting().with_pods([Some(terminating(30))]);
        let removed = apiserver.remove(&PodRemoval { grace_seconds: grace, ..deletion() }).await;
        assert_eq!((removed.is_ok(), apiserver.writes().len()), (writes == 1, writes), "{grace:?}");
    }
}

fn blocked(retry_after: u32) -> Value {
    let cause = json!({ "reason": "DisruptionBudget", "message": "It needs 4 and has 4." });
    json!({ "causes": [cause], "retryAfterSeconds": retry_after })
}

#[tokio::test]
async fn a_budget_is_known_by_its_cause_and_its_name_by_its_selector() {
    let budgets = [budget("other", &json!({ "matchLabels": { "app": "db" } })), budget("web", &json!({}))];
    let answer = status(429, "TooManyRequests", blocked(0));
    let refused = Apiserver::answering(429, &answer).with_budgets(budgets).refusal().await;
    let message = "Kubernetes' words. It needs 4 and has 4.".to_owned();
    assert_eq!(refused, RemovalRefused::Budget { message, budget: Some("web".to_owned()), retry_after: None });
}

#[tokio::test]
async fn a_budget_that_is_just_being_counted_says_when_to_come_back() {
    let RemovalRefused::Budget { budget, retry_after, .. } = meaning(429, "TooManyRequests", blocked(10)).await else {
        panic!()
    };
    assert_eq!((budget, retry_after), (None, Some(Duration::from_secs(10))));
}

#[tokio::test]
async fn a_budget_whose_numbers_cannot_be_is_named_by_the_refusal() {
    let details = json!({ "name": "web", "group": "policy", "kind": "poddisruptionbudget" });
    let expected = RemovalRefused::Budget { message: words(), budget: Some("web".to_owned()), retry_after: None };
    assert_eq!(meaning(403, "Forbidden", details).await, expected);
}

#[tokio::test]
async fn throttling_is_no_budget() {
    let throttled = |seconds| RemovalRefused::Throttled { retry_after: Duration::from_secs(seconds) };
    assert_eq!(meaning(429, "TooManyRequests", json!({ "retryAfterSeconds": 3 })).await, throttled(3));
    assert_eq!(meaning(429, "TooManyRequests", Value::Null).await, throttled(1));
}

#[tokio::test]
async fn an_apiserver_without_time_says_only_in_a_header_when_to_come_back() {
    let answer = (429, vec![("retry-after", "8")], "Too many requests, please try again later.".to_owned());
    let apiserver = Apiserver { answer, ..Apiserver::granting() };
    assert_eq!(apiserver.refusal().await, RemovalRefused::Throttled { retry_after: Duration::from_secs(8) });
}

#[tokio::test]
async fn several_budgets_are_known_by_their_number_and_the_lack_of_a_reason() {
    let [first, second] = ["b", "a"].map(|name| budget(name, &json!({ "matchLabels": { "app": "web" } })));
    let answer = |reason| Apiserver::answering(500, &status(500, reason, Value::Null));
    let several = answer("").with_budgets([first.clone(), second.clone()]).refusal().await;
    assert_eq!(several, RemovalRefused::SeveralBudgets { budgets: vec!["a".to_owned(), "b".to_owned()] });

    let failed = RemovalRefused::Unavailable { detail: words() };
    assert_eq!(answer("").with_budgets([first.clone()]).refusal().await, failed);
    assert_eq!(answer("InternalError").with_budgets([first, second]).refusal().await, failed);
}

#[tokio::test]
async fn a_budget_without_a_selector_or_with_a_wrong_one_covers_nothing() {
    let wrong = json!({ "matchExpressions": [{ "key": "app", "operator": "Is", "values": ["web"] }] });
    let budgets = [budget("a", &Value::Null), budget("b", &wrong)];
    let apiserver = Apiserver::answering(500, &status(500, "", Value::Null)).with_budgets(budgets);
    assert_eq!(apiserver.refusal().await, RemovalRefused::Unavailable { detail: words() });
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_known_by_its_cause() {
    let details =
        json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "", "field": "metadata.namespace" }] });
    assert_eq!(meaning(403, "Forbidden", details).await, RemovalRefused::NamespaceTerminating);
}

#[tokio::test]
async fn whatever_else_is_refused_keeps_the_words_of_kubernetes() {
    for (code, reason) in [(403, "Forbidden"), (400, "BadRequest"), (422, "Invalid")] {
        assert_eq!(
            meaning(code, reason, Value::Null).await,
            RemovalRefused::Forbidden { message: words(), admission: String::new() },
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_no_refusal() {
    for (code, reason) in [(500, "InternalError"), (503, "ServiceUnavailable"), (504, "Timeout")] {
        assert_eq!(meaning(code, reason, Value::Null).await, RemovalRefused::Unavailable { detail: words() }, "{code}");
    }
    assert!(matches!(meaning(401, "Unauthorized", Value::Null).await, RemovalRefused::Unavailable { .. }));
}

#[tokio::test]
async fn what_happened_to_the_pod_at_the_same_time_is_looked_up() {
    let other = changed(|pod| pod["metadata"]["uid"] = json!("u-2"));
    let conflict = RemovalRefused::Conflict { uid: "u-2".to_owned(), node: "worker-1".to_owned() };
    for (code, now, expected) in [
        (404, None, RemovalRefused::Gone),
        (409, None, RemovalRefused::Gone),
        (409, Some(other), conflict),
        (409, Some(terminating(30)), RemovalRefused::Terminating),
        (409, Some(pod()), RemovalRefused::Unavailable { detail: words() }),
        // A webhook may refuse with any code.
        (404, Some(pod()), RemovalRefused::Forbidden { message: words(), admission: String::new() }),
    ] {
        let apiserver = Apiserver::answering(code, &status(code, "", Value::Null)).with_pods([Some(pod()), now]);
        assert_eq!(apiserver.refusal().await, expected, "{code}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_unavailable() {
    let service = tower::service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, _>(std::io::Error::other("there is no cluster"))
    });
    let client = Client::new(service, "default");
    let remover = Remover::new(client.clone(), Reviews::new(client), Impersonation::new(WriteAs::Caller));
    let detail = "there is no cluster".to_owned();
    assert_eq!(remover.remove(&eviction()).await, Err(RemovalRefused::Unavailable { detail }));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_deadline() {
    let service =
        tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, std::io::Error>>());
    let client = Client::new(service, "default");
    let remover = Remover::new(client.clone(), Reviews::new(client), Impersonation::new(WriteAs::Caller));
    let removal = eviction();
    assert!(matches!(remover.remove(&removal).await, Err(RemovalRefused::Unavailable { .. })));
    assert_eq!(Instant::now(), removal.deadline);
}
