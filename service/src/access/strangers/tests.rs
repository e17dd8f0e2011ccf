//! Attackers, their neighbours and those who are known, without Kubernetes.

use futures::FutureExt;
use futures::future::join_all;

use super::*;

fn connection(address: [u8; 4]) -> Standing {
    Standing::new(address.into())
}

fn strangers() -> Strangers {
    Strangers::new(Time::by_hand().0)
}

fn token(number: usize) -> Hash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

const ATTACKER: [u8; 4] = [192, 0, 2, 1];
const ELSEWHERE: [u8; 4] = [192, 0, 2, 2];

/// Shows bad tokens on a connection until it may not: how many were asked about.
async fn attack(strangers: &Strangers, standing: &Standing) -> usize {
    for number in 0..10_000 {
        match strangers.question(token(number), Some(standing), soon()).await {
            Ok(question) => question.was_bad(),
            Err(Error::AuthenticationOverloaded { limit, .. }) => {
                assert_eq!(limit, "failures");
                return number;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("nothing ends the attack");
}

#[tokio::test]
async fn an_attacker_is_soon_asked_about_no_further() {
    let strangers = strangers();
    assert_eq!(attack(&strangers, &connection(ATTACKER)).await, 100);
    // A new connection is a new chance, but for one token only.
    assert_eq!(attack(&strangers, &connection(ATTACKER)).await, 1);
}

#[tokio::test]
async fn whoever_is_elsewhere_or_has_a_connection_of_their_own_gets_in_meanwhile() {
    let strangers = strangers();
    attack(&strangers, &connection(ATTACKER)).await;
    for honest in [connection(ATTACKER), connection(ELSEWHERE)] {
        for number in 20_000..30_000 {
            strangers.question(token(number), Some(&honest), soon()).await.ok().unwrap().was_good();
        }
    }
}

#[tokio::test]
async fn a_token_that_was_good_is_asked_about_again_also_on_an_attackers_connection() {
    let strangers = strangers();
    let shared = connection(ATTACKER);
    strangers.question(token(20_000), Some(&shared), soon()).await.ok().unwrap().was_good();
    attack(&strangers, &shared).await;
    strangers.question(token(20_000), Some(&shared), soon()).await.ok().unwrap().was_bad();
    // Once it is bad it is one like others.
    assert!(strangers.question(token(20_000), Some(&shared), soon()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_at_a_time_than_may_be_and_the_known_have_places_of_their_own() {
    let strangers = strangers();
    let good = connection(ELSEWHERE);
    strangers.question(token(20_000), Some(&good), soon()).await.ok().unwrap().was_good();
    let connections: Vec<_> = (0..100).map(|_| connection(ATTACKER)).collect();
    let ask = |(number, standing)| strangers.question(token(number), Some(standing), soon());
    let asked = join_all(connections.iter().enumerate().map(ask)).await;
    let (asked, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!(asked.len(), PLACES);
    for error in refused.into_iter().filter_map(Result::err) {
        assert!(matches!(error, Error::AuthenticationOverloaded { limit: "questions", .. }), "{error}");
    }
    let known = strangers.question(token(20_000), Some(&good), soon()).now_or_never();
    assert!(known.expect("without waiting").is_ok());
    drop(asked);
    assert!(strangers.question(token(0), Some(&good), soon()).now_or_never().is_some());
}

#[tokio::test]
async fn what_kubernetes_does_not_answer_counts_against_nobody_and_giving_up_does() {
    let strangers = strangers();
    let standing = connection(ATTACKER);
    for number in 0..1000 {
        strangers.question(token(number), Some(&standing), soon()).await.ok().unwrap().was_not_answered();
    }
    let gives_up = async |number| strangers.question(token(number), Some(&standing), soon()).await.map(drop);
    let mut asked = 0;
    while gives_up(asked).await.is_ok() {
        asked += 1;
    }
    assert_eq!(asked, 100);
}
