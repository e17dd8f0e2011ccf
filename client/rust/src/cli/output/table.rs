//! Tables, in kubectl's form: no borders, three spaces between the columns.

use std::time::SystemTime;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use nodeward_client::api::Node;

use crate::output::columns::{HEADER, WIDE_HEADER, cells, wide_cells};

pub fn table(nodes: &[Node], is_wide: bool) -> String {
    let now = SystemTime::now();
    let mut header: Vec<&str> = HEADER.to_vec();
    if is_wide {
        header.extend(WIDE_HEADER);
    }
    let rows = nodes.iter().map(|node| {
        let mut row = cells(node, now);
        if is_wide {
            row.extend(wide_cells(node));
        }
        row
    });
    aligned(&header, rows)
}

/// A table of anything, in the same form.
pub fn aligned(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // Nothing is wrapped: a line is a row, for grep and awk.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: format!("nodes/{name}"), ..Node::default() }
    }

    #[test]
    fn columns_are_aligned_and_lines_not_padded() {
        let text = table(&[node("a"), node("longer-name")], false);
        let expected = "\
NAME          STATUS    ROLES    AGE         VERSION
a             Unknown   <none>   <unknown>   <unknown>
longer-name   Unknown   <none>   <unknown>   <unknown>
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_wide_table_has_more_columns() {
        let text = table(&[node("a")], true);
        let header: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header[5..], ["ZONE", "INTERNAL-IP", "OS-IMAGE", "KERNEL", "RUNTIME", "TAINTS"]);
    }
}
