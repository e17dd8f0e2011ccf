//! AuditService: each RPC in a line, carried out in `list` and `stream`.

mod convert;
mod list;
mod request;
mod stream;

use futures::stream::BoxStream;
use nodeward_api::v1;
use nodeward_api::v1::audit_service_server::AuditService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::context::WatchLimits;
use crate::audit::Auditor;
use crate::audit::query::AuditReader;
use crate::error::Error;

/// AuditService on the server's log.
#[derive(Clone)]
pub struct AuditRpc {
    reader: Option<AuditReader>,
    streams: WatchLimits,
    /// Ends the streams.
    stop: CancellationToken,
}

impl AuditRpc {
    /// The service on the log of this auditor. Its streams last as long as watches do, and end with `stop`.
    pub fn new(auditor: &Auditor, streams: WatchLimits, stop: CancellationToken) -> Self {
        Self { reader: auditor.reader(), streams, stop }
    }

    fn reader(&self) -> Result<&AuditReader, Error> {
        self.reader.as_ref().ok_or(Error::NoAuditLog)
    }
}

#[tonic::async_trait]
impl AuditService for AuditRpc {
    type StreamAuditRecordsStream = BoxStream<'static, Result<v1::StreamAuditRecordsResponse, Status>>;

    async fn list_audit_records(
        &self,
        request: Request<v1::ListAuditRecordsRequest>,
    ) -> Result<Response<v1::ListAuditRecordsResponse>, Status> {
        Ok(list::list(self, request).await?)
    }

    async fn stream_audit_records(
        &self,
        request: Request<v1::StreamAuditRecordsRequest>,
    ) -> Result<Response<Self::StreamAuditRecordsStream>, Status> {
        Ok(stream::stream(self, request).await?)
    }
}
