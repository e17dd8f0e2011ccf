//! The names of operations: `operations/<uuid>`.

use uuid::Uuid;

use crate::node::Violation;

/// The prefix of the names, which is that of the collection too.
pub(super) const COLLECTION: &str = "operations";

/// The name of an operation, without `operations/`.
pub(super) fn parse_name(name: &str) -> Result<String, Violation> {
    let id = name.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/'));
    // Only as a UUID is written in Kubernetes' names.
    let id = id.filter(|id| Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == *id));
    id.map(str::to_owned).ok_or_else(|| {
        let example = "for example operations/123e4567-e89b-42d3-a456-426614174000";
        Violation::new("name", format!("must be the name of an operation, {example}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-42d3-a456-426614174000";

    #[test]
    fn a_name_is_of_the_collection_and_a_uuid() {
        assert_eq!(parse_name(&format!("operations/{ID}")).unwrap(), ID);
        let bad = ["".to_owned(), ID.to_owned(), "operations/x".to_owned(), format!("operations/{ID}/")];
        for name in bad.into_iter().chain([format!("operations/{}", ID.to_uppercase()), format!("nodes/{ID}")]) {
            assert_eq!(parse_name(&name).unwrap_err().field, "name", "{name}");
        }
    }
}
