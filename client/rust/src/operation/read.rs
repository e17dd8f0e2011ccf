//! What an operation holds, by its type.

use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};

use crate::api::{DrainNodeMetadata, DrainNodeResponse};
use crate::error::Error;
use crate::longrunning::Operation;
use crate::longrunning::operation::Result as Outcome;

/// How far a drain has come. None if the operation is another one.
pub fn drain_metadata(operation: &Operation) -> Option<DrainNodeMetadata> {
    unpacked(operation.metadata.as_ref()?, "nodeward.v1.DrainNodeMetadata")
}

/// What a drain has resulted in. None if it has not (yet) drained its node, or the operation is another one.
pub fn drain_response(operation: &Operation) -> Option<DrainNodeResponse> {
    match operation.result.as_ref()? {
        Outcome::Response(response) => unpacked(response, "nodeward.v1.DrainNodeResponse"),
        Outcome::Error(_) => None,
    }
}

/// Why an operation has failed. None if it has not.
pub fn operation_error(operation: &Operation) -> Option<Error> {
    match operation.result.as_ref()? {
        Outcome::Error(error) => {
            let details = error.encode_to_vec().into();
            Some(Status::with_details(Code::from_i32(error.code), error.message.clone(), details).into())
        }
        Outcome::Response(_) => None,
    }
}

fn unpacked<T: Message + Default>(any: &Any, name: &str) -> Option<T> {
    let is_named = any.type_url.rsplit('/').next() == Some(name);
    is_named.then(|| T::decode(any.value.as_slice()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(name: &str, message: &impl Message) -> Any {
        Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
    }

    #[test]
    fn the_metadata_of_a_drain_is_read() {
        let metadata = DrainNodeMetadata { node: "nodes/a".into(), ..DrainNodeMetadata::default() };
        let packed = packed("nodeward.v1.DrainNodeMetadata", &metadata);
        let operation = Operation { metadata: Some(packed), ..Operation::default() };
        assert_eq!(drain_metadata(&operation), Some(metadata));
    }

    #[test]
    fn the_metadata_of_another_operation_is_not_read() {
        let packed = packed("nodeward.v1.SomethingElse", &DrainNodeMetadata::default());
        assert_eq!(drain_metadata(&Operation { metadata: Some(packed), ..Operation::default() }), None);
    }

    #[test]
    fn the_error_of_an_operation_has_its_code_and_message() {
        let error =
            tonic_types::Status { code: Code::DeadlineExceeded.into(), message: "too late".into(), details: vec![] };
        let operation = Operation { result: Some(Outcome::Error(error)), ..Operation::default() };
        let error = operation_error(&operation).unwrap();
        assert_eq!((error.code(), error.message()), (Code::DeadlineExceeded, "too late"));
    }
}
