//! Whatever happens to the cluster, to its servers and to a client that goes from one to the other: see [`model`].
//!
//! [`model`]: super::model

use proptest::prelude::*;
use proptest::sample::select;

use super::model::{Client, Cluster, NAMES, Server, State};

const SERVERS: usize = 2;

/// The log of a forgetful server has room for two or three changes.
const LITTLE_ROOM: usize = 13_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A node is created, changes in what the watch shows or in what it doesn't, comes into or out of the watch, or goes.
    Create(&'static str, bool),
    Change(&'static str),
    ChangeHidden(&'static str),
    Turn(&'static str),
    Delete(&'static str),
    /// Other things than nodes change.
    GoOn(u64),
    /// A server hears of events, or that there were none.
    Hear(usize, usize),
    HearOfNothing(usize),
    /// A server misses events, and lists.
    Miss(usize, usize),
    /// A server starts anew.
    Restart(usize),
    /// The client takes events or a bookmark, or goes on at a server, or begins there.
    Take(usize),
    Bookmark,
    Resume(usize),
    Begin(usize, bool),
}

fn server() -> impl Strategy<Value = usize> {
    0..SERVERS
}

/// What happens where servers lose nothing.
fn calm_step() -> impl Strategy<Value = Step> {
    let name = || select(&NAMES[..]);
    prop_oneof![
        2 => (name(), any::<bool>()).prop_map(|(name, is_wanted)| Step::Create(name, is_wanted)),
        3 => name().prop_map(Step::Change),
        1 => name().prop_map(Step::ChangeHidden),
        1 => name().prop_map(Step::Turn),
        1 => name().prop_map(Step::Delete),
        1 => (1u64..4).prop_map(Step::GoOn),
        4 => (server(), 1usize..6).prop_map(|(server, count)| Step::Hear(server, count)),
        1 => server().prop_map(Step::HearOfNothing),
        5 => (1usize..4).prop_map(Step::Take),
        1 => Just(Step::Bookmark),
        4 => server().prop_map(Step::Resume),
        1 => (server(), any::<bool>()).prop_map(|(server, is_whole)| Step::Begin(server, is_whole)),
    ]
}

fn rough_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => calm_step(),
        2 => (server(), 0usize..6).prop_map(|(server, count)| Step::Miss(server, count)),
        1 => server().prop_map(Step::Restart),
    ]
}

/// Plays the steps, and checks each.
fn play(beginning: &[Step], steps: &[Step], room: [Option<usize>; SERVERS]) {
    let mut cluster = Cluster::new();
    for step in beginning {
        change(&mut cluster, *step);
    }
    let mut servers = room.map(|room| Server::new(&cluster, room));
    let mut at = 0;
    let mut client = Client::from_the_beginning(&cluster, &servers[at]);
    for step in steps {
        match *step {
            Step::Hear(server, count) => servers[server].hear(&cluster, count),
            Step::HearOfNothing(server) => servers[server].hear_of_nothing(&cluster),
            Step::Miss(server, count) => servers[server].list(&cluster, count),
            Step::Restart(server) => {
                servers[server] = Server::new(&cluster, room[server]);
                if server == at {
                    client.resume(&cluster, &servers[at]);
                }
            }
            Step::Take(count) => client.take(&cluster, &servers[at], count),
            Step::Bookmark => client.bookmark(&cluster, &servers[at]),
            Step::Resume(server) => {
                at = server;
                client.resume(&cluster, &servers[at]);
            }
            Step::Begin(server, is_whole) => {
                at = server;
                let begin = if is_whole { Client::from_the_beginning } else { Client::from_now_on };
                client = begin(&cluster, &servers[at]);
            }
            change_of_the_cluster => change(&mut cluster, change_of_the_cluster),
        }
    }
    // In the end the client is told all, wherever it is.
    for server in (0..SERVERS).chain([at]) {
        servers[server].hear(&cluster, usize::MAX);
        client.resume(&cluster, &servers[server]);
        client.take(&cluster, &servers[server], usize::MAX);
        client.assert_up_to_date(&cluster);
    }
}

fn change(cluster: &mut Cluster, step: Step) {
    match step {
        Step::Create(name, is_wanted) => {
            cluster.change(name, |version, node| node.or(Some(State { uid: version, is_wanted, shown: 0, hidden: 0 })))
        }
        Step::Change(name) => {
            cluster.change(name, |version, node| node.map(|node| State { shown: version, ..node }));
        }
        Step::ChangeHidden(name) => {
            cluster.change(name, |version, node| node.map(|node| State { hidden: version, ..node }));
        }
        Step::Turn(name) => {
            cluster.change(name, |_, node| node.map(|node| State { is_wanted: !node.is_wanted, ..node }));
        }
        Step::Delete(name) => cluster.change(name, |_, _| None),
        Step::GoOn(steps) => cluster.go_on(steps),
        _ => {}
    }
}

fn some(step: impl Strategy<Value = Step>, most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn between_servers_that_lag_behind_each_other_nothing_is_lost_nor_repeated_and_no_token_expires(
        beginning in some(calm_step(), 12), steps in some(calm_step(), 60)
    ) {
        play(&beginning, &steps, [None, None]);
    }

    #[test]
    fn over_gaps_and_restarts_only_what_was_in_between_is_missing(
        beginning in some(calm_step(), 12), steps in some(rough_step(), 60)
    ) {
        play(&beginning, &steps, [None, None]);
    }

    #[test]
    fn servers_that_forget_say_so(
        beginning in some(calm_step(), 12), steps in some(rough_step(), 60)
    ) {
        play(&beginning, &steps, [Some(LITTLE_ROOM); SERVERS]);
    }
}
