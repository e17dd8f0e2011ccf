//! What nodeward's clients find of a sandbox, and what its users may do.

use nodeward_client::{Change, Client, Code, Config, ConnectOptions, Context, Error, ListOptions};
use nodeward_sandbox::{ClientContexts, User};

use crate::support::{WITH_SERVER, config, greeting, sandbox, spawn, start, stop};

fn context(config: &Config, user: User) -> &Context {
    config.context(&ClientContexts::name(user)).unwrap()
}

async fn cordon(context: &Context) -> Result<(), Error> {
    let client = Client::connect(ConnectOptions::from_context(context)).await?;
    client.cordon("worker-1", Change::because("a test")).await.map(drop)
}

async fn list(context: &Context) -> Result<usize, Error> {
    let client = Client::connect(ConnectOptions::from_context(context)).await?;
    Ok(client.list_all(ListOptions::default()).await?.nodes.len())
}

#[tokio::test]
async fn clients_find_the_users_of_a_sandbox_who_may_do_what_their_roles_say() {
    let dir = tempfile::tempdir().unwrap();
    let child = start(dir.path(), &[WITH_SERVER, "--nodes=2"]);
    let config = Config::from_file(config(dir.path())).unwrap();
    assert_eq!(config.current_name(), Some("sandbox-admin"));
    for (user, may_list, may_cordon) in [
        (User::Admin, true, true),
        (User::Operator, true, true),
        (User::Viewer, true, false),
        (User::Auditor, false, false),
    ] {
        let context = context(&config, user);
        let listed = list(context).await.map_err(|error| error.code());
        assert_eq!(listed, if may_list { Ok(2) } else { Err(Code::PermissionDenied) }, "{user}");
        let cordoned = cordon(context).await.map_err(|error| error.code());
        assert_eq!(cordoned, if may_cordon { Ok(()) } else { Err(Code::PermissionDenied) }, "{user}");
    }
    let mut nobody = context(&config, User::Admin).clone();
    (nobody.client_certificate, nobody.client_key) = (None, None);
    assert_eq!(list(&nobody).await.unwrap_err().code(), Code::Unauthenticated);
    stop(child);
}

#[test]
fn the_contexts_of_a_sandbox_are_gone_when_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let child = start(dir.path(), &[WITH_SERVER]);
    assert!(!Config::from_file(config(dir.path())).unwrap().contexts().is_empty());
    stop(child);
    assert!(Config::from_file(config(dir.path())).unwrap().contexts().is_empty());
}

#[test]
fn a_second_sandbox_says_where_its_contexts_are_and_leaves_those_of_the_first() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let running = start(first.path(), &[WITH_SERVER]);
    let mut command = sandbox(second.path(), &[WITH_SERVER]);
    let mut child = spawn(command.env("NODEWARD_CONFIG", config(first.path())));
    let greeting = greeting(&mut child);
    let apart = second.path().join("nodeward.yaml");
    assert!(greeting.contains(&format!("export NODEWARD_CONFIG={}\n", apart.display())), "{greeting}");
    let endpoint = |config: &Config| context(config, User::Admin).endpoint.clone();
    let theirs = endpoint(&Config::from_file(&apart).unwrap());
    assert!(greeting.contains(&format!("  nodeward    {theirs}\n")), "{greeting}");
    assert_ne!(endpoint(&Config::from_file(config(first.path())).unwrap()), theirs);
    stop(child);
    assert!(!Config::from_file(config(first.path())).unwrap().contexts().is_empty());
    stop(running);
}
