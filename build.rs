//! Compiles the protobuf definitions with protox, so that there is no protoc to install.

use std::path::PathBuf;

const PROTO_FILES: [&str; 11] = [
    "nodeward/v1/audit_record.proto",
    "nodeward/v1/audit_service.proto",
    "nodeward/v1/drain_plan.proto",
    "nodeward/v1/drain_policy.proto",
    "nodeward/v1/drain_service.proto",
    "nodeward/v1/metadata.proto",
    "nodeward/v1/node.proto",
    "nodeward/v1/node_service.proto",
    "nodeward/v1/operation.proto",
    "nodeward/v1/operation_service.proto",
    "nodeward/v1/watch.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(PROTO_FILES)?;

    // protox keeps the custom options (field behaviour, http rules), which prost's own descriptor types drop.
    let descriptor_set = PathBuf::from(std::env::var("OUT_DIR")?).join("nodeward.binpb");
    std::fs::write(&descriptor_set, compiler.encode_file_descriptor_set())?;

    // Ordered maps make the encoding of a message deterministic: equal messages are equal bytes.
    tonic_prost_build::configure()
        .btree_map(".nodeward")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .codec_path("crate::codec::ContractCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
