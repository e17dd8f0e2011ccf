//! An operation as it is written down, version by version, whatever happens to the apiserver meanwhile.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use kube::api::WatchParams;
use kube::core::WatchEvent;
use kube::{Api, ResourceExt};
use nodeward_server::operation::{NodeOperation, OperationStatus, State};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// A drain that takes longer has come to a silent stop. When an apiserver or a server dies amid an eviction, Kubernetes can
/// count the pod as gone that is not, for two minutes.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a watch may say nothing.
const SILENCE: Duration = Duration::from_secs(5);

/// All versions of the status, from the first on.
pub struct Story {
    /// The operation's name.
    pub name: String,
    versions: watch::Receiver<Vec<OperationStatus>>,
    watching: AbortHandle,
}

impl Story {
    /// Follows an operation from the version that it was created with.
    pub fn of(operations: Api<NodeOperation>, created: &NodeOperation) -> Self {
        let (sender, versions) = watch::channel(Vec::new());
        let watching = tokio::spawn(follow(operations, created.clone(), sender)).abort_handle();
        Self { name: created.name_any(), versions, watching }
    }

    /// Waits until the status was written so often. Whether it was: the drain may have ended before.
    pub async fn writes(&self, count: usize) -> bool {
        self.wait(|versions| versions.len() >= count || is_over(versions)).await.len() >= count
    }

    /// Waits until the status is written again, if the drain has not ended.
    pub async fn goes_on(&self) {
        let count = self.versions.borrow().len();
        self.writes(count + 1).await;
    }

    /// Waits until the status is like this.
    pub async fn until(&self, what: &str, is_so: impl Fn(&OperationStatus) -> bool) -> OperationStatus {
        let versions = self.wait(|versions| versions.last().is_some_and(&is_so) || is_over(versions)).await;
        let last = versions.last().unwrap();
        assert!(is_so(last), "it ended before {what}: {last:#?}");
        last.clone()
    }

    /// Waits until the drain has ended: all versions.
    pub async fn to_its_end(&self) -> Vec<OperationStatus> {
        self.wait(is_over).await
    }

    async fn wait(&self, is_so: impl Fn(&[OperationStatus]) -> bool) -> Vec<OperationStatus> {
        let mut versions = self.versions.clone();
        match timeout(PATIENCE, versions.wait_for(|versions| is_so(versions))).await {
            Ok(versions) => versions.unwrap().clone(),
            Err(_) => panic!("it has stopped: {:#?}", self.versions.borrow().last()),
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn is_over(versions: &[OperationStatus]) -> bool {
    versions.last().is_some_and(|status| status.state.is_final())
}

/// Asserts what holds for the story of every drain that empties its node, whoever carried it out.
pub fn assert_coherent(versions: &[OperationStatus]) {
    assert_one_story(versions);
    let last = versions.last().unwrap();
    assert_eq!(last.state, State::Succeeded, "{last:#?}");
}

/// Asserts what holds for the story of every drain, however it ended and whoever carried it out.
pub fn assert_one_story(versions: &[OperationStatus]) {
    let started = versions[0].start_time;
    assert!(started.is_some(), "{:#?}", versions[0]);
    for pair in versions.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(after.start_time, started, "the drain has begun once");
        assert!(after.sequence >= before.sequence, "events are numbered on: {before:#?} {after:#?}");
        assert!(after.term >= before.term, "a server that was replaced writes nothing: {before:#?} {after:#?}");
        assert!(!before.state.is_final(), "an end is an end: {before:#?} {after:#?}");
    }
}

async fn follow(operations: Api<NodeOperation>, created: NodeOperation, sender: watch::Sender<Vec<OperationStatus>>) {
    let name = created.name_any();
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(3);
    let (mut version, mut status) = (created.resource_version().unwrap(), created.status);
    let mut take = |operation: NodeOperation, version: &mut String| {
        *version = operation.resource_version().unwrap();
        if operation.status != status {
            status.clone_from(&operation.status);
            sender.send_modify(|versions| versions.extend(operation.status));
        }
    };
    loop {
        let Ok(Ok(events)) = timeout(SILENCE, operations.watch(&params, &version)).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mut events = pin!(events);
        while let Ok(Ok(Some(event))) = timeout(SILENCE, events.try_next()).await {
            match event {
                WatchEvent::Added(operation) | WatchEvent::Modified(operation) => take(operation, &mut version),
                // An apiserver that has just started does not know what was before.
                WatchEvent::Error(_) => {
                    if let Ok(Ok(operation)) = timeout(SILENCE, operations.get(&name)).await {
                        take(operation, &mut version);
                    }
                    break;
                }
                _ => {}
            }
        }
    }
}
