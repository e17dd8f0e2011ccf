//! What one user may send does not depend on what others do.

use std::time::Duration;

use super::super::states::MOST_USERS;
use super::*;

fn two_reads_at_once() -> LimitOptions {
    LimitOptions { read_rate: 10, read_burst: 2, ..no_limits() }
}

#[test]
fn after_a_burst_calls_are_refused_until_the_time_that_the_refusal_says() {
    let (layer, hand) = limited(&two_reads_at_once());
    assert_eq!(let_in(&layer, GET, user("alice")).len(), 2);
    let refused = call(&layer, GET, user("alice")).unwrap_err();
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    hand.advance(wait - Duration::from_nanos(1));
    call(&layer, GET, user("alice")).unwrap_err();
    hand.advance(Duration::from_nanos(1));
    call(&layer, GET, user("alice")).unwrap();
}

#[test]
fn the_flood_of_one_user_does_not_touch_another() {
    let (layer, _hand) = limited(&LimitOptions { read_concurrency: 1000, ..two_reads_at_once() });
    for _ in 0..10_000 {
        let _ = call(&layer, GET, user("mallory"));
    }
    assert_eq!(let_in(&layer, GET, user("alice")).len(), 2);
}

#[test]
fn the_classes_do_not_use_up_each_others_limits() {
    let options = LimitOptions { watch_concurrency: 3, mutation_rate: 1, mutation_burst: 4, ..two_reads_at_once() };
    let (layer, _hand) = limited(&options);
    let found = [GET, WATCH, CORDON].map(|path| let_in(&layer, path, user("alice")).len());
    assert_eq!(found, [2, 3, 4]);
}

#[test]
fn reflection_counts_as_a_read() {
    let (layer, _hand) = limited(&two_reads_at_once());
    let _reads = let_in(&layer, GET, user("alice"));
    assert_eq!(reason(call(&layer, REFLECT, user("alice"))), "RATE_LIMITED");
}

#[test]
fn what_is_not_in_the_contract_counts_as_a_read() {
    let (layer, _hand) = limited(&two_reads_at_once());
    assert_eq!(let_in(&layer, "/nodeward.v1.NodeService/Nothing", user("alice")).len(), 2);
    assert_eq!(let_in(&layer, GET, user("alice")).len(), 0);
}

#[test]
fn health_is_not_limited() {
    let (layer, _hand) =
        limited(&LimitOptions { read_concurrency: 1, max_calls: 1, max_streams: 1, ..two_reads_at_once() });
    let _all = let_in(&layer, CORDON, user("alice"));
    for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
        assert_eq!(let_in(&layer, path, None).len(), 1000, "{path}");
    }
}

#[test]
fn two_credentials_of_one_user_are_one_user() {
    let (layer, _hand) = limited(&two_reads_at_once());
    let _certificate = call(&layer, GET, user("alice")).unwrap();
    let token = Principal {
        username: "alice".into(),
        groups: vec!["admins".into()],
        details: Details::default(),
        credential: Credential::OidcToken,
        expires: None,
    };
    assert_eq!(let_in(&layer, GET, Some(Caller::User(Arc::new(token)))).len(), 1);
}

#[test]
fn callers_who_are_not_known_are_limited_as_one_user() {
    let (layer, _hand) = limited(&two_reads_at_once());
    assert_eq!(let_in(&layer, GET, None).len(), 2);
    let refused = call(&layer, GET, None).unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().metadata["user"], "system:anonymous");
}

#[test]
fn the_server_itself_is_bound_only_by_what_it_can_do() {
    let options = LimitOptions { read_concurrency: 1, max_calls: 100, ..two_reads_at_once() };
    let (layer, _hand) = limited(&options);
    let reads = let_in(&layer, GET, Some(Caller::Server));
    assert_eq!(reads.len(), 80);
    assert_eq!(reason(call(&layer, GET, Some(Caller::Server))), "OVERLOADED");
}

#[test]
fn a_hundred_thousand_users_are_not_all_remembered() {
    let (layer, hand) = limited(&LimitOptions { max_calls: 0, max_streams: 0, ..LimitOptions::default() });
    for number in 0..100_000 {
        for path in [GET, WATCH, CORDON] {
            drop(layer.limits.admit(path, user(&format!("user-{number}")).as_ref(), None));
        }
        hand.advance(Duration::from_micros(1));
    }
    assert!(layer.limits.known_users() <= 3 * MOST_USERS, "{}", layer.limits.known_users());
    hand.advance(Duration::from_secs(60));
    for path in [GET, WATCH, CORDON] {
        drop(layer.limits.admit(path, user("alice").as_ref(), None));
    }
    assert_eq!(layer.limits.known_users(), 3);
}
