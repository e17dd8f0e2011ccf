//! Which drains are carried out, when more are asked for than can be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{NodeOperation, State};

/// How many drains are on their way at a time, those that wait for somebody not counted.
const BUSY: usize = 50;

/// How many one requester has at a time, those included that wait for somebody. These are in the way of nobody else.
const MOST_OF_ONE: usize = 500;

/// Which of these operations are begun next, given the names of those that are being carried out.
///
/// As many as there is room for: of whoever has the fewest on their way, the one that was asked for first. So nobody waits for
/// all that somebody else has asked for before. Of several for one node, only the oldest is carried out.
pub(super) fn next<'a>(
    operations: &'a [impl AsRef<NodeOperation>],
    running: &BTreeSet<String>,
) -> Vec<&'a NodeOperation> {
    let mut open: Vec<&NodeOperation> = operations.iter().map(AsRef::as_ref).filter(|one| !has_ended(one)).collect();
    open.sort_by_key(|one| (asked(one), name(one)));
    let (running, waiting): (Vec<_>, Vec<_>) = open.into_iter().partition(|one| running.contains(name(one)));
    let mut nodes: BTreeSet<&str> = running.iter().map(|one| one.spec.node.name.as_str()).collect();
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &running {
        *held.entry(requester(one)).or_default() += 1;
    }
    let mut busy: BTreeMap<&str, usize> = BTreeMap::new();
    for one in running.iter().filter(|one| !waits_for_somebody(one)) {
        *busy.entry(requester(one)).or_default() += 1;
    }
    let waiting = waiting.into_iter().filter(|one| nodes.insert(&one.spec.node.name));
    let mut queues: BTreeMap<&str, Vec<&NodeOperation>> = BTreeMap::new();
    for one in waiting {
        queues.entry(requester(one)).or_default().push(one);
    }
    queues.values_mut().for_each(|queue| queue.reverse());

    let room = BUSY.saturating_sub(busy.values().sum());
    let mut begun = Vec::new();
    while begun.len() < room {
        let may_begin = |requester: &str| held.get(requester).is_none_or(|held| *held < MOST_OF_ONE);
        let heads = queues.iter().filter(|(requester, _)| may_begin(requester));
        let heads = heads.filter_map(|(requester, queue)| Some((*requester, *queue.last()?)));
        let fewest = heads.min_by_key(|(requester, head)| (busy.get(requester).copied(), asked(head), name(head)));
        let Some((requester, head)) = fewest else { break };
        queues.entry(requester).or_default().pop();
        *busy.entry(requester).or_default() += 1;
        *held.entry(requester).or_default() += 1;
        begun.push(head);
    }
    begun
}

pub(super) fn has_ended(operation: &NodeOperation) -> bool {
    operation.status.as_ref().is_some_and(|status| status.state.is_final())
}

/// Whether it takes nothing but time until somebody does something.
fn waits_for_somebody(operation: &NodeOperation) -> bool {
    let state = operation.status.as_ref().map(|status| status.state);
    matches!(state, Some(State::Blocked | State::Paused))
}

fn requester(operation: &NodeOperation) -> &str {
    &operation.spec.requester.username
}

fn asked(operation: &NodeOperation) -> Option<Timestamp> {
    operation.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

fn name(operation: &NodeOperation) -> &str {
    operation.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::operation::{NodeIdentity, OperationSpec, OperationStatus, Requester};

    /// The operation for the node `node-N`, asked for in second N.
    fn operation(requester: &str, number: i64) -> Arc<NodeOperation> {
        let node = NodeIdentity { name: format!("node-{number}"), uid: String::new() };
        let requester = Requester { username: requester.to_owned(), ..Requester::default() };
        let mut operation = NodeOperation::new(
            &format!("op-{number:03}"),
            OperationSpec { node, requester, ..OperationSpec::default() },
        );
        operation.metadata.creation_timestamp = Some(Time(Timestamp::from_second(number).unwrap()));
        Arc::new(operation)
    }

    fn in_state(operation: &Arc<NodeOperation>, state: State) -> Arc<NodeOperation> {
        let mut operation = NodeOperation::clone(operation);
        operation.status = Some(OperationStatus { state, ..OperationStatus::default() });
        Arc::new(operation)
    }

    fn begun(operations: &[Arc<NodeOperation>], running: &[&str]) -> Vec<String> {
        let running = running.iter().map(|name| (*name).to_owned()).collect();
        next(operations, &running).into_iter().map(|one| name(one).to_owned()).collect()
    }

    #[test]
    fn all_are_begun_while_there_is_room_the_oldest_first() {
        let operations = [operation("alice", 2), operation("alice", 1)];
        assert_eq!(begun(&operations, &[]), ["op-001", "op-002"]);
        assert_eq!(begun(&operations, &["op-001"]), ["op-002"]);
    }

    #[test]
    fn what_has_ended_is_not_begun() {
        let operations = [in_state(&operation("alice", 1), State::Failed)];
        assert!(begun(&operations, &[]).is_empty());
    }

    #[test]
    fn nobody_waits_for_all_that_somebody_else_has_asked_for() {
        let mut operations: Vec<_> = (0..200).map(|number| operation("alice", number)).collect();
        operations.push(operation("bob", 500));
        operations.push(operation("bob", 501));
        let first = begun(&operations, &[]);
        assert_eq!(first.len(), BUSY);
        assert_eq!(first[..4], ["op-000", "op-500", "op-001", "op-501"]);
    }

    #[test]
    fn those_that_wait_for_somebody_take_no_room() {
        let blocked: Vec<_> = (0..60).map(|number| in_state(&operation("alice", number), State::Blocked)).collect();
        let names: Vec<String> = blocked.iter().map(|one| name(one).to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let operations: Vec<_> = blocked.iter().cloned().chain([operation("alice", 100)]).collect();
        assert_eq!(begun(&operations, &names), ["op-100"]);
        let busy: Vec<_> =
            blocked.iter().map(|one| in_state(one, State::Running)).chain([operation("bob", 100)]).collect();
        assert!(begun(&busy, &names).is_empty());
    }

    #[test]
    fn drains_of_one_requester_that_wait_for_somebody_stop_nobody_elses() {
        let count = i64::try_from(MOST_OF_ONE).unwrap();
        let blocked: Vec<_> = (0..count).map(|number| in_state(&operation("alice", number), State::Blocked)).collect();
        let names: Vec<String> = blocked.iter().map(|one| name(one).to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let next = [operation("alice", 600), operation("bob", 601)];
        let operations: Vec<_> = blocked.into_iter().chain(next).collect();
        assert_eq!(begun(&operations, &names), ["op-601"]);
    }

    #[test]
    fn a_node_is_drained_once_at_a_time() {
        let (first, mut second) = (operation("alice", 1), NodeOperation::clone(&operation("bob", 2)));
        second.spec.node = first.spec.node.clone();
        let operations = [first, Arc::new(second)];
        assert_eq!(begun(&operations, &[]), ["op-001"]);
        assert!(begun(&operations, &["op-001"]).is_empty());
    }
}
