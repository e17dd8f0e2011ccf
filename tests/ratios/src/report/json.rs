//! Findings for programs: one JSON object on each line.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Finding, Limit};

/// Writes the findings to a file.
pub fn write(path: &Path, findings: &[Finding]) -> Result<()> {
    let lines: String = findings.iter().map(|finding| format!("{}\n", object(finding))).collect();
    std::fs::write(path, lines).with_context(|| format!("write {}", path.display()))
}

fn object(finding: &Finding) -> Value {
    let judged = finding.judged();
    json!({
        "name": finding.name,
        "unit": finding.unit,
        "ours": finding.ours,
        "anchor": finding.anchor,
        "ratio": finding.ratio.map(|ratio| ratio.median),
        "low": judged.map(|judged| judged.low),
        "high": judged.map(|judged| judged.high),
        "null_low": finding.null.map(|null| null.low),
        "null_high": finding.null.map(|null| null.high),
        "limit": finding.limit.map(|limit| match limit {
            Limit::AtMost(limit) => json!({ "at_most": limit }),
            Limit::AtLeast(limit) => json!({ "at_least": limit }),
        }),
        "pass": finding.pass(),
        "failure": finding.failure,
        "notes": finding.notes,
    })
}
