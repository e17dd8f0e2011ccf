//! Clients that mean harm, on loopback and within bounds: the server's memory hardly grows, and an honest client gets its
//! answers all the while.

use tokio::time::{Duration, Instant, sleep};

use crate::support::http2::{
    CONTINUATION, DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE,
    LARGEST_FRAME, RST_STREAM, RawConnection, call, frame, header,
};
use crate::support::target::Target;

const GET: &str = "/nodeward.v1.NodeService/GetNode";
const LIST: &str = "/nodeward.v1.NodeService/ListNodes";
const PATCH: &str = "/nodeward.v1.NodeService/PatchNode";
const WATCH: &str = "/nodeward.v1.NodeService/WatchNodes";

/// The error code of a stream that its client does not want any more.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Sends these pieces, or as many as the server takes: whether it has taken all.
async fn send(attacker: &mut RawConnection, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
    for piece in pieces {
        if attacker.send(&piece).await.is_err() {
            return false;
        }
    }
    true
}

/// The server closes the connection because of these pieces.
async fn assert_stopped(attacker: &mut RawConnection, pieces: impl Iterator<Item = Vec<u8>>) {
    if send(attacker, pieces).await {
        let reason = attacker.closed().await;
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    }
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_streams_that_are_reset_at_once() {
    let target = Target::plain().await;
    let call = call(GET);
    let reset = |id: u32| [frame(HEADERS, END_HEADERS, id, &call), frame(RST_STREAM, 0, id, &CANCEL)].concat();
    // As many on one connection as the server lets pass, and then on the next.
    target
        .attack(async |address| {
            let mut left = 100_000;
            let deadline = Instant::now() + Duration::from_secs(15);
            while left > 0 && Instant::now() < deadline {
                let mut attacker = RawConnection::open(address, &[]).await;
                let bursts = (0..left / 100).map(|burst| {
                    left -= 100;
                    (0..100).flat_map(|number| reset(2 * (100 * burst + number) + 1)).collect()
                });
                send(&mut attacker, bursts).await;
            }
        })
        .await;
    target.has_held().await;
}

/// CVE-2024-27316.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end() {
    let target = Target::plain().await;
    let piece = frame(CONTINUATION, 0, 1, &header("x", &[b'x'; LARGEST_FRAME - 8]));
    target
        .attack(async |address| {
            let mut attacker = RawConnection::open(address, &[]).await;
            attacker.send(&frame(HEADERS, 0, 1, &call(GET))).await.unwrap();
            assert_stopped(&mut attacker, (0..10_000).map(|_| piece.clone())).await;
        })
        .await;
    target.has_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_mebibyte() {
    let target = Target::plain().await;
    let block = [call(GET), header("x", &vec![b'x'; 1 << 20])].concat();
    let mut pieces: Vec<_> = block.chunks(LARGEST_FRAME).map(|piece| frame(CONTINUATION, 0, 1, piece)).collect();
    pieces[0] = frame(HEADERS, 0, 1, &block[..LARGEST_FRAME]);
    pieces.push(frame(CONTINUATION, END_HEADERS, 1, &[]));
    target
        .attack(async |address| {
            let mut attacker = RawConnection::open(address, &[]).await;
            assert_stopped(&mut attacker, pieces.iter().cloned()).await;
        })
        .await;
    target.has_held().await;
}

/// Each of a byte, or even empty, and the request never ends.
#[tokio::test(flavor = "multi_thread")]
async fn endless_small_pieces_of_a_request() {
    let target = Target::plain().await;
    for piece in [&[0][..], &[]] {
        let pieces = frame(DATA, 0, 1, piece).repeat(100);
        target
            .attack(async |address| {
                let mut attacker = RawConnection::open(address, &[]).await;
                attacker.send(&frame(HEADERS, END_HEADERS, 1, &call(PATCH))).await.unwrap();
                assert_stopped(&mut attacker, (0..100_000).map(|_| pieces.clone())).await;
            })
            .await;
    }
    target.has_held().await;
}

/// A ListNodesRequest with a `page_size` of 1: what is kept for a page grows with its nodes.
const PAGE_OF_ONE: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// Lists and watches, on as many streams as a connection may have, of which nothing is taken: what is kept for a stream is its
/// send buffer, which a watch of some nodes fills.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads() {
    let target = Target::plain().await;
    let mut attackers = Vec::new();
    for (path, message) in [(LIST, PAGE_OF_ONE), (WATCH, EMPTY_MESSAGE)] {
        let mut attacker = RawConnection::open(target.address(), &[(INITIAL_WINDOW_SIZE, 1)]).await;
        for number in 0..256 {
            let id = 2 * number + 1;
            let request = [frame(HEADERS, END_HEADERS, id, &call(path)), frame(DATA, END_STREAM, id, message)];
            attacker.send(&request.concat()).await.unwrap();
        }
        attackers.push(attacker);
    }
    // Nothing happens, which is the attack.
    sleep(Duration::from_secs(3)).await;
    target.has_held().await;
}
