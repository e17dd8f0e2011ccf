//! Events about nodes (events.k8s.io/v1), for those who look at a node with kubectl. The server writes them as itself.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;

use super::fault::{self, within};
use crate::error::Error;

/// Where events about what has no namespace are: Kubernetes accepts no other.
const NAMESPACE: &str = "default";

/// What takes too long if an event does.
const WRITING: &str = "writing an event";

/// Who writes them.
const CONTROLLER: &str = "nodeward.dev/nodeward";

/// The longest note that Kubernetes takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// The longest names of a node, and of a server, that fit, in bytes.
const LONGEST_NODE: usize = 220;
const LONGEST_INSTANCE: usize = 128;

/// Writes events.
#[derive(Clone)]
pub struct NodeEvents {
    api: Api<Event>,
}

/// An event about a node.
#[derive(Clone, Debug)]
pub struct NodeEvent {
    /// The node.
    pub node: String,
    /// Its uid.
    pub node_uid: String,
    /// Whether somebody should do something about it.
    pub is_warning: bool,
    /// What happened, as one word.
    pub reason: &'static str,
    /// What was being done, as one word.
    pub action: &'static str,
    /// What happened, for people.
    pub note: String,
    /// What it has to do with, besides the node.
    pub related: Option<ObjectReference>,
    /// Which server tells it.
    pub instance: String,
}

impl NodeEvents {
    pub(super) fn new(client: Client) -> Self {
        Self { api: Api::namespaced(client, NAMESPACE) }
    }

    /// Writes an event, and returns its name.
    ///
    /// # Errors
    /// Kubernetes can't be reached or refuses it.
    pub async fn write(&self, event: &NodeEvent, deadline: Instant) -> Result<String, Error> {
        let event = event.to_kubernetes(Timestamp::now());
        let params = PostParams::default();
        within(deadline, WRITING, self.api.create(&params, &event)).await?.map_err(fault::from_kube)?;
        Ok(event.metadata.name.unwrap_or_default())
    }

    /// Says that what an event tells has been so `count` times by now.
    ///
    /// # Errors
    /// As for [`write`](Self::write); the event may be forgotten.
    pub async fn repeat(&self, name: &str, count: i32, deadline: Instant) -> Result<(), Error> {
        let series = EventSeries { count, last_observed_time: MicroTime(Timestamp::now()) };
        let (params, patch) = (PatchParams::default(), Patch::Merge(json!({ "series": series })));
        within(deadline, WRITING, self.api.patch(name, &params, &patch)).await?.map(drop).map_err(fault::from_kube)
    }
}

impl NodeEvent {
    fn to_kubernetes(&self, now: Timestamp) -> Event {
        let name = short(&self.node, LONGEST_NODE).trim_end_matches(|end: char| !end.is_ascii_alphanumeric());
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(if self.is_warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(self.reason.to_owned()),
            action: Some(self.action.to_owned()),
            note: Some(short(&self.note, LONGEST_NOTE).to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Node".to_owned()),
                name: Some(self.node.clone()),
                // By which `kubectl describe node` finds it.
                uid: Some(self.node_uid.clone()),
                ..ObjectReference::default()
            }),
            related: self.related.clone(),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(short(&self.instance, LONGEST_INSTANCE).to_owned()),
            ..Event::default()
        }
    }
}

/// The beginning of a text.
fn short(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fits_whatever_the_node_and_the_note_are() {
        let event = NodeEvent {
            node: format!("{}.{}", "a".repeat(219), "b".repeat(33)),
            node_uid: "u".to_owned(),
            is_warning: true,
            reason: "DrainBlocked",
            action: "Draining",
            note: "ä".repeat(1000),
            related: None,
            instance: "c".repeat(200),
        };
        let event = event.to_kubernetes(Timestamp::MAX);
        let name = event.metadata.name.unwrap();
        assert!(name.len() <= 253 && !name.contains(".."), "{name}");
        assert_eq!(event.note.unwrap().len(), 1024);
        assert_eq!(event.reporting_instance.unwrap().len(), 128);
    }
}
