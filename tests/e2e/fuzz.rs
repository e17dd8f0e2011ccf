//! Whatever bytes come as a request: the answer is a defined one, and the server goes on.

use futures::{StreamExt, stream};
use nodeward_api::v1::GetNodeRequest;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::raw::{is_defined, methods, path, send};
use crate::support::requests::{AUDIT, harmless};
use crate::support::{ErrorExt, world};

/// How many requests are sent.
const COUNT: usize = 10_000;

/// How many of them at a time.
const PARALLEL: usize = 16;

/// One connection to the shared server.
pub async fn channel() -> Channel {
    let address = world().await.server.address();
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// The server answers as ever.
pub async fn assert_still_serving(node: &str) {
    let request = GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    world().await.client().await.get_node(request).await.unwrap();
}

/// Bytes that are hardly ever a message.
fn noise(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..256);
    (0..length).map(|_| random.random()).collect()
}

/// A message with some bytes of others. It still changes nothing: of a field that is there twice, the last one counts.
fn spoiled(random: &mut StdRng, method: &MethodDescriptor, message: &[u8]) -> Vec<u8> {
    loop {
        let mut spoiled = message.to_vec();
        for _ in 0..random.random_range(1..=4) {
            let place = random.random_range(0..spoiled.len());
            spoiled[place] = random.random();
        }
        if let Some(field) = method.input().get_field_by_name("validate_only") {
            spoiled.extend([(field.number() << 3) as u8, 1]);
        }
        if !would_change_something(method, &spoiled) {
            return spoiled;
        }
    }
}

/// Whether this is a message that asks for a change. A spoiled length can make its end, where it says that it is only to
/// be tried out, the contents of another field.
fn would_change_something(method: &MethodDescriptor, message: &[u8]) -> bool {
    let Ok(message) = DynamicMessage::decode(method.input(), message) else { return false };
    let validate_only = message.get_field_by_name("validate_only");
    validate_only.is_some_and(|only| only.as_bool() == Some(false))
}

#[tokio::test]
async fn random_bytes_get_a_defined_answer() {
    let node = world().await.node("fuzz").await;
    let channel = channel().await;
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let methods = methods();
    let requests: Vec<(String, Vec<u8>)> = (0..COUNT)
        .map(|number| {
            let method = &methods[number % methods.len()];
            let body = match number / methods.len() % 4 {
                0 => spoiled(&mut random, method, &harmless(method.name(), &node)),
                _ => noise(&mut random),
            };
            (path(method), body)
        })
        .collect();

    let answers = stream::iter(requests.into_iter().map(|(path, body)| {
        let channel = &channel;
        async move {
            let answer = send(channel, &path, body.clone()).await;
            assert!(is_defined(&answer), "seed {seed}: {path} of {body:02x?} is {answer:?}");
            answer
        }
    }));
    let answers: Vec<Result<(), Status>> = answers.buffer_unordered(PARALLEL).collect().await;

    let invalid =
        |answer: &Result<(), Status>| answer.as_ref().is_err_and(|status| status.code() == Code::InvalidArgument);
    let refused = answers.iter().filter(|answer| invalid(answer)).count();
    assert_eq!(answers.len(), COUNT);
    assert!(refused > COUNT / 2, "most are no messages at all, but only {refused} were refused");
    assert_still_serving(&node).await;
}

#[tokio::test]
async fn what_is_spoiled_here_is_valid_before() {
    let node = world().await.node("fuzz").await;
    let channel = channel().await;
    for method in methods() {
        let answer = send(&channel, &path(&method), harmless(method.name(), &node)).await;
        // The operation is one that does not exist.
        let is_valid = answer.as_ref().map_or_else(|status| status.reason() == "OPERATION_NOT_FOUND", |()| true);
        assert!(is_valid, "{}: {answer:?}", method.name());
    }
    assert_still_serving(&node).await;
}

#[tokio::test]
async fn a_request_of_nothing_is_understood() {
    let channel = channel().await;
    for method in methods() {
        let answer = send(&channel, &path(&method), Vec::new()).await;
        let reads =
            ["ListNodes", "StreamNodes", "WatchNodes"].contains(&method.name()) || AUDIT.contains(&method.name());
        let code = answer.as_ref().err().map(Status::code);
        assert_eq!(code, Some(Code::InvalidArgument).filter(|_| !reads), "{}: {answer:?}", method.name());
    }
}
