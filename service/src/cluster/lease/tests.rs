//! Servers that share a lease, in a time that passes only while all of them wait.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::advance;

use super::*;

/// What becomes of a server's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Up,
    /// They never arrive.
    Cut,
    /// They arrive, and their answers don't.
    Deaf,
}

/// An apiserver with at most one lease.
#[derive(Clone, Default)]
struct Apiserver(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    lease: Option<Value>,
    version: u64,
    writes: usize,
}

impl Apiserver {
    /// A server's way to it.
    fn client(&self) -> (Client, watch::Sender<Network>) {
        let (apiserver, network) = (self.clone(), watch::Sender::new(Network::Up));
        let state = network.subscribe();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (apiserver, network) = (apiserver.clone(), *state.borrow());
            async move {
                if network == Network::Cut {
                    return std::future::pending().await;
                }
                let method = request.method().clone();
                let body = request.into_body().collect_bytes().await.unwrap();
                let (code, answer) = apiserver.answer(&method, serde_json::from_slice(&body).unwrap_or_default());
                if network == Network::Deaf {
                    return std::future::pending().await;
                }
                let response = Response::builder().status(code);
                Ok::<_, std::io::Error>(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
        });
        (Client::new(service, "default"), network)
    }

    fn answer(&self, method: &Method, body: Value) -> (u16, Value) {
        let status = |code: u16, reason: &str| {
            (code, json!({ "kind": "Status", "status": "Failure", "reason": reason, "code": code }))
        };
        let mut inner = self.0.lock().unwrap();
        let known = inner.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method, known) {
            (&Method::GET, None) | (&Method::PUT, None) => status(404, "NotFound"),
            (&Method::GET, Some(_)) => (200, inner.lease.clone().unwrap()),
            (&Method::POST, Some(_)) => status(409, "AlreadyExists"),
            (&Method::PUT, Some(known)) if known != body["metadata"]["resourceVersion"] => status(409, "Conflict"),
            _ => {
                inner.version += 1;
                inner.writes += 1;
                let mut lease = body;
                lease["metadata"]["resourceVersion"] = json!(inner.version.to_string());
                inner.lease = Some(lease.clone());
                (200, lease)
            }
        }
    }

    fn elector(&self, who: &str) -> (Elector, watch::Sender<Network>) {
        let (client, network) = self.client();
        (Elector::new(client, "default", "operations", who, LeaseTiming::default()), network)
    }

    /// Changes the lease behind the servers' backs.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut inner = self.0.lock().unwrap();
        inner.version += 1;
        let version = json!(inner.version.to_string());
        let lease = inner.lease.as_mut().unwrap();
        change(lease);
        lease["metadata"]["resourceVersion"] = version;
    }

    fn delete(&self) {
        self.0.lock().unwrap().lease = None;
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    fn spec(&self) -> Value {
        self.0.lock().unwrap().lease.clone().unwrap()["spec"].clone()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_first_one_gets_it_and_keeps_it() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let (mut b, _) = apiserver.elector("b");
    let leadership = a.acquire().await;
    assert_eq!(leadership.term().epoch(), 1);
    assert_eq!(apiserver.spec()["holderIdentity"], a.holder());
    assert!(timeout(seconds(3600), b.acquire()).await.is_err());
    assert!(leadership.term().is_valid());
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_has_lost_it_well_before_the_next_one_gets_it() {
    let apiserver = Apiserver::default();
    let (mut a, network) = apiserver.elector("a");
    let (mut b, _) = apiserver.elector("b");
    let leadership = a.acquire().await;
    let lost = async {
        leadership.term().lost().await;
        Instant::now()
    };
    let gained = async {
        // It has seen how it is renewed before.
        assert!(timeout(seconds(60), b.acquire()).await.is_err());
        network.send_replace(Network::Cut);
        let leadership = b.acquire().await;
        (Instant::now(), leadership)
    };
    let (lost, (gained, next)) = tokio::join!(lost, gained);
    assert!(gained - lost >= seconds(5), "{:?}", gained - lost);
    assert_eq!(next.term().epoch(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_gives_it_up_need_not_be_waited_for() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let (mut b, _) = apiserver.elector("b");
    for epoch in [1, 3, 5] {
        let leadership = a.acquire().await;
        assert_eq!(leadership.term().epoch(), epoch);
        let given_up = async {
            sleep(seconds(30)).await;
            let term = leadership.term().clone();
            leadership.release().await;
            assert!(!term.is_valid());
            Instant::now()
        };
        let (given_up, next) = tokio::join!(given_up, b.acquire());
        assert!(given_up.elapsed() < LeaseTiming::default().retry, "{:?}", given_up.elapsed());
        assert_eq!(next.term().epoch(), epoch + 1);
        // The next round begins with the one that held it last.
        drop(next);
        std::mem::swap(&mut a, &mut b);
    }
}

#[tokio::test(start_paused = true)]
async fn who_slept_too_long_finds_it_lost_and_sends_nothing() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let leadership = a.acquire().await;
    sleep(seconds(30)).await;
    let writes = apiserver.writes();
    // Nobody runs meanwhile.
    advance(seconds(11)).await;
    assert!(!leadership.term().is_valid());
    sleep(seconds(60)).await;
    assert_eq!(apiserver.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_answered_is_known_again() {
    let apiserver = Apiserver::default();
    let (mut a, network) = apiserver.elector("a");
    let leadership = a.acquire().await;
    network.send_replace(Network::Deaf);
    let writes = apiserver.writes();
    while apiserver.writes() == writes {
        sleep(Duration::from_millis(10)).await;
    }
    network.send_replace(Network::Up);
    sleep(seconds(60)).await;
    assert!(leadership.term().is_valid());
    assert_eq!(leadership.term().epoch(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_is_not_answered_is_no_term_but_the_next_one_begins_soon() {
    let apiserver = Apiserver::default();
    let (mut a, network) = apiserver.elector("a");
    network.send_replace(Network::Deaf);
    let up_again = async {
        sleep(seconds(1)).await;
        network.send_replace(Network::Up);
    };
    let (leadership, ()) = tokio::join!(a.acquire(), up_again);
    assert!(leadership.term().is_valid());
    let (begun, mut b) = (Instant::now(), apiserver.elector("b").0);
    drop(leadership);
    assert!(b.acquire().await.term().epoch() > 1);
    assert!(begun.elapsed() >= seconds(15));
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_in_it_has_lost_it() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    for is_deleted in [false, true] {
        let leadership = a.acquire().await;
        let epoch = leadership.term().epoch();
        let begun = Instant::now();
        if is_deleted {
            apiserver.delete();
        } else {
            apiserver.change(|lease| lease["spec"]["holderIdentity"] = json!("somebody"));
        }
        leadership.term().lost().await;
        assert!(begun.elapsed() <= seconds(3));
        drop(leadership);
        assert!(a.acquire().await.term().epoch() > epoch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_something_else_costs_nothing() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let leadership = a.acquire().await;
    apiserver.change(|lease| lease["metadata"]["labels"] = json!({ "a": "b" }));
    sleep(seconds(60)).await;
    assert!(leadership.term().is_valid());
}

#[tokio::test(start_paused = true)]
async fn who_is_no_longer_there_is_waited_for() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let (mut b, _) = apiserver.elector("b");
    let leadership = a.acquire().await;
    let (term, begun) = (leadership.term().clone(), Instant::now());
    drop(leadership);
    assert!(!term.is_valid());
    assert_eq!(b.acquire().await.term().epoch(), 2);
    assert!(begun.elapsed() >= seconds(15), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_that_wants_it_again_has_ended_the_term_that_it_had() {
    let apiserver = Apiserver::default();
    let (mut a, _) = apiserver.elector("a");
    let first = a.acquire().await;
    let second = a.acquire().await;
    assert!(!first.term().is_valid());
    assert!(second.term().is_valid());
    assert!(second.term().lost().now_or_never().is_none());
}
