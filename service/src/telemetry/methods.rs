//! What is known of the RPCs that the server answers, from the descriptors of its services.
//!
//! A new RPC is known here as soon as it is in the contract: nothing has to be added by hand.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

/// The package whose methods change something if the contract doesn't say that they have no side effects.
const PACKAGE: &str = "nodeward.v1";

/// The package of Google's service for operations, whose descriptors don't say which methods have side effects.
const OPERATIONS_PACKAGE: &str = "google.longrunning";

/// The package of the health service.
const HEALTH_PACKAGE: &str = "grpc.health.v1";

/// The number of `MethodOptions.idempotency_level` in descriptor.proto.
const IDEMPOTENCY_LEVEL: u32 = 34;

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    [
        nodeward_api::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .flat_map(described)
    .collect()
});

/// An RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    /// What it is for.
    pub class: Class,
    /// Whether its answer, or its request, is a stream.
    pub streams: bool,
    /// Whether its answer waits for something to happen, as long as a stream would.
    pub waits: bool,
}

/// What an RPC is for: calls are sampled and limited by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Asks for what is now. Reflection, whose stream only carries questions and answers, is one of these.
    Read,
    /// Asks for what happens from now on, with a stream that stays open, or an answer that waits for it. So is a stream of
    /// what is now: it takes as long as its client likes.
    Watch,
    /// May change something.
    Mutation,
    /// Asks whether the server is well.
    Health,
}

impl Method {
    /// Whether it may change nodes.
    pub fn mutates(self) -> bool {
        self.class == Class::Mutation
    }

    /// Whether its service is one beside the contract, whose own streams are all watches.
    pub fn is_aside(self) -> bool {
        self.class == Class::Health || (self.class == Class::Read && self.streams)
    }
}

/// The RPC `full_name`, for example `nodeward.v1.NodeService/CordonNode`, with its name. None if there is no such RPC.
pub(crate) fn lookup(full_name: &str) -> Option<(&'static str, Method)> {
    METHODS.get_key_value(full_name).map(|(name, method)| (name.as_str(), *method))
}

/// Reads the descriptors, so that the first call doesn't have to.
pub(crate) fn prepare() {
    LazyLock::force(&METHODS);
}

/// The methods of an encoded `FileDescriptorSet`. One that can't be read (tests see to it that all can) has none, which
/// costs names in traces, no call.
fn described(descriptor_set: &[u8]) -> Vec<(String, Method)> {
    let Ok(pool) = DescriptorPool::decode(descriptor_set) else { return Vec::new() };
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| (path(&method), describe(&method))).collect()
}

fn path(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn describe(method: &MethodDescriptor) -> Method {
    let class = class(method);
    let streams = method.is_server_streaming() || method.is_client_streaming();
    Method { class, streams, waits: class == Class::Watch && !streams }
}

fn class(method: &MethodDescriptor) -> Class {
    match method.parent_service().package_name() {
        PACKAGE if !has_no_side_effects(method) => Class::Mutation,
        PACKAGE if method.is_server_streaming() => Class::Watch,
        OPERATIONS_PACKAGE => match method.name() {
            "CancelOperation" | "DeleteOperation" => Class::Mutation,
            "WaitOperation" => Class::Watch,
            _ => Class::Read,
        },
        HEALTH_PACKAGE => Class::Health,
        _ => Class::Read,
    }
}

fn has_no_side_effects(method: &MethodDescriptor) -> bool {
    let options = method.options();
    let level = options.get_field_by_number(IDEMPOTENCY_LEVEL);
    level.and_then(|level| level.as_enum_number()) == Some(IdempotencyLevel::NoSideEffects as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(select: impl Fn(&Method) -> bool) -> Vec<&'static str> {
        let mut names: Vec<_> = METHODS.iter().filter(|(_, m)| select(m)).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_has_side_effects_in_the_contract_mutates() {
        let mutating = names(|method| method.mutates());
        for name in ["CreateNode", "UpdateNode", "PatchNode", "DeleteNodes", "CordonNode", "UncordonNode"] {
            assert!(mutating.contains(&format!("nodeward.v1.NodeService/{name}").as_str()), "{name}: {mutating:?}");
        }
        for name in ["GetNode", "ListNodes", "StreamNodes", "WatchNodes"] {
            let (_, method) = lookup(&format!("nodeward.v1.NodeService/{name}")).unwrap();
            assert!(!method.mutates(), "{name}");
        }
    }

    #[test]
    fn the_streams_are_those_of_the_descriptors() {
        let streaming = names(|method| method.streams);
        for name in [
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "nodeward.v1.NodeService/WatchNodes",
        ] {
            assert!(streaming.contains(&name), "{name}: {streaming:?}");
        }
        assert!(!streaming.contains(&"grpc.health.v1.Health/Check"));
    }

    #[test]
    fn the_class_tells_reads_watches_and_health_apart() {
        for (name, class) in [
            ("nodeward.v1.NodeService/GetNode", Class::Read),
            ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Class::Read),
            ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Class::Read),
            ("nodeward.v1.NodeService/StreamNodes", Class::Watch),
            ("nodeward.v1.NodeService/WatchNodes", Class::Watch),
            ("nodeward.v1.AuditService/ListAuditRecords", Class::Read),
            ("nodeward.v1.AuditService/StreamAuditRecords", Class::Watch),
            ("nodeward.v1.OperationService/StreamOperationEvents", Class::Watch),
            ("nodeward.v1.OperationService/CancelOperation", Class::Mutation),
            ("google.longrunning.Operations/GetOperation", Class::Read),
            ("google.longrunning.Operations/ListOperations", Class::Read),
            ("google.longrunning.Operations/WaitOperation", Class::Watch),
            ("google.longrunning.Operations/CancelOperation", Class::Mutation),
            ("google.longrunning.Operations/DeleteOperation", Class::Mutation),
            ("grpc.health.v1.Health/Check", Class::Health),
            ("grpc.health.v1.Health/Watch", Class::Health),
        ] {
            assert_eq!(lookup(name).unwrap().1.class, class, "{name}");
        }
    }

    #[test]
    fn others_are_not_known() {
        for name in ["", "nodeward.v1.NodeService/", "nodeward.v1.NodeService/Nothing", "grpc.health.v1.Health/watch"] {
            assert_eq!(lookup(name), None, "{name}");
        }
    }
}
