//! ListOperations: from memory, the newest first.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use nodeward_api::google::longrunning::{ListOperationsRequest, ListOperationsResponse};
use prost::Message;
use tonic::{Request, Response};

use super::OperationRpc;
use super::convert::{created, operation_of};
use super::name::COLLECTION;
use crate::error::Error;
use crate::node::Violations;
use crate::node::token::{PageToken, QueryHash};
use crate::operation::{NodeOperation, OperationFilter};
use crate::rpc::request::{deadline, page_size, session};
use crate::rpc::rights::LIST_OPERATIONS;

/// A page ends once it has reached this size: most gRPC clients refuse messages of more than 4 MiB, and a single operation
/// can have some hundred KiB.
const PAGE_BYTES: usize = 2 << 20;

pub(super) async fn list(
    rpc: &OperationRpc,
    request: Request<ListOperationsRequest>,
) -> Result<Response<ListOperationsResponse>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let list = List::parse(request.get_ref())?;
    session.require(LIST_OPERATIONS.on_all(), deadline).await?;
    let view = rpc.view(deadline).await?;
    Ok(Response::new(list.page(view.all())))
}

/// A request, understood.
#[derive(Debug)]
struct List {
    filter: OperationFilter,
    page_size: usize,
    query: QueryHash,
    after: Option<Place>,
}

/// Where an operation stands in the list.
type Place = (Reverse<Timestamp>, String);

impl List {
    fn parse(request: &ListOperationsRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        if request.name != COLLECTION {
            violations.add("name", format!("must be `{COLLECTION}`"));
        }
        if request.return_partial_success {
            violations.add("return_partial_success", "must not be set: there is one place where operations are kept");
        }
        let filter = OperationFilter::parse(&request.filter).map_err(|error| error.violation("filter"));
        let (filter, page_size) = (violations.take(filter), violations.take(page_size(request.page_size)));
        let (Some(filter), Some(page_size)) = (filter, page_size) else { return Err(violations.into()) };
        violations.or(())?;
        let query = QueryHash::of([COLLECTION, request.filter.as_str()]);
        let after = match request.page_token.as_str() {
            "" => None,
            text => Some(decode(text, query).ok_or(Error::InvalidPageToken)?),
        };
        Ok(Self { filter, page_size, query, after })
    }

    fn page(&self, mut all: Vec<Arc<NodeOperation>>) -> ListOperationsResponse {
        all.retain(|operation| self.filter.matches(operation));
        all.sort_by_cached_key(|operation| place(operation));
        let is_after = |operation: &NodeOperation| self.after.as_ref().is_none_or(|after| place(operation) > *after);
        let mut rest = all.iter().filter(|operation| is_after(operation)).peekable();
        let (mut operations, mut bytes, mut last) = (Vec::new(), 0, None);
        while let Some(operation) = rest.next_if(|_| operations.len() < self.page_size && bytes < PAGE_BYTES) {
            let shown = operation_of(operation);
            bytes += shown.encoded_len();
            operations.push(shown);
            last = Some(place(operation));
        }
        let is_last_page = rest.peek().is_none();
        let next = last.filter(|_| !is_last_page).map(|last| encode(&last, self.query));
        ListOperationsResponse {
            operations,
            next_page_token: next.unwrap_or_default(),
            ..ListOperationsResponse::default()
        }
    }
}

fn place(operation: &NodeOperation) -> Place {
    (Reverse(created(operation)), operation.name_any())
}

fn encode((Reverse(created), name): &Place, query: QueryHash) -> String {
    PageToken::new(format!("{created} {name}"), query).encode()
}

fn decode(text: &str, query: QueryHash) -> Option<Place> {
    let token = PageToken::decode(text, query)?;
    let (created, name) = token.after.split_once(' ')?;
    Some((Reverse(created.parse().ok()?), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::operation::OperationSpec;

    /// Operations of these names, created at these seconds.
    fn operations(all: &[(&str, i64)]) -> Vec<Arc<NodeOperation>> {
        let operation = |(name, second): &(&str, i64)| {
            let mut operation = NodeOperation::new(name, OperationSpec::default());
            operation.metadata.creation_timestamp = Some(Time(Timestamp::from_second(*second).unwrap()));
            Arc::new(operation)
        };
        all.iter().map(operation).collect()
    }

    fn asked(filter: &str, page_size: i32, page_token: String) -> ListOperationsRequest {
        let (name, filter) = (COLLECTION.to_owned(), filter.to_owned());
        ListOperationsRequest { name, filter, page_size, page_token, ..Default::default() }
    }

    #[test]
    fn pages_cover_all_operations_once_the_newest_first() {
        let all = operations(&[("a", 10), ("b", 30), ("c", 20), ("d", 20), ("e", 10)]);
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = List::parse(&asked("", 2, token)).unwrap().page(all.clone());
            let names = page.operations.into_iter().map(|operation| operation.name);
            pages.push(names.collect::<Vec<_>>());
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let expected =
            [vec!["operations/b", "operations/c"], vec!["operations/d", "operations/a"], vec!["operations/e"]];
        assert_eq!(pages, expected);
    }

    #[test]
    fn a_token_of_another_filter_is_refused() {
        let token = List::parse(&asked("", 1, String::new())).unwrap().page(operations(&[("a", 1), ("b", 2)]));
        let other = List::parse(&asked("done = true", 1, token.next_page_token));
        assert!(matches!(other, Err(Error::InvalidPageToken)));
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let request = ListOperationsRequest {
            name: "nodes".into(),
            filter: "x = 1".into(),
            page_size: -1,
            return_partial_success: true,
            ..Default::default()
        };
        let Err(Error::Invalid(violations)) = List::parse(&request) else { panic!() };
        let fields: Vec<&str> = violations.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["name", "return_partial_success", "filter", "page_size"]);
    }
}
