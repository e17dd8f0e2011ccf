//! What the ledger remembers of a request: an entry, which is a ConfigMap.
//!
//! Which request it is stands in the ConfigMap's metadata, so that a watch of nothing else tells them all.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::record::{Digest, Record};
use crate::error::Error;

/// Marks the ConfigMaps of the ledger.
pub(super) const LABEL: &str = "nodeward.dev/ledger";

/// Tells whose an entry is: a hash, since names of users are no labels.
const USER: &str = "nodeward.dev/ledger-user";

const METHOD: &str = "nodeward.dev/method";
const DIGEST: &str = "nodeward.dev/digest";
const NAME_PREFIX: &str = "nodeward-request-";
const DEED: &str = "deed";
const CREATED: &str = "created";

/// A node that a request deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) uid: String,
    /// The version that it must be at, if that is known.
    pub(super) version: Option<String>,
}

impl Target {
    /// The node, by its uid.
    pub(super) fn of(node: &Node) -> Self {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        Self { name: text(&node.metadata.name), uid: text(&node.metadata.uid), version: None }
    }

    /// The node, if it is still at its present version.
    pub(super) fn versioned(node: &Node) -> Self {
        Self { version: node.metadata.resource_version.clone(), ..Self::of(node) }
    }
}

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Deed {
    /// It creates the node of this name.
    Create(String),
    /// It deletes these nodes; none, if there were none.
    Delete(Vec<Target>),
}

/// What the ledger remembers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) request: Record,
    /// Stands for the user.
    pub(super) user: String,
    pub(super) deed: Deed,
    /// The uid of the node that was created, once it is.
    pub(super) created: Option<String>,
    /// The uid of the entry itself, once it is written.
    pub(super) uid: Option<String>,
}

impl Entry {
    pub(super) fn new(request: Record, username: &str, deed: Deed) -> Self {
        Self { request, user: user(username), deed, created: None, uid: None }
    }

    /// The nodes that the request deletes.
    pub(super) fn targets(&self) -> &[Target] {
        match &self.deed {
            Deed::Create(_) => &[],
            Deed::Delete(targets) => targets,
        }
    }

    pub(super) fn to_config_map(&self) -> Result<ConfigMap, Error> {
        let deed = serde_json::to_string(&self.deed).map_err(|error| Error::Internal { detail: error.to_string() })?;
        let Record { id, method, digest } = &self.request;
        let identity = [(METHOD, method.as_str()), (DIGEST, digest.as_str())];
        Ok(ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(*id)),
                labels: Some([(LABEL.to_owned(), "request".to_owned()), (USER.to_owned(), self.user.clone())].into()),
                annotations: Some(identity.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data: Some([(DEED.to_owned(), deed)].into()),
            ..ConfigMap::default()
        })
    }

    pub(super) fn from_config_map(map: &ConfigMap) -> Result<Self, Error> {
        let data = |key| map.data.as_ref().and_then(|data: &BTreeMap<String, String>| data.get(key));
        let deed = data(DEED).and_then(|text| serde_json::from_str(text).ok());
        match (record(&map.metadata), deed) {
            (Some(request), Some(deed)) => {
                let user = user_of(&map.metadata).unwrap_or_default().to_owned();
                Ok(Self { request, user, deed, created: data(CREATED).cloned(), uid: map.metadata.uid.clone() })
            }
            _ => {
                let name = map.metadata.name.as_deref().unwrap_or_default();
                Err(Error::Internal { detail: format!("the note of the request, ConfigMap {name:?}, is spoiled") })
            }
        }
    }
}

/// The patch that notes what was created.
pub(super) fn created(uid: &str) -> serde_json::Value {
    serde_json::json!({"data": {CREATED: uid}})
}

/// The name of the entry of a request.
pub(super) fn name(id: Uuid) -> String {
    format!("{NAME_PREFIX}{id}")
}

/// What stands for the user of this name.
pub(super) fn user(username: &str) -> String {
    Sha256::digest(username).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The user whose entry has this metadata, if it says so.
pub(super) fn user_of(metadata: &ObjectMeta) -> Option<&str> {
    metadata.labels.as_ref()?.get(USER).map(String::as_str)
}

/// The request whose entry has this metadata.
pub(super) fn record(metadata: &ObjectMeta) -> Option<Record> {
    let id = metadata.name.as_deref()?.strip_prefix(NAME_PREFIX)?;
    let annotation = |key| metadata.annotations.as_ref()?.get(key);
    Some(Record {
        id: Uuid::try_parse(id).ok()?,
        method: annotation(METHOD)?.clone(),
        digest: Digest::from_text(annotation(DIGEST)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let request = Record {
            id: Uuid::from_u128(7),
            method: "DeleteNode".to_owned(),
            digest: Digest::of("DeleteNode", "alice", b"request"),
        };
        let target = Target { name: "worker-1".into(), uid: "a".into(), version: Some("42".into()) };
        Entry::new(request, "alice", Deed::Delete(vec![target]))
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        assert_eq!(Entry::from_config_map(&entry().to_config_map().unwrap()).unwrap(), entry());
    }

    #[test]
    fn the_metadata_alone_tells_which_request_it_is() {
        let metadata = entry().to_config_map().unwrap().metadata;
        assert_eq!(record(&metadata), Some(entry().request));
        assert_eq!(user_of(&metadata), Some(user("alice").as_str()));
    }

    #[test]
    fn a_spoiled_entry_is_an_error_that_names_it() {
        let map = ConfigMap { data: None, ..entry().to_config_map().unwrap() };
        let error = Entry::from_config_map(&map).unwrap_err().to_string();
        assert!(error.contains("nodeward-request-00000000-0000-0000-0000-000000000007"), "{error}");
    }
}
