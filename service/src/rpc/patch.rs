//! What a PatchNodeRequest asks for.

use nodeward_api::v1;
use nodeward_api::v1::patch_node_request::{PatchType, Subresource as PatchedSubresource};
use serde_json::{Map, Value};

use crate::cluster::mutate::{NodePatch, PatchFormat, Subresource};
use crate::node::{Violation, Violations};

/// The longest name of a field manager; Kubernetes' own limit (ValidateFieldManager in apimachinery).
const LONGEST_MANAGER: usize = 128;

/// The patch of a request. All that is wrong with it is added to `violations`.
pub(super) fn parse_patch(request: &v1::PatchNodeRequest, violations: &mut Violations) -> Option<NodePatch> {
    let is_apply = request.r#type == i32::from(PatchType::Apply);
    let subresource = match PatchedSubresource::try_from(request.subresource) {
        Ok(PatchedSubresource::Unspecified) => Some(Subresource::Main),
        Ok(PatchedSubresource::Status) => Some(Subresource::Status),
        Err(_) => {
            violations.add("subresource", "must be SUBRESOURCE_UNSPECIFIED (0) or SUBRESOURCE_STATUS (1)");
            None
        }
    };
    let manager = parse_manager(&request.field_manager, is_apply, violations);
    if request.force && !is_apply {
        violations.add("force", "must not be set: only an apply patch has conflicts to force");
    }
    let format = parse_format(request, violations);
    Some(NodePatch { format: format?, subresource: subresource?, manager })
}

fn parse_manager(manager: &str, is_apply: bool, violations: &mut Violations) -> Option<String> {
    let is_printable = manager.chars().all(|character| !character.is_control());
    if manager.len() > LONGEST_MANAGER || !is_printable {
        violations.add("field_manager", format!("must have at most {LONGEST_MANAGER} printable characters"));
    } else if manager.is_empty() && is_apply {
        violations.add("field_manager", "is required for an apply patch: the fields will belong to it");
    }
    Some(manager).filter(|manager| !manager.is_empty()).map(str::to_owned)
}

fn parse_format(request: &v1::PatchNodeRequest, violations: &mut Violations) -> Option<PatchFormat> {
    let parsed = match PatchType::try_from(request.r#type) {
        Ok(PatchType::Json) => serde_json::from_str(&request.patch).map(PatchFormat::Json),
        Ok(PatchType::Merge) => serde_json::from_str(&request.patch).map(PatchFormat::Merge),
        Ok(PatchType::StrategicMerge) => serde_json::from_str(&request.patch).map(PatchFormat::StrategicMerge),
        Ok(PatchType::Apply) => serde_json::from_str::<Map<String, Value>>(&request.patch)
            .map(|body| PatchFormat::Apply { body, force: request.force }),
        Ok(PatchType::Unspecified) | Err(_) => {
            violations.add("type", "is required: PATCH_TYPE_JSON, _MERGE, _STRATEGIC_MERGE or _APPLY (1 to 4)");
            return None;
        }
    };
    violations.take(parsed.map_err(|error| {
        let form = if request.r#type == i32::from(PatchType::Json) {
            "an array of operations as RFC 6902 has them"
        } else {
            "an object in Kubernetes' field names"
        };
        Violation::new("patch", format!("must be JSON, {form}: {error}"))
    }))
}
