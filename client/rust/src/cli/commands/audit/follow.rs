//! `audit follow`.

use futures::TryStreamExt;
use nodeward_client::api::stream_audit_records_response::Event;
use nodeward_client::api::{Bookmark, StreamAuditRecordsResponse};
use nodeward_client::{AuditEvent, AuditEventKind, AuditFollowOptions};

use super::table::Lines;
use crate::args::{AuditFollowArgs, AuditFormat};
use crate::commands::Session;
use crate::failure::{Failure, warn};
use crate::output::{Kind, json_line, print, yaml_document};

/// Shows what is recorded until it is interrupted.
pub async fn follow(session: &Session, args: AuditFollowArgs) -> Result<(), Failure> {
    let options = AuditFollowOptions {
        filter: args.filter.filter(),
        since: args.filter.since,
        resume_token: args.resume_token,
        bookmark_interval: None,
        begin_within: session.timeout.0,
    };
    let mut lines = Lines::new(args.output == Some(AuditFormat::Wide));
    let mut is_outage_told = false;
    let mut events = session.client.follow_audit_records(options);
    while let Some(AuditEvent { kind, resume_token }) = events.try_next().await? {
        let event = match kind {
            AuditEventKind::Record(record) => Event::Record(*record),
            AuditEventKind::Bookmark => Event::Bookmark(Bookmark {}),
            AuditEventKind::Interrupted { error, .. } => {
                if !std::mem::replace(&mut is_outage_told, true) {
                    warn(&format!("{error}; trying again"));
                }
                continue;
            }
        };
        if std::mem::take(&mut is_outage_told) {
            warn("it goes on");
        }
        print_event(&mut lines, args.output, event, resume_token)?;
    }
    Ok(())
}

fn print_event(
    lines: &mut Lines,
    format: Option<AuditFormat>,
    event: Event,
    resume_token: Option<String>,
) -> Result<(), Failure> {
    match (format, event) {
        (Some(AuditFormat::Json), event) => {
            print(&json_line(&response(event, resume_token), Kind::StreamAuditRecordsResponse)?)
        }
        (Some(AuditFormat::Yaml), event) => {
            print(&yaml_document(&response(event, resume_token), Kind::StreamAuditRecordsResponse)?)
        }
        // An outcome says all that its intent does.
        (_, Event::Record(record)) if record.outcome.is_some() => {
            let row = lines.call(&record);
            print(&lines.line(&row))
        }
        (_, Event::Record(_) | Event::Bookmark(_)) => Ok(()),
    }
}

fn response(event: Event, resume_token: Option<String>) -> StreamAuditRecordsResponse {
    StreamAuditRecordsResponse { event: Some(event), resume_token: resume_token.unwrap_or_default() }
}
