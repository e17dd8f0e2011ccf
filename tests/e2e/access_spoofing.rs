//! Metadata that claims to know who is calling.

use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, SchedulingState};
use nodeward_sandbox::User;
use prost::Message;

use crate::support::apiserver_log::{assert_made_in_the_name_of, change};
use crate::support::guarded::guarded;
use crate::support::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, RawConnection, call, frame, header, settings,
};
use crate::support::somebody::Somebody;
use crate::support::world;

/// What proxies and apiservers say to each other of an administrator.
const CLAIMS: [(&str, &str); 14] = [
    ("impersonate-user", "admin"),
    ("impersonate-user", "system:admin"),
    ("Impersonate-Group", "nodeward:admins"),
    ("impersonate-group", "system:masters"),
    ("IMPERSONATE-UID", "0"),
    ("impersonate-extra-scopes", "all"),
    ("impersonate-user-bin", "YWRtaW4"),
    ("x-remote-user", "admin"),
    ("X-Remote-User", "admin"),
    ("x-remote-group", "nodeward:admins"),
    ("x-remote-group", "system:masters"),
    ("x-remote-extra-scopes", "all"),
    ("x-forwarded-client-cert", r#"Hash=0;Subject="CN=admin,O=nodeward:admins";URI=spiffe://example.org/ns/a/sa/b"#),
    ("x-forwarded-client-cert", r#"Subject="CN=admin,O=system:masters""#),
];

fn claiming(somebody: Somebody) -> Somebody {
    let ascii = CLAIMS.iter().filter(|(name, _)| !name.ends_with("-bin"));
    ascii.fold(somebody, |somebody, (name, value)| somebody.saying(name, value))
}

#[tokio::test]
async fn claims_give_nobody_a_right() {
    let guarded = guarded().await;
    for user in [User::Viewer, User::Operator, User::Auditor] {
        let honest = guarded.user(user).await;
        let may = honest.may("worker-1").await;
        assert_eq!(claiming(honest).may("worker-1").await, may, "{user}");
    }
}

#[tokio::test]
async fn claims_are_no_credential() {
    let detail = claiming(guarded().await.nobody().await).is_unknown().await;
    assert_eq!(detail, "there is neither a client certificate nor a bearer token");
}

#[tokio::test]
async fn claims_do_not_reach_kubernetes() {
    let guarded = guarded().await;
    let node = guarded.node("claimed").await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    claiming(guarded.user(User::Operator).await).client().cordon_node(request).await.unwrap();
    let event = change("patch", &node, 200).await;
    assert_made_in_the_name_of(&event, "operator", &[User::Operator.group(), "system:authenticated"]);
    assert_eq!(event["impersonatedUser"].as_object().unwrap().len(), 2, "{event:#}");
}

/// Cordons a node as the viewer, by hand: what clients don't let anybody send can be sent all the same. Whether there was an
/// answer, rather than a stream or a connection that was cut off.
async fn cordon_by_hand(node: &str, claims: &[(&str, &str)]) -> bool {
    let files = world().await.sandbox.user_certificate(User::Viewer);
    let mut connection = RawConnection::over(guarded().await.tls(&files).await.unwrap());
    let claims: Vec<u8> = claims.iter().flat_map(|(name, value)| header(name, value.as_bytes())).collect();
    let headers = [call("/nodeward.v1.NodeService/CordonNode"), claims].concat();
    let message = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }.encode_to_vec();
    let message = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let frames = [frame(HEADERS, END_HEADERS, 1, &headers), frame(DATA, END_STREAM, 1, &message)].concat();
    connection.send(&[PREFACE, &settings(&[]), &frames].concat()).await.unwrap();
    while let Some(frame) = connection.next().await {
        match frame.kind {
            HEADERS => return true,
            RST_STREAM => return false,
            _ => {}
        }
    }
    false
}

#[tokio::test]
async fn claims_in_odd_cases_change_nothing() {
    let node = guarded().await.node("by-hand").await;
    assert!(cordon_by_hand(&node, &[]).await);
    assert!(cordon_by_hand(&node, &CLAIMS.map(|(name, value)| (&*name.to_lowercase().leak(), value))).await);
    // HTTP/2 has no names in capitals.
    for name in ["Impersonate-User", "IMPERSONATE-USER", "X-Remote-User", "X-Forwarded-Client-Cert"] {
        assert!(!cordon_by_hand(&node, &[(name, "admin")]).await, "{name}");
    }
    // Nor names with blanks, which a proxy behind might trim.
    for name in ["impersonate-user ", " impersonate-user", "impersonate-user:", "impersonate_user\n"] {
        assert!(!cordon_by_hand(&node, &[(name, "admin")]).await, "{name:?}");
    }
    let request = GetNodeRequest { name: format!("nodes/{node}"), consistency: 2, ..Default::default() };
    let untouched = guarded().await.user(User::Viewer).await.client().get_node(request).await.unwrap().into_inner();
    assert_eq!(untouched.scheduling_state(), SchedulingState::Schedulable);
}
