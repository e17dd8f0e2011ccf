//! A drain whose last pod is held, until something happens by which it comes to another end than that all pods go at once.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use nodeward_sandbox::User;
use nodeward_server::drain::{AtDeadline, Blocker, DrainPolicy, OnUncordon, PodProgress, PodState, PodVolumes};
use nodeward_server::operation::{Cancel, CordonState, NodeOperation, OperationStatus, State};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::eventually;
use super::super::operations::any_pod;
use super::held_node::{HeldNode, is_held};
use super::site::drain_by;
use super::story::assert_one_story;
use super::{Asked, Ground, Story, asked};

/// How long a drain with a deadline has. A server that is killed must be replaced within it.
const DEADLINE: Duration = Duration::from_secs(12);

/// Who asks: they may also delete pods.
const WHO: User = User::Admin;

/// What becomes of the drain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// It is cancelled, and its cordon is kept.
    Cancelled,
    /// It is cancelled, and its cordon is released.
    Released,
    /// It pauses when the node is made schedulable, and goes on when that is taken back.
    Paused,
    /// It fails at its deadline.
    Late,
    /// It deletes at its deadline what is left.
    Deleted,
    /// It waits until a volume is detached.
    Detached,
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cancelled, Self::Released, Self::Paused, Self::Late, Self::Deleted, Self::Detached];

    /// Whether somebody does something, and it is not time alone.
    pub fn is_acted_on(self) -> bool {
        !matches!(self, Self::Late | Self::Deleted)
    }

    fn policy(self) -> DrainPolicy {
        match self {
            Self::Cancelled | Self::Released => any_pod(),
            Self::Paused => DrainPolicy { on_uncordon: OnUncordon::Pause, ..any_pod() },
            Self::Late => DrainPolicy { deadline: Some(DEADLINE), ..any_pod() },
            Self::Deleted => DrainPolicy { deadline: Some(DEADLINE), at_deadline: AtDeadline::Delete, ..any_pod() },
            Self::Detached => DrainPolicy { volumes: PodVolumes::WaitDetached, ..any_pod() },
        }
    }

    /// How the drain ends, what is then said of its cordon, and whether the node is cordoned.
    fn end(self) -> (State, CordonState, bool) {
        match self {
            Self::Cancelled => (State::Cancelled, CordonState::Left, true),
            Self::Released => (State::Cancelled, CordonState::Released, false),
            Self::Paused => (State::Succeeded, CordonState::Foreign, true),
            Self::Late => (State::Failed, CordonState::Left, true),
            Self::Deleted | Self::Detached => (State::Succeeded, CordonState::Left, true),
        }
    }

    /// Whether the held pod goes at last.
    fn removes_all(self) -> bool {
        self.end().0 == State::Succeeded
    }
}

/// The drain of a node with a pod that is free to go, and one that is held.
pub struct Held {
    pub story: Story,
    course: Course,
    at: HeldNode,
    has_acted: watch::Sender<bool>,
}

impl Held {
    /// Asks for one that will take this course.
    pub async fn begin(ground: &Ground, course: Course) -> Self {
        let at = HeldNode::new(ground, course == Course::Detached).await;
        let story = drain_by(ground, &at.client, &at.node, (WHO, &course.policy())).await;
        Self { story, course, at, has_acted: watch::channel(false).0 }
    }

    /// Does what makes the drain take its course.
    pub async fn act(&self, ground: &Ground) {
        match self.course {
            Course::Cancelled => self.cancel(ground, false).await,
            Course::Released => self.cancel(ground, true).await,
            Course::Paused => self.pause().await,
            Course::Late | Course::Deleted => {}
            Course::Detached => self.detach().await,
        }
    }

    /// Waits until the first of that is done.
    pub async fn is_acted_on(&self) {
        self.has_acted.subscribe().wait_for(|has_acted| *has_acted).await.unwrap();
    }

    async fn cancel(&self, ground: &Ground, release_cordon: bool) {
        self.story.until("it is held", is_held).await;
        let cancel = Cancel { username: "alice".to_owned(), release_cordon, ..Cancel::default() };
        let operations: Api<NodeOperation> = Api::all(ground.sandbox.server_client().await.unwrap());
        let patch = Patch::Merge(json!({ "spec": { "cancel": cancel } }));
        operations.patch(&self.story.name, &PatchParams::default(), &patch).await.unwrap();
        self.has_acted.send_replace(true);
    }

    async fn pause(&self) {
        self.story.until("it is held", is_held).await;
        self.set_unschedulable(Value::Null).await;
        self.has_acted.send_replace(true);
        self.story.until("it pauses", |status| status.state == State::Paused).await;
        self.at.workload.set_budget("held", 0).await;
        let is_free = |pod: &PodProgress| pod.pod.name == "held" && pod.blocker.is_none();
        self.story.until("nothing else holds the pod", |status| status.pods.iter().any(is_free)).await;
        assert!(!is_ending(&self.at.workload.find("held").await.unwrap()), "nothing goes while it pauses");
        self.set_unschedulable(true.into()).await;
    }

    async fn detach(&self) {
        let waits = |pod: &PodProgress| matches!(pod.blocker, Some(Blocker::VolumeAttached { .. }));
        self.story.until("it waits for the volume", |status| status.pods.iter().any(waits)).await;
        self.at.volume.as_ref().unwrap().detach().await;
        self.has_acted.send_replace(true);
    }

    async fn set_unschedulable(&self, value: Value) {
        let patch = Patch::Merge(json!({ "spec": { "unschedulable": value } }));
        self.at.nodes().patch(&self.at.node, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until it has ended, and asserts that it has ended as without any harm: no pod was removed twice, and none that it
    /// was not to remove.
    pub async fn ends_as_it_should(self, ground: &Ground) {
        let (course, versions) = (self.course, self.story.to_its_end().await);
        assert_one_story(&versions);
        let status = versions.last().unwrap();
        let is_cordoned = self.at.nodes().get(&self.at.node).await.unwrap().spec.unwrap().unschedulable == Some(true);
        assert_eq!((status.state, status.cordon.state, is_cordoned), course.end(), "{course:?}: {status:#?}");
        let reason = status.failure.as_ref().map(|failure| failure.reason.as_str());
        assert_eq!(reason, (course == Course::Late).then_some("DEADLINE_EXCEEDED"), "{status:#?}");
        let place = |name: &str| status.pods.iter().find(|pod| pod.pod.name == name).unwrap().state;
        let held = if course.removes_all() { PodState::Gone } else { PodState::Failed };
        assert_eq!(place("held"), held, "{course:?}: {status:#?}");
        // A deadline can come before a server has taken the drain over.
        assert!(place("free") == PodState::Gone || course == Course::Late, "{course:?}: {status:#?}");
        self.assert_removed_once(ground, status).await;
        self.at.clean_up().await;
    }

    /// Those that are said to be gone were asked to be removed, none of them twice, and the others are there.
    async fn assert_removed_once(&self, ground: &Ground, status: &OperationStatus) {
        let gone = status.pods.iter().filter(|pod| pod.state == PodState::Gone);
        let gone: BTreeSet<&str> = gone.map(|pod| &*pod.pod.uid).collect();
        // Of a removal whose server was killed before the answer it is not known whether it was carried out: it was asked for.
        let removals = eventually("the account says that they were to be removed", async || {
            let asked = asked(ground).into_iter().filter(|it| it.namespace == self.at.node && it.is_removal());
            let asked: Vec<Asked> = asked.collect();
            gone.iter().all(|uid| asked.iter().any(|it| it.uid == *uid)).then_some(asked)
        })
        .await;
        assert!(removals.iter().all(|it| it.user == WHO.name()), "{removals:#?}");
        let done: Vec<&str> = removals.iter().filter(|it| it.is_done()).map(|it| &*it.uid).collect();
        let distinct: BTreeSet<&str> = done.iter().copied().collect();
        assert_eq!(done.len(), distinct.len(), "{:?}: removed twice: {removals:#?}", self.course);
        assert!(distinct.is_subset(&gone), "{:?}: not to be removed: {removals:#?}", self.course);
        let there: Vec<Pod> = self.at.workload.pods().list(&Default::default()).await.unwrap().items;
        assert_eq!(there.len(), status.pods.len() - gone.len(), "{:?}: {there:#?}", self.course);
        assert!(!there.iter().any(is_ending), "{:?}: {there:#?}", self.course);
    }
}

fn is_ending(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}
