//! The descriptors of the contract, and what their options and comments say.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ReflectMessage, ServiceDescriptor, Value,
};
use prost_types::FileDescriptorProto;
use prost_types::method_options::IdempotencyLevel;

/// All descriptors: the contract and what it imports.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(nodeward_api::FILE_DESCRIPTOR_SET).expect("the descriptor set is well formed")
});

/// Whether a definition is ours, not Google's.
fn is_ours(full_name: &str) -> bool {
    full_name.starts_with("nodeward.")
}

/// Our services.
pub fn services() -> Vec<ServiceDescriptor> {
    POOL.services().filter(|service| is_ours(service.full_name())).collect()
}

/// The RPCs of our services.
pub fn rpcs() -> Vec<MethodDescriptor> {
    services().iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// The RPCs that change something.
pub fn mutations() -> Vec<MethodDescriptor> {
    rpcs().into_iter().filter(|rpc| !is_read(rpc)).collect()
}

/// Whether an RPC only reads.
pub fn is_read(rpc: &MethodDescriptor) -> bool {
    let proto = rpc.method_descriptor_proto();
    let level = proto.options.as_ref().map(|options| options.idempotency_level());
    level == Some(IdempotencyLevel::NoSideEffects)
}

/// Our messages, map entries left out.
pub fn messages() -> Vec<MessageDescriptor> {
    let ours = POOL.all_messages().filter(|message| is_ours(message.full_name()));
    ours.filter(|message| !message.is_map_entry()).collect()
}

/// Our enums.
pub fn enums() -> Vec<EnumDescriptor> {
    POOL.all_enums().filter(|r#enum| is_ours(r#enum.full_name())).collect()
}

/// All fields of our messages.
pub fn fields() -> Vec<FieldDescriptor> {
    messages().iter().flat_map(|message| message.fields().collect::<Vec<_>>()).collect()
}

/// All fields of requests, and of the messages that requests can hold.
pub fn request_fields() -> Vec<FieldDescriptor> {
    let mut reached: BTreeMap<String, MessageDescriptor> = BTreeMap::new();
    let mut ahead: Vec<MessageDescriptor> = rpcs().iter().map(MethodDescriptor::input).collect();
    while let Some(message) = ahead.pop() {
        if is_ours(message.full_name()) && !reached.contains_key(message.full_name()) {
            ahead.extend(message.fields().filter_map(|field| field.kind().as_message().cloned()));
            reached.insert(message.full_name().to_owned(), message);
        }
    }
    let messages = reached.values().filter(|message| !message.is_map_entry());
    messages.flat_map(|message| message.fields().collect::<Vec<_>>()).collect()
}

/// The names that google.api.field_behavior gives a field.
pub fn behaviors(field: &FieldDescriptor) -> Vec<String> {
    let extension = extension("google.api.field_behavior");
    let values = field.options().get_extension(&extension).into_owned();
    values.as_list().unwrap_or_default().iter().filter_map(|value| enum_name(&extension.kind(), value)).collect()
}

/// The name that google.api.field_info gives the format of a field.
pub fn format(field: &FieldDescriptor) -> Option<String> {
    let info = option(&field.options(), "google.api.field_info")?;
    let format = info.descriptor().get_field_by_name("format")?;
    enum_name(&format.kind(), &info.get_field(&format))
}

/// Whether a message is a resource.
pub fn is_resource(message: &MessageDescriptor) -> bool {
    option(&message.options(), "google.api.resource").is_some()
}

/// How HTTP calls an RPC.
#[derive(Debug)]
pub struct HttpRule {
    /// The verb, in lower case.
    pub verb: String,
    /// The template of the path.
    pub path: String,
    /// The field that is the body; empty if none is, `*` if all that the path doesn't hold are.
    pub body: String,
}

impl HttpRule {
    /// The paths of the fields that stand in the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &str> {
        let variables = self.path.split('{').skip(1).filter_map(|rest| rest.split(['=', '}']).next());
        variables.collect::<Vec<_>>().into_iter()
    }
}

/// The google.api.http rule of an RPC.
pub fn http_rule(rpc: &MethodDescriptor) -> Option<HttpRule> {
    let rule = option(&rpc.options(), "google.api.http")?;
    let text = |name: &str| rule.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
    ["get", "put", "post", "delete", "patch"].into_iter().find_map(|verb| {
        let path = text(verb).filter(|path| !path.is_empty())?;
        Some(HttpRule { verb: verb.to_owned(), path, body: text("body").unwrap_or_default() })
    })
}

/// The field that a path such as `node.name` leads to.
pub fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((first, rest)) => field_at(message.get_field_by_name(first)?.kind().as_message()?, rest),
    }
}

/// The comment before an RPC.
pub fn rpc_comment(rpc: &MethodDescriptor) -> String {
    comment(rpc.parent_service().parent_file().file_descriptor_proto(), rpc.path())
}

/// The comment before a service.
pub fn service_comment(service: &ServiceDescriptor) -> String {
    comment(service.parent_file().file_descriptor_proto(), service.path())
}

fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comment = locations.filter(|location| location.path == path).find_map(|one| one.leading_comments.clone());
    comment.unwrap_or_default()
}

fn extension(name: &str) -> ExtensionDescriptor {
    POOL.get_extension_by_name(name).unwrap_or_else(|| panic!("{name} is not imported"))
}

/// An option that is a message, if it is set.
fn option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = extension(name);
    let value = options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned());
    value?.as_message().cloned()
}

fn enum_name(kind: &Kind, value: &Value) -> Option<String> {
    let value = kind.as_enum()?.get_value(value.as_enum_number()?)?;
    Some(value.name().to_owned())
}
