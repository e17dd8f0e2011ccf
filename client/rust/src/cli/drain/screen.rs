//! What a terminal shows of drains: a bar for each node, and below which pods are blocked and why.

use std::time::SystemTime;

use nodeward_client::api::pod_progress::State;
use nodeward_client::api::{Blocker, OperationState};

use super::lines::{is_late, pod_name};
use super::tracked::Tracked;
use crate::output::{cell_text, human_duration};

/// How many cells a bar has.
const BAR_WIDTH: usize = 24;

/// How many blocked pods are shown at most, over all nodes.
const MOST_BLOCKED: usize = 10;

/// The lines of the screen at this moment.
pub fn screen(drains: &[Tracked], now: SystemTime) -> Vec<String> {
    let width = drains.iter().map(|drain| drain.node.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = drains.iter().map(|drain| bar_line(drain, width, now)).collect();
    let blocked: Vec<Vec<String>> = drains.iter().flat_map(|drain| blocked(drain, now)).collect();
    lines.extend(blocked.iter().take(MOST_BLOCKED).flatten().cloned());
    if blocked.len() > MOST_BLOCKED {
        lines.push(format!("  and {} more", blocked.len() - MOST_BLOCKED));
    }
    lines
}

/// `worker-1  [#####-----]  12/20 gone  running  1m12s, at most 3m left`.
fn bar_line(drain: &Tracked, width: usize, now: SystemTime) -> String {
    let progress = &drain.progress;
    let counts = format!("{}/{} gone", progress.gone, progress.total);
    let mut line =
        format!("{:<width$}  {}  {counts:<12}  {:<10}", cell_text(&drain.node), bar(drain), state(drain.state));
    let elapsed = drain.start.and_then(|start| drain.end.unwrap_or(now).duration_since(start).ok());
    if let Some(elapsed) = elapsed {
        line.push_str(&format!("  {}", human_duration(elapsed)));
    }
    // When it has passed, it has taken longer than was thought.
    let left = drain.estimated_end.and_then(|end| end.duration_since(now).ok());
    if let Some(left) = left.filter(|_| !drain.is_over()) {
        line.push_str(&format!(", at most {} left", human_duration(left)));
    }
    line.trim_end().to_owned()
}

fn bar(drain: &Tracked) -> String {
    let [gone, total] = [drain.progress.gone, drain.progress.total].map(|count| usize::try_from(count).unwrap_or(0));
    let is_drained = drain.state == OperationState::Succeeded;
    let filled = if is_drained { BAR_WIDTH } else { (gone * BAR_WIDTH).checked_div(total).unwrap_or(0).min(BAR_WIDTH) };
    format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR_WIDTH - filled))
}

fn state(state: OperationState) -> &'static str {
    match state {
        OperationState::Unspecified => "unknown",
        OperationState::Pending => "pending",
        OperationState::Running => "running",
        OperationState::Blocked => "blocked",
        OperationState::Paused => "paused",
        OperationState::Cancelling => "cancelling",
        OperationState::Succeeded => "drained",
        OperationState::Failed => "failed",
        OperationState::Cancelled => "cancelled",
    }
}

/// The pods of a drain that don't go as they should, the longest first, each with why and what can be done.
fn blocked(drain: &Tracked, now: SystemTime) -> Vec<Vec<String>> {
    let mut pods = drain.left();
    pods.retain(|pod| matches!(pod.state(), State::Blocked | State::Failed) || is_late(pod, now));
    pods.sort_by_key(|pod| pod.since_time.map(|since| (since.seconds, since.nanos)));
    let message = |blocker: &Blocker| format!(": {}", cell_text(&blocker.message));
    let lines = pods.into_iter().map(|pod| {
        let why = pod.blocker.as_ref().map(message).unwrap_or_default();
        let hint = pod.blocker.as_ref().map(|blocker| cell_text(&blocker.hint)).filter(|hint| !hint.is_empty());
        let first = format!("  {}  {}{why}", cell_text(&drain.node), pod_name(&pod));
        std::iter::once(first).chain(hint.map(|hint| format!("    hint: {hint}"))).collect()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nodeward_client::api::operation_event::Event;
    use nodeward_client::api::{DrainProgress, OperationEvent, OperationStateChange, PodProgress, PodReference};
    use prost_types::Timestamp;

    use super::*;

    fn second(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn drain(node: &str, gone: i32, state: OperationState) -> Tracked {
        let progress = DrainProgress { total: 20, gone, ..DrainProgress::default() };
        let [start, estimated_end] = [0, 252].map(|time| Some(second(time)));
        Tracked { node: node.into(), state, progress, start, estimated_end, ..Tracked::default() }
    }

    fn block(drain: &mut Tracked, name: &str, since: i64) {
        let pod = Some(PodReference { namespace: "shop".into(), pod: name.into(), uid: name.into() });
        let blocker = Some(Blocker { message: "its budget".into(), hint: "wait".into(), kind: None });
        let since_time = Some(Timestamp { seconds: since, nanos: 0 });
        let pod = PodProgress { pod, state: State::Blocked.into(), blocker, since_time, ..PodProgress::default() };
        drain.take(OperationEvent { event: Some(Event::Pod(pod)), ..OperationEvent::default() });
    }

    #[test]
    fn each_node_has_a_bar_with_its_counts_state_time_and_estimate() {
        let drains = [drain("a", 5, OperationState::Running), drain("worker-1", 0, OperationState::Blocked)];
        let expected = [
            "a         [######------------------]  5/20 gone     running     72s, at most 3m left",
            "worker-1  [------------------------]  0/20 gone     blocked     72s, at most 3m left",
        ];
        assert_eq!(screen(&drains, second(72)), expected);
    }

    #[test]
    fn the_time_that_is_left_becomes_less_until_it_was_wrong() {
        let drains = [drain("a", 5, OperationState::Running)];
        assert!(screen(&drains, second(222))[0].ends_with(", at most 30s left"));
        assert!(screen(&drains, second(253))[0].ends_with("running     4m13s"));
    }

    #[test]
    fn a_drain_that_is_over_keeps_its_time_and_has_none_left() {
        let mut done = drain("a", 20, OperationState::Running);
        let change = OperationStateChange { state: OperationState::Succeeded.into(), message: String::new() };
        let event_time = Some(Timestamp { seconds: 60, nanos: 0 });
        let event = Some(Event::StateChange(change));
        done.take(OperationEvent { event, event_time, ..OperationEvent::default() });
        assert_eq!(screen(&[done], second(500)), ["a  [########################]  20/20 gone    drained     60s"]);
    }

    #[test]
    fn blocked_pods_are_below_the_longest_first_with_why_and_what_to_do() {
        let mut drain = drain("a", 0, OperationState::Running);
        block(&mut drain, "late", 20);
        block(&mut drain, "early", 10);
        let lines = screen(&[drain], second(30));
        let expected =
            ["  a  shop/early: its budget", "    hint: wait", "  a  shop/late: its budget", "    hint: wait"];
        assert_eq!(lines[1..], expected);
    }

    #[test]
    fn a_pod_that_goes_is_no_longer_below() {
        let mut drain = drain("a", 0, OperationState::Running);
        block(&mut drain, "x", 1);
        let pod = Some(PodReference { uid: "x".into(), ..PodReference::default() });
        let gone = PodProgress { pod, state: State::Gone.into(), ..PodProgress::default() };
        drain.take(OperationEvent { event: Some(Event::Pod(gone)), ..OperationEvent::default() });
        assert_eq!(screen(&[drain], second(2)).len(), 1);
    }

    #[test]
    fn of_many_blocked_pods_the_rest_is_counted() {
        let mut drain = drain("a", 0, OperationState::Running);
        for number in 0..13 {
            block(&mut drain, &format!("p{number}"), number);
        }
        assert_eq!(screen(&[drain], second(30)).last().unwrap(), "  and 3 more");
    }

    #[test]
    fn a_node_without_pods_to_go_has_an_empty_bar_until_it_is_drained() {
        let nothing = |state| Tracked { node: "a".into(), state, ..Tracked::default() };
        assert_eq!(bar(&nothing(OperationState::Running)), format!("[{}]", "-".repeat(BAR_WIDTH)));
        assert_eq!(bar(&nothing(OperationState::Succeeded)), format!("[{}]", "#".repeat(BAR_WIDTH)));
    }
}
