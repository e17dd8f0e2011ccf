//! Keeping what is written down of the pods of a drain within what an object in Kubernetes may take: etcd takes 1.5 MiB, and
//! the pods are not all of it.
//!
//! What is cut is what somebody misses the least: first what is said more than once, then texts, then what is known from others
//! anyway. Which pods there are, and where, is cut last, and of those that are gone alone.

use std::collections::BTreeSet;

use super::{Blocker, BudgetName, PodProgress, PodState};

/// The most bytes that the pods take, as JSON.
const ROOM: usize = 900 * 1024;

/// The most pods that are gone. A node has not so many at a time, so only what comes and goes without end is forgotten.
const MOST_GONE: usize = 1000;

/// How many characters are left of a text that is cut.
const SHORT: usize = 40;

/// How many names are left of a list that is cut.
const FEW: usize = 1;

/// The same pods in the same order, with less detail if there is too much.
pub fn compact(mut pods: Vec<PodProgress>) -> Vec<PodProgress> {
    forget_first_gone(&mut pods);
    let cuts: [fn(&mut Vec<PodProgress>); 5] = [
        |pods| name_unready_once(pods),
        |pods| shorten(pods),
        |pods| leave_blockers_out(pods),
        |pods| forget_volumes(pods),
        forget_gone,
    ];
    for cut in cuts {
        if size(&pods) <= ROOM {
            break;
        }
        cut(&mut pods);
    }
    pods
}

fn size(value: &(impl serde::Serialize + ?Sized)) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// The unready pods that keep a budget from letting any pod go are the same for all that it keeps.
fn name_unready_once(pods: &mut [PodProgress]) {
    let mut named: BTreeSet<BudgetName> = BTreeSet::new();
    for blocker in pods.iter_mut().filter_map(|pod| pod.blocker.as_mut()) {
        if let Blocker::Budget { budget, unready, evicted, .. } = blocker
            && !named.insert(budget.budget.clone())
        {
            unready.clear();
            evicted.clear();
        }
    }
}

fn shorten(pods: &mut [PodProgress]) {
    for blocker in pods.iter_mut().filter_map(|pod| pod.blocker.as_mut()) {
        match blocker {
            Blocker::Budget { unready, evicted, .. } => {
                unready.clear();
                evicted.clear();
            }
            Blocker::SeveralBudgets { budgets: names }
            | Blocker::Overdue { finalizers: names, .. }
            | Blocker::VolumeAttached { volumes: names } => names.truncate(FEW),
            Blocker::Denied { message, .. }
            | Blocker::BudgetFault { message, .. }
            | Blocker::Refused { message }
            | Blocker::Recreated { controller: message, .. }
            | Blocker::Unavailable { message } => cut(message),
            _ => {}
        }
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHORT) {
        text.truncate(end);
    }
}

/// Of the last pods it is said that something keeps them, and no longer what.
fn leave_blockers_out(pods: &mut [PodProgress]) {
    let mut excess = size(pods).saturating_sub(ROOM);
    for pod in pods.iter_mut().rev().filter(|pod| pod.state == PodState::Blocked) {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(pod.blocker.take().map_or(0, |blocker| size(&blocker)));
    }
}

/// Of the last pods all volumes are forgotten but one, which is then waited for in place of all.
fn forget_volumes(pods: &mut [PodProgress]) {
    let mut excess = size(pods).saturating_sub(ROOM);
    for pod in pods.iter_mut().rev() {
        if excess == 0 {
            break;
        }
        let forgotten = pod.volumes.split_off(pod.volumes.len().min(FEW));
        excess = excess.saturating_sub(size(&forgotten));
    }
}

/// All but the latest of very many: what is left of them takes no room from those that are there.
fn forget_first_gone(pods: &mut Vec<PodProgress>) {
    let gone = pods.iter().filter(|pod| pod.state == PodState::Gone);
    let mut gone: Vec<_> = gone.map(|pod| (pod.sequence, pod.pod.uid.clone())).collect();
    gone.sort();
    gone.truncate(gone.len().saturating_sub(MOST_GONE));
    if !gone.is_empty() {
        let forgotten: BTreeSet<_> = gone.into_iter().map(|(_, uid)| uid).collect();
        pods.retain(|pod| !forgotten.contains(&pod.pod.uid));
    }
}

/// Those that have been gone for the longest.
fn forget_gone(pods: &mut Vec<PodProgress>) {
    let mut gone: Vec<_> = pods.iter().filter(|pod| pod.state == PodState::Gone).collect();
    gone.sort_by_key(|pod| pod.sequence);
    let mut excess = size(pods).saturating_sub(ROOM);
    let mut forgotten = BTreeSet::new();
    for pod in gone {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(size(pod));
        forgotten.insert(pod.pod.uid.clone());
    }
    pods.retain(|pod| !forgotten.contains(&pod.pod.uid));
}
