//! What the cluster says about a change whose outcome is not on record.
//!
//! Only what is certain is said. A node that is as it was to be proves nothing, somebody else may have made it so; what
//! proves a change is what it has written into the node along with it. Kubernetes keeps audit ids in its own audit log and
//! nowhere else.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::record::{AuditRecord, OPERATIONS, ResponseStatus};
use crate::cluster::mutate::{Remains, Remembers};

/// The reason of an outcome that nobody knows.
pub(super) const UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// How long at least the ledger remembers a request. It forgets it after a day.
const NOTED_FOR: SignedDuration = SignedDuration::from_hours(23);

/// What came of a change, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    CarriedOut(String),
    /// Nor will it be: nobody is left who could.
    NotCarriedOut(String),
    Open(String),
}

impl Verdict {
    pub fn status(self) -> ResponseStatus {
        let (code, reason, outcome, evidence) = match self {
            Self::CarriedOut(evidence) => ("OK", "CARRIED_OUT", "changed", evidence),
            Self::NotCarriedOut(evidence) => ("ABORTED", "NOT_CARRIED_OUT", "", evidence),
            Self::Open(evidence) => ("UNKNOWN", UNKNOWN, "", evidence),
        };
        let [code, reason, outcome] = [code, reason, outcome].map(str::to_owned);
        ResponseStatus { code, reason, outcome, evidence, ..ResponseStatus::default() }
    }
}

/// What is to be found out of a change.
pub(super) struct Question<'a> {
    pub intent: &'a AuditRecord,
    /// Whether the node's last change had ended before this one was begun, by the log's account.
    pub last_ended_before: bool,
    pub now: Timestamp,
}

impl Question<'_> {
    /// The verdict on what is left in the cluster.
    pub fn decide(&self, remains: &Remains) -> Verdict {
        if self.intent.request.dry_run {
            return Verdict::NotCarriedOut("it was only to be tried".to_owned());
        }
        if self.intent.request.object(OPERATIONS).is_some() {
            return open("what became of an operation, the operation shows");
        }
        if remains.last_change() == Some(self.intent.audit_id) {
            return carried_out("the node's last change has this audit id");
        }
        match self.method() {
            "CreateNode" => self.creation(remains),
            "DeleteNode" => self.deletion(remains),
            "DeleteNodes" => self.deletions(remains),
            method => self.change(remains, method),
        }
    }

    /// The RPC without its service.
    fn method(&self) -> &str {
        self.intent.rpc.rsplit('/').next().unwrap_or_default()
    }

    fn request_id(&self) -> Option<Uuid> {
        request_id(self.intent)
    }

    /// The node's uid, if that was known when the change was begun.
    fn uid(&self) -> Option<&str> {
        self.intent.request.object_ref.as_ref().map(|object| object.uid.as_str()).filter(|uid| !uid.is_empty())
    }

    fn memory(&self, remains: &Remains, method: &str) -> Option<Remembers> {
        remains.memory_of(self.request_id()?, method)
    }

    fn change(&self, remains: &Remains, method: &str) -> Verdict {
        let Some(node) = &remains.node else { return open("the node is gone, and what it knew with it") };
        if self.uid().is_some_and(|uid| Some(uid) != node.metadata.uid.as_deref()) {
            return open("the node is gone, and another has its name");
        }
        match self.memory(remains, method) {
            Some(Remembers::Yes) => return carried_out(BY_REQUEST),
            // Whoever applies without nodeward may have taken away what an apply had noted.
            Some(Remembers::No) if method != "PatchNode" => {
                return not_carried_out("the node does not remember the request, which it would");
            }
            Some(_) => return open("the node does not remember the request, or no longer"),
            None => {}
        }
        match remains.last_change() {
            // Not all patches leave a mark.
            _ if method == "PatchNode" => open("the node's last change has another audit id, or none"),
            None => not_carried_out("nothing has changed the node through nodeward"),
            Some(last) if self.last_ended_before => not_carried_out(&format!(
                "the node's last change has the audit id {last}, and that had ended before this one was begun"
            )),
            Some(last) => open(&format!("the node's last change has the audit id {last}, and may have come after it")),
        }
    }

    fn creation(&self, remains: &Remains) -> Verdict {
        let created = remains.noted.as_ref().map(|noted| noted.created.is_some());
        match (self.memory(remains, "CreateNode"), created) {
            (Some(Remembers::Yes), _) | (_, Some(true)) => carried_out(BY_REQUEST),
            (_, None) if self.is_noted_first() => not_carried_out(NOT_NOTED),
            (_, Some(false)) => open("the request was noted, but no node remembers it"),
            _ => open("no node says that it was created by it"),
        }
    }

    fn deletion(&self, remains: &Remains) -> Verdict {
        let wanted = remains.noted.as_ref().and_then(|noted| noted.to_delete.first()).map(|(_, uid)| uid.as_str());
        let found = remains.node.as_ref().map(|node| &node.metadata);
        let Some(wanted) = wanted.or_else(|| self.uid()) else {
            return open("it is not known which node of this name it was to delete");
        };
        match found {
            Some(found) if found.uid.as_deref() == Some(wanted) => match &found.deletion_timestamp {
                None => not_carried_out("the node is there, and nobody deletes it"),
                Some(_) => open("the node is being deleted, by this change or another's"),
            },
            _ if remains.noted.is_none() && self.is_noted_first() => not_carried_out(NOT_NOTED),
            _ => open("the node is gone, by this change or another's: Kubernetes' audit log has the id if it was this"),
        }
    }

    fn deletions(&self, remains: &Remains) -> Verdict {
        match &remains.noted {
            None if self.is_noted_first() => not_carried_out(NOT_NOTED),
            None => open("it is not known which nodes it was to delete"),
            Some(noted) => {
                let names: Vec<&str> = noted.to_delete.iter().map(|(name, _)| name.as_str()).collect();
                open(&format!("it was to delete these nodes, of which some may be gone: {}", names.join(", ")))
            }
        }
    }

    /// Whether the request would have been noted in the ledger before it was sent, and would be there still.
    fn is_noted_first(&self) -> bool {
        let age = self.now.duration_since(self.intent.request_received_timestamp);
        self.request_id().is_some() && age < NOTED_FOR
    }
}

/// The id of the request, if it has one.
pub(super) fn request_id(intent: &AuditRecord) -> Option<Uuid> {
    Uuid::try_parse(&intent.request.request_id).ok()
}

const BY_REQUEST: &str = "its request id is remembered: it was carried out, by this call or one that repeated it";
const NOT_NOTED: &str = "the request was never noted, which it would have been before anything was done";

fn carried_out(evidence: &str) -> Verdict {
    Verdict::CarriedOut(evidence.to_owned())
}

fn not_carried_out(evidence: &str) -> Verdict {
    Verdict::NotCarriedOut(evidence.to_owned())
}

fn open(evidence: &str) -> Verdict {
    Verdict::Open(evidence.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::mutate::Noted;

    const ID: &str = "123e4567-e89b-42d3-a456-426614174000";
    const AUDIT_ID: &str = "5f0c1c6e-5c89-4a8c-8a5b-0d9f7e0f9a11";
    const OTHER: &str = "5f0c1c6e-5c89-4a8c-8a5b-0d9f7e0f9a22";

    fn intent(method: &str, request_id: &str) -> AuditRecord {
        serde_json::from_value(json!({
            "auditID": AUDIT_ID, "stage": "RequestReceived", "rpc": format!("nodeward.v1.NodeService/{method}"),
            "user": {"username": "alice"}, "requestReceivedTimestamp": "2026-11-24T07:54:38Z",
            "stageTimestamp": "2026-11-24T07:54:38Z", "requestID": request_id,
            "objectRef": {"resource": "nodes", "name": "worker-1", "uid": "u"},
        }))
        .unwrap()
    }

    fn verdict(intent: &AuditRecord, remains: &Remains) -> &'static str {
        let last_ended_before = remains.last_change().is_some_and(|id| id.to_string() == OTHER);
        let now = intent.request_received_timestamp + SignedDuration::from_mins(5);
        match (Question { intent, last_ended_before, now }).decide(remains) {
            Verdict::CarriedOut(_) => "carried out",
            Verdict::NotCarriedOut(_) => "not carried out",
            Verdict::Open(_) => "open",
        }
    }

    fn node(uid: &str, annotations: Value) -> Remains {
        let node = json!({"metadata": {"name": "worker-1", "uid": uid, "annotations": annotations}});
        Remains { node: Some(serde_json::from_value(node).unwrap()), noted: None }
    }

    fn remembering(method: &str) -> Remains {
        let requests = json!([{"id": ID, "method": method, "digest": "d"}]).to_string();
        node("u", json!({ "nodeward.dev/requests": requests }))
    }

    #[test]
    fn the_audit_id_of_the_last_change_proves_it() {
        let marked = |id: &str| node("u", json!({ "nodeward.dev/last-change": id }));
        for method in ["CordonNode", "PatchNode", "CreateNode"] {
            assert_eq!(verdict(&intent(method, ""), &marked(AUDIT_ID)), "carried out", "{method}");
        }
        assert_eq!(verdict(&intent("CordonNode", ""), &marked(OTHER)), "not carried out");
        assert_eq!(verdict(&intent("CordonNode", ""), &marked(ID)), "open");
        assert_eq!(verdict(&intent("CordonNode", ""), &node("u", json!({}))), "not carried out");
        assert_eq!(verdict(&intent("PatchNode", ""), &node("u", json!({}))), "open");
    }

    #[test]
    fn a_remembered_request_proves_it() {
        assert_eq!(verdict(&intent("CordonNode", ID), &remembering("CordonNode")), "carried out");
        assert_eq!(verdict(&intent("CreateNode", ID), &remembering("CreateNode")), "carried out");
        assert_eq!(verdict(&intent("CordonNode", ID), &remembering("UncordonNode")), "not carried out");
        assert_eq!(verdict(&intent("CordonNode", ID), &node("u", json!({}))), "not carried out");
        assert_eq!(verdict(&intent("PatchNode", ID), &node("u", json!({}))), "open");
    }

    #[test]
    fn a_node_that_is_gone_tells_nothing_of_its_changes() {
        for method in ["CordonNode", "UpdateNode", "PatchNode"] {
            assert_eq!(verdict(&intent(method, ID), &Remains::default()), "open", "{method}");
            assert_eq!(verdict(&intent(method, ID), &node("another", json!({}))), "open", "{method}");
        }
    }

    #[test]
    fn a_node_that_is_still_there_was_not_deleted_and_one_that_is_gone_may_have_been_by_others() {
        assert_eq!(verdict(&intent("DeleteNode", ""), &node("u", json!({}))), "not carried out");
        assert_eq!(verdict(&intent("DeleteNode", ""), &Remains::default()), "open");
        assert_eq!(verdict(&intent("DeleteNode", ""), &node("another", json!({}))), "open");
    }

    #[test]
    fn what_is_noted_before_it_is_done_was_not_done_if_it_is_not_noted() {
        for method in ["CreateNode", "DeleteNode", "DeleteNodes"] {
            assert_eq!(verdict(&intent(method, ID), &Remains::default()), "not carried out", "{method}");
            assert_eq!(verdict(&intent(method, ""), &Remains::default()), "open", "{method}");
            let noted = Remains { node: None, noted: Some(Noted::default()) };
            assert_eq!(verdict(&intent(method, ID), &noted), "open", "{method}");
        }
        let created = Noted { created: Some("u".to_owned()), ..Noted::default() };
        let created = Remains { node: None, noted: Some(created) };
        assert_eq!(verdict(&intent("CreateNode", ID), &created), "carried out");
    }

    #[test]
    fn what_was_only_to_be_tried_was_not_carried_out() {
        let mut intent = intent("CordonNode", ID);
        intent.request.dry_run = true;
        assert_eq!(verdict(&intent, &remembering("CordonNode")), "not carried out");
    }
}
