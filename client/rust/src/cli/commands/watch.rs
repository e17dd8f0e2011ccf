//! `watch`.

use futures::TryStreamExt;
use nodeward_client::api::node_change::Type;
use nodeward_client::api::watch_nodes_response::Event;
use nodeward_client::api::{Bookmark, Node, NodeChange, SnapshotComplete, WatchNodesResponse};
use nodeward_client::{WatchEvent, WatchEventKind, WatchOptions};

use crate::args::WatchArgs;
use crate::commands::Session;
use crate::failure::{Failure, warn};
use crate::names;
use crate::output::{
    Format, Kind, Rows, json_line, print, read_mask, shown_name, without_managed_fields, yaml_document,
};

/// Shows nodes and their changes until it is interrupted.
pub async fn watch(session: &Session, args: WatchArgs) -> Result<(), Failure> {
    let names = names::nodes(&args.names)?;
    let options = WatchOptions {
        filter: filter(args.select.filter.as_deref(), &names),
        label_selector: args.select.selector.unwrap_or_default(),
        // Names alone never change: they stand for the changes of the table.
        read_mask: read_mask(args.output.filter(|format| *format != Format::Name)),
        resume_token: args.resume_token,
        skip_snapshot: args.watch_only,
        bookmark_interval: None,
        // Where nothing was ever received, the endpoint may be wrong.
        begin_within: session.timeout.0,
    };
    let rows = Rows::new(args.output == Some(Format::Wide));
    let mut printer = Printer { format: args.output, rows };
    let mut is_outage_told = false;
    let mut events = session.client.watch(options);
    while let Some(event) = events.try_next().await? {
        let WatchEvent { kind, resume_token } = event;
        if let WatchEventKind::Interrupted { error, .. } = &kind {
            if !is_outage_told {
                warn(&format!("{error}; trying again"));
            }
            is_outage_told = true;
            continue;
        }
        if std::mem::take(&mut is_outage_told) {
            warn("the watch goes on");
        }
        printer.print(kind, resume_token)?;
    }
    Ok(())
}

/// Shows events in the format that was asked for.
struct Printer {
    format: Option<Format>,
    rows: Rows,
}

impl Printer {
    fn print(&mut self, kind: WatchEventKind, resume_token: Option<String>) -> Result<(), Failure> {
        let Some(mut event) = message(kind) else { return Ok(()) };
        if let Event::Change(change) = &mut event {
            change.node = change.node.take().map(without_managed_fields);
        }
        match (self.format, event) {
            (Some(Format::Json), event) => print(&json_line(&response(event, resume_token), Kind::WatchNodesResponse)?),
            (Some(Format::Yaml), event) => {
                print(&yaml_document(&response(event, resume_token), Kind::WatchNodesResponse)?)
            }
            (format, Event::Change(change)) => {
                let (word, node) = (word(change.r#type()), change.node.unwrap_or_default());
                match format {
                    Some(Format::Name) => print(&format!("{}\n", shown_name(&node))),
                    _ => print(&self.rows.line(word, &node, &change.changed_paths)),
                }
            }
            (_, Event::SnapshotComplete(_) | Event::Bookmark(_)) => Ok(()),
        }
    }
}

fn response(event: Event, resume_token: Option<String>) -> WatchNodesResponse {
    WatchNodesResponse { event: Some(event), resume_token: resume_token.unwrap_or_default() }
}

/// The event as a message of the contract.
fn message(kind: WatchEventKind) -> Option<Event> {
    let change = |kind: Type, node: Node, changed_paths: Vec<String>| {
        Some(Event::Change(NodeChange { r#type: kind.into(), node: Some(node), changed_paths }))
    };
    match kind {
        WatchEventKind::Added { node } => change(Type::Added, node, Vec::new()),
        WatchEventKind::Modified { node, changed_paths } => change(Type::Modified, node, changed_paths),
        WatchEventKind::Deleted { node } => change(Type::Deleted, node, Vec::new()),
        WatchEventKind::SnapshotComplete { node_count } => {
            Some(Event::SnapshotComplete(SnapshotComplete { node_count }))
        }
        WatchEventKind::Bookmark => Some(Event::Bookmark(Bookmark {})),
        WatchEventKind::Interrupted { .. } => None,
    }
}

fn word(kind: Type) -> &'static str {
    match kind {
        Type::Added => "ADDED",
        Type::Modified => "MODIFIED",
        Type::Deleted => "DELETED",
        Type::Unspecified => "UNKNOWN",
    }
}

/// The filter of the watch: the one that is given, and one of the names.
fn filter(given: Option<&str>, names: &[String]) -> String {
    let one_of_names = names.iter().map(|name| format!("name = {}", quoted(name))).collect::<Vec<_>>().join(" OR ");
    match (given.unwrap_or_default(), names.len()) {
        (given, 0) => given.to_owned(),
        ("", _) => one_of_names,
        (given, _) => format!("({given}) AND ({one_of_names})"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_a_filter() {
        let names = ["a".to_owned(), "b\"".to_owned()];
        assert_eq!(filter(None, &names), r#"name = "a" OR name = "b\"""#);
        assert_eq!(filter(Some("ready = true"), &names[..1]), r#"(ready = true) AND (name = "a")"#);
        assert_eq!(filter(Some("ready = true"), &[]), "ready = true");
    }
}
