//! How connections end: by their age, and when the server stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use nodeward_server::transport::{EndsWithConnection, TransportOptions};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::service_fn;

use crate::fixture::{Fixture, PATIENCE, SILENCE, call, plain};

/// A mebibyte for each number.
fn mebibytes(count: usize) -> Body {
    let piece = |_| Ok::<_, Status>(Frame::data(Bytes::from(vec![0; 1 << 20])));
    Body::new(StreamBody::new(stream::iter(0..count).map(piece)))
}

fn nothing() -> Body {
    Body::new(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>()))
}

/// The token of the connection.
fn end_of(request: &Request<Body>) -> CancellationToken {
    request.extensions().get::<CancellationToken>().unwrap().clone()
}

#[tokio::test]
async fn an_idle_connection_ends_at_once_when_the_server_stops() {
    let server = Fixture::start(&plain(), PATIENCE, async |_| Response::new(Body::empty())).await;
    call(&server.channel().await).await.unwrap();
    let begun = Instant::now();
    assert_eq!(server.serving.stop().await, 0);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_answer_that_is_being_read_comes_to_its_end() {
    let server = Fixture::start(&plain(), PATIENCE, async |_| Response::new(mebibytes(12))).await;
    let mut answer = call(&server.channel().await).await.unwrap().into_body();
    let stop = tokio::spawn(server.serving.stop());
    let mut length = 0;
    // Slowly: it takes three times as long as a client may be silent.
    while let Some(frame) = answer.frame().await {
        let before = length >> 20;
        length += frame.unwrap().into_data().unwrap().len();
        if length >> 20 > before {
            sleep(SILENCE / 4).await;
        }
    }
    assert_eq!(length, 12 << 20);
    assert_eq!(stop.await.unwrap(), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_not_waited_for() {
    let server = Fixture::start(&plain(), PATIENCE, async |_| Response::new(mebibytes(1000))).await;
    let unread = call(&server.channel().await).await.unwrap();
    let begun = Instant::now();
    assert_eq!(server.serving.stop().await, 0);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    drop(unread);
}

/// A server whose calls take as long as `work`, and what counts those that have begun.
async fn working<F>(
    grace: Duration,
    work: impl Fn(CancellationToken) -> F + Clone + Send + Sync + 'static,
) -> (Fixture, Arc<Semaphore>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Arc::new(Semaphore::new(0));
    let counted = begun.clone();
    let server = Fixture::start(&plain(), grace, move |request| {
        counted.add_permits(1);
        let work = work(end_of(&request));
        async move {
            work.await;
            Response::new(Body::empty())
        }
    })
    .await;
    (server, begun)
}

#[tokio::test]
async fn a_call_is_answered_though_it_takes_longer_than_a_client_may_be_silent() {
    let (server, begun) = working(PATIENCE, async |end: CancellationToken| {
        end.cancelled().await;
        sleep(3 * SILENCE).await;
    })
    .await;
    let channel = server.channel().await;
    let answer = tokio::spawn(async move { call(&channel).await });
    let _begun = begun.acquire().await.unwrap();
    assert_eq!(server.serving.stop().await, 0);
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_that_take_longer_than_the_grace_period_are_cut_off_and_counted() {
    let (server, begun) = working(Duration::from_millis(500), async |_| std::future::pending().await).await;
    let channel = server.channel().await;
    let calls = [(); 3].map(|()| {
        let channel = channel.clone();
        tokio::spawn(async move { call(&channel).await })
    });
    let _begun = begun.acquire_many(3).await.unwrap();
    assert_eq!(server.serving.stop().await, 3);
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
}

/// A connection that is given up soon.
fn short_lived() -> TransportOptions {
    TransportOptions { connection_max_age: Duration::from_millis(500), ..plain() }
}

#[tokio::test]
async fn a_stream_that_knows_nothing_of_connections_ends_when_its_own_has_reached_its_age() {
    let answer = service_fn(async |_: Request<Body>| Ok(Response::new(nothing())));
    let server = Fixture::serve(&short_lived(), PATIENCE, EndsWithConnection(answer)).await;
    let answer = call(&server.channel().await).await.unwrap().into_body();
    let answer = timeout(PATIENCE, answer.collect()).await.expect("the stream ends").unwrap();
    let status = Status::from_header_map(answer.trailers().unwrap()).unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DRAINING");
}

#[tokio::test]
async fn a_call_in_progress_outlives_the_age_of_its_connection_and_the_next_is_made_on_another() {
    let server = Fixture::start(&short_lived(), PATIENCE, async |request: Request<Body>| {
        end_of(&request).cancelled().await;
        sleep(3 * SILENCE).await;
        Response::new(Body::empty())
    })
    .await;
    let channel = server.channel().await;
    for _ in 0..2 {
        timeout(PATIENCE, call(&channel)).await.expect("an answer").unwrap();
    }
}
