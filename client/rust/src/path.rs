//! Paths of single labels, annotations and taints, as update masks and read masks name them.

/// The path of one label, for example ``metadata.labels.`example.com/team` ``.
pub fn label(key: &str) -> String {
    format!("metadata.labels.{}", segment(key))
}

/// The path of one annotation.
pub fn annotation(key: &str) -> String {
    format!("metadata.annotations.{}", segment(key))
}

/// The path of the taint with this key and effect, for example ``spec.taints.`dedicated:NoSchedule` ``.
pub fn taint(key: &str, effect: &str) -> String {
    format!("spec.taints.{}", segment(&format!("{key}:{effect}")))
}

/// A key as a segment of a path: in backticks unless it is made of letters, digits and `_` alone.
fn segment(key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|one| one.is_ascii_alphanumeric() || one == '_');
    if is_plain { key.to_owned() } else { format!("`{key}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_key_stands_as_it_is() {
        assert_eq!(label("team_2"), "metadata.labels.team_2");
    }

    #[test]
    fn other_keys_stand_in_backticks() {
        assert_eq!(label("example.com/team"), "metadata.labels.`example.com/team`");
        assert_eq!(annotation("a-b"), "metadata.annotations.`a-b`");
        assert_eq!(taint("dedicated", "NoSchedule"), "spec.taints.`dedicated:NoSchedule`");
    }
}
