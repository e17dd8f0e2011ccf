//! Which creations and deletions were asked for.
//!
//! A node that is gone remembers nothing, so what creates or deletes one is written down before it is sent, in a ConfigMap
//! of nodeward's namespace. Whoever carries the request out again, after whatever crash, creates nothing a second time, and
//! deletes what is left of exactly that, never a node that was created anew under the same name.
//!
//! There are only so many entries of each user and of all (`quota`): who may delete nodes must not fill Kubernetes with them.
//! They are counted as of a moment ago, so that a few more may come about.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::time::timeout;
use uuid::Uuid;

use super::entry::{self, Deed, Entry, LABEL};
use super::quota::{LedgerOptions, Usage};
use super::record::Record;
use super::{Mutation, Request};
use crate::cluster::fault;
use crate::error::Error;
use crate::telemetry::{self, Refusals};

/// How long a request is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

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
    limits: LedgerOptions,
    refusals: Refusals,
    /// Which requests there are, as of a moment ago.
    known: Store<PartialObjectMeta<ConfigMap>>,
    /// Whoever follows keeps them up to date.
    writer: Arc<Mutex<Option<Writer<PartialObjectMeta<ConfigMap>>>>>,
}

impl Ledger {
    pub(super) fn new(client: Client, namespace: &str, limits: LedgerOptions) -> Self {
        let writer = Writer::default();
        Self {
            headers: Api::namespaced(client.clone(), namespace),
            entries: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            limits,
            refusals: Refusals::new(&telemetry::meter()),
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

    /// Refuses an id that stands for another request in the ledger. Kubernetes is asked only if it seems to: a request that was
    /// refused, and thus forgotten, a moment ago may be corrected.
    pub(super) async fn refuse_reuse(&self, mutation: &Mutation, request: &Request) -> Result<(), Error> {
        match self.known.get(&self.key(request)).and_then(|found| entry::record(&found.metadata)) {
            Some(record) if record.digest != request.digest => self.find(mutation, request).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Refuses to note one more request if there are enough, unless this one was noted before.
    fn refuse_excess(&self, mutation: &Mutation, request: &Request) -> Result<(), Error> {
        if self.known.get(&self.key(request)).is_some() {
            return Ok(());
        }
        let username = mutation.caller.username();
        let (user, mut usage) = (entry::user(username), Usage::default());
        for entry in self.known.state() {
            let Some(noted) = entry.metadata.creation_timestamp.as_ref().map(|time| time.0) else { continue };
            usage.of_all.add(noted);
            if entry::user_of(&entry.metadata) == Some(&user) {
                usage.of_user.add(noted);
            }
        }
        usage.refuse_excess(self.limits, username, REMEMBERED).inspect_err(|error| {
            if let Error::LedgerFull { limit, .. } = error {
                self.refusals.count("request ids", limit);
            }
        })
    }

    fn key(&self, request: &Request) -> ObjectRef<PartialObjectMeta<ConfigMap>> {
        ObjectRef::new(&entry::name(request.id)).within(&self.namespace)
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
        self.refuse_excess(mutation, request)?;
        let entry = Entry::new(Record::of(request, mutation), mutation.caller.username(), deed);
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

    /// Forgets a request that was refused before it did anything, and that nobody noted before: another server may have, and be
    /// about to carry it out. Best effort: an entry that stays makes the same request try again, and another one with its id
    /// be refused.
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

    /// Forgets the requests that nobody will send again, as far as they are known.
    pub(super) async fn sweep(&self) -> Result<(), Error> {
        let horizon = Timestamp::now() - REMEMBERED;
        for entry in self.known.state() {
            let ObjectMeta { name, uid, creation_timestamp, .. } = &entry.metadata;
            let is_old = creation_timestamp.as_ref().is_some_and(|created| created.0 < horizon);
            if let Some(name) = name.as_ref().filter(|_| is_old) {
                let preconditions = Some(Preconditions { uid: uid.clone(), resource_version: None });
                let params = DeleteParams { preconditions, ..DeleteParams::default() };
                match quickly(self.entries.delete(name, &params)).await? {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    use serde_json::json;
    use tokio::time::Instant;

    use super::super::record::Digest;
    use super::*;
    use crate::caller::Caller;
    use crate::cluster::{Connection, WritesAs};
    use crate::telemetry::names;

    #[tokio::test]
    async fn requests_that_are_a_day_old_are_forgotten_and_no_others() {
        let deleted = Arc::<Mutex<Vec<String>>>::default();
        let note = |number: u128, age: Duration| {
            let name = entry::name(uuid::Uuid::from_u128(number));
            json!({ "metadata": { "name": name, "uid": name, "creationTimestamp": (Timestamp::now() - age).to_string() } })
        };
        let hour = Duration::from_secs(3600);
        let list = json!({
            "apiVersion": "meta.k8s.io/v1",
            "kind": "PartialObjectMetadataList",
            "metadata": { "resourceVersion": "1" },
            "items": [note(1, 23 * hour), note(2, 25 * hour)],
        });
        let asked = deleted.clone();
        let connection = Connection::answering(move |path, body| {
            let name = path.strip_prefix("/api/v1/namespaces/default/configmaps/");
            if let Some(name) = name {
                assert_eq!(body["preconditions"]["uid"], name);
                asked.lock().unwrap().push(name.to_owned());
            }
            std::future::ready(if name.is_some() {
                json!({ "kind": "Status", "status": "Success" })
            } else {
                list.clone()
            })
        });
        let ledger = Ledger::new(connection.client, "default", LedgerOptions::default());
        tokio::select! {
            () = ledger.follow() => {}
            () = ledger.ready() => {}
        }
        ledger.sweep().await.unwrap();
        assert_eq!(*deleted.lock().unwrap(), [entry::name(uuid::Uuid::from_u128(2))]);
    }

    #[tokio::test]
    async fn a_request_that_can_t_be_remembered_is_counted_among_the_refusals() {
        let note = |number: u128| {
            let name = entry::name(Uuid::from_u128(number));
            json!({ "metadata": { "name": name, "creationTimestamp": Timestamp::now().to_string() } })
        };
        let list = json!({
            "apiVersion": "meta.k8s.io/v1",
            "kind": "PartialObjectMetadataList",
            "metadata": { "resourceVersion": "1" },
            "items": [note(1), note(2)],
        });
        let connection = Connection::answering(move |_, _| std::future::ready(list.clone()));
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let ledger = Ledger {
            refusals: Refusals::new(&provider.meter("tests")),
            ..Ledger::new(connection.client, "default", LedgerOptions { of_user: 0, of_all: 2 })
        };
        tokio::select! {
            () = ledger.follow() => {}
            () = ledger.ready() => {}
        }

        let request = Request { id: Uuid::from_u128(3), digest: Digest::of("DeleteNode", "", b"") };
        let refused = ledger.refuse_excess(&mutation(&request), &request);
        assert!(matches!(refused, Err(Error::LedgerFull { limit: "server", .. })), "{refused:?}");
        provider.force_flush().unwrap();
        let exports = exporter.get_finished_metrics().unwrap();
        let mut metrics = exports.last().unwrap().scope_metrics().flat_map(|scope| scope.metrics());
        let counted = metrics.find(|metric| metric.name() == names::LIMIT_REFUSALS).unwrap();
        let AggregatedMetrics::U64(MetricData::Sum(sum)) = counted.data() else { panic!("{counted:?}") };
        let point = sum.data_points().next().unwrap();
        let mut values: Vec<String> = point.attributes().map(|one| one.value.to_string()).collect();
        values.sort();
        assert_eq!((values.as_slice(), point.value()), (["request ids", "server"].map(str::to_owned).as_slice(), 1));
    }

    fn mutation(request: &Request) -> Mutation {
        Mutation {
            caller: Caller::Server,
            writes_as: WritesAs::Server,
            method: "DeleteNode",
            request: Some(request.clone()),
            etag: None,
            validate_only: false,
            audit_id: Uuid::nil(),
            reason: String::new(),
            deadline: Instant::now(),
        }
    }
}
