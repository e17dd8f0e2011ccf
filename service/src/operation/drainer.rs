//! Carries one drain out.
//!
//! It cordons the node, then takes one step after another (`drain::Situation`), each from what the cluster is by then, until
//! no pod is left that is to go, and none has come for a while. What is about to be done is written down before it is done (`journal`), so
//! that a server which takes the drain over knows what the one before may have begun.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::cordon::{Cordoner, is_cordoned};
use super::ending::{Ending, cancelled_by, uncordoned_by};
use super::journal::{Journal, Overtaken, patiently};
use super::removals::{Answer, Removals};
use super::sight::Sight;
use super::trail::Trails;
use super::{CordonState, NodeOperation, State};
use crate::cluster::Cluster;
use crate::cluster::lease::Term;
use crate::cluster::observe::View;
use crate::cluster::store::NodeView;
use crate::drain::{DrainPlan, DrainPolicy, OnUncordon, Outlook, PodProgress, Situation, Step, compact};

/// For how long no pod must have come: those that were bound before the scheduler knew of the cordon come late. What goes late
/// need not be waited for.
const NONE_CAME_FOR: Duration = Duration::from_secs(5);

/// How long at most nothing is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// How long nothing is looked at after something was.
const REST: Duration = Duration::from_millis(50);

/// One drain on its way.
struct Drainer {
    journal: Journal,
    term: Term,
    policy: DrainPolicy,
    cordoner: Cordoner,
    sight: Sight,
    removals: Removals,
    /// Where the pods are, by what is written down and what was answered since.
    progress: Vec<PodProgress>,
    /// What was seen of the node before it had this version says nothing about the cordon.
    cordoned_at: u64,
    /// When the last pod came that is to go; when this server began, if none did since.
    last_came: Instant,
    /// When the last step was begun.
    looked: Instant,
}

/// Carries the operation of this name out to its end.
///
/// # Errors
/// What keeps it from going on for now. It can be taken up again from where the cluster then is.
pub(super) async fn carry_out(
    cluster: Cluster,
    trails: Trails,
    name: String,
    operations: View<NodeOperation>,
    term: Term,
    holder: String,
) -> anyhow::Result<()> {
    let journal = Journal::open(cluster.clone(), &trails, &name, operations, term.clone()).await?;
    let Some(mut journal) = journal else { return Ok(()) };
    journal.begin(&holder).await?;
    let policy = journal.spec().drain.clone().unwrap_or_default().policy;
    let policy = match serde_json::from_value(policy) {
        Ok(policy) => policy,
        Err(error) => return end(&mut journal, Ending::unreadable(&error)).await,
    };
    let drainer = Drainer {
        cordoner: Cordoner::new(cluster.clone(), term.clone(), &journal),
        sight: Sight::open(&cluster, &journal.spec().node, &policy),
        removals: Removals::new(&cluster, term.clone(), &journal),
        progress: journal.status().pods,
        cordoned_at: 0,
        last_came: Instant::now(),
        looked: Instant::now(),
        journal,
        term,
        policy,
    };
    Box::pin(drainer.run()).await
}

impl Drainer {
    async fn run(mut self) -> anyhow::Result<()> {
        let mut ending = match self.cordon_first().await? {
            Some(ending) => Some(ending),
            None => {
                self.sight.in_sync().await;
                None
            }
        };
        while ending.is_none() {
            ending = self.next().await?;
        }
        Box::pin(self.finish(ending.unwrap_or_else(Ending::succeeded))).await
    }

    /// Takes a step, and waits until there may be another one to take. How the drain ends, if it does.
    async fn next(&mut self) -> anyhow::Result<Option<Ending>> {
        self.journal.look()?;
        self.looked = Instant::now();
        while let Some(answer) = self.removals.try_answered()? {
            self.took(answer);
        }
        let Some(node) = self.sight.node() else {
            if self.cordoner.is_node_gone().await? {
                return Ok(Some(Ending::node_gone()));
            }
            return self.wait(Instant::now() + LOOK).await;
        };
        if let Some(ending) = Box::pin(self.guard_cordon(&node)).await? {
            return Ok(Some(ending));
        }
        let now = Timestamp::now();
        let plan = self.sight.plan(&node, &self.policy, now);
        let step = self.step(&plan, now);
        self.sight.look_at_budgets_of(&step.progress);
        let (outlook, wake) = (step.outlook, self.wake(&step, now));
        self.take(step, now).await?;
        match self.ending(outlook).await? {
            Some(ending) => Ok(Some(ending)),
            None => self.wait(wake).await,
        }
    }

    /// Waits until something has changed, but not longer than until then. It never ends the drain.
    async fn wait(&mut self, wake: Instant) -> anyhow::Result<Option<Ending>> {
        tokio::select! {
            () = self.term.lost() => return Err(Overtaken.into()),
            () = self.sight.changed() => {}
            () = self.journal.changed() => {}
            () = sleep_until(wake) => {}
            answer = self.removals.answered() => {
                let answer = answer?;
                self.took(answer);
            }
        }
        // Changes come in bursts. What is written down at once of each of them would be too much for Kubernetes, and what is
        // thought about each of them too much for this server.
        let rested = self.looked + REST;
        sleep_until(self.journal.quiet_until().map_or(rested, |quiet| quiet.max(rested))).await;
        Ok(None)
    }

    /// Cordons the node before anything else, if that was not done. How the drain ends, if it can't be.
    async fn cordon_first(&mut self) -> anyhow::Result<Option<Ending>> {
        let cordoned = match self.journal.cordon().state {
            CordonState::None => self.cordon("").await,
            _ => self.cordoner.require_right().await,
        };
        match cordoned {
            Ok(()) => Ok(None),
            Err(error) => Ending::not_cordoned(&error).map(Some).ok_or(error),
        }
    }

    /// Cordons the node; again, if this manager has made it schedulable.
    async fn cordon(&mut self, lifted_by: &str) -> anyhow::Result<()> {
        let cordoned = self.cordoner.cordon().await?;
        self.cordoned_at = cordoned.version;
        let manager = if cordoned.manager.is_empty() { lifted_by } else { &cordoned.manager };
        let mut after = self.journal.status();
        after.set_cordon(cordoned.state, manager, Timestamp::now());
        self.journal.write(after).await
    }

    /// Sees whether the node is still cordoned, and does what the policy says if it is not. How the drain ends, if it does.
    async fn guard_cordon(&mut self, node: &NodeView) -> anyhow::Result<Option<Ending>> {
        let cordon = self.journal.cordon();
        let was_lifted = cordon.state == CordonState::Lifted;
        if node.version() < self.cordoned_at || self.journal.cancel().is_some() {
            return Ok(None);
        }
        if is_cordoned(node.object()) {
            return if was_lifted { self.cordoned_again("").await } else { Ok(None) };
        }
        let manager = match was_lifted {
            true => cordon.manager,
            false => match self.cordoner.lifted().await? {
                Some(manager) => manager,
                None => return Ok(None),
            },
        };
        let mut after = self.journal.status();
        after.set_cordon(CordonState::Lifted, &manager, Timestamp::now());
        self.journal.write(after).await?;
        match self.policy.on_uncordon {
            OnUncordon::CordonAgain => self.cordoned_again(&manager).await,
            OnUncordon::Pause if was_lifted => Ok(None),
            OnUncordon::Pause => {
                unless_for_good(self.cordoner.tidy().await)?;
                Ok(None)
            }
            OnUncordon::Cancel => Ok(Some(Ending::uncordoned(&manager))),
        }
    }

    /// Adds the drain's claim to a node that is cordoned again, or is to be. How the drain ends, if it can't be.
    async fn cordoned_again(&mut self, lifted_by: &str) -> anyhow::Result<Option<Ending>> {
        match self.cordon(lifted_by).await {
            Ok(()) => Ok(None),
            Err(error) => Ending::not_cordoned(&error).map(Some).ok_or(error),
        }
    }

    fn is_lifted(&self) -> bool {
        self.journal.cordon().state == CordonState::Lifted
    }

    fn step(&self, plan: &DrainPlan, now: Timestamp) -> Step {
        let start = self.journal.status().start_time;
        let deadline = self.policy.deadline.and_then(|deadline| start?.checked_add(deadline).ok());
        Situation {
            plan,
            policy: &self.policy,
            volumes: &self.sight.volumes(plan),
            progress: &self.progress,
            in_flight: self.removals.in_flight(),
            room: self.removals.room(),
            deadline,
            is_held: self.journal.cancel().is_some() || self.is_lifted() || !self.term.is_valid(),
            now,
        }
        .step()
    }

    /// When to take the next step at the latest.
    fn wake(&self, step: &Step, now: Timestamp) -> Instant {
        let in_time = step.wake.and_then(|wake| Duration::try_from(wake.duration_since(now)).ok());
        let by_step = Instant::now() + in_time.unwrap_or(LOOK).min(LOOK);
        match step.outlook {
            Outlook::Empty => by_step.min(self.last_came + NONE_CAME_FOR),
            _ => by_step,
        }
    }

    /// Writes down where the pods are and which are to be removed, and then removes those.
    async fn take(&mut self, step: Step, now: Timestamp) -> anyhow::Result<()> {
        let Step { progress, removals, outlook, .. } = step;
        if progress.iter().any(|pod| !pod.state.is_done() && !self.knows(pod)) {
            self.last_came = Instant::now();
        }
        let progress = compact(progress);
        let mut after = self.journal.status();
        let (state, message) = match (self.journal.cancel(), outlook) {
            (Some(cancel), _) => (State::Cancelling, cancelled_by(cancel)),
            (None, _) if self.is_lifted() => (State::Paused, uncordoned_by(&after.cordon.manager)),
            (None, Outlook::Blocked) => (State::Blocked, String::new()),
            (None, _) => (State::Running, String::new()),
        };
        self.progress.clone_from(&progress);
        let mut is_news = after.set_progress(progress, now);
        is_news |= after.enter(state, message, now);
        if is_news {
            self.progress.clone_from(&after.pods);
            self.journal.write(after).await?;
        }
        for order in removals {
            self.removals.send(order);
        }
        Ok(())
    }

    fn knows(&self, pod: &PodProgress) -> bool {
        self.progress.iter().any(|known| known.pod.uid == pod.pod.uid)
    }

    /// Takes in what was answered to a removal. It is written down with the next step.
    fn took(&mut self, answer: Answer) {
        let now = Timestamp::now();
        if let Some(was) = self.progress.iter_mut().find(|was| was.pod.uid == answer.pod.uid) {
            *was = answer.progress(was, now);
        }
    }

    /// How the drain ends, if it does now.
    async fn ending(&mut self, outlook: Outlook) -> anyhow::Result<Option<Ending>> {
        let left = self.progress.iter().filter(|pod| !pod.state.is_done()).count();
        let is_quiet = self.last_came.elapsed() >= NONE_CAME_FOR;
        Ok(match outlook {
            Outlook::Empty if is_quiet && self.is_all_seen().await? => Some(Ending::succeeded()),
            Outlook::Late => Some(Ending::late(left)),
            _ => {
                let cancel = self.journal.cancel().filter(|_| self.removals.in_flight().is_empty());
                cancel.map(Ending::cancelled)
            }
        })
    }

    /// Whether the node has no pod that has not been seen: a watch may be behind, and what it has not brought is not waited for.
    async fn is_all_seen(&self) -> anyhow::Result<bool> {
        let there = patiently(&self.term, |deadline| self.sight.pods_now(deadline)).await?;
        Ok(there.iter().all(|uid| self.progress.iter().any(|known| known.pod.uid == *uid)))
    }

    /// Ends it, once the claim on the cordon is taken back, if somebody has asked for that.
    async fn finish(mut self, ending: Ending) -> anyhow::Result<()> {
        let is_to_release = self.journal.cancel().is_some_and(|cancel| cancel.release_cordon) && ending.is_cancelled();
        let is_released = is_to_release && unless_for_good(self.cordoner.release().await)?.unwrap_or(false);
        if is_released && self.journal.cordon().state == CordonState::Own {
            let mut after = self.journal.status();
            after.set_cordon(CordonState::Released, "", Timestamp::now());
            self.journal.write(after).await?;
        }
        end(&mut self.journal, ending).await
    }
}

/// What became of a change of the cordon that the drain can end without. None if it can't be made, which does not pass.
fn unless_for_good<T>(changed: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match changed {
        Err(error) if Ending::not_cordoned(&error).is_some() => {
            tracing::warn!(%error, "the cordon of a drain stays as it is");
            Ok(None)
        }
        changed => changed.map(Some),
    }
}

async fn end(journal: &mut Journal, ending: Ending) -> anyhow::Result<()> {
    let mut after = journal.status();
    ending.enter(&mut after, Timestamp::now());
    journal.write(after).await
}
