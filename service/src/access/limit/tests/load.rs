//! When there is more to do than can be done, the least important is refused, and what is open stays open.

use std::time::Duration;

use http_body_util::BodyExt;

use super::*;

#[test]
fn reads_are_refused_first_then_watches_and_mutations_last() {
    let (layer, _hand) = limited(&LimitOptions { max_calls: 10, ..no_limits() });
    let mut busy = let_in(&layer, GET, user("alice"));
    assert_eq!(busy.len(), 8);
    // What opens a stream gives its place among the calls back, so that these are not used up.
    assert!(let_in(&layer, WATCH, user("bob")).len() > 100);
    busy.push(call(&layer, CORDON, user("bob")).unwrap());
    assert_eq!(reason(call(&layer, WATCH, user("bob"))), "OVERLOADED");
    busy.push(call(&layer, CORDON, user("bob")).unwrap());
    assert_eq!(reason(call(&layer, CORDON, user("bob"))), "OVERLOADED");
    drop(busy);
    assert_eq!(let_in(&layer, CORDON, user("bob")).len(), 10);
}

#[tokio::test]
async fn open_watches_survive_an_overload() {
    let (layer, _hand) = limited(&LimitOptions { max_calls: 10, max_streams: 1, ..no_limits() });
    let (feed, body) = fed();
    let mut watch = call_for(&layer, WATCH, user("alice"), body);
    let _busy = let_in(&layer, CORDON, user("bob"));
    call(&layer, GET, user("alice")).unwrap_err();
    feed.unbounded_send(Frame::data(Bytes::from_static(b"change"))).unwrap();
    assert_eq!(watch.frame().await.unwrap().unwrap().into_data().unwrap(), "change");
}

#[test]
fn open_streams_have_a_bound_of_their_own() {
    let (layer, _hand) = limited(&LimitOptions { max_calls: 10, max_streams: 20, ..no_limits() });
    let mut open = let_in(&layer, WATCH, user("alice"));
    assert_eq!(open.len(), 20);
    assert_eq!(reason(call(&layer, REFLECT, user("bob"))), "OVERLOADED");
    assert!(call(&layer, GET, user("bob")).is_ok());
    open.pop();
    assert!(call(&layer, WATCH, user("bob")).is_ok());
}

#[test]
fn a_watch_is_a_call_until_it_is_open() {
    let (layer, _hand) = limited(&LimitOptions { max_calls: 1, ..no_limits() });
    let handler = service_fn(|_: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let mut opening = Box::pin(layer.layer(handler).oneshot(request(WATCH, user("alice"))));
    assert!((&mut opening).now_or_never().is_none());
    assert_eq!(reason(call(&layer, GET, user("bob"))), "OVERLOADED");
    drop(opening);
    assert!(call(&layer, GET, user("bob")).is_ok());
}

#[test]
fn a_user_over_their_own_limit_is_refused_before_any_place_of_others_is_looked_for() {
    let (layer, _hand) = limited(&LimitOptions { read_concurrency: 1, max_calls: 1, ..no_limits() });
    let _mine = call(&layer, GET, user("mallory")).unwrap();
    assert_eq!(reason(call(&layer, GET, user("mallory"))), "RATE_LIMITED");
    assert_eq!(reason(call(&layer, GET, user("alice"))), "OVERLOADED");
}

#[test]
fn who_is_refused_because_of_the_load_is_told_to_wait_a_little() {
    let (layer, _hand) = limited(&LimitOptions { max_calls: 1, ..no_limits() });
    let _busy = call(&layer, CORDON, user("alice")).unwrap();
    let refused = call(&layer, GET, user("bob")).unwrap_err();
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&wait), "{wait:?}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((info.metadata["class"].as_str(), info.metadata["limit"].as_str()), ("reads", "calls"));
}
