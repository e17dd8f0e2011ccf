//! Operations: what a server carries out on behalf of a caller who need not stay.

mod events;
mod read;
mod wait;

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::api::CancelOperationRequest;
use crate::api::cancel_operation_request::Cordon;
use crate::change::{Change, Changed, Identified};
use crate::client::Client;
use crate::error::Error;
use crate::longrunning::{
    DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, ListOperationsResponse, Operation,
};
use crate::name::operation_name;

pub use crate::operation::events::OperationEventKind;
pub use crate::operation::read::{drain_metadata, drain_response, operation_error};

/// Which operations are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationListOptions {
    /// The filter, for example `state = BLOCKED`. All operations if it is empty.
    pub filter: String,
    /// The most operations of one page. The server chooses if it is 0.
    pub page_size: i32,
}

/// How an operation is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationEventsOptions {
    /// Go on after the event of this number. 0: from where all stands.
    pub after_sequence: i64,
    /// How long it may take until the server has accepted to be followed. None: for as long as it takes.
    pub begin_within: Option<Duration>,
}

/// What becomes of what an operation leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelOptions {
    /// What becomes of the cordon that a drain has put on its node.
    pub cordon: Cordon,
}

/// All of them fail with the server's error, or with the last one of the attempts to reach it. Names may be given with or
/// without `operations/`.
impl Client {
    /// Gets an operation.
    pub async fn operation(&self, name: &str) -> Result<Operation, Error> {
        let request = GetOperationRequest { name: operation_name(name) };
        let operations = self.operations_service();
        let send = |_, request| {
            let mut operations = operations.clone();
            async move { operations.get_operation(request).await }
        };
        Ok(self.call(request, send).await?.into_inner())
    }

    /// Lists one page.
    pub async fn operation_page(
        &self,
        options: OperationListOptions,
        page_token: &str,
    ) -> Result<ListOperationsResponse, Error> {
        let OperationListOptions { filter, page_size } = options;
        let request = ListOperationsRequest {
            name: "operations".to_owned(),
            filter,
            page_size,
            page_token: page_token.to_owned(),
            return_partial_success: false,
        };
        let operations = self.operations_service();
        let send = |_, request| {
            let mut operations = operations.clone();
            async move { operations.list_operations(request).await }
        };
        Ok(self.call(request, send).await?.into_inner())
    }

    /// Lists operations one by one, getting the next page when it is needed. It ends after an error.
    pub fn operations(
        &self,
        options: OperationListOptions,
    ) -> impl Stream<Item = Result<Operation, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        let pages = stream::try_unfold(Some(String::new()), move |token| {
            let (client, options) = (client.clone(), options.clone());
            async move {
                let Some(token) = token else { return Ok(None) };
                let page = client.operation_page(options, &token).await?;
                let next = Some(page.next_page_token.clone()).filter(|next| !next.is_empty());
                Ok::<_, Error>(Some((page, next)))
            }
        });
        pages.map_ok(|page| stream::iter(page.operations.into_iter().map(Ok))).try_flatten().boxed()
    }

    /// Asks an operation to end. It answers at once; the operation ends soon after.
    pub async fn cancel_operation(
        &self,
        name: &str,
        options: CancelOptions,
        change: Change,
    ) -> Result<Changed<Operation>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let (id, cordon) = (request_id.clone(), options.cordon.into());
        let name = operation_name(name);
        let request = CancelOperationRequest { name, cordon, request_id, etag, validate_only, reason };
        let operations = self.operation_service();
        let send = |_, request| {
            let mut operations = operations.clone();
            async move { operations.cancel_operation(request).await }
        };
        self.change(id, request, send).await
    }

    /// Forgets an operation that has ended.
    pub async fn delete_operation(&self, name: &str) -> Result<(), Error> {
        let request = DeleteOperationRequest { name: operation_name(name) };
        let operations = self.operations_service();
        let send = |_, request| {
            let mut operations = operations.clone();
            async move { operations.delete_operation(request).await }
        };
        self.call(request, send).await?;
        Ok(())
    }
}
