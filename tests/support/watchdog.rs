//! Ends a test binary one of whose tests hangs. libtest would wait for it for ever, whatever it waits for: an answer that
//! never comes, or a lock that another thread never gives back.
//!
//! Include it with `#[path = "…/tests/support/watchdog.rs"] mod watchdog;`, and call [`watch`] where tests get what they
//! stand on. It needs nothing.

use std::convert::Infallible;
use std::io::{Write as _, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// The longest that a test may take: several times what the slowest one takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(600);

thread_local! {
    // Each test has a thread of its own, which drops this when the test ends.
    static WATCH: Option<Watch> = name_of_test().map(|test| Watch::start(LONGEST, move || end(&test)));
}

/// Ends the process, and names the test that calls this, unless that ends in time. Only the first call of a test counts.
pub fn watch() {
    WATCH.with(|_| ());
}

/// The name of the test whose thread this is. Other threads may outlive every test.
fn name_of_test() -> Option<String> {
    let name = thread::current().name()?.to_owned();
    (name != "main" && !name.starts_with("tokio")).then_some(name)
}

/// Something that should end in time, which is when this is dropped.
struct Watch {
    _watched: Sender<Infallible>,
}

impl Watch {
    fn start(longest: Duration, too_late: impl FnOnce() + Send + 'static) -> Self {
        let (watched, end) = channel();
        thread::spawn(move || {
            if end.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
                too_late();
            }
        });
        Self { _watched: watched }
    }
}

fn end(test: &str) {
    // Not with `eprintln!`: libtest would keep it for when the test has failed.
    let _ = writeln!(stderr(), "the test {test} hangs: it has not ended within {LONGEST:?}");
    std::process::abort();
}

#[test]
fn only_what_does_not_end_in_time_is_told() {
    let (tells, told) = channel();
    let in_time = tells.clone();
    drop(Watch::start(Duration::from_secs(60), move || in_time.send("in time").unwrap()));
    let _watch = Watch::start(Duration::from_millis(1), move || tells.send("too late").unwrap());
    assert_eq!(told.iter().collect::<Vec<_>>(), ["too late"]);
}
