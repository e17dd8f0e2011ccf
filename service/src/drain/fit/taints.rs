//! Whether a node takes pods at all, and this one.

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use nodeward_api::v1::readiness;

use super::NodeReason;
use crate::node::state::readiness_state;

/// What a cordoned node is taken to have, whether or not it has got the taint yet.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Why a node does not take a pod, as far as its state and its taints say.
pub(super) fn against(pod: &Pod, node: &Node) -> Option<NodeReason> {
    let spec = pod.spec.as_ref();
    let tolerations = spec.and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    if is_cordoned && !tolerates_cordon(tolerations) {
        return Some(NodeReason::Unschedulable);
    }
    if readiness_state(node) != readiness::State::Ready {
        return Some(NodeReason::NotReady);
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let keeps_off = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let taint = taints.iter().filter(keeps_off).find(|taint| !tolerated(taint, tolerations))?;
    Some(NodeReason::UntoleratedTaint { key: taint.key.clone() })
}

fn tolerates_cordon(tolerations: &[Toleration]) -> bool {
    let cordon = Taint { key: UNSCHEDULABLE.into(), effect: "NoSchedule".into(), ..Taint::default() };
    tolerated(&cordon, tolerations)
}

fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// `v1.Toleration.ToleratesTaint`: what a toleration does not say holds for all.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    fn said(text: &Option<String>) -> &str {
        text.as_deref().unwrap_or_default()
    }
    let is_about = |said: &str, actual: &str| said.is_empty() || said == actual;
    if !is_about(said(&toleration.effect), &taint.effect) || !is_about(said(&toleration.key), &taint.key) {
        return false;
    }
    let (tolerated, actual) = (said(&toleration.value), said(&taint.value));
    match said(&toleration.operator) {
        "" | "Equal" => tolerated == actual,
        "Exists" => true,
        "Lt" => whole(actual).zip(whole(tolerated)).is_some_and(|(actual, bound)| actual < bound),
        "Gt" => whole(actual).zip(whole(tolerated)).is_some_and(|(actual, bound)| actual > bound),
        _ => false,
    }
}

fn whole(text: &str) -> Option<i64> {
    text.parse().ok()
}
