//! The contract of nodeward: the messages and services of `proto/nodeward/v1/*.proto` as Rust code, for servers and clients.
//!
//! Encoding is deterministic (maps are ordered): equal messages have equal bytes.

pub mod codec;

/// The package `nodeward`.
pub mod nodeward {
    /// The package `nodeward.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all)]
        tonic::include_proto!("nodeward.v1");
    }
}

/// What the contract takes from Google's common definitions.
pub mod google {
    /// The package `google.longrunning`: operations.
    pub mod longrunning {
        #![allow(missing_docs, clippy::all)]
        tonic::include_proto!("google.longrunning");
    }
}

pub use nodeward::v1;

/// The encoded `google.protobuf.FileDescriptorSet` of the contract and all that it imports, with comments and options: for
/// server reflection and for tools.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/nodeward.binpb"));
