//! What becomes of a test's pods, as an independent watcher sees it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::WatchParams;
use kube::core::WatchEvent;
use kube::{Api, ResourceExt as _};
use tokio::task::JoinHandle;

use super::workload::{Workload, is_ready, node_of};

/// What was seen of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It was there.
    Came {
        /// The node that it is on, if it is on one.
        node: Option<String>,
    },
    /// It was ready.
    Ready,
    /// It was being removed.
    Ending {
        /// How many seconds it had.
        grace: i64,
    },
    /// It was gone.
    Gone,
}

/// What was seen of all pods of a namespace, in the order in which it happened. Each thing is seen once.
pub struct Timeline {
    seen: Arc<Mutex<Vec<(String, String, Sight)>>>,
    watching: JoinHandle<()>,
}

impl Timeline {
    /// Of the pods of this workload from now on, of which there may be some.
    pub async fn of(workload: &Workload) -> Self {
        let pods = workload.pods();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let list = pods.list(&Default::default()).await.unwrap();
        list.items.iter().for_each(|pod| note(&seen, pod, false));
        let watching = tokio::spawn(watch(pods, list.metadata.resource_version.unwrap(), seen.clone()));
        Self { seen, watching }
    }

    /// All of it: the name of the pod, its uid and what was seen.
    pub fn all(&self) -> Vec<(String, String, Sight)> {
        self.seen.lock().unwrap().clone()
    }

    /// The names of the pods in the order in which they began to be removed.
    pub fn removals(&self) -> Vec<String> {
        let is_ending = |sight: &Sight| matches!(sight, Sight::Ending { .. });
        self.all().into_iter().filter(|(.., sight)| is_ending(sight)).map(|(name, ..)| name).collect()
    }

    /// How many seconds a pod was given when it began to be removed.
    pub fn grace_of(&self, pod: &str) -> Option<i64> {
        self.all().into_iter().find_map(|(name, _, sight)| match sight {
            Sight::Ending { grace } if name == pod => Some(grace),
            _ => None,
        })
    }

    /// The uids of all pods that had this name, in the order in which they came.
    pub fn uids_of(&self, pod: &str) -> Vec<String> {
        let came = |(name, uid, sight)| (name == pod && matches!(sight, Sight::Came { .. })).then_some(uid);
        let mut seen = BTreeSet::new();
        self.all().into_iter().filter_map(came).filter(|uid| seen.insert(uid.clone())).collect()
    }

    /// Whether a pod began to be removed when another was gone.
    #[track_caller]
    pub fn assert_gone_before(&self, first: &str, then: &str) {
        let all = self.all();
        let at = |pod: &str, is_meant: fn(&Sight) -> bool| {
            all.iter().position(|(name, _, sight)| name == pod && is_meant(sight))
        };
        let gone = at(first, |sight| *sight == Sight::Gone);
        let ending = at(then, |sight| matches!(sight, Sight::Ending { .. }));
        assert!(gone.is_some() && gone < ending, "{then} went before {first} was gone: {all:#?}");
    }

    /// The most pods that were being removed at one time.
    pub fn most_at_once(&self) -> usize {
        let mut ending = BTreeSet::new();
        let counts = self.all().into_iter().map(|(_, uid, sight)| {
            match sight {
                Sight::Came { .. } | Sight::Ready => {}
                Sight::Ending { .. } => drop(ending.insert(uid)),
                Sight::Gone => drop(ending.remove(&uid)),
            }
            ending.len()
        });
        counts.max().unwrap_or(0)
    }

    /// The fewest pods that were ready and not being removed at one time since the first removal.
    pub fn fewest_ready(&self) -> usize {
        let (mut ready, mut has_begun) = (BTreeSet::new(), false);
        let counts = self.all().into_iter().filter_map(|(_, uid, sight)| {
            match sight {
                Sight::Came { .. } => {}
                Sight::Ready => drop(ready.insert(uid)),
                Sight::Ending { .. } | Sight::Gone => {
                    ready.remove(&uid);
                    has_begun = true;
                }
            }
            has_begun.then_some(ready.len())
        });
        counts.min().unwrap_or(0)
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

async fn watch(pods: Api<Pod>, mut version: String, seen: Arc<Mutex<Vec<(String, String, Sight)>>>) {
    loop {
        // It ends now and then, and goes on from where it was.
        let Ok(events) = pods.watch(&WatchParams::default(), &version).await else { continue };
        let mut events = pin!(events.into_stream().fuse());
        while let Ok(Some(event)) = events.try_next().await {
            let (pod, is_gone) = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                WatchEvent::Deleted(pod) => (pod, true),
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => panic!("the watcher of the pods has lost its place: {status:?}"),
            };
            note(&seen, &pod, is_gone);
            version = pod.resource_version().unwrap();
        }
    }
}

fn note(seen: &Mutex<Vec<(String, String, Sight)>>, pod: &Pod, is_gone: bool) {
    let (name, uid) = (pod.name_any(), pod.uid().unwrap());
    let grace = pod.metadata.deletion_timestamp.as_ref().and(pod.metadata.deletion_grace_period_seconds);
    let came = Sight::Came { node: node_of(pod).map(str::to_owned) };
    let ready = is_ready(pod).then_some(Sight::Ready);
    let sights = [Some(came), ready, grace.map(|grace| Sight::Ending { grace }), is_gone.then_some(Sight::Gone)];
    let mut seen = seen.lock().unwrap();
    for sight in sights.into_iter().flatten() {
        // Its time to end is shorter when its kubelet has ended it.
        let is_same =
            |seen: &Sight| *seen == sight || matches!((seen, &sight), (Sight::Ending { .. }, Sight::Ending { .. }));
        let is_known = seen.iter().any(|(_, known, what)| *known == uid && is_same(what));
        if !is_known {
            seen.push((name.clone(), uid.clone(), sight));
        }
    }
}
