//! What happens in a drain as lines of text, close to kubectl's: for logs, and for whoever reads them.

use std::time::{Duration, SystemTime};

use nodeward_client::api::blocker::Kind;
use nodeward_client::api::pod_plan::Action;
use nodeward_client::api::pod_progress::State;
use nodeward_client::api::{Blocker, CordonChange, CordonState, OperationState, PodProgress};

use super::tracked::Pod;
use crate::output::{cell_text, human_duration};

/// How long a pod may be overdue before it is worth a word: kubelets need a moment to report the end.
const OVERDUE_FOR: Duration = Duration::from_secs(5);

/// What is said when an operation comes to this state. Failure and cancellation are not said here, but as errors, and what is
/// blocked its pods say.
pub(super) fn state_line(node: &str, state: OperationState, message: &str) -> Option<String> {
    let done = match state {
        OperationState::Succeeded => return Some(format!("node/{node} drained")),
        OperationState::Paused => "paused",
        OperationState::Cancelling => "cancelling",
        _ => return None,
    };
    Some(match message {
        "" => format!("node/{node} {done}"),
        message => format!("node/{node} {done}: {}", cell_text(message)),
    })
}

/// What is said of how much longer it takes.
pub(super) fn estimate_line(node: &str, estimate: Duration) -> String {
    format!("node/{node} takes at most {} from now on", human_duration(estimate))
}

/// What is said of the node's cordon.
pub(super) fn cordon_line(node: &str, before: CordonState, change: &CordonChange) -> Option<String> {
    let state = change.state();
    let done = match state {
        _ if state == before => return None,
        CordonState::Own => "cordoned".to_owned(),
        CordonState::Foreign => "already cordoned".to_owned(),
        CordonState::Released => "uncordoned".to_owned(),
        CordonState::Lifted => {
            let manager = if change.manager.is_empty() { "somebody" } else { &change.manager };
            let message = Some(&change.message).filter(|message| !message.is_empty());
            format!("uncordoned by {manager}{}", message.map(|message| format!(": {message}")).unwrap_or_default())
        }
        CordonState::Left | CordonState::None | CordonState::Unspecified => return None,
    };
    Some(format!("node/{node} {}", cell_text(&done)))
}

/// What is said of a pod that has come to where it is.
pub(super) fn pod_lines(pod: &mut Pod) -> Vec<String> {
    let name = pod_name(&pod.progress);
    let (state, was_tried) = (pod.progress.state(), pod.progress.attempt > 0);
    let mut lines = Vec::new();
    let is_removed = matches!(state, State::Removing | State::Removed | State::Terminating)
        || (was_tried && matches!(state, State::Blocked | State::Gone));
    if is_removed && !std::mem::replace(&mut pod.is_removal_told, true) {
        lines.push(match pod.progress.action() {
            _ if !was_tried && state == State::Terminating => format!("pod {name} is ending already"),
            Action::Delete => format!("deleting pod {name}"),
            _ => format!("evicting pod {name}"),
        });
    }
    match state {
        State::Blocked => lines.extend(news(pod).map(|what| format!("pod {name} is blocked: {what}"))),
        State::Gone => lines.push(format!("pod/{name} gone")),
        State::Skipped => lines.push(format!("pod {name} stays")),
        _ => {}
    }
    lines
}

/// What is said of a pod that should have ended by now.
pub(super) fn late_line(pod: &mut Pod, now: SystemTime) -> Option<String> {
    let name = pod_name(&pod.progress);
    if pod.progress.state() != State::Terminating || !is_late(&pod.progress, now) {
        return None;
    }
    let has_left_volumes = matches!(kind_of_blocker(&pod.progress), Some(Kind::VolumeAttached(_)));
    let why = if has_left_volumes { "is still waited for" } else { "is still there" };
    news(pod).map(|what| format!("pod {name} {why}: {what}"))
}

/// `NAMESPACE/NAME`.
pub(super) fn pod_name(progress: &PodProgress) -> String {
    let pod = progress.pod.as_ref();
    cell_text(&pod.map(|pod| format!("{}/{}", pod.namespace, pod.pod)).unwrap_or_default())
}

/// Whether a pod that ends takes longer than it should.
pub(super) fn is_late(progress: &PodProgress, now: SystemTime) -> bool {
    let since = match kind_of_blocker(progress) {
        Some(Kind::Overdue(overdue)) => overdue.since_time.or(progress.since_time),
        Some(Kind::VolumeAttached(_)) => progress.since_time,
        _ => return false,
    };
    let since = since.and_then(|since| SystemTime::try_from(since).ok());
    since.and_then(|since| now.duration_since(since).ok()).is_some_and(|late| late >= OVERDUE_FOR)
}

fn kind_of_blocker(progress: &PodProgress) -> Option<&Kind> {
    progress.blocker.as_ref()?.kind.as_ref()
}

/// The blocker in words, with what can be done about it.
pub(super) fn blocker_text(blocker: &Blocker) -> String {
    match blocker.hint.as_str() {
        "" => cell_text(&blocker.message),
        hint => format!("{} ({})", cell_text(&blocker.message), cell_text(hint)),
    }
}

/// The blocker of a pod, if it is another one than was told last.
fn news(pod: &mut Pod) -> Option<String> {
    let blocker = pod.progress.blocker.as_ref()?;
    if pod.told_blocker.as_ref() == Some(&blocker.message) {
        return None;
    }
    pod.told_blocker = Some(blocker.message.clone());
    Some(blocker_text(blocker))
}

#[cfg(test)]
mod tests {
    use nodeward_client::api::{GracePeriod, Overdue, PodReference, VolumeAttached};
    use prost_types::Timestamp;

    use super::*;

    fn at(state: State, attempt: i32, blocker: Option<Blocker>) -> PodProgress {
        let pod = Some(PodReference { namespace: "shop".into(), pod: "web".into(), uid: "u".into() });
        let action = Action::Evict.into();
        PodProgress { pod, state: state.into(), action, attempt, blocker, ..PodProgress::default() }
    }

    fn blocker(message: &str, kind: Option<Kind>) -> Option<Blocker> {
        Some(Blocker { message: message.into(), hint: "do this".into(), kind })
    }

    fn told(steps: impl IntoIterator<Item = PodProgress>) -> Vec<String> {
        let mut pod = Pod::default();
        let mut take = |progress| {
            pod.progress = progress;
            pod_lines(&mut pod)
        };
        steps.into_iter().flat_map(&mut take).collect()
    }

    #[test]
    fn a_pod_is_evicted_once_however_often_it_is_tried() {
        let steps = [at(State::Removing, 1, None), at(State::Removing, 2, None), at(State::Removed, 2, None)];
        assert_eq!(told(steps), ["evicting pod shop/web"]);
    }

    #[test]
    fn a_removal_that_was_overtaken_is_told_all_the_same() {
        assert_eq!(told([at(State::Gone, 1, None)]), ["evicting pod shop/web", "pod/shop/web gone"]);
    }

    #[test]
    fn a_pod_that_was_ending_before_is_not_evicted() {
        assert_eq!(told([at(State::Terminating, 0, None)]), ["pod shop/web is ending already"]);
    }

    #[test]
    fn a_blocker_is_told_again_when_it_changes() {
        let steps = ["a", "a", "b"].map(|message| at(State::Blocked, 1, blocker(message, None)));
        let expected =
            ["evicting pod shop/web", "pod shop/web is blocked: a (do this)", "pod shop/web is blocked: b (do this)"];
        assert_eq!(told(steps), expected);
    }

    #[test]
    fn a_pod_that_should_have_ended_is_told_once_when_it_is_late() {
        let overdue = Overdue { since_time: Some(Timestamp { seconds: 100, nanos: 0 }), ..Overdue::default() };
        let progress = at(State::Terminating, 1, blocker("x", Some(Kind::Overdue(overdue))));
        let mut pod = Pod { progress, ..Pod::default() };
        assert_eq!(pod_lines(&mut pod), ["evicting pod shop/web"]);
        let mut late = |second| late_line(&mut pod, SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        assert_eq!(late(104), None);
        assert_eq!(late(105).unwrap(), "pod shop/web is still there: x (do this)");
        assert_eq!(late(106), None);
    }

    #[test]
    fn a_pod_that_has_left_volumes_is_not_there_any_more() {
        let left = blocker("x", Some(Kind::VolumeAttached(VolumeAttached::default())));
        let since_time = Some(Timestamp { seconds: 100, nanos: 0 });
        let progress = PodProgress { since_time, ..at(State::Terminating, 1, left) };
        let late =
            late_line(&mut Pod { progress, ..Pod::default() }, SystemTime::UNIX_EPOCH + Duration::from_secs(105));
        assert_eq!(late.unwrap(), "pod shop/web is still waited for: x (do this)");
    }

    #[test]
    fn a_grace_period_is_no_news() {
        let ending = blocker("x", Some(Kind::GracePeriod(GracePeriod::default())));
        let mut pod = Pod { progress: at(State::Terminating, 1, ending), ..Pod::default() };
        assert_eq!(late_line(&mut pod, SystemTime::now()), None);
    }

    #[test]
    fn the_words_of_others_are_one_harmless_line() {
        let lines = told([at(State::Blocked, 0, blocker("a\nb\u{1b}[31m", None))]);
        assert_eq!(lines, ["pod shop/web is blocked: a\\nb\\u{1b}[31m (do this)"]);
    }

    #[test]
    fn an_uncordon_names_who_did_it() {
        let change = CordonChange {
            state: CordonState::Lifted.into(),
            manager: "kubectl".into(),
            message: "cordoned again".into(),
        };
        let line = cordon_line("a", CordonState::Own, &change);
        assert_eq!(line.unwrap(), "node/a uncordoned by kubectl: cordoned again");
        assert_eq!(cordon_line("a", CordonState::Lifted, &change), None);
    }
}
