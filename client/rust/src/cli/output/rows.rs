//! The rows of a watch: a table whose end is not known, printed line by line.

use std::time::SystemTime;

use nodeward_client::api::Node;

use crate::output::columns::{HEADER, WIDE_HEADER, cells, wide_cells};

/// Columns that grow when a longer cell comes, and never shrink: the lines before stay as they are.
#[derive(Debug)]
pub struct Rows {
    is_wide: bool,
    widths: Vec<usize>,
}

impl Rows {
    /// Rows in the form of the table or of the wide one.
    pub fn new(is_wide: bool) -> Self {
        Self { is_wide, widths: Vec::new() }
    }

    /// The line of an event, after the header if it is the first one.
    pub fn line(&mut self, event: &str, node: &Node, changed_paths: &[String]) -> String {
        let mut row = vec![event.to_owned()];
        row.extend(cells(node, SystemTime::now()));
        if self.is_wide {
            row.extend(wide_cells(node));
        }
        row.push(changes(changed_paths, self.is_wide));
        let header = if self.widths.is_empty() { self.begin() } else { String::new() };
        format!("{header}{}", self.format(&row))
    }

    fn begin(&mut self) -> String {
        let mut header = vec!["EVENT"];
        header.extend(HEADER);
        if self.is_wide {
            header.extend(WIDE_HEADER);
        }
        header.push("CHANGED");
        let row: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        // The words that come sooner or later, so that the columns do not jump.
        self.widths = header.iter().map(|name| expected(name).len()).collect();
        self.format(&row)
    }

    fn format(&mut self, row: &[String]) -> String {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&mut self.widths) {
            *width = (*width).max(cell.chars().count());
            line.push_str(&format!("{cell:<width$}   ", width = *width));
        }
        format!("{}\n", line.trim_end())
    }
}

fn expected(column: &str) -> &str {
    match column {
        "EVENT" => "MODIFIED",
        "NAME" => "worker-node-name",
        "STATUS" => "LostContact,SchedulingDisabled",
        "ROLES" => "control-plane",
        "AGE" => "99m59s",
        "VERSION" => "v1.36.10",
        other => other,
    }
}

/// What changed. Three paths tell the most of it; the wide form has them all.
fn changes(paths: &[String], all: bool) -> String {
    const MOST: usize = 3;
    if all || paths.len() <= MOST {
        return paths.join(",");
    }
    format!("{},+{}", paths[..MOST].join(","), paths.len() - MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: format!("nodes/{name}"), ..Node::default() }
    }

    #[test]
    fn the_header_comes_with_the_first_line_only() {
        let mut rows = Rows::new(false);
        assert!(rows.line("ADDED", &node("a"), &[]).starts_with("EVENT      NAME "));
        assert!(rows.line("ADDED", &node("b"), &[]).starts_with("ADDED      b "));
    }

    #[test]
    fn a_longer_cell_widens_its_column_from_then_on() {
        let mut rows = Rows::new(false);
        let long = "n".repeat(40);
        rows.line("ADDED", &node(&long), &[]);
        let line = rows.line("ADDED", &node("b"), &[]);
        assert_eq!(line.find("Unknown"), Some(8 + 3 + 40 + 3));
    }

    #[test]
    fn many_changes_are_counted() {
        let paths: Vec<String> = (1..=5).map(|number| format!("p{number}")).collect();
        assert_eq!(changes(&paths, false), "p1,p2,p3,+2");
        assert_eq!(changes(&paths, true), "p1,p2,p3,p4,p5");
    }
}
