//! Who keeps a node cordoned, why, and until when: claims, kept in an annotation of the node.
//!
//! `spec.unschedulable` is a single bit, which anybody takes away from all who rely on it. With claims a node stays cordoned
//! until the last of those who asked for that has taken theirs back. They are written in the same step as the bit, and
//! hold only while it is set: whoever clears it by other means than nodeward clears all claims.
//!
//! A node that was made unschedulable by other means, kubectl's for example, has a foreign claim, which nobody owns.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::caller::Caller;

/// The annotation that holds the claims.
pub const ANNOTATION: &str = "nodeward.dev/cordon-claims";

/// How many claims a node holds at most: with reasons of the greatest length they are an eighth of what Kubernetes allows
/// all annotations of an object together.
pub const MOST: usize = 32;

/// The longest name of an owner, in characters.
pub const LONGEST_OWNER: usize = 253;

/// Whose claims are those of callers whom nobody has asked who they are.
const SERVER: &str = "nodeward";

/// That the node is kept cordoned for somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    /// For whom. Empty for the foreign claim alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when. Not known of the foreign claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until when, if there is an end to it. After that anybody may make the node schedulable as if it were not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The operation that needs it, for example `operations/6f1c...`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// Who asked for the operation: it is theirs to take back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub requester: String,
}

impl Claim {
    /// Whether the node was made unschedulable by other means than nodeward's.
    pub fn is_foreign(&self) -> bool {
        self.owner.is_empty()
    }

    /// Whether the other one says the same, whenever it was made.
    fn says_the_same(&self, other: &Self) -> bool {
        Self { since: None, ..self.clone() } == Self { since: None, ..other.clone() }
    }
}

/// Why a claim can't be made or taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// None of the claims is the owner's.
    #[error("the node is kept cordoned for {}", owners(.0))]
    OfOthers(Vec<Claim>),
    /// The node can't hold one more.
    #[error("the node is kept cordoned for {MOST} owners already")]
    TooMany,
}

/// Whose claims are those of a caller who names nobody else.
pub fn owner_of(caller: &Caller) -> String {
    match caller {
        Caller::User(principal) => principal.username.clone(),
        Caller::Server => SERVER.to_owned(),
    }
}

/// The claims on a node; none if it is schedulable.
pub fn claims(node: &Node) -> Vec<Claim> {
    if !is_unschedulable(node) {
        return Vec::new();
    }
    let annotations = node.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(ANNOTATION));
    // What somebody has spoiled is nobody's claim.
    let claims: Vec<Claim> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if claims.is_empty() { vec![Claim::default()] } else { claims }
}

/// The merge patch that adds the claim, or brings the owner's up to date; `None` if it is there already.
///
/// # Errors
/// [`ClaimError::TooMany`].
pub fn cordon(node: &Node, claim: Claim) -> Result<Option<Value>, ClaimError> {
    cordon_instead(node, claim, |_| false)
}

/// The same, for an operation: its claim takes the place of those of the same requester's operations that are over.
///
/// # Errors
/// [`ClaimError::TooMany`].
pub fn cordon_instead(
    node: &Node,
    claim: Claim,
    is_over: impl Fn(&Claim) -> bool,
) -> Result<Option<Value>, ClaimError> {
    let mut claims = claims(node);
    let before = claims.len();
    claims.retain(|held| held.operation.is_empty() || held.requester != claim.requester || !is_over(held));
    match claims.iter().position(|held| held.owner == claim.owner) {
        Some(place) if claims[place].says_the_same(&claim) && claims.len() == before => return Ok(None),
        Some(place) => claims[place] = Claim { since: claims[place].since, ..claim },
        None if claims.len() == MOST => return Err(ClaimError::TooMany),
        None => claims.push(claim),
    }
    Ok(Some(json!({
        "metadata": {"annotations": {ANNOTATION: text(&claims)}},
        "spec": {"unschedulable": true},
    })))
}

/// The merge patch that takes the owner's claim back, and those of operations that the owner has asked for, or all claims;
/// `None` if the node is schedulable. Claims that have expired by `now` are in nobody's way, and go with them. The node becomes
/// schedulable with the last claim.
///
/// # Errors
/// [`ClaimError::OfOthers`] if others have claims and the owner has none.
pub fn uncordon(node: &Node, owner: &str, take_over: bool, now: Timestamp) -> Result<Option<Value>, ClaimError> {
    let is_owners = |claim: &Claim| take_over || claim.owner == owner || claim.requester == owner;
    let (owners, mut left): (Vec<Claim>, Vec<Claim>) = claims(node).into_iter().partition(is_owners);
    let is_schedulable = owners.is_empty() && left.is_empty();
    left.retain(|claim| claim.expires.is_none_or(|expires| expires > now));
    if is_schedulable {
        Ok(None)
    } else if owners.is_empty() && !left.is_empty() {
        Err(ClaimError::OfOthers(left))
    } else {
        Ok(Some(without(&left)))
    }
}

/// The merge patch that removes what is left of claims on a schedulable node; `None` if there is nothing.
pub fn tidy(node: &Node) -> Option<Value> {
    let annotations = node.metadata.annotations.as_ref();
    let is_left = annotations.is_some_and(|annotations| annotations.contains_key(ANNOTATION));
    (is_left && !is_unschedulable(node)).then(|| json!({"metadata": {"annotations": {ANNOTATION: null}}}))
}

/// For whom the claims are, in words.
pub fn owners(claims: &[Claim]) -> String {
    let owner = |claim: &Claim| match claim.is_foreign() {
        true => "somebody who did not use nodeward".to_owned(),
        false => format!("{:?}", claim.owner),
    };
    claims.iter().map(owner).collect::<Vec<_>>().join(", ")
}

fn without(left: &[Claim]) -> Value {
    match left {
        // null, as kubectl uncordon sends it: the field's absence is its default.
        [] => json!({"metadata": {"annotations": {ANNOTATION: null}}, "spec": {"unschedulable": null}}),
        left => json!({"metadata": {"annotations": {ANNOTATION: text(left)}}}),
    }
}

fn text(claims: &[Claim]) -> String {
    serde_json::to_string(claims).unwrap_or_default()
}

fn is_unschedulable(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn claim(owner: &str) -> Claim {
        let since = Some("2026-11-24T08:00:00Z".parse().unwrap());
        Claim { owner: owner.to_owned(), reason: "a new kernel".to_owned(), since, ..Claim::default() }
    }

    /// The node after a merge patch.
    fn patched(node: &Node, patch: Option<Value>) -> Node {
        let mut value = serde_json::to_value(node).unwrap();
        json_patch::merge(&mut value, &patch.unwrap_or_else(|| json!({})));
        serde_json::from_value(value).unwrap()
    }

    fn cordoned(node: &Node, owner: &str) -> Node {
        patched(node, cordon(node, claim(owner)).unwrap())
    }

    fn uncordoned(node: &Node, owner: &str) -> Node {
        patched(node, uncordon(node, owner, false, NOW).unwrap())
    }

    /// As `kubectl cordon` and `kubectl uncordon` do it.
    fn by_kubectl(node: &Node, unschedulable: bool) -> Node {
        patched(node, Some(json!({"spec": {"unschedulable": unschedulable.then_some(true)}})))
    }

    fn owners_of(node: &Node) -> Vec<String> {
        claims(node).into_iter().map(|claim| claim.owner).collect()
    }

    #[test]
    fn a_node_stays_cordoned_until_the_last_claim_is_taken_back() {
        let both = cordoned(&cordoned(&Node::default(), "alice"), "bob");
        assert_eq!(owners_of(&both), ["alice", "bob"]);
        let one = uncordoned(&both, "alice");
        assert_eq!((owners_of(&one), is_unschedulable(&one)), (vec!["bob".to_owned()], true));
        let none = uncordoned(&one, "bob");
        assert!(!is_unschedulable(&none));
        assert_eq!(none.metadata.annotations.unwrap_or_default().get(ANNOTATION), None);
    }

    #[test]
    fn a_claim_is_made_once_and_can_be_brought_up_to_date() {
        let node = cordoned(&Node::default(), "alice");
        let later = Claim { since: Some("2026-11-24T09:00:00Z".parse().unwrap()), ..claim("alice") };
        assert_eq!(cordon(&node, later.clone()), Ok(None));
        let other_reason = Claim { reason: "a new disk".to_owned(), ..later };
        let node = patched(&node, cordon(&node, other_reason).unwrap());
        let [held] = claims(&node).try_into().unwrap();
        assert_eq!((held.reason.as_str(), held.since), ("a new disk", claim("alice").since));
    }

    #[test]
    fn a_cordon_of_kubectl_is_nobodys_to_take_back() {
        let node = by_kubectl(&Node::default(), true);
        assert_eq!(uncordon(&node, "alice", false, NOW), Err(ClaimError::OfOthers(vec![Claim::default()])));
        let node = cordoned(&node, "alice");
        let node = uncordoned(&node, "alice");
        assert!(is_unschedulable(&node) && claims(&node)[0].is_foreign());
        assert!(!is_unschedulable(&patched(&node, uncordon(&node, "alice", true, NOW).unwrap())));
    }

    #[test]
    fn kubectl_uncordon_ends_all_claims() {
        let node = by_kubectl(&cordoned(&Node::default(), "alice"), false);
        assert_eq!(claims(&node), []);
        assert_eq!(owners_of(&cordoned(&node, "bob")), ["bob"]);
        let tidied = patched(&node, tidy(&node));
        assert_eq!(claims(&by_kubectl(&tidied, true)), [Claim::default()]);
    }

    #[test]
    fn an_expired_claim_is_in_nobodys_way() {
        let expires: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let before = expires - SignedDuration::from_secs(1);
        let timed = Claim { expires: Some(expires), ..claim("alice") };
        let node = patched(&Node::default(), cordon(&Node::default(), timed.clone()).unwrap());
        assert_eq!(uncordon(&node, "bob", false, before), Err(ClaimError::OfOthers(vec![timed])));
        assert!(!is_unschedulable(&patched(&node, uncordon(&node, "bob", false, expires).unwrap())));
        let both = cordoned(&node, "bob");
        assert!(!is_unschedulable(&patched(&both, uncordon(&both, "bob", false, expires).unwrap())));
        assert_eq!(uncordon(&both, "carol", false, expires), Err(ClaimError::OfOthers(vec![claim("bob")])));
    }

    #[test]
    fn the_claim_of_an_operation_is_its_requesters_to_take_back_too() {
        let [operation, requester] = ["operations/1", "alice"].map(str::to_owned);
        let of_a_drain = Claim { operation: operation.clone(), requester, ..claim(&operation) };
        let node = patched(&Node::default(), cordon(&Node::default(), of_a_drain.clone()).unwrap());
        assert_eq!(uncordon(&node, "bob", false, NOW), Err(ClaimError::OfOthers(vec![of_a_drain])));
        assert!(!is_unschedulable(&uncordoned(&node, "alice")));
        // A drain takes back its own, and not what its requester has cordoned besides.
        let both = cordoned(&node, "alice");
        assert_eq!(owners_of(&uncordoned(&both, &operation)), ["alice"]);
    }

    #[test]
    fn a_spoiled_annotation_is_nobodys_claim() {
        let mut node = cordoned(&Node::default(), "alice");
        node.metadata.annotations = Some([(ANNOTATION.to_owned(), "alice!".to_owned())].into());
        assert_eq!(claims(&node), [Claim::default()]);
    }

    #[test]
    fn claims_are_bounded() {
        let full = (0..MOST).fold(Node::default(), |node, number| cordoned(&node, &format!("owner-{number}")));
        assert_eq!(cordon(&full, claim("alice")), Err(ClaimError::TooMany));
        assert_eq!(cordon(&full, claim("owner-3")), Ok(None));
    }

    #[test]
    fn the_claim_of_an_operation_takes_the_place_of_those_that_are_over() {
        let of_operation = |number: usize, requester: &str| {
            let owner = format!("operations/{number}");
            Claim { operation: owner.clone(), requester: requester.to_owned(), ..claim(&owner) }
        };
        let is_over = |held: &Claim| held.operation != "operations/1";
        let claimed = |node: &Node, claim: Claim, is_over: &dyn Fn(&Claim) -> bool| {
            patched(node, cordon_instead(node, claim, is_over).unwrap())
        };
        let drained = (0..MOST - 2)
            .fold(Node::default(), |node, number| claimed(&node, of_operation(number, "alice"), &|_| false));
        let full = cordoned(&claimed(&drained, of_operation(90, "bob"), &|_| false), "alice");
        assert_eq!(cordon(&full, of_operation(99, "alice")), Err(ClaimError::TooMany));
        let again = claimed(&full, of_operation(99, "alice"), &is_over);
        assert_eq!(owners_of(&again), ["operations/1", "operations/90", "alice", "operations/99"]);
    }

    proptest! {
        #[test]
        fn a_node_is_cordoned_exactly_while_somebody_wants_it(
            steps in proptest::collection::vec((0_u8..4, any::<bool>()), 0..20),
        ) {
            let mut node = Node::default();
            let mut wanting = std::collections::BTreeSet::new();
            for (owner, wants) in steps {
                let owner = format!("owner-{owner}");
                if wants {
                    node = cordoned(&node, &owner);
                    wanting.insert(owner);
                } else if wanting.remove(&owner) {
                    node = uncordoned(&node, &owner);
                } else {
                    let refused = uncordon(&node, &owner, false, NOW);
                    prop_assert_eq!(refused.is_err(), !wanting.is_empty());
                }
                prop_assert_eq!(is_unschedulable(&node), !wanting.is_empty());
                prop_assert_eq!(owners_of(&node).into_iter().collect::<std::collections::BTreeSet<_>>(), wanting.clone());
            }
        }
    }
}
