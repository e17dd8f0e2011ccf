//! Calls and other changes as lines of a table. The reason comes last, since it is the caller's text and may be long.

use nodeward_client::api::audit_outcome::Result as Outcome;
use nodeward_client::api::audit_pod::Removal;
use nodeward_client::api::{AuditOutcome, AuditRecord};
use nodeward_client::node_id;
use prost_types::Timestamp;

use super::others::OtherChange;
use crate::output::cell_text;

const HEADER: [&str; 6] = ["TIME", "USER", "RPC", "NODE", "OUTCOME", "AUDIT-ID"];
const WIDE_HEADER: [&str; 6] = ["SOURCE", "CREDENTIAL", "CLIENT", "TRACE", "CHANGE", "POSITION"];
const LAST: &str = "WHY";

const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";

/// What stands as the outcome of a change that nodeward has not made.
pub const NOT_THROUGH_NODEWARD: &str = "not-through-nodeward";

/// How many nodes are named of those that were deleted together, and how many fields of those that somebody else has set. The
/// other formats have them all.
const MOST_NAMES: usize = 3;

/// Lines whose columns are as wide as the widest cell so far.
#[derive(Debug)]
pub struct Lines {
    is_wide: bool,
    widths: Vec<usize>,
}

impl Lines {
    /// Lines in the form of the table or of the wide one.
    pub fn new(is_wide: bool) -> Self {
        Self { is_wide, widths: Vec::new() }
    }

    /// The table of these rows, with the header.
    pub fn table(mut self, rows: &[Vec<String>]) -> String {
        let header = self.header();
        for row in [&header].into_iter().chain(rows) {
            self.widen(row);
        }
        [&header].into_iter().chain(rows).map(|row| self.format(row)).collect()
    }

    /// The next line of a table whose end is not known, after the header if it is the first one.
    pub fn line(&mut self, row: &[String]) -> String {
        let mut text = String::new();
        if self.widths.is_empty() {
            let header = self.header();
            // The words that come sooner or later, so that the columns do not jump.
            let expected = [
                "2026-11-24T10:00:00Z",
                "service-account",
                "UpdateNodeStatus",
                "worker-node-name",
                "ACCESS_DENIED",
                "00000000-0000-0000-0000-000000000000",
            ];
            self.widen(&header);
            self.widen(&expected.map(str::to_owned));
            text = self.format(&header);
        }
        self.widen(row);
        text + &self.format(row)
    }

    /// The cells of a call.
    pub fn call(&self, record: &AuditRecord) -> Vec<String> {
        let user = record.user.clone().unwrap_or_default();
        let mut cells = vec![
            time(record.request_received_time.as_ref()),
            or(user.username, UNKNOWN),
            what(record),
            nodes(record),
            outcome(record),
            record.audit_id.clone(),
        ];
        if self.is_wide {
            cells.extend([
                or(record.source_ips.join(","), UNKNOWN),
                or(user.credential, NONE),
                or(record.user_agent.clone(), UNKNOWN),
                or(record.trace_id.clone(), NONE),
                or(record.outcome.as_ref().map(|outcome| outcome.after_json.clone()).unwrap_or_default(), NONE),
                record.position.clone(),
            ]);
        }
        cells.push(why(record));
        cells.iter().map(|cell| cell_text(cell)).collect()
    }

    /// The cells of a change that nodeward has not made.
    pub fn other(&self, change: &OtherChange) -> Vec<String> {
        let mut cells = [time(change.time.as_ref()), UNKNOWN.into(), NONE.into(), change.node.clone()].to_vec();
        cells.extend([NOT_THROUGH_NODEWARD.to_owned(), NONE.to_owned()]);
        if self.is_wide {
            cells.extend(WIDE_HEADER.map(|_| NONE.to_owned()));
        }
        let fields = if self.is_wide { change.fields.join(",") } else { few(&change.fields) };
        cells.push(format!("{} ({}) has set {fields}", change.manager, change.operation));
        cells.iter().map(|cell| cell_text(cell)).collect()
    }

    fn header(&self) -> Vec<String> {
        let wide: &[&str] = if self.is_wide { &WIDE_HEADER } else { &[] };
        HEADER.iter().chain(wide).chain([&LAST]).map(|name| (*name).to_owned()).collect()
    }

    fn widen(&mut self, row: &[String]) {
        self.widths.resize(self.widths.len().max(row.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    fn format(&self, row: &[String]) -> String {
        let cells = row.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:<width$}   "));
        format!("{}\n", cells.collect::<String>().trim_end())
    }
}

/// To the second: the rest is in the other formats.
fn time(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| UNKNOWN.to_owned(), |time| Timestamp { nanos: 0, ..*time }.to_string())
}

/// The RPC; or what an operation did to a pod.
fn what(record: &AuditRecord) -> String {
    if let Some(used) = &record.override_use {
        return format!("override {}", used.budget);
    }
    let rpc = record.rpc.rsplit('/').next().unwrap_or_default().to_owned();
    record.pod.as_ref().map_or(rpc, |pod| {
        let verb = if pod.removal() == Removal::Deletion { "delete" } else { "evict" };
        format!("{verb} {}/{}", pod.namespace, pod.name)
    })
}

/// The caller's reasons: for the change, and for each budget that is not respected in it.
fn why(record: &AuditRecord) -> String {
    let overridden = record.budget_overrides.iter().map(|it| format!("budget {} overridden: {}", it.budget, it.reason));
    let used = record.override_use.as_ref().map(|used| used.reason.clone());
    let reason = Some(record.reason.clone()).filter(|reason| !reason.is_empty());
    reason.into_iter().chain(used).chain(overridden).collect::<Vec<_>>().join("; ")
}

fn nodes(record: &AuditRecord) -> String {
    let several = record.outcome.as_ref().map(|outcome| outcome.nodes.as_slice()).unwrap_or_default();
    let names: Vec<&str> = match record.node.as_str() {
        "" => several.iter().map(|name| node_id(name)).collect(),
        node => vec![node_id(node)],
    };
    or(few(&names), NONE)
}

/// The first of these names, and how many more there are.
fn few<T: AsRef<str>>(names: &[T]) -> String {
    let (shown, left) = names.split_at(names.len().min(MOST_NAMES));
    let shown = shown.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
    if left.is_empty() { shown } else { format!("{shown},+{}", left.len()) }
}

fn outcome(record: &AuditRecord) -> String {
    let Some(outcome) = &record.outcome else { return "pending".to_owned() };
    let text = match outcome.result() {
        Outcome::Changed => "changed",
        Outcome::Unchanged => "unchanged",
        Outcome::Validated => return "validated".to_owned(),
        Outcome::Replayed => "replayed",
        Outcome::Unknown => "unknown",
        Outcome::Failed | Outcome::Unspecified => error(outcome),
    };
    if record.validate_only { format!("{text} (dry run)") } else { text.to_owned() }
}

fn error(outcome: &AuditOutcome) -> &str {
    if outcome.error_reason.is_empty() { &outcome.code } else { &outcome.error_reason }
}

fn or(text: String, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use nodeward_client::api::{AuditBudgetOverride, AuditOverrideUse, AuditPod, AuditUser};

    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            audit_id: "4a0f".into(),
            rpc: "nodeward.v1.NodeService/CordonNode".into(),
            user: Some(AuditUser { username: "alice".into(), ..AuditUser::default() }),
            request_received_time: Some(Timestamp { seconds: 3600, nanos: 5 }),
            node: "nodes/worker-3".into(),
            reason: "new disk".into(),
            outcome: Some(AuditOutcome { result: Outcome::Changed.into(), ..AuditOutcome::default() }),
            ..AuditRecord::default()
        }
    }

    #[test]
    fn a_call_is_a_line() {
        let lines = Lines::new(false);
        let row = lines.call(&record());
        let expected = "\
TIME                   USER    RPC          NODE       OUTCOME   AUDIT-ID   WHY
1970-01-01T01:00:00Z   alice   CordonNode   worker-3   changed   4a0f       new disk
";
        assert_eq!(lines.table(&[row]), expected);
    }

    #[test]
    fn the_removal_of_a_pod_is_shown_with_the_budgets_that_it_overrides() {
        let removal = |removal: Removal, budget_overrides| {
            let (namespace, name) = ("shop".to_owned(), "web-1".to_owned());
            let pod = AuditPod { namespace, name, removal: removal.into(), ..AuditPod::default() };
            let record = AuditRecord { pod: Some(pod), budget_overrides, ..record() };
            let cells = Lines::new(false).call(&record);
            (cells[2].clone(), cells.last().unwrap().clone())
        };
        assert_eq!(removal(Removal::Eviction, vec![]), ("evict shop/web-1".into(), "new disk".into()));
        let overridden = AuditBudgetOverride { budget: "shop/web".into(), reason: "owner agreed".into() };
        assert_eq!(
            removal(Removal::Deletion, vec![overridden]),
            ("delete shop/web-1".into(), "new disk; budget shop/web overridden: owner agreed".into())
        );
    }

    #[test]
    fn the_use_of_an_override_is_a_line_of_its_own() {
        let used = AuditOverrideUse {
            budget: "shop/web".into(),
            reason: "owner agreed".into(),
            ..AuditOverrideUse::default()
        };
        let cells = Lines::new(false).call(&AuditRecord { override_use: Some(used), ..record() });
        assert_eq!(
            (cells[2].as_str(), cells.last().unwrap().as_str()),
            ("override shop/web", "new disk; owner agreed")
        );
    }

    #[test]
    fn a_failure_is_shown_by_its_reason_and_a_dry_run_as_one() {
        let failed = |error_reason: &str, validate_only| {
            let outcome = AuditOutcome {
                result: Outcome::Failed.into(),
                code: "PERMISSION_DENIED".into(),
                error_reason: error_reason.into(),
                ..AuditOutcome::default()
            };
            outcome_of(AuditRecord { outcome: Some(outcome), validate_only, ..record() })
        };
        fn outcome_of(record: AuditRecord) -> String {
            outcome(&record)
        }
        assert_eq!(failed("ACCESS_DENIED", false), "ACCESS_DENIED");
        assert_eq!(failed("", true), "PERMISSION_DENIED (dry run)");
        assert_eq!(outcome_of(AuditRecord { outcome: None, ..record() }), "pending");
    }

    #[test]
    fn nodes_that_were_deleted_together_are_named_or_counted() {
        let names = (1..=5).map(|number| format!("nodes/n{number}")).collect();
        let outcome = AuditOutcome { nodes: names, ..AuditOutcome::default() };
        let record = AuditRecord { node: String::new(), outcome: Some(outcome), ..record() };
        assert_eq!(nodes(&record), "n1,n2,n3,+2");
    }

    #[test]
    fn what_a_caller_writes_is_one_line_and_not_obeyed() {
        let record = AuditRecord { reason: "a\nb\u{1b}[31m".into(), ..record() };
        assert_eq!(Lines::new(false).call(&record).last().unwrap(), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        for is_wide in [false, true] {
            let lines = Lines::new(is_wide);
            let columns = lines.header().len();
            assert_eq!(lines.call(&record()).len(), columns);
            assert_eq!(lines.other(&OtherChange::default()).len(), columns);
        }
    }
}
