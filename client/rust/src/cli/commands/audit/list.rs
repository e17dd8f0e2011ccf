//! `audit list`.

use futures::TryStreamExt;
use nodeward_client::api::{AuditRecord, Consistency, ListAuditRecordsResponse};
use nodeward_client::{AuditListOptions, Code, ReadOptions};
use prost_types::Timestamp;
use std::time::SystemTime;

use super::calls::Calls;
use super::others::{self, OtherChange};
use super::table::Lines;
use crate::args::{AuditFormat, AuditListArgs};
use crate::commands::Session;
use crate::failure::{Failure, note};
use crate::output::{Kind, message_value, print, value_json, value_yaml};

/// The largest page that the server gives.
const LARGEST_PAGE: usize = 1000;

/// Shows calls, and for a node what was changed in other ways.
pub async fn list(session: &Session, args: AuditListArgs) -> Result<(), Failure> {
    let most = if args.limit == 0 { usize::MAX } else { args.limit };
    let (found, is_cut) = records(session, &args, most).await?;
    let others = others(session, &args).await?;
    match args.output {
        Some(AuditFormat::Json) => print(&value_json(&document(found, &others)?)?)?,
        Some(AuditFormat::Yaml) => print(&value_yaml(&document(found, &others)?)?)?,
        None | Some(AuditFormat::Wide) if found.audit_records.is_empty() && others.is_empty() => {
            note("No audit records found");
        }
        format => {
            let lines = Lines::new(format == Some(AuditFormat::Wide));
            let rows = rows(&lines, &found.audit_records, &others);
            print(&lines.table(&rows))?;
        }
    }
    if is_cut {
        note(&format!("There are more than these {most} calls: see --limit, --since and --until"));
    }
    Ok(())
}

/// The last record of each call, as the page of a list, and whether there are more calls.
async fn records(
    session: &Session,
    args: &AuditListArgs,
    most: usize,
) -> Result<(ListAuditRecordsResponse, bool), Failure> {
    // Most calls have two records.
    let page_size = most.saturating_mul(2).min(LARGEST_PAGE) as i32;
    let (since, until) = (args.filter.since, args.until);
    let options = AuditListOptions { filter: args.filter.filter(), since, until, page_size };
    let mut pages = session.client.audit_pages(options);
    let mut calls = Calls::default();
    let mut response = ListAuditRecordsResponse::default();
    let mut is_cut = false;
    while let Some(page) = pages.try_next().await? {
        if response.log.is_empty() {
            (response.log, response.log_end) = (page.log, page.log_end);
        }
        is_cut = !page.audit_records.into_iter().all(|record| calls.take(record, most));
        if is_cut {
            break;
        }
    }
    response.audit_records = calls.into_records();
    Ok((response, is_cut))
}

/// What was changed in other ways, if a node is asked for and nothing that only nodeward's own records can answer.
async fn others(session: &Session, args: &AuditListArgs) -> Result<Vec<OtherChange>, Failure> {
    let Some(node) = args.filter.node.as_deref().filter(|_| args.filter.is_of_a_node_alone()) else {
        return Ok(Vec::new());
    };
    let read_mask = vec!["name".to_owned(), "metadata.managed_fields".to_owned()];
    let options = ReadOptions { read_mask, consistency: Consistency::Consistent, ..ReadOptions::default() };
    match session.client.get_node(node, options).await {
        Ok(node) => Ok(others::of(&node).into_iter().filter(|change| is_within(change, args)).collect()),
        Err(error) => match error.code() {
            Code::NotFound => {
                note("The node does not exist now: what was changed other than through nodeward is not known");
                Ok(Vec::new())
            }
            Code::PermissionDenied => {
                note(&format!("What was changed other than through nodeward is not shown: {error}"));
                Ok(Vec::new())
            }
            _ => Err(error.into()),
        },
    }
}

fn is_within(change: &OtherChange, args: &AuditListArgs) -> bool {
    let time = change.time.and_then(|time| SystemTime::try_from(time).ok());
    // Whole seconds: what was changed within the first one counts.
    let since = args.filter.since.map(|since| Timestamp { nanos: 0, ..since.into() });
    let since = since.and_then(|since| SystemTime::try_from(since).ok());
    since.is_none_or(|since| time >= Some(since)) && args.until.is_none_or(|until| time < Some(until))
}

/// The rows of both, the newest first.
fn rows(lines: &Lines, records: &[AuditRecord], others: &[OtherChange]) -> Vec<Vec<String>> {
    let calls = records.iter().map(|record| (key(record.request_received_time.as_ref()), lines.call(record)));
    let others = others.iter().map(|change| (key(change.time.as_ref()), lines.other(change)));
    let mut rows: Vec<_> = calls.chain(others).collect();
    rows.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn key(time: Option<&Timestamp>) -> (i64, i32) {
    time.map(|time| (time.seconds, time.nanos)).unwrap_or_default()
}

/// The message of the contract, and with it what was changed in other ways.
fn document(response: ListAuditRecordsResponse, others: &[OtherChange]) -> Result<serde_json::Value, Failure> {
    let mut value = message_value(&response, Kind::ListAuditRecordsResponse)?;
    if let (Some(object), false) = (value.as_object_mut(), others.is_empty()) {
        let others = serde_json::to_value(others).map_err(|error| Failure::Output(std::io::Error::other(error)))?;
        object.insert("notThroughNodeward".to_owned(), others);
        value.sort_all_objects();
    }
    Ok(value)
}
