//! Entries that don't stand where they belong: moved, repeated, or of another continuation of the log.

use crate::entry::Entry;
use crate::error::IoFault;
use crate::hash::{LineHash, Position};
use crate::lines::Lines;
use crate::problem::{Place, What};
use crate::segment::{Segment, holding};
use crate::verify::walk::Walk;

/// A run of such entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfPlace {
    kind: Kind,
    /// The last of them.
    to: u64,
    /// Which problem tells of them, unless there were too many.
    problem: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Moved,
    Repeated,
    Forked,
}

impl Kind {
    fn what(self, to: u64) -> What {
        match self {
            Self::Moved => What::Moved { to },
            Self::Repeated => What::Repeated { to },
            Self::Forked => What::Forked { to },
        }
    }
}

impl Walk<'_> {
    /// The entry has a lower sequence than the one that should stand here.
    pub(super) fn take_out_of_place(
        &mut self,
        number: usize,
        place: Place,
        entry: &Entry,
        position: Position,
    ) -> Result<(), IoFault> {
        let sequence = entry.sequence;
        let was_missing = self.fill_gap(sequence);
        let run = self.out_of_place.filter(|run| run.to + 1 == sequence);
        let kind = match run {
            _ if was_missing => Kind::Moved,
            // A run is of one kind: looking each of its entries up would take long.
            Some(run) if run.kind != Kind::Moved => run.kind,
            _ if self.original(number, sequence)? == Some(position.hash) => Kind::Repeated,
            _ => Kind::Forked,
        };
        let problem = match run.filter(|run| run.kind == kind) {
            Some(run) => {
                if let Some(problem) = run.problem.and_then(|problem| self.report.problems.get_mut(problem)) {
                    problem.what = kind.what(sequence);
                }
                run.problem
            }
            None => self.add(place, kind.what(sequence)),
        };
        self.out_of_place = Some(OutOfPlace { kind, to: sequence, problem });
        Ok(())
    }

    /// If this entry was missing it no longer is.
    fn fill_gap(&mut self, sequence: u64) -> bool {
        let problems = &mut self.report.problems;
        let gap = problems
            .iter()
            .position(|problem| matches!(problem.what, What::Missing { from, to } if (from..=to).contains(&sequence)));
        let Some(gap) = gap else { return false };
        match &mut problems[gap].what {
            What::Missing { from, to } if from == to => {
                problems.remove(gap);
                let run = self.out_of_place.as_mut().and_then(|run| run.problem.as_mut());
                if let Some(problem) = run.filter(|problem| **problem > gap) {
                    *problem -= 1;
                }
            }
            What::Missing { from, .. } if *from == sequence => *from += 1,
            What::Missing { to, .. } if *to == sequence => *to -= 1,
            _ => {}
        }
        true
    }

    /// The hash of the line that has this sequence and comes first.
    fn original(&self, number: usize, sequence: u64) -> Result<Option<LineHash>, IoFault> {
        let (before, from_here) = self.segments.split_at(number);
        for segment in holding(before, sequence).into_iter().chain(from_here.first()) {
            if let Some(hash) = first_in(segment, sequence).map_err(IoFault::when("read", &segment.path))? {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }
}

fn first_in(segment: &Segment, sequence: u64) -> std::io::Result<Option<LineHash>> {
    let mut lines = Lines::open(&segment.path)?;
    while let Some(line) = lines.next()? {
        if let Ok((entry, position)) = line.entry()
            && entry.sequence == sequence
        {
            return Ok(Some(position.hash));
        }
    }
    Ok(None)
}
