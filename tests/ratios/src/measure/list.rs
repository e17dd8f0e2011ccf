//! What it costs to answer with all nodes: one caller on a connection over TLS, who reads one whole list after the other.
//!
//! A whole list of nodeward's is one stream of StreamNodes, or all pages of ListNodes, of the greatest size that a page may have.
//! Beside it is the apiserver's list from its own cache (`resourceVersion=0`), which comes in one piece, in protobuf and in JSON. Each answer must have all the
//! nodes where that can be told from outside: nodeward's are counted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_api::v1::{ListNodesRequest, StreamNodesRequest};
use nodeward_sandbox::Component;
use prost::Message;

use crate::anchor::apiserver;
use crate::calls::{Ask, Asked, Pace, calls_cost, compare, one_call};
use crate::client::{Call, Connection};
use crate::ground::Ground;
use crate::pairs::rounds;
use crate::report::{Finding, Limit};

/// The most that a page may have.
const PAGE: i32 = 1000;

/// What nodeward may cost, over the apiserver in protobuf and in JSON.
const LIMITS: [Option<Limit>; 2] = [Some(Limit::AtMost(1.0 / 10.0)), None];

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let api_server = ground.pid(Component::ApiServer)?;
    let apiserver = |name, accept| {
        let list = one_call(move |_| Call::get("/api/v1/nodes?resourceVersion=0", accept));
        Asked::new(name, &ground.apiserver, api_server, list)
    };
    let anchors = [apiserver("apiserver protobuf", apiserver::PROTOBUF), apiserver("apiserver JSON", apiserver::JSON)];
    let pace = Pace { callers: 1, connections: 1, length: Duration::from_secs(ground.plan.seconds.into()) };
    let mut findings = Vec::new();
    let nodes = ground.plan.nodes;
    let ways = [
        ("list: CPU per whole list, StreamNodes", in_a_stream(nodes)),
        ("list: CPU per whole list, ListNodes", in_pages(nodes)),
    ];
    for (what, ask) in ways {
        // nodeward is first and last: the two are the same, and their ratio is noise.
        let ours = Asked::new("nodeward", &ground.nodeward, ground.server_pid()?, ask);
        let ours = std::slice::from_ref(&ours);
        let asked = [ours, &anchors, ours].concat();
        let costs = rounds(&asked, ground.plan.pairs, async |asked| calls_cost(asked, pace).await).await?;
        findings.extend(compare(what, &asked, &costs, &LIMITS));
    }
    Ok(findings)
}

/// `nodeward.v1.ListNodesResponse`, of which nothing is looked into.
#[derive(Clone, PartialEq, Message)]
struct Page {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    nodes: Vec<Bytes>,
    #[prost(string, tag = "2")]
    next_page_token: String,
}

/// `nodeward.v1.StreamNodesResponse`, likewise.
#[derive(Clone, PartialEq, Message)]
struct Streamed {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    nodes: Vec<Bytes>,
}

/// All messages of StreamNodes.
fn in_a_stream(expected: usize) -> Ask {
    Arc::new(move |connection, _| whole_stream(connection, expected).boxed())
}

async fn whole_stream(connection: Arc<Connection>, expected: usize) -> Result<usize> {
    let call = Call::grpc("/nodeward.v1.NodeService/StreamNodes", &StreamNodesRequest::default());
    let mut answer = Bytes::from(connection.ask(&call).await?);
    let (bytes, mut nodes) = (answer.len(), 0);
    while let Some(message) = next_message(&mut answer) {
        nodes += Streamed::decode(message)?.nodes.len();
    }
    ensure!(nodes == expected, "{nodes} of {expected} nodes came");
    Ok(bytes)
}

/// All pages of ListNodes.
fn in_pages(expected: usize) -> Ask {
    Arc::new(move |connection, _| all_pages(connection, expected).boxed())
}

async fn all_pages(connection: Arc<Connection>, expected: usize) -> Result<usize> {
    let (mut page_token, mut nodes, mut bytes) = (String::new(), 0, 0);
    loop {
        let request = ListNodesRequest { page_size: PAGE, page_token, ..ListNodesRequest::default() };
        let call = Call::grpc("/nodeward.v1.NodeService/ListNodes", &request);
        let mut answer = Bytes::from(connection.ask(&call).await?);
        bytes += answer.len();
        let page = Page::decode(next_message(&mut answer).unwrap_or_default())?;
        nodes += page.nodes.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            ensure!(nodes == expected, "{nodes} of {expected} nodes came");
            return Ok(bytes);
        }
    }
}

/// What follows is a message behind its flag and length.
fn next_message(answer: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(answer.get(1..5)?.try_into().ok()?);
    let _header = answer.split_to(5);
    Some(answer.split_to(answer.len().min(length as usize)))
}
