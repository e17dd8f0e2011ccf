//! The names of nodes on the command line, in all forms that kubectl takes.

use crate::failure::Failure;

/// The words that say that what follows are nodes: kubectl's names of the resource.
const KINDS: [&str; 3] = ["node", "nodes", "no"];

/// The names of nodes, each once: `worker-1`, `nodes/worker-1` and `node/worker-1`, or a first word `node`, `nodes` or `no`
/// before them. A node that has such a word as its name is given as `nodes/node`.
pub fn nodes(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let rest = match arguments.split_first() {
        Some((first, rest)) if KINDS.contains(&first.as_str()) => rest,
        _ => arguments,
    };
    let mut names: Vec<String> = Vec::new();
    for argument in rest {
        let name = name(argument)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn name(argument: &str) -> Result<String, Failure> {
    match argument.split_once('/') {
        None if argument.is_empty() => Err(Failure::usage("a name of a node is empty")),
        None => Ok(argument.to_owned()),
        Some((kind, name)) if KINDS.contains(&kind) && !name.is_empty() && !name.contains('/') => Ok(name.to_owned()),
        Some(_) => Err(Failure::usage(format!("{argument:?} is not a node: give NAME or nodes/NAME"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Vec<String>, Failure> {
        nodes(&arguments.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_forms_name_the_same_node() {
        for arguments in
            [&["a"][..], &["nodes/a"], &["node/a"], &["no/a"], &["node", "a"], &["nodes", "a"], &["no", "nodes/a"]]
        {
            assert_eq!(parsed(arguments).unwrap(), ["a"], "{arguments:?}");
        }
    }

    #[test]
    fn the_kind_alone_names_no_node() {
        assert!(parsed(&["nodes"]).unwrap().is_empty());
    }

    #[test]
    fn a_node_called_node_can_be_named() {
        assert_eq!(parsed(&["nodes/node"]).unwrap(), ["node"]);
        assert_eq!(parsed(&["node", "node"]).unwrap(), ["node"]);
    }

    #[test]
    fn a_name_given_twice_counts_once() {
        assert_eq!(parsed(&["a", "b", "nodes/a"]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn other_kinds_are_refused() {
        for argument in ["pods/a", "nodes/", "nodes/a/b", "/a", ""] {
            assert!(parsed(&[argument]).is_err(), "{argument:?}");
        }
    }
}
