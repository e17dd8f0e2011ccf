//! The two ways to name a node, and an operation.

/// The resource name of a node: `nodes/worker-1` for both `worker-1` and `nodes/worker-1`.
pub fn resource_name(name: &str) -> String {
    if name.contains('/') || name.is_empty() { name.to_owned() } else { format!("nodes/{name}") }
}

/// The name of a node as Kubernetes knows it: `worker-1` for both `worker-1` and `nodes/worker-1`.
pub fn node_id(name: &str) -> &str {
    name.strip_prefix("nodes/").unwrap_or(name)
}

/// The resource name of an operation: `operations/6f1c` for both `6f1c` and `operations/6f1c`.
pub fn operation_name(name: &str) -> String {
    if name.contains('/') || name.is_empty() { name.to_owned() } else { format!("operations/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_operation() {
        assert_eq!(operation_name("6f1c"), "operations/6f1c");
        assert_eq!(operation_name("operations/6f1c"), "operations/6f1c");
    }

    #[test]
    fn both_forms_become_a_resource_name() {
        assert_eq!(resource_name("worker-1"), "nodes/worker-1");
        assert_eq!(resource_name("nodes/worker-1"), "nodes/worker-1");
    }

    #[test]
    fn what_is_no_name_is_left_to_the_server_to_refuse() {
        assert_eq!(resource_name(""), "");
        assert_eq!(resource_name("pods/a"), "pods/a");
    }

    #[test]
    fn both_forms_become_an_id() {
        assert_eq!(node_id("worker-1"), "worker-1");
        assert_eq!(node_id("nodes/worker-1"), "worker-1");
    }
}
