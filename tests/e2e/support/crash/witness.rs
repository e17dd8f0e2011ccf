//! Watches the pods of a namespace, and notes whatever must not be at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use tokio::task::AbortHandle;

use super::super::eventually;

/// Somebody who watches pods.
pub struct Witness {
    seen: Arc<Mutex<Seen>>,
    watching: AbortHandle,
}

#[derive(Default)]
struct Seen {
    /// By uid.
    pods: BTreeMap<String, Pod>,
    /// Those that a new list has shown so far.
    listed: BTreeMap<String, Pod>,
    is_complete: bool,
    /// How many pods of an app must be healthy.
    budgets: BTreeMap<String, usize>,
    /// The uids of the pods that must stay.
    staying: BTreeSet<String>,
    faults: Vec<String>,
}

impl Witness {
    /// One who sees to it that of each app so many pods are healthy, and that these pods stay.
    pub async fn of(pods: Api<Pod>, budgets: BTreeMap<String, usize>, staying: BTreeSet<String>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { budgets, staying, ..Seen::default() }));
        let sees = seen.clone();
        let watching = tokio::spawn(async move {
            let mut events = pin!(watcher(pods, watcher::Config::default().any_semantic()));
            while let Some(event) = events.next().await {
                // It comes back by itself.
                if let Ok(event) = event {
                    sees.lock().unwrap().take(event);
                }
            }
        });
        eventually("the witness sees", async || seen.lock().unwrap().is_complete.then_some(())).await;
        Self { seen, watching: watching.abort_handle() }
    }

    /// From now on so many pods of this app must be healthy.
    pub fn lower(&self, app: &str, healthy: usize) {
        self.seen.lock().unwrap().budgets.insert(app.to_owned(), healthy);
    }

    /// The pods that are there.
    pub fn pods(&self) -> Vec<Pod> {
        self.seen.lock().unwrap().pods.values().cloned().collect()
    }

    /// Asserts that nothing was seen that must not be.
    pub fn assert_content(&self) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.faults.is_empty(), "{:#?}", seen.faults);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Seen {
    fn take(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => drop(self.listed.insert(pod.uid().unwrap(), pod)),
            Event::InitDone => {
                self.pods = std::mem::take(&mut self.listed);
                self.is_complete = true;
            }
            Event::Apply(pod) => drop(self.pods.insert(pod.uid().unwrap(), pod)),
            Event::Delete(pod) => drop(self.pods.remove(&pod.uid().unwrap())),
        }
        if self.is_complete {
            self.check();
        }
    }

    fn check(&mut self) {
        for (app, needed) in &self.budgets {
            let healthy =
                self.pods.values().filter(|pod| pod.labels().get("app") == Some(app) && is_healthy(pod)).count();
            if healthy < *needed {
                self.faults.push(format!("{healthy} of the {needed} healthy pods that {app} needs"));
            }
        }
        for uid in &self.staying {
            if self.pods.get(uid).is_none_or(|pod| pod.metadata.deletion_timestamp.is_some()) {
                self.faults.push(format!("{uid} was to stay"));
            }
        }
    }
}

/// As the disruption controller counts it.
pub fn is_healthy(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_ready = conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"));
    is_ready && pod.metadata.deletion_timestamp.is_none()
}
