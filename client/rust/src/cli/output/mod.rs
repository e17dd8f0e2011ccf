//! What commands print: tables for people, JSON, YAML and names for programs.

mod age;
mod columns;
mod object;
mod rows;
mod table;

use std::borrow::Cow;
use std::io::{self, Write};

use clap::ValueEnum;
use nodeward_client::api::{ListNodesResponse, Node};
use nodeward_client::{NodeList, node_id};

use crate::failure::{Failure, note};

pub use age::{human as human_duration, since};
pub use columns::cell_text;
pub use object::{
    Kind, json_line, parsed as parsed_message, value as message_value, value_json, value_yaml, yaml_document,
};
pub use rows::Rows;
pub use table::aligned;

/// How nodes are shown, other than as kubectl's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The message of the contract, as JSON
    Json,
    /// The same as YAML
    Yaml,
    /// `node/NAME`
    Name,
    /// The table with more columns
    Wide,
}

/// Writes to the standard output. Nothing is kept back: a reader of a pipe gets each piece at once.
pub fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// As [`write()`], for what a command is there to show.
pub fn print(text: &str) -> Result<(), Failure> {
    Ok(write(text)?)
}

/// Prints nodes as one list.
pub fn print_list(list: NodeList, format: Option<Format>) -> Result<(), Failure> {
    match format {
        Some(Format::Json | Format::Yaml) => {
            let NodeList { nodes, etag, cache_age } = list;
            let total_size = i32::try_from(nodes.len()).unwrap_or(i32::MAX);
            let cache_age = cache_age.and_then(|age| age.try_into().ok());
            let response = ListNodesResponse { nodes, etag, total_size, cache_age, ..ListNodesResponse::default() };
            print(&object_text(&response, Kind::ListNodesResponse, format)?)
        }
        Some(Format::Wide) | None if list.nodes.is_empty() => {
            note("No nodes found");
            Ok(())
        }
        _ => print(&nodes_text(&list.nodes, format)),
    }
}

/// One node in the format.
pub fn node_text(node: &Node, format: Option<Format>) -> Result<String, Failure> {
    match format {
        Some(Format::Json | Format::Yaml) => object_text(node, Kind::Node, format),
        _ => Ok(nodes_text(std::slice::from_ref(node), format)),
    }
}

fn nodes_text(nodes: &[Node], format: Option<Format>) -> String {
    match format {
        Some(Format::Name) => nodes.iter().map(|node| format!("{}\n", shown_name(node))).collect(),
        _ => table::table(nodes, format == Some(Format::Wide)),
    }
}

fn object_text(message: &impl prost::Message, kind: Kind, format: Option<Format>) -> Result<String, Failure> {
    match format {
        Some(Format::Yaml) => object::yaml(message, kind),
        _ => object::json(message, kind),
    }
}

/// The fields that the format shows, to ask for no others. All of them if it is empty.
pub fn read_mask(format: Option<Format>) -> Vec<String> {
    let fields: &[&str] = match format {
        Some(Format::Json | Format::Yaml) => &[],
        Some(Format::Name) => &["name"],
        Some(Format::Wide) => &columns::WIDE_FIELDS,
        None => &columns::FIELDS,
    };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

/// The node without what only machines read: who set which field takes more room than all else. kubectl leaves it out too.
pub fn without_managed_fields(mut node: Node) -> Node {
    if let Some(metadata) = &mut node.metadata {
        metadata.managed_fields.clear();
    }
    node
}

/// How kubectl writes a node: `node/worker-1`.
pub fn shown_name(node: &Node) -> String {
    format!("node/{}", node_id(&node.name))
}

/// The text without characters that a terminal would obey: whoever controls a node's status must not control the terminal
/// of those who look at it. Line ends stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |one: char| one.is_control() && one != '\n';
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|one| if is_harmful(one) { one.escape_default().to_string() } else { one.into() }).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[31mb\u{9b}\n"), "a\\u{1b}[31mb\\u{9b}\n");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        assert_eq!(printable("Grüße\n"), "Grüße\n");
    }
}
