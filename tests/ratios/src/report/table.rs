//! Findings for people: a table in Markdown, and what there is to say about its lines.

use super::{Finding, Limit};
use crate::stats::Estimate;

const HEAD: &str = "\
| measure | ours | anchor | ratio, or ours if it stands alone (95 %) | A/A (95 %) | limit | kept |
|---|---:|---:|---:|---:|---:|---|";

/// The table, and the notes below it.
pub fn render(findings: &[Finding]) -> String {
    let lines = findings.iter().map(line);
    let notes = findings.iter().flat_map(notes);
    std::iter::once(HEAD.to_owned()).chain(lines).chain([String::new()]).chain(notes).collect::<Vec<_>>().join("\n")
}

fn line(finding: &Finding) -> String {
    let value =
        |value: Option<f64>| value.map_or_else(String::new, |value| format!("{} {}", short(value), finding.unit));
    let estimate = |estimate: Option<Estimate>| estimate.map_or_else(String::new, interval);
    let limit = finding.limit.map_or_else(String::new, |limit| match limit {
        Limit::AtMost(limit) => format!("≤ {}", short(limit)),
        Limit::AtLeast(limit) => format!("≥ {}", short(limit)),
    });
    let kept = match (finding.pass(), &finding.failure) {
        (_, Some(_)) => "NOT MEASURED",
        (Some(true), _) => "yes",
        (Some(false), _) => "NO",
        (None, _) => "",
    };
    let (ours, anchor) = (value(finding.ours), value(finding.anchor));
    let (judged, null) = (estimate(finding.judged()), estimate(finding.null));
    format!("| {} | {ours} | {anchor} | {judged} | {null} | {limit} | {kept} |", finding.name)
}

fn notes(finding: &Finding) -> Vec<String> {
    let notes = finding.failure.iter().chain(&finding.notes);
    notes.map(|note| format!("- {}: {note}", finding.name)).collect()
}

fn interval(estimate: Estimate) -> String {
    format!("{} ({} to {})", short(estimate.median), short(estimate.low), short(estimate.high))
}

/// Three significant digits, or all before the point.
fn short(value: f64) -> String {
    let whole = value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32 + 1;
    let decimals = (3 - whole).clamp(0, 4) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_are_worth() {
        assert_eq!(
            [0.65, 12.345, 123.4, 98_765.4, 0.0, 0.01234].map(short),
            ["0.650", "12.3", "123", "98765", "0.0000", "0.0123"]
        );
    }

    #[test]
    fn a_line_says_whether_its_limit_is_kept() {
        let ratio = Some(Estimate { median: 0.3, low: 0.28, high: 0.35 });
        let limit = Some(Limit::AtMost(0.33));
        let finding = Finding { name: "x".into(), unit: "µs", ours: Some(12.0), ratio, limit, ..Finding::default() };
        assert_eq!(line(&finding), "| x | 12.0 µs |  | 0.300 (0.280 to 0.350) |  | ≤ 0.330 | yes |");
    }
}
