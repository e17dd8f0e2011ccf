//! In whose name it is sent, and who is asked before.

use super::*;

#[tokio::test]
async fn it_is_sent_in_the_name_of_the_caller_and_nobody_else_is_asked() {
    let apiserver = Apiserver::granting();
    apiserver.remove(&eviction()).await.unwrap();
    let [look, write] = apiserver.seen().try_into().unwrap();
    assert_eq!((look.method.as_str(), look.header("impersonate-user")), ("GET", None));
    assert_eq!(write.header("impersonate-user"), Some("alice"));
    assert_eq!(write.header("impersonate-group"), Some("sre"));
}

#[tokio::test]
async fn in_the_servers_name_kubernetes_is_asked_first_whether_the_caller_may() {
    for (removal, verb, subresource) in [(eviction(), "create", json!("eviction")), (deletion(), "delete", Value::Null)]
    {
        let apiserver = Apiserver::granting();
        apiserver.remove_as(WriteAs::Server, &removal).await.unwrap();
        let [review, _, write] = apiserver.seen().try_into().unwrap();
        let asked: Value = serde_json::from_str(&review.body).unwrap();
        assert_eq!(asked["spec"]["user"], "alice");
        let attributes = &asked["spec"]["resourceAttributes"];
        assert_eq!(attributes["verb"], verb);
        assert_eq!(attributes["subresource"], subresource);
        assert_eq!((&attributes["resource"], &attributes["namespace"]), (&json!("pods"), &json!("shop")));
        assert_eq!(write.header("impersonate-user"), None);
    }
}

#[tokio::test]
async fn in_the_servers_name_nothing_is_done_for_who_may_not() {
    let apiserver = Apiserver { is_allowed: false, ..Apiserver::granting() };
    let refused = apiserver.remove_as(WriteAs::Server, &eviction()).await.unwrap_err();
    let message = "the caller may not create pods/eviction".to_owned();
    assert_eq!(refused, RemovalRefused::Forbidden { message, admission: String::new() });
    assert_eq!(apiserver.seen().len(), 1);
}

#[tokio::test]
async fn the_server_itself_is_asked_for_no_right() {
    let apiserver = Apiserver::granting();
    let removal = PodRemoval { caller: Caller::Server, ..eviction() };
    apiserver.remove_as(WriteAs::Server, &removal).await.unwrap();
    assert_eq!(apiserver.seen().len(), 2);
}
