//! Streams of the health service and of reflection.

use super::*;
use crate::access::limit::side::{OF_ALL, OF_CONNECTION, OF_NETWORK};
use crate::standing::Standing;

const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Opens a stream on this connection.
fn open(layer: &LimitLayer, path: &str, caller: Option<Caller>, standing: &Standing) -> Result<Answer, Status> {
    let mut request = request(path, caller);
    request.extensions_mut().insert(standing.clone());
    let body = Body::new(StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>()));
    let mut body = Some(body);
    let mut answer = move || Response::new(body.take().unwrap());
    let handler = service_fn(move |_: Request<()>| std::future::ready(Ok::<_, Infallible>(answer())));
    let answer = layer.layer(handler).oneshot(request).now_or_never().unwrap().unwrap();
    match Status::from_header_map(answer.headers()) {
        Some(status) => Err(status),
        None => Ok(answer),
    }
}

/// Opens as many as may be, eight on each connection: how many there are.
fn open_all(layer: &LimitLayer, network: [u8; 4]) -> Vec<Answer> {
    let mut opened = Vec::new();
    for _ in 0..1000 {
        let standing = Standing::new(network.into());
        for _ in 0..OF_CONNECTION {
            match open(layer, HEALTH_WATCH, None, &standing) {
                Ok(answer) => opened.push(answer),
                Err(_) => return opened,
            }
        }
    }
    opened
}

#[test]
fn a_connection_has_so_many_streams_of_health_and_reflection() {
    let (layer, _) = limited(&no_limits());
    let standing = Standing::new([192, 0, 2, 1].into());
    for (path, caller) in [(HEALTH_WATCH, None), (REFLECT, user("alice"))] {
        let opened: Vec<_> = (0..100).map_while(|_| open(&layer, path, caller.clone(), &standing).ok()).collect();
        assert_eq!(opened.len(), OF_CONNECTION as usize, "{path}");
        assert_eq!(reason(open(&layer, HEALTH_WATCH, None, &standing)), "OVERLOADED");
    }
    // Those have ended.
    open(&layer, HEALTH_WATCH, None, &standing).unwrap();
}

#[test]
fn a_health_check_is_answered_whatever_streams_there_are() {
    let (layer, _) = limited(&no_limits());
    let standing = Standing::new([192, 0, 2, 1].into());
    let _opened: Vec<_> = (0..100).map_while(|_| open(&layer, HEALTH_WATCH, None, &standing).ok()).collect();
    open(&layer, HEALTH_CHECK, None, &standing).unwrap();
}

#[test]
fn strangers_of_one_network_take_no_places_of_others() {
    let (layer, _) = limited(&no_limits());
    let opened = open_all(&layer, [192, 0, 2, 1]);
    assert_eq!(opened.len(), OF_NETWORK as usize);
    open(&layer, HEALTH_WATCH, None, &Standing::new([192, 0, 2, 2].into())).unwrap();
}

#[test]
fn all_strangers_together_have_so_many_and_take_no_places_of_those_who_are_known() {
    let (layer, _) = limited(&no_limits());
    let opened: Vec<_> = (0..10).flat_map(|number| open_all(&layer, [192, 0, 2, number])).collect();
    assert_eq!(opened.len(), OF_ALL as usize);
    let known = Standing::new([192, 0, 2, 1].into());
    assert_eq!(reason(open(&layer, HEALTH_WATCH, None, &known)), "OVERLOADED");
    known.vouch();
    open(&layer, HEALTH_WATCH, None, &known).unwrap();
}
