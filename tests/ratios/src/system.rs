//! What can be watched: nodeward and what it is compared with.

use anyhow::Result;

use crate::anchor::apiserver;
use crate::client::{Call, Connection, Endpoint, Framing};

/// A system that streams the changes of nodes.
#[derive(Clone)]
pub struct System {
    /// Its name in tables.
    pub name: &'static str,
    /// Where it is.
    pub endpoint: Endpoint,
    /// How its messages are told apart.
    pub framing: Framing,
    /// How a stream begins that shows changes from now on.
    pub begin: Begin,
    /// The processes whose work is its work.
    pub pids: Vec<u32>,
}

/// How a stream begins.
#[derive(Clone)]
pub enum Begin {
    /// By this call.
    With(Call),
    /// At the apiserver, which is asked for its present resource version first. Messages are of this type.
    AtPresentVersion(&'static str),
}

impl System {
    /// The call that opens a stream.
    pub async fn opening(&self, connection: &Connection) -> Result<Call> {
        match &self.begin {
            Begin::With(call) => Ok(call.clone()),
            Begin::AtPresentVersion(accept) => apiserver::watch_from_now(connection, accept).await,
        }
    }
}
