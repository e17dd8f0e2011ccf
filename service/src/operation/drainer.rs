//! Carries one drain out.
//!
//! It cordons the node, then takes one step after another (`drain::Situation`), each from what the cluster is by then, until
//! no pod is left that is to go, and none has come for a while. What is about to be done is written down before it is done (`journal`), so
//! that a server which takes the drain over knows what the one before may have begun.

mod beginning;
mod guard;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::cordon::Cordoner;
use super::ending::{Ending, cancelled_by, uncordoned_by};
use super::journal::{Journal, Overtaken, Unwanted, patiently_while};
use super::removals::{Answer, Removals};
use super::sight::Sight;
use super::trail::Trails;
use super::{CordonState, NodeOperation, State};
use crate::cluster::Cluster;
use crate::cluster::lease::Term;
use crate::cluster::observe::View;
use crate::drain::{DrainPlan, DrainPolicy, Outlook, PodProgress, Situation, Step, compact};

/// For how long no pod must have come: those that were bound before the scheduler knew of the cordon come late. What goes late
/// need not be waited for.
const NONE_CAME_FOR: Duration = Duration::from_secs(5);

/// After what time Kubernetes is asked again whether all pods were seen.
const ASK_AGAIN: Duration = Duration::from_secs(1);

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
    /// When the last pod came that is to go, or the node was cordoned if that was later; when this server began, if neither was.
    last_came: Instant,
    /// When Kubernetes was asked last whether all pods were seen.
    asked: Option<Instant>,
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
    Box::pin(Drainer::new(&cluster, journal, term, policy).run()).await
}

impl Drainer {
    /// It goes on from what is written down.
    fn new(cluster: &Cluster, journal: Journal, term: Term, policy: DrainPolicy) -> Self {
        Self {
            cordoner: Cordoner::new(cluster.clone(), term.clone(), &journal),
            sight: Sight::open(cluster, &journal.spec().node, &policy),
            removals: Removals::new(cluster, term.clone(), &journal),
            progress: journal.status().pods,
            cordoned_at: 0,
            last_came: Instant::now(),
            asked: None,
            looked: Instant::now(),
            journal,
            term,
            policy,
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut ending = Box::pin(self.begin()).await?;
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
        let (outlook, wake) = (step.outlook, step.wake);
        self.take(step, now).await?;
        match self.ending(outlook).await? {
            Some(ending) => Ok(Some(ending)),
            None => self.wait(self.wake(outlook, wake, now)).await,
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

    fn is_lifted(&self) -> bool {
        self.journal.cordon().state == CordonState::Lifted
    }

    fn step(&self, plan: &DrainPlan, now: Timestamp) -> Step {
        Situation {
            plan,
            policy: &self.policy,
            volumes: &self.sight.volumes(plan),
            progress: &self.progress,
            in_flight: self.removals.in_flight(),
            room: self.removals.room(),
            deadline: self.deadline(),
            is_held: self.journal.cancel().is_some() || self.is_lifted() || !self.term.is_valid(),
            now,
        }
        .step()
    }

    /// When the drain must be over, if it must.
    fn deadline(&self) -> Option<Timestamp> {
        let start = self.journal.status().start_time;
        self.policy.deadline.and_then(|deadline| start?.checked_add(deadline).ok())
    }

    /// When to take the next step at the latest, if the last one wants it taken then.
    fn wake(&self, outlook: Outlook, wake: Option<Timestamp>, now: Timestamp) -> Instant {
        let in_time = wake.and_then(|wake| Duration::try_from(wake.duration_since(now)).ok());
        let by_step = Instant::now() + in_time.unwrap_or(LOOK).min(LOOK);
        match outlook {
            Outlook::Empty if !self.is_lifted() => by_step.min(self.quiet()),
            _ => by_step,
        }
    }

    /// When no pod has come for long enough, and it may be asked whether all were seen.
    fn quiet(&self) -> Instant {
        let quiet = self.last_came + NONE_CAME_FOR;
        self.asked.map_or(quiet, |asked| quiet.max(asked + ASK_AGAIN))
    }

    /// Writes down where the pods are and which are to be removed, and then removes those.
    async fn take(&mut self, step: Step, now: Timestamp) -> anyhow::Result<()> {
        let Step { progress, removals, outlook, estimated_end, .. } = step;
        if progress.iter().any(|pod| !pod.state.is_done() && !self.knows(pod)) {
            self.last_came = Instant::now();
        }
        let (count, progress) = (progress.len(), compact(progress));
        let forgotten = u32::try_from(count - progress.len()).unwrap_or(u32::MAX);
        let mut after = self.journal.status();
        after.forgotten_pods = after.forgotten_pods.saturating_add(forgotten);
        let (state, message) = match (self.journal.cancel(), outlook) {
            (Some(cancel), _) => (State::Cancelling, cancelled_by(cancel)),
            (None, _) if self.is_lifted() => (State::Paused, uncordoned_by(&after.cordon.manager)),
            (None, Outlook::Blocked) => (State::Blocked, String::new()),
            (None, _) => (State::Running, String::new()),
        };
        self.progress.clone_from(&progress);
        let mut is_news = after.set_progress(progress, now);
        is_news |= after.enter(state, message, now);
        // When it ends is written down with what is news, and is none by itself.
        if is_news || forgotten > 0 {
            after.estimated_end_time = estimated_end;
            self.progress.clone_from(&after.pods);
            self.journal.write(after).await?;
        }
        // Whoever has cancelled it by now may know that it is written down: nothing is begun after that. What was just written
        // of these pods is mended by the next step, or the next server.
        self.journal.look()?;
        if self.journal.cancel().is_none() {
            removals.into_iter().for_each(|order| self.removals.send(order));
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

    /// How the drain ends, if it does now. One that was cancelled does as soon as nothing is on its way any more, and a node that
    /// somebody has made schedulable is not drained: pods may come again.
    async fn ending(&mut self, outlook: Outlook) -> anyhow::Result<Option<Ending>> {
        if let Some(cancel) = self.journal.cancel() {
            return Ok(self.removals.in_flight().is_empty().then(|| Ending::cancelled(cancel)));
        }
        let is_drained = outlook == Outlook::Empty && !self.is_lifted() && Instant::now() >= self.quiet();
        if is_drained && self.is_all_seen().await? {
            return Ok(Some(Ending::succeeded()));
        }
        if outlook == Outlook::Empty && self.is_lifted() && self.is_late() {
            return Ok(Some(Ending::late_while("the node was schedulable")));
        }
        let left = self.progress.iter().filter(|pod| !pod.state.is_done()).count();
        Ok((outlook == Outlook::Late).then(|| Ending::late(left)))
    }

    /// Whether the node has no pod that has not been seen, if anybody still wants to know: a watch may be behind, and what it has not brought is not waited for.
    async fn is_all_seen(&mut self) -> anyhow::Result<bool> {
        self.asked = Some(Instant::now());
        let (is_wanted, read) = (|| !self.journal.is_cancelled(), |deadline| self.sight.pods_now(deadline));
        let there = match patiently_while(&is_wanted, &self.term, read).await {
            Err(error) if error.is::<Unwanted>() => return Ok(false),
            there => there?,
        };
        Ok(there.iter().all(|uid| self.progress.iter().any(|known| known.pod.uid == *uid)))
    }

    /// Ends it, once the claim on the cordon is taken back, if somebody has asked for that.
    async fn finish(mut self, ending: Ending) -> anyhow::Result<()> {
        let is_asked = self.journal.cancel().is_some_and(|cancel| cancel.release_cordon);
        let is_to_release = is_asked && !ending.is_success() && self.journal.cordon().state != CordonState::None;
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
