//! A client that sends any bytes to any method.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use nodeward_api::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, IntoRequest, Status};
use tonic_types::StatusExt;

use super::ErrorExt;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The packages of the contract.
const PACKAGES: [&str; 2] = ["nodeward.v1", "google.longrunning"];

/// The methods of all services of the contract.
pub fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours = pool.services().filter(|service| PACKAGES.contains(&service.package_name()));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// The path of a method.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Sends these bytes as the request, perhaps with metadata. Of a stream only the beginning is awaited.
pub async fn send(channel: &Channel, path: &str, body: impl IntoRequest<Vec<u8>>) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(path).unwrap();
    let call = grpc.server_streaming(body.into_request(), path, BytesCodec);
    let mut stream = timeout(PATIENCE, call).await.expect("an answer in time")?.into_inner();
    timeout(PATIENCE, stream.message()).await.expect("an answer in time")?;
    Ok(())
}

/// An answer that a client can do something with: not a bug, nothing undefined, and small enough for any client.
pub fn is_defined(answer: &Result<(), Status>) -> bool {
    let Err(status) = answer else { return true };
    let is_expected = matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Aborted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::ResourceExhausted
    );
    is_expected
        && status.details().len() < 4096
        && status.get_details_error_info().is_some()
        && !status.reason().is_empty()
}

/// Leaves messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
