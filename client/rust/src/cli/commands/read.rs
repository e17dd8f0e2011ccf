//! `get` and `list`.

use nodeward_client::api::{Consistency, Node};
use nodeward_client::{ListOptions, NodeList, ReadOptions};

use crate::args::{GetArgs, ListArgs, WatchArgs};
use crate::commands::{Session, list_options, watch};
use crate::failure::Failure;
use crate::names;
use crate::output::{node_text, print, print_list, read_mask, without_managed_fields};

/// The nodes that are named, or all that match.
pub async fn get(session: &Session, args: GetArgs) -> Result<(), Failure> {
    let GetArgs { names: arguments, select, sort, watch: is_watch, output, consistent, show_managed_fields } = args;
    if is_watch {
        let (watch_only, resume_token) = (false, None);
        let args = WatchArgs { names: arguments, select, watch_only, resume_token, output };
        return watch::watch(session, args).await;
    }
    let names = names::nodes(&arguments)?;
    if names.is_empty() {
        return list(session, ListArgs { select, sort, output, consistent, show_managed_fields }).await;
    }
    if select.selector.is_some() || select.filter.is_some() || sort.is_some() {
        return Err(Failure::usage("a selector, a filter or an order is for lists, without names"));
    }
    let mut nodes: Vec<Node> = Vec::new();
    let options = ReadOptions {
        read_mask: read_mask(output),
        consistency: consistency(consistent || show_managed_fields),
        ..ReadOptions::default()
    };
    let result = session
        .each(
            &names,
            async |name| Ok(session.client.get_node(name, options.clone()).await?),
            |node| nodes.push(shown(node, show_managed_fields)),
        )
        .await;
    match nodes.as_slice() {
        [] => {}
        [node] if names.len() == 1 => print(&node_text(node, output)?)?,
        _ => print_list(NodeList { nodes, ..NodeList::default() }, output)?,
    }
    result
}

/// All nodes that match.
pub async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let ListArgs { select, sort, output, consistent, show_managed_fields } = args;
    let options = ListOptions {
        order_by: sort.unwrap_or_default(),
        read_mask: read_mask(output),
        consistency: consistency(consistent || show_managed_fields),
        ..list_options(select)
    };
    let mut list = session.client.list_all(options).await?;
    list.nodes = list.nodes.into_iter().map(|node| shown(node, show_managed_fields)).collect();
    print_list(list, output)
}

fn shown(node: Node, show_managed_fields: bool) -> Node {
    if show_managed_fields { node } else { without_managed_fields(node) }
}

/// Kubernetes alone knows who set which field: the cache does without.
fn consistency(consistent: bool) -> Consistency {
    if consistent { Consistency::Consistent } else { Consistency::Cached }
}
