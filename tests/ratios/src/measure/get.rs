//! What it costs to answer GetNode from the cache: 16 callers on 8 connections over TLS, each of whom asks for one node after the
//! other.
//!
//! Each node is asked for in its turn, so that what is kept for each node or each right of a caller is paid for as in a fleet of
//! this size. How often the apiserver had to be asked what the caller may do is told with the figure.
//!
//! Beside it are a tonic service that answers with the bytes of a node, which is what a call costs that has nothing to do, and
//! the apiserver's GET from its own cache (`resourceVersion=0`), in protobuf and in JSON. The apiserver's node has its managed
//! fields besides; that they may not be asked away is part of what it costs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nodeward_api::v1::GetNodeRequest;
use nodeward_sandbox::Component;

use crate::anchor::{apiserver, stock};
use crate::calls::{Ask, Asked, Pace, calls_cost, compare, one_call};
use crate::client::Call;
use crate::ground::Ground;
use crate::pairs::rounds;
use crate::report::{Finding, Limit};
use crate::requests::Requests;

/// What nodeward may cost, over the echo and the apiserver in protobuf and in JSON.
const LIMITS: [Option<Limit>; 3] =
    [Some(Limit::AtMost(2.0)), Some(Limit::AtMost(1.0 / 8.0)), Some(Limit::AtMost(1.0 / 8.0))];

pub fn run(ground: &mut Ground) -> LocalBoxFuture<'_, Result<Vec<Finding>>> {
    measure(ground).boxed_local()
}

async fn measure(ground: &Ground) -> Result<Vec<Finding>> {
    let (nodes, api_server) = (ground.plan.nodes, ground.pid(Component::ApiServer)?);
    let ours = Asked::new("nodeward", &ground.nodeward, ground.server_pid()?, get_node(nodes));
    let apiserver = |name, accept| Asked::new(name, &ground.apiserver, api_server, from_apiserver(nodes, accept));
    // nodeward is first and last: the two are the same, and their ratio is noise.
    let asked = [
        ours.clone(),
        Asked::new("tonic echo", &ground.tonic, ground.stock_pid()?, one_call(|_| Call::grpc_bytes(stock::ECHO, &[]))),
        apiserver("apiserver protobuf", apiserver::PROTOBUF),
        apiserver("apiserver JSON", apiserver::JSON),
        ours,
    ];
    let pace = Pace { callers: 16, connections: 8, length: Duration::from_secs(ground.plan.seconds.into()) };
    let before = Requests::at(&ground.admin).await?;
    let costs = rounds(&asked, ground.plan.pairs, async |asked| calls_cost(asked, pace).await).await?;
    let reviews = Requests::at(&ground.admin).await?.reviews(&before);
    let mut findings = compare("get: CPU per call", &asked, &costs, &LIMITS);
    if let Some(first) = findings.first_mut() {
        let calls = asked[0].asked.load(Ordering::Relaxed) as f64;
        first.notes.push(format!(
            "for each call of nodeward the apiserver was asked {:.3} times who may do it",
            reviews / calls
        ));
    }
    Ok(findings)
}

fn get_node(nodes: usize) -> Ask {
    one_call(move |number| {
        let name = format!("nodes/{}", name(number, nodes));
        Call::grpc("/nodeward.v1.NodeService/GetNode", &GetNodeRequest { name, ..GetNodeRequest::default() })
    })
}

fn from_apiserver(nodes: usize, accept: &'static str) -> Ask {
    one_call(move |number| Call::get(format!("/api/v1/nodes/{}?resourceVersion=0", name(number, nodes)), accept))
}

fn name(number: usize, nodes: usize) -> String {
    format!("worker-{}", number % nodes + 1)
}
