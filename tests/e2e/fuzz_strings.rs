//! Every text that a request can hold, too long, empty or foreign: the answer is a defined one, and the server goes on.

use futures::{StreamExt, stream};
use nodeward_api::v1::{Node, NodeCondition, NodeStatus, UpdateNodeStatusRequest};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use tonic::Code;

use crate::fuzz::{assert_still_serving, channel};
use crate::support::raw::{is_defined, methods, path, send};
use crate::support::requests::harmless;
use crate::support::watcher::mask;
use crate::support::{assert_error, world};

/// How many requests are sent at a time.
const PARALLEL: usize = 4;

/// A way to a text: the fields on the way, and whether it is the key of a map there.
#[derive(Clone, Debug, Default)]
struct Place {
    fields: Vec<FieldDescriptor>,
    is_key: bool,
}

impl Place {
    fn within(&self, field: &FieldDescriptor) -> Self {
        Self { fields: [self.fields.as_slice(), std::slice::from_ref(field)].concat(), is_key: false }
    }

    fn name(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(FieldDescriptor::name).collect();
        names.join(".") + if self.is_key { " (key)" } else { "" }
    }
}

/// All texts of a message, in the messages, lists and maps of it too.
fn texts(message: &MessageDescriptor, here: &Place) -> Vec<Place> {
    let of_kind = |kind: Kind, place: Place| match kind {
        Kind::String => vec![place],
        Kind::Message(message) => texts(&message, &place),
        _ => Vec::new(),
    };
    let of_field = |field: FieldDescriptor| {
        let place = here.within(&field);
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let key = Place { is_key: true, ..place.clone() };
                let keys = of_kind(entry.map_entry_key_field().kind(), key);
                [keys, of_kind(entry.map_entry_value_field().kind(), place)].concat()
            }
            kind => of_kind(kind, place),
        }
    };
    message.fields().flat_map(of_field).collect()
}

/// Puts the text into its place, in new elements of the lists and maps on the way.
fn put(message: &mut DynamicMessage, fields: &[FieldDescriptor], is_key: bool, text: &str) {
    let [field, rest @ ..] = fields else { return };
    let text_value = || Value::String(text.to_owned());
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return };
        let here = is_key && rest.is_empty();
        let key = MapKey::String(if here { text.to_owned() } else { "key".to_owned() });
        let value = match entry.map_entry_value_field().kind() {
            Kind::Message(value) => Value::Message(filled(&value, rest, is_key, text)),
            _ if here => Value::String("value".to_owned()),
            _ => text_value(),
        };
        message.set_field(field, Value::Map([(key, value)].into()));
    } else {
        let value = match field.kind() {
            // What stands there already, such as the name of the node, stays.
            Kind::Message(_) if !field.is_list() => {
                let mut inner = message.get_field(field).as_message().expect("a message").clone();
                put(&mut inner, rest, is_key, text);
                Value::Message(inner)
            }
            Kind::Message(inner) => Value::Message(filled(&inner, rest, is_key, text)),
            _ => text_value(),
        };
        message.set_field(field, if field.is_list() { Value::List(vec![value]) } else { value });
    }
}

fn filled(message: &MessageDescriptor, rest: &[FieldDescriptor], is_key: bool, text: &str) -> DynamicMessage {
    let mut message = DynamicMessage::new(message.clone());
    put(&mut message, rest, is_key, text);
    message
}

#[tokio::test]
async fn every_text_may_be_too_long_empty_or_foreign() {
    let node = world().await.node("fuzz").await;
    let channel = channel().await;
    // Too long for its field, and for most requests.
    let values =
        ["x".repeat(60_000), "x".repeat(1 << 20), String::new(), "gr\u{fc}\u{df}e \u{1f980}\u{202e}\0".to_owned()];
    let mut requests = Vec::new();
    for method in methods() {
        let valid = DynamicMessage::decode(method.input(), harmless(method.name(), &node).as_slice()).unwrap();
        for place in texts(&method.input(), &Place::default()) {
            requests.extend(values.iter().map(|value| (path(&method), valid.clone(), place.clone(), value)));
        }
    }
    assert!(requests.len() > 500, "{}", requests.len());

    stream::iter(requests)
        .for_each_concurrent(PARALLEL, |(path, mut request, place, value)| {
            let channel = &channel;
            async move {
                put(&mut request, &place.fields, place.is_key, value);
                let answer = send(channel, &path, request.encode_to_vec()).await;
                let start: String = value.chars().take(20).collect();
                assert!(is_defined(&answer), "{path}: {} = {start:?}: {answer:?}", place.name());
            }
        })
        .await;
    assert_still_serving(&node).await;
}

#[tokio::test]
async fn a_node_that_is_too_large_for_kubernetes_is_refused_as_such() {
    let node = world().await.node("fuzz").await;
    let mut client = world().await.client().await;
    let condition = NodeCondition {
        r#type: "Large".into(),
        status: "True".into(),
        // Each takes six bytes in JSON: what is small enough for a request of ours is too large for one to Kubernetes.
        message: Some("\u{1}".repeat(1 << 20)),
        ..Default::default()
    };
    let status = NodeStatus { conditions: vec![condition], ..Default::default() };
    let request = UpdateNodeStatusRequest {
        node: Some(Node { name: format!("nodes/{node}"), status: Some(status), ..Default::default() }),
        update_mask: mask(&["status.conditions.Large"]),
        ..Default::default()
    };
    let status = assert_error(client.update_node_status(request).await, Code::InvalidArgument, "INVALID_FIELD");
    assert!(status.details().len() < 4096);
    assert_still_serving(&node).await;
}
