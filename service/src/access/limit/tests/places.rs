//! A call's place is free again when the call has ended, whatever it ended by.

use http_body_util::BodyExt;

use super::super::CallPermit;
use super::*;

/// A layer with one place for each class, which is all that is limited.
fn one_at_a_time() -> LimitLayer {
    let options = LimitOptions { read_concurrency: 1, watch_concurrency: 1, mutation_concurrency: 1, ..no_limits() };
    limited(&options).0
}

fn is_free(layer: &LimitLayer, path: &str) -> bool {
    call(layer, path, user("alice")).is_ok()
}

#[test]
fn a_watch_keeps_its_place_until_its_stream_is_dropped() {
    let layer = one_at_a_time();
    let watch = call(&layer, WATCH, user("alice")).unwrap();
    assert_eq!(reason(call(&layer, WATCH, user("alice"))), "RATE_LIMITED");
    assert!(call(&layer, WATCH, user("bob")).is_ok());
    drop(watch);
    assert!(is_free(&layer, WATCH));
}

#[tokio::test]
async fn a_watch_keeps_its_place_until_its_stream_has_ended() {
    let layer = one_at_a_time();
    let (feed, body) = fed();
    let mut watch = call_for(&layer, WATCH, user("alice"), body);
    feed.unbounded_send(Frame::data(Bytes::from_static(b"change"))).unwrap();
    assert!(watch.frame().await.unwrap().unwrap().is_data());
    assert!(!is_free(&layer, WATCH));
    feed.unbounded_send(Frame::trailers(http::HeaderMap::new())).unwrap();
    assert!(watch.frame().await.unwrap().unwrap().is_trailers());
    assert!(is_free(&layer, WATCH));
}

#[tokio::test]
async fn a_stream_without_trailers_ends_too() {
    let layer = one_at_a_time();
    let (feed, body) = fed();
    let mut read = call_for(&layer, GET, user("alice"), body);
    drop(feed);
    assert!(read.frame().await.is_none());
    assert!(is_free(&layer, GET));
}

#[test]
fn the_place_of_a_call_that_is_cancelled_is_free() {
    let layer = one_at_a_time();
    let handler = service_fn(|_: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let mut waiting = Box::pin(layer.layer(handler).oneshot(request(GET, user("alice"))));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(!is_free(&layer, GET));
    drop(waiting);
    assert!(is_free(&layer, GET));
}

#[tokio::test]
async fn the_place_of_a_call_whose_handler_panics_is_free() {
    let layer = one_at_a_time();
    let handler = service_fn(|_: Request<()>| async { panic!("a bug") as Result<Response<Body>, Infallible> });
    let broken = tokio::spawn(layer.layer(handler).oneshot(request(CORDON, user("alice")))).await;
    assert!(broken.unwrap_err().is_panic());
    assert!(is_free(&layer, CORDON));
}

#[test]
fn the_place_of_a_call_that_fails_is_free() {
    let layer = one_at_a_time();
    let handler = service_fn(|_: Request<()>| std::future::ready(Err::<Response<Body>, _>("broken")));
    let failed = layer.layer(handler).oneshot(request(GET, user("alice"))).now_or_never().unwrap();
    assert_eq!(failed.unwrap_err(), "broken");
    assert!(is_free(&layer, GET));
}

#[test]
fn a_mutation_that_goes_on_without_its_caller_keeps_its_place() {
    let layer = one_at_a_time();
    let (done, mut kept) = mpsc::unbounded();
    let handler = service_fn(move |request: Request<()>| {
        done.unbounded_send(request.extensions().get::<CallPermit>().cloned()).unwrap();
        std::future::pending::<Result<Response<Body>, Infallible>>()
    });
    let mut waiting = Box::pin(layer.layer(handler).oneshot(request(CORDON, user("alice"))));
    assert!((&mut waiting).now_or_never().is_none());
    drop(waiting);
    let permit = kept.try_recv().unwrap().unwrap();
    assert!(!is_free(&layer, CORDON));
    drop(permit);
    assert!(is_free(&layer, CORDON));
}

#[test]
fn a_call_that_finds_no_place_does_not_count_for_the_rate() {
    let (layer, _hand) = limited(&LimitOptions { read_concurrency: 1, read_rate: 1, read_burst: 2, ..no_limits() });
    let read = call(&layer, GET, user("alice")).unwrap();
    for _ in 0..10 {
        call(&layer, GET, user("alice")).unwrap_err();
    }
    drop(read);
    assert!(is_free(&layer, GET));
}
