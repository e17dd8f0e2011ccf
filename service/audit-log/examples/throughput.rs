//! How many records a second are appended durably on this machine: `cargo run --release --example throughput [DIR]`.

use std::time::{Duration, Instant};

use nodeward_audit_log::{AuditLog, Options, Record};
use serde_json::json;

const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(place)?;
    let log = AuditLog::open(Options::new(dir.path().join("log"), dir.path().join("key"))).await?;
    let record = Record::new(&json!({ "auditID": "5f0c", "padding": "x".repeat(1000) }))?;
    for callers in [1, 8, 64, 512] {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(append(log.clone(), record.clone(), begun))).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        latencies.sort_unstable();
        let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        println!("{callers:4} callers: {rate:8.0} records/s, half within {:?}, 99% within {:?}", at(0.5), at(0.99));
    }
    let end = log.close().await?;
    println!("{} entries", end.sequence);
    Ok(())
}

/// How long each append took.
async fn append(
    log: AuditLog,
    record: Record,
    begun: Instant,
) -> Result<Vec<Duration>, nodeward_audit_log::AppendError> {
    let mut latencies = Vec::new();
    while begun.elapsed() < TIME {
        let asked = Instant::now();
        log.append(record.clone()).await?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}
