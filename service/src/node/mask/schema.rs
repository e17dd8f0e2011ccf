//! The fields of a node, read from the contract's descriptor once.
//!
//! A compact copy of what masks need: looking a field up neither locks nor counts references.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

/// The message that masks apply to.
const ROOT: &str = "nodeward.v1.Node";

/// Lists whose elements have an identity: the list, and the text field that names an element in it.
const IDENTITIES: [(&str, &str); 1] = [("nodeward.v1.NodeStatus.conditions", "type")];

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::load);

/// The message `Node`.
pub(super) fn root() -> &'static Message {
    Shape::message(0)
}

/// A message type and its fields.
#[derive(Debug)]
pub(super) struct Message {
    fields: Vec<Field>,
    /// Whether it is one of protobuf's own messages, such as `Timestamp`: a value rather than a set of fields.
    pub is_value: bool,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    pub name: String,
    json_name: String,
    pub shape: Shape,
    /// The number of the field of its elements that names each of them, in lists that have one.
    pub identity: Option<u32>,
}

/// What a field holds. Messages are named by their place in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar,
    Message(usize),
    List(Option<usize>),
    /// A map from text. Maps from other keys count as lists: there is no name for their keys.
    Map(Option<usize>),
}

impl Shape {
    /// The message type at this place in the schema.
    pub fn message(place: usize) -> &'static Message {
        &SCHEMA.messages[place]
    }

    /// The message type of the value, of its elements or of its values. None if they are not messages.
    pub fn part(self) -> Option<&'static Message> {
        match self {
            Self::Scalar => None,
            Self::Message(place) => Some(Self::message(place)),
            Self::List(place) | Self::Map(place) => place.map(Self::message),
        }
    }
}

impl Message {
    pub fn field(&self, number: u32) -> Option<&Field> {
        let place = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(place)
    }

    /// The field of this name, in the contract's spelling or in that of JSON.
    pub fn field_named(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name || field.json_name == name)
    }

    /// The names of all fields in the order of their numbers.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }
}

struct Schema {
    messages: Vec<Message>,
}

impl Schema {
    fn load() -> Self {
        let mut loader = Loader { messages: Vec::new(), places: HashMap::new() };
        let root = DescriptorPool::decode(nodeward_api::FILE_DESCRIPTOR_SET)
            .ok()
            .and_then(|pool| pool.get_message_by_name(ROOT))
            .expect("the descriptor set is compiled together with the contract");
        loader.message(&root);
        Self { messages: loader.messages }
    }
}

struct Loader {
    messages: Vec<Message>,
    places: HashMap<String, usize>,
}

impl Loader {
    fn message(&mut self, descriptor: &MessageDescriptor) -> usize {
        if let Some(&place) = self.places.get(descriptor.full_name()) {
            return place;
        }
        // The place is taken before the fields are read, for messages that hold themselves.
        let place = self.messages.len();
        self.places.insert(descriptor.full_name().to_owned(), place);
        let is_value = descriptor.package_name() == "google.protobuf";
        self.messages.push(Message { fields: Vec::new(), is_value });
        let mut fields: Vec<Field> = descriptor.fields().map(|field| self.field(&field)).collect();
        fields.sort_by_key(|field| field.number);
        self.messages[place].fields = fields;
        place
    }

    fn field(&mut self, descriptor: &FieldDescriptor) -> Field {
        Field {
            number: descriptor.number(),
            name: descriptor.name().to_owned(),
            json_name: descriptor.json_name().to_owned(),
            shape: self.shape(descriptor),
            identity: identity(descriptor),
        }
    }

    fn shape(&mut self, descriptor: &FieldDescriptor) -> Shape {
        let Kind::Message(message) = descriptor.kind() else {
            return if descriptor.is_list() { Shape::List(None) } else { Shape::Scalar };
        };
        if message.is_map_entry() {
            let value = match message.map_entry_value_field().kind() {
                Kind::Message(value) => Some(self.message(&value)),
                _ => None,
            };
            return match message.map_entry_key_field().kind() {
                Kind::String => Shape::Map(value),
                _ => Shape::List(None),
            };
        }
        let place = self.message(&message);
        if descriptor.is_list() { Shape::List(Some(place)) } else { Shape::Message(place) }
    }
}

fn identity(descriptor: &FieldDescriptor) -> Option<u32> {
    let (_, name) = IDENTITIES.iter().find(|(list, _)| *list == descriptor.full_name())?;
    Some(descriptor.kind().as_message()?.get_field_by_name(name)?.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_both_spellings() {
        let metadata = root().field_named("metadata").unwrap();
        let Shape::Message(metadata) = metadata.shape else { panic!("metadata is a message") };
        let metadata = Shape::message(metadata);
        assert_eq!(metadata.field_named("resource_version").unwrap().number, 5);
        assert_eq!(metadata.field_named("resourceVersion").unwrap().number, 5);
        assert_eq!(metadata.field(5).unwrap().name, "resource_version");
        assert_eq!(metadata.field_named("labels").unwrap().shape, Shape::Map(None));
    }

    #[test]
    fn every_identity_is_that_of_a_list_in_the_contract() {
        let found = SCHEMA.messages.iter().flat_map(|message| &message.fields).filter(|field| field.identity.is_some());
        assert_eq!(found.count(), IDENTITIES.len());
    }
}
