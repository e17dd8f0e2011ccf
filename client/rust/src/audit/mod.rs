//! The audit log: who changed what, when, why, and with which result.

mod follow;

use std::time::{Duration, SystemTime};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::api::{AuditRecord, AuditRecordFilter, ListAuditRecordsRequest, ListAuditRecordsResponse};
use crate::client::Client;
use crate::error::Error;

pub use crate::audit::follow::{AuditEvent, AuditEventKind};

/// Which records are listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditListOptions {
    /// The records that fit all that is set here.
    pub filter: AuditRecordFilter,
    /// Only calls that came at this time or later.
    pub since: Option<SystemTime>,
    /// Only calls that came before this time.
    pub until: Option<SystemTime>,
    /// The most records of one page. The server chooses if it is 0.
    pub page_size: i32,
}

/// Which records are followed, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditFollowOptions {
    /// The records that fit all that is set here.
    pub filter: AuditRecordFilter,
    /// Begin with the calls that came at this time or later. Only with new ones if it is none.
    pub since: Option<SystemTime>,
    /// Go on after the event that carried this token, with the same filter and time.
    pub resume_token: Option<String>,
    /// How often a bookmark comes when nothing else does: 1 s to 10 min. The server's 30 s if it is none.
    pub bookmark_interval: Option<Duration>,
    /// How long it may take until the server has accepted to be followed. None: for as long as it takes.
    pub begin_within: Option<Duration>,
}

impl Client {
    /// Lists one page, the newest records first. It may have few records, or none, with more to come on the next one.
    ///
    /// # Errors
    /// The server's, or the last one of the attempts to reach it.
    pub async fn list_audit_page(
        &self,
        options: AuditListOptions,
        page_token: &str,
    ) -> Result<ListAuditRecordsResponse, Error> {
        let AuditListOptions { filter, since, until, page_size } = options;
        let request = ListAuditRecordsRequest {
            page_size,
            page_token: page_token.to_owned(),
            filter: Some(filter),
            since_time: since.map(Into::into),
            until_time: until.map(Into::into),
        };
        let audit = self.audit_service();
        let send = |_, request| {
            let mut audit = audit.clone();
            async move { audit.list_audit_records(request).await }
        };
        Ok(self.call(request, send).await?.into_inner())
    }

    /// Lists the records one by one, the newest first, getting the next page when it is needed. It ends after an error.
    pub fn list_audit_records(
        &self,
        options: AuditListOptions,
    ) -> impl Stream<Item = Result<AuditRecord, Error>> + Send + Unpin + use<> {
        let pages = self.audit_pages(options);
        pages.map_ok(|page| stream::iter(page.audit_records.into_iter().map(Ok))).try_flatten().boxed()
    }

    /// Lists the pages, one after the other.
    pub fn audit_pages(
        &self,
        options: AuditListOptions,
    ) -> impl Stream<Item = Result<ListAuditRecordsResponse, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        let pages = stream::try_unfold(Some(String::new()), move |token| {
            let (client, options) = (client.clone(), options.clone());
            async move {
                let Some(token) = token else { return Ok(None) };
                let page = client.list_audit_page(options, &token).await?;
                let next = Some(page.next_page_token.clone()).filter(|next| !next.is_empty());
                Ok(Some((page, next)))
            }
        });
        pages.boxed()
    }
}
