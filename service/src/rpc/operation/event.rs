//! What has happened in an operation, read off its status: of each pod, of the cordon and of the operation itself the latest,
//! by its number. What was overtaken is not kept, so that whoever is slow costs nothing.

use jiff::Timestamp;
use nodeward_api::v1;
use nodeward_api::v1::operation_event::Event;

use super::progress::{cordon_state, operation_state, pod_progress, progress};
use crate::drain::{OnUncordon, PodProgress};
use crate::node::convert::timestamp;
use crate::operation::{Cordon, CordonState, OperationStatus};

/// One of those things.
enum News<'a> {
    State,
    Cordon,
    Pod(&'a PodProgress),
}

/// The first event after the one of this number. None if nothing has happened since.
///
/// The policy says what the operation does if somebody makes the node schedulable.
pub(super) fn next_after(status: &OperationStatus, after: i64, on_uncordon: OnUncordon) -> Option<v1::OperationEvent> {
    let own = [(status.state_sequence, News::State), (status.cordon.sequence, News::Cordon)];
    let pods = status.pods.iter().map(|pod| (pod.sequence, News::Pod(pod)));
    let later = own.into_iter().chain(pods).filter(|(sequence, _)| *sequence > after);
    let (sequence, news) = later.min_by_key(|(sequence, _)| *sequence)?;
    let (time, event) = match news {
        News::State => (status.state_time, state_change(status)),
        News::Cordon => (status.cordon.time, cordon_change(status, on_uncordon)),
        News::Pod(pod) => (pod.since, Event::Pod(pod_progress(pod))),
    };
    let progress = Some(progress(status, Timestamp::now()));
    Some(v1::OperationEvent { sequence, event_time: time.map(timestamp), event: Some(event), progress })
}

fn state_change(status: &OperationStatus) -> Event {
    let (state, message) = (operation_state(status.state).into(), status.message.clone());
    Event::StateChange(v1::OperationStateChange { state, message })
}

fn cordon_change(status: &OperationStatus, on_uncordon: OnUncordon) -> Event {
    let (state, manager) = (cordon_state(status.cordon.state).into(), status.cordon.manager.clone());
    let message = what_it_does(&status.cordon, on_uncordon).to_owned();
    Event::CordonChange(v1::CordonChange { state, manager, message })
}

/// What the operation does about its cordon, in words.
fn what_it_does(cordon: &Cordon, on_uncordon: OnUncordon) -> &'static str {
    match (cordon.state, on_uncordon) {
        (CordonState::None, _) => "",
        (CordonState::Own, _) if !cordon.manager.is_empty() => "the drain has cordoned the node again",
        (CordonState::Own, _) => "the drain has cordoned the node",
        (CordonState::Foreign, _) => "the drain leaves the cordon as it was before",
        (CordonState::Lifted, OnUncordon::CordonAgain) => "the drain cordons the node again",
        (CordonState::Lifted, OnUncordon::Pause) => "the drain removes no further pod until the node is cordoned again",
        (CordonState::Lifted, OnUncordon::Cancel) => "the drain ends",
        (CordonState::Left, _) => "the node stays cordoned",
        (CordonState::Released, _) => "the drain has taken back its claim on the cordon",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::PodState;
    use crate::operation::State;
    use crate::pod::PodReference;

    fn pod(uid: &str, state: PodState) -> PodProgress {
        let pod = PodReference { uid: uid.to_owned(), ..PodReference::default() };
        PodProgress { state, ..PodProgress::of(&pod) }
    }

    /// What a follower sees who has seen all up to this number.
    fn seen(status: &OperationStatus, mut after: i64) -> Vec<(i64, String)> {
        let mut events = Vec::new();
        while let Some(event) = next_after(status, after, OnUncordon::default()) {
            after = event.sequence;
            let what = match event.event.unwrap() {
                Event::StateChange(change) => format!("{:?}", change.state()),
                Event::CordonChange(change) => format!("cordon {:?}", change.state()),
                Event::Pod(pod) => format!("{} {:?}", pod.pod.as_ref().unwrap().uid, pod.state()),
            };
            events.push((after, what));
        }
        events
    }

    fn numbered(events: &[(i64, &str)]) -> Vec<(i64, String)> {
        events.iter().map(|(sequence, what)| (*sequence, (*what).to_owned())).collect()
    }

    #[test]
    fn each_thing_is_told_once_as_it_is_now_in_the_order_of_the_numbers() {
        let (mut status, now) = (OperationStatus::default(), Timestamp::UNIX_EPOCH);
        assert!(next_after(&status, 0, OnUncordon::default()).is_none());
        status.enter(State::Running, "", now);
        status.set_progress(vec![pod("a", PodState::Pending), pod("b", PodState::Pending)], now);
        status.set_cordon(CordonState::Own, "", now);
        let first = [(1, "Running"), (2, "a Pending"), (3, "b Pending"), (4, "cordon Own")];
        assert_eq!(seen(&status, 0), numbered(&first));
        status.set_progress(vec![pod("a", PodState::Gone), pod("b", PodState::Pending)], now);
        status.enter(State::Succeeded, "", now);
        let later = [(3, "b Pending"), (4, "cordon Own"), (5, "a Gone"), (6, "Succeeded")];
        assert_eq!(seen(&status, 0), numbered(&later));
        assert_eq!(seen(&status, 4), numbered(&later[2..]));
        assert_eq!(seen(&status, 6), []);
    }

    #[test]
    fn whoever_follows_is_told_what_is_done_about_a_cordon_that_was_lifted() {
        for (on_uncordon, expected) in [
            (OnUncordon::CordonAgain, "the drain cordons the node again"),
            (OnUncordon::Pause, "the drain removes no further pod until the node is cordoned again"),
            (OnUncordon::Cancel, "the drain ends"),
        ] {
            let mut status = OperationStatus::default();
            status.set_cordon(CordonState::Lifted, "kubectl-uncordon", Timestamp::UNIX_EPOCH);
            let event = next_after(&status, 0, on_uncordon).unwrap().event;
            let Some(Event::CordonChange(change)) = event else { panic!("{event:?}") };
            assert_eq!((change.message.as_str(), change.manager.as_str()), (expected, "kubectl-uncordon"));
        }
    }

    #[test]
    fn each_event_says_how_many_pods_are_where() {
        let mut status = OperationStatus::default();
        status.set_progress(vec![pod("a", PodState::Gone), pod("b", PodState::Blocked)], Timestamp::UNIX_EPOCH);
        let progress = next_after(&status, 0, OnUncordon::default()).unwrap().progress.unwrap();
        assert_eq!((progress.total, progress.gone, progress.blocked), (2, 1, 1));
    }
}
