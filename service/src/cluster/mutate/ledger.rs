//! Which creations and deletions were asked for.
//!
//! A node that is gone remembers nothing, so what creates or deletes one is written down before it is sent, in a ConfigMap
//! of nodeward's namespace. Whoever carries the request out again, after whatever crash, creates nothing a second time, and
//! deletes what is left of exactly that, never a node that was created anew under the same name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::time::timeout;
use uuid::Uuid;

use super::entry::{self, Deed, Entry, LABEL};
use super::record::Record;
use super::{Mutation, Request};
use crate::cluster::fault;
use crate::error::Error;

/// How long a request is remembered.
const REMEMBERED_HOURS: i64 = 24;

/// The deadline of each call that no request waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long, in seconds, a watch of the ledger may be silent.
const WATCH_SECONDS: u32 = 60;

/// What was found when a request was to be noted.
pub(super) enum Begun {
    /// Nothing: it is noted now.
    Now(Entry),
    /// The same request was noted before, and perhaps carried out.
    Before(Entry),
}

/// The ConfigMaps.
#[derive(Clone)]
pub(super) struct Ledger {
    entries: Api<ConfigMap>,
    /// The same, of which only the metadata are read.
    headers: Api<PartialObjectMeta<ConfigMap>>,
    namespace: String,
    /// Which requests there are, as of a moment ago.
    known: Store<PartialObjectMeta<ConfigMap>>,
    /// Whoever follows keeps them up to date.
    writer: Arc<Mutex<Option<Writer<PartialObjectMeta<ConfigMap>>>>>,
}

impl Ledger {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        let writer = Writer::default();
        Self {
            headers: Api::namespaced(client.clone(), namespace),
            entries: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            known: writer.as_reader(),
            writer: Arc::new(Mutex::new(Some(writer))),
        }
    }

    /// Waits until the requests that other servers have noted are known.
    pub(super) async fn ready(&self) {
        // An error says that nobody follows any more.
        let _ = self.known.wait_until_ready().await;
    }

    /// Keeps up with the requests that other servers note. Goes on until it is dropped. To be called once.
    pub(super) async fn follow(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        let config = watcher::Config::default().labels(LABEL).timeout(WATCH_SECONDS);
        let changes = watcher(self.headers.clone(), config).reflect(writer).default_backoff();
        let mut changes = std::pin::pin!(changes);
        while let Some(change) = changes.next().await {
            if let Err(error) = change {
                tracing::warn!(%error, "the watch of the noted requests broke off, going on");
            }
        }
    }

    /// Refuses an id that stands for another request in the ledger, as far as that is known without asking Kubernetes.
    pub(super) fn refuse_reuse(&self, request: &Request) -> Result<(), Error> {
        let key = ObjectRef::new(&entry::name(request.id)).within(&self.namespace);
        match self.known.get(&key).and_then(|found| entry::record(&found.metadata)) {
            Some(record) if record.digest != request.digest => Err(record.conflict()),
            _ => Ok(()),
        }
    }

    /// The entry of the request, if it was noted before: an error if its id stands for another one.
    pub(super) async fn find(&self, mutation: &Mutation, request: &Request) -> Result<Option<Entry>, Error> {
        let found = mutation.within("looking up the request", self.entries.get_opt(&entry::name(request.id))).await?;
        let Some(map) = found.map_err(fault::from_kube)? else { return Ok(None) };
        let entry = Entry::from_config_map(&map)?;
        if entry.request.digest != request.digest {
            return Err(entry.request.conflict());
        }
        Ok(Some(entry))
    }

    /// The entry of this id, whichever request it stands for.
    pub(super) async fn entry(&self, id: Uuid) -> Result<Option<Entry>, Error> {
        let found = self.entries.get_opt(&entry::name(id)).await.map_err(fault::from_kube)?;
        found.as_ref().map(Entry::from_config_map).transpose()
    }

    /// Notes what the request is about to do. If another server was faster, what that noted counts.
    pub(super) async fn begin(&self, mutation: &Mutation, request: &Request, deed: Deed) -> Result<Begun, Error> {
        let entry = Entry::new(Record::of(request, mutation), deed);
        let map = entry.to_config_map()?;
        let created = mutation.within("noting the request", self.entries.create(&PostParams::default(), &map)).await?;
        match created {
            Ok(map) => Ok(Begun::Now(Entry { uid: map.metadata.uid, ..entry })),
            Err(error) if fault::api_status(&error).is_some_and(|status| status.is_already_exists()) => {
                let before = self.find(mutation, request).await?;
                let gone = || Error::Unreachable { detail: "the request's note was removed meanwhile".into() };
                before.map(Begun::Before).ok_or_else(gone)
            }
            Err(error) if fault::api_status(&error).is_some_and(|status| status.is_not_found()) => {
                let advice = format!("namespace {:?}, where requests are noted, does not exist", self.namespace);
                Err(Error::Denied { message: format!("{advice}: create it, or choose another with --namespace") })
            }
            Err(error) => Err(fault::from_kube(error)),
        }
    }

    /// Notes that a creation was carried out. Best effort: as long as the node lives, it remembers the request too.
    pub(super) async fn created(&self, mutation: &Mutation, entry: &Entry, uid: &str) {
        let (name, patch) = (entry::name(entry.request.id), Patch::Merge(entry::created(uid)));
        let params = PatchParams::default();
        match mutation.within("noting the creation", self.entries.patch(&name, &params, &patch)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not note that a node was created"),
            Err(error) => tracing::warn!(%error, "could not note that a node was created"),
        }
    }

    /// Forgets a request that was refused before it did anything. Best effort: an entry that stays makes the same request
    /// try again, and another one with its id be refused.
    pub(super) async fn forget(&self, mutation: &Mutation, entry: &Entry) {
        let preconditions = Some(Preconditions { uid: entry.uid.clone(), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let name = entry::name(entry.request.id);
        match mutation.within("forgetting the request", self.entries.delete(&name, &params)).await {
            Ok(Err(error)) if !is_gone(&error) => tracing::warn!(%error, "could not forget a refused request"),
            Err(error) => tracing::warn!(%error, "could not forget a refused request"),
            _ => {}
        }
    }

    /// Forgets the requests that nobody will send again.
    pub(super) async fn sweep(&self) -> Result<(), Error> {
        let entries = quickly(self.entries.list_metadata(&ListParams::default().labels(LABEL))).await?;
        let horizon = Timestamp::now() - REMEMBERED_HOURS.hours();
        for entry in entries.map_err(fault::from_kube)? {
            let created = entry.metadata.creation_timestamp.as_ref().map(|time| time.0);
            if let (Some(name), Some(created)) = (&entry.metadata.name, created)
                && created < horizon
            {
                match quickly(self.entries.delete(name, &DeleteParams::default())).await? {
                    // Other servers sweep too.
                    Err(error) if !is_gone(&error) => return Err(fault::from_kube(error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

async fn quickly<T>(call: impl Future<Output = T>) -> Result<T, Error> {
    timeout(PATIENCE, call).await.map_err(|_| Error::DeadlineExceeded { stage: "forgetting old requests" })
}

/// Gone, or gone and noted anew.
fn is_gone(error: &kube::Error) -> bool {
    fault::api_status(error).is_some_and(|status| status.is_not_found() || status.is_conflict())
}
