//! Drains whose servers are killed, and that come to another end than that all pods go at once: they end as they would have without
//! that, and no pod is removed twice.

use futures::future::join_all;
use tokio::sync::Mutex;

use crate::support::crash::{Course, Ground, Held, Replica, times};

/// How often such a drain is written down at most, now and then once or twice more.
const WRITES: usize = 10;

/// When the server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When it has written a drain down so often.
    Written(usize),
    /// When somebody has done what makes the drain take its course, before or while the server sees it.
    ActedOn,
}

use Moment::{ActedOn, Written};

/// What finds most: each course once, and each kind of step.
const FEW: [(Course, Moment); 6] = [
    (Course::Cancelled, ActedOn),
    (Course::Deleted, Written(4)),
    (Course::Paused, ActedOn),
    (Course::Detached, Written(4)),
    (Course::Released, Written(7)),
    (Course::Late, Written(2)),
];

/// Every moment of every course.
fn all() -> Vec<(Course, Moment)> {
    let moments = |course: Course| {
        let acted_on = course.is_acted_on().then_some(ActedOn);
        (1..=WRITES).map(Written).chain(acted_on).map(move |moment| (course, moment))
    };
    Course::ALL.into_iter().flat_map(moments).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_after_any_write_leaves_drains_that_come_to_their_end_whichever_that_is() {
    let ground = &Ground::start(0).await;
    let server = Mutex::new(Some(Replica::start(ground).await));
    // One drain of each course at a time, so that it does not take so long: each kill strikes all of them.
    for kills in all()[..times(0, usize::MAX).min(all().len())].chunks(2).chain(FEW.chunks(2)) {
        let drains = join_all(Course::ALL.map(|course| Held::begin(ground, course))).await;
        let of = |course: Course| &drains[Course::ALL.iter().position(|it| *it == course).unwrap()];
        let kills = kills.iter().map(|(course, moment)| kill(ground, &server, of(*course), *moment));
        let acts = drains.iter().map(|drain| drain.act(ground));
        tokio::join!(join_all(kills), join_all(acts));
        join_all(drains.into_iter().map(|drain| drain.ends_as_it_should(ground))).await;
    }
}

/// Kills the server at this moment of the drain, if it comes, and starts another.
async fn kill(ground: &Ground, server: &Mutex<Option<Replica>>, drain: &Held, moment: Moment) {
    let has_come = match moment {
        Written(count) => drain.story.writes(count).await,
        ActedOn => {
            drain.is_acted_on().await;
            true
        }
    };
    if has_come {
        let mut server = server.lock().await;
        server.take().unwrap().kill().await;
        *server = Some(Replica::start(ground).await);
    }
}
