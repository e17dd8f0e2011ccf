//! The same with whatever faults in whatever order.

use futures::future::join_all;
use proptest::prelude::*;

use super::{Fixture, append};
use crate::faulty_disk::Faults;
use crate::{Expected, Verifier};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Fail(usize, usize, bool, usize, u8),
    Recover,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..6_usize).prop_map(Step::Append),
        2 => (0..3_usize, 0..600_usize, any::<bool>(), 0..3_usize, any::<u8>())
            .prop_map(|(syncs, room, lose, dirs, flags)| Step::Fail(syncs, room, lose, dirs, flags)),
        2 => Just(Step::Recover),
        1 => Just(Step::Reopen),
    ]
}

fn faults(syncs: usize, room: usize, lose: bool, dirs: usize, flags: u8) -> Faults {
    Faults {
        room: (flags & 1 != 0).then_some(room),
        read_only: flags & 0b1_1000 == 0b1_1000,
        failing_syncs: syncs,
        failed_syncs_lose: lose,
        cannot_cut: flags & 2 != 0,
        cannot_create: flags & 4 != 0,
        failing_dir_syncs: dirs,
        ..Faults::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_disk_does_what_was_acknowledged_is_in_the_log_and_what_was_refused_is_not(
        steps in prop::collection::vec(step(), 1..40),
        segment_bytes in 300..3000_u64,
        checkpoint_entries in 1..8_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut fixture = Fixture::new();
        (fixture.options.segment_bytes, fixture.options.checkpoint_entries) = (segment_bytes, checkpoint_entries);
        // A writer that ends before it could cut off what it has refused leaves it to the next one, which can't tell.
        let may_leave = steps.iter().any(|step| matches!(step, Step::Reopen));
        let acknowledged = runtime.block_on(carry_out(&fixture, steps));
        let mut found = fixture.numbers();
        if may_leave {
            found.retain(|number| acknowledged.contains(number));
        }
        prop_assert_eq!(found, acknowledged);
    }
}

/// Carries out the steps, and says which records were acknowledged, in the order of their sequences.
async fn carry_out(fixture: &Fixture, steps: Vec<Step>) -> Vec<u64> {
    let mut log = fixture.open().await;
    let (mut next, mut acknowledged) = (0, Vec::new());
    for step in steps {
        match step {
            Step::Append(count) => {
                let numbers = next..next + count as u64;
                next = numbers.end;
                let appended = join_all(numbers.clone().map(|number| append(&log, number))).await;
                acknowledged.extend(
                    appended
                        .into_iter()
                        .zip(numbers)
                        .filter_map(|(position, number)| Some((position.ok()?.sequence, number))),
                );
            }
            Step::Fail(syncs, room, lose, dirs, flags) => {
                *fixture.disk.faults() = faults(syncs, room, lose, dirs, flags)
            }
            Step::Recover => *fixture.disk.faults() = Faults::default(),
            Step::Reopen => {
                let _ = log.close().await;
                log = fixture.open().await;
            }
        }
    }
    *fixture.disk.faults() = Faults::default();
    acknowledged.push((append(&log, next).await.unwrap().sequence, next));
    let key = log.public_key();
    let end = log.close().await.unwrap();
    let report = Verifier::new(key).expect([Expected::Position(end)]).verify(fixture.log_dir()).unwrap();
    assert!(report.is_intact() && report.unsigned == 0, "{report}");
    assert!(acknowledged.is_sorted());
    acknowledged.into_iter().map(|(_, number)| number).collect()
}
