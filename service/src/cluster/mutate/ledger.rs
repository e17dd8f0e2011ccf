//! Which deletions were asked for.
//!
//! A deleted node remembers nothing, so before a deletion with a request id is sent, what it is about to delete is
//! written down in a ConfigMap of nodeward's namespace, by uid. Whoever carries the request out again, after whatever
//! crash, deletes what is left of exactly that, and never a node that was created anew under the same name.

use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};

use super::record::Record;
use super::{Mutation, Request};
use crate::cluster::fault;
use crate::error::Error;

/// Marks the ConfigMaps of the ledger.
const LABEL: &str = "nodeward.dev/ledger";

/// How long a deletion is remembered.
const REMEMBERED_HOURS: i64 = 24;

/// A node that a request deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) uid: String,
    /// The version that it must be at, if that is known.
    pub(super) version: Option<String>,
}

/// What a request deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deletion {
    pub(super) request: Record,
    pub(super) targets: Vec<Target>,
}

/// The ConfigMaps.
#[derive(Clone)]
pub(super) struct Ledger {
    entries: Api<ConfigMap>,
    namespace: String,
}

impl Ledger {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { entries: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// What the request deletes, if it was begun before: an error if its id stands for another one.
    pub(super) async fn find(&self, mutation: &Mutation, request: &Request) -> Result<Option<Deletion>, Error> {
        let found = mutation.within("looking up the request", self.entries.get_opt(&entry_name(request))).await?;
        let Some(entry) = found.map_err(fault::from_kube)? else { return Ok(None) };
        let deletion = parse(&entry)?;
        if deletion.request.digest != request.digest {
            return Err(deletion.request.conflict());
        }
        Ok(Some(deletion))
    }

    /// Writes down what the request is about to delete. If another server was faster, what that wrote counts.
    pub(super) async fn begin(
        &self,
        mutation: &Mutation,
        request: &Request,
        targets: Vec<Target>,
    ) -> Result<Deletion, Error> {
        let deletion = Deletion { request: Record::of(request, mutation), targets };
        let entry = to_entry(&deletion, request)?;
        let created =
            mutation.within("noting the request", self.entries.create(&PostParams::default(), &entry)).await?;
        match created {
            Ok(_) => Ok(deletion),
            Err(error) if fault::api_status(&error).is_some_and(|status| status.is_already_exists()) => {
                let begun = self.find(mutation, request).await?;
                begun.ok_or_else(|| Error::Unreachable { detail: "the request's note was removed meanwhile".into() })
            }
            Err(error) if fault::api_status(&error).is_some_and(|status| status.is_not_found()) => {
                let advice = format!("namespace {:?}, where deletions are noted, does not exist", self.namespace);
                Err(Error::Denied { message: format!("{advice}: create it, or choose another with --namespace") })
            }
            Err(error) => Err(fault::from_kube(error)),
        }
    }

    /// Forgets a request that was refused before anything was deleted.
    pub(super) async fn forget(&self, mutation: &Mutation, request: &Request) -> Result<(), Error> {
        let name = entry_name(request);
        let params = DeleteParams::default();
        match mutation.within("forgetting the request", self.entries.delete(&name, &params)).await? {
            Err(error) if !fault::api_status(&error).is_some_and(|status| status.is_not_found()) => {
                Err(fault::from_kube(error))
            }
            _ => Ok(()),
        }
    }

    /// Forgets the requests that nobody will send again.
    pub(super) async fn sweep(&self) -> Result<(), Error> {
        let entries = self.entries.list(&ListParams::default().labels(LABEL)).await.map_err(fault::from_kube)?;
        let horizon = Timestamp::now() - REMEMBERED_HOURS.hours();
        for entry in entries {
            let created = entry.metadata.creation_timestamp.as_ref().map(|time| time.0);
            if let (Some(name), Some(created)) = (&entry.metadata.name, created)
                && created < horizon
            {
                self.entries.delete(name, &DeleteParams::default()).await.map_err(fault::from_kube)?;
            }
        }
        Ok(())
    }
}

fn entry_name(request: &Request) -> String {
    format!("nodeward-request-{}", request.id)
}

fn to_entry(deletion: &Deletion, request: &Request) -> Result<ConfigMap, Error> {
    let text = serde_json::to_string(deletion).map_err(|error| Error::Internal { detail: error.to_string() })?;
    let mut entry = ConfigMap { data: Some([("deletion".to_owned(), text)].into()), ..ConfigMap::default() };
    entry.metadata.name = Some(entry_name(request));
    entry.metadata.labels = Some([(LABEL.to_owned(), "deletion".to_owned())].into());
    Ok(entry)
}

fn parse(entry: &ConfigMap) -> Result<Deletion, Error> {
    let text = entry.data.as_ref().and_then(|data| data.get("deletion")).map(String::as_str).unwrap_or_default();
    serde_json::from_str(text).map_err(|error| {
        let name = entry.metadata.name.as_deref().unwrap_or_default();
        Error::Internal { detail: format!("the note of the request, ConfigMap {name:?}, is spoiled: {error}") }
    })
}
