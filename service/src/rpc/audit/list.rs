//! ListAuditRecords.

use std::time::Duration;

use nodeward_api::v1;
use tokio::time::Instant;
use tonic::{Request, Response};

use super::convert::to_contract;
use super::{AuditRpc, request};
use crate::audit::query::{AuditPageToken, Effort, RecordFilter};
use crate::error::Error;
use crate::node::Violations;
use crate::node::token::QueryHash;
use crate::rpc::request::{deadline, page_size, session};
use crate::rpc::rights::LIST_AUDIT_RECORDS;

/// A page ends once its records have this size: most gRPC clients refuse messages of more than 4 MiB, and a single record can
/// have one.
const PAGE_BYTES: usize = 2 << 20;

/// The most entries that are looked at for one page.
const PAGE_ENTRIES: usize = 20_000;

/// The longest that a page may take, whatever the deadline.
const PAGE_TIME: Duration = Duration::from_secs(2);

pub(super) async fn list(
    rpc: &AuditRpc,
    request: Request<v1::ListAuditRecordsRequest>,
) -> Result<Response<v1::ListAuditRecordsResponse>, Error> {
    let deadline = deadline(request.metadata());
    let session = session(&request)?;
    let List { filter, page_size, query, token } = List::parse(request.get_ref())?;
    session.require(LIST_AUDIT_RECORDS.on_all(), deadline).await?;

    let reader = rpc.reader()?;
    let end = reader.end();
    let from = match token {
        None => end.sequence,
        Some(token) if token.is_of(reader.id()) => token.from.min(end.sequence),
        Some(_) => return Err(Error::AuditLogMismatch),
    };
    // Half of the time that is left, so that what is found arrives.
    let time = (deadline.saturating_duration_since(Instant::now()) / 2).min(PAGE_TIME);
    let effort = Effort { records: page_size, bytes: PAGE_BYTES, entries: PAGE_ENTRIES, time };
    let page = reader.page(filter, from, effort, deadline).await?;
    let next = page.next.map(|next| AuditPageToken::new(reader.id(), next, query).encode());
    Ok(Response::new(v1::ListAuditRecordsResponse {
        audit_records: page.found.into_iter().map(to_contract).collect(),
        next_page_token: next.unwrap_or_default(),
        log: reader.id().to_string(),
        log_end: end.to_string(),
    }))
}

/// A request, understood.
struct List {
    filter: RecordFilter,
    page_size: usize,
    query: QueryHash,
    token: Option<AuditPageToken>,
}

impl List {
    fn parse(request: &v1::ListAuditRecordsRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let (since, until) = (request.since_time.as_ref(), request.until_time.as_ref());
        let filter = violations.take(request::filter(request.filter.as_ref(), since, until));
        let page_size = violations.take(page_size(request.page_size));
        let (Some(filter), Some(page_size)) = (filter, page_size) else { return Err(violations.into()) };
        let query = filter.hash();
        let token = match request.page_token.as_str() {
            "" => None,
            text => Some(AuditPageToken::decode(text, query).ok_or(Error::InvalidPageToken)?),
        };
        Ok(Self { filter, page_size, query, token })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn request(node: &str, page_token: String) -> v1::ListAuditRecordsRequest {
        let filter = Some(v1::AuditRecordFilter { node: node.into(), ..Default::default() });
        v1::ListAuditRecordsRequest { filter, page_token, ..Default::default() }
    }

    #[test]
    fn a_token_of_another_filter_is_refused() {
        let query = List::parse(&request("nodes/a", String::new())).unwrap().query;
        let token = AuditPageToken::new(Uuid::nil(), 7, query).encode();
        assert_eq!(List::parse(&request("nodes/a", token.clone())).unwrap().token.unwrap().from, 7);
        assert!(matches!(List::parse(&request("nodes/b", token)), Err(Error::InvalidPageToken)));
    }
}
