//! The apiserver, asked directly.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::{Call, Connection, Endpoint, Framing};
use crate::system::{Begin, System};

/// The type of messages in JSON.
pub const JSON: &str = "application/json";

/// The type of messages in protobuf.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The type of a watch in protobuf.
const PROTOBUF_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// A watch of all nodes with all their fields, in protobuf.
pub fn protobuf_watch(endpoint: Endpoint, pid: u32) -> System {
    let begin = Begin::AtPresentVersion(PROTOBUF_WATCH);
    System { name: "apiserver protobuf", endpoint, framing: Framing::KubernetesProtobuf, begin, pids: vec![pid] }
}

/// The same in JSON.
pub fn json_watch(endpoint: Endpoint, pid: u32) -> System {
    let begin = Begin::AtPresentVersion(JSON);
    System { name: "apiserver JSON", endpoint, framing: Framing::Lines, begin, pids: vec![pid] }
}

/// The call that watches from the present resource version on. Without one, all nodes would come first.
pub async fn watch_from_now(connection: &Connection, accept: &'static str) -> Result<Call> {
    let list = connection.ask(&Call::get("/api/v1/nodes?limit=1", JSON)).await?;
    let list: Value = serde_json::from_slice(&list)?;
    let version = list["metadata"]["resourceVersion"].as_str().context("a list without a resource version")?;
    Ok(Call::get(format!("/api/v1/nodes?watch=1&timeoutSeconds=3600&resourceVersion={version}"), accept))
}
