//! Records of how calls ended that could not be written yet. They are few and small: what came of changes that were begun
//! goes before what was refused, of which the oldest is the first to go.

use std::collections::VecDeque;

use nodeward_audit_log::Record;

/// How many may wait. Outcomes beyond are unknown at the next start.
const MOST: usize = 4096;

/// How many bytes they may have.
const MOST_BYTES: usize = 16 << 20;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What came of a change whose intent is in the log.
    Outcome,
    /// That a call was not carried out.
    Refusal,
}

/// The records that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Late {
    outcomes: VecDeque<Record>,
    refusals: VecDeque<Record>,
    bytes: usize,
}

impl Late {
    /// Lets a record wait. Says how many are lost by that: itself, or others.
    pub fn push(&mut self, kind: Kind, record: Record) -> usize {
        let before = self.len() + 1;
        let bytes = record.json().len();
        while !self.has_room(bytes) && self.drop_refusal() {}
        if self.has_room(bytes) {
            self.bytes += bytes;
            self.queue(kind).push_back(record);
        }
        before - self.len()
    }

    /// The next to be written.
    pub fn pop(&mut self) -> Option<(Kind, Record)> {
        let kind = if self.outcomes.is_empty() { Kind::Refusal } else { Kind::Outcome };
        let record = self.queue(kind).pop_front()?;
        self.bytes -= record.json().len();
        Some((kind, record))
    }

    /// Puts back what could still not be written.
    pub fn put_back(&mut self, kind: Kind, record: Record) {
        self.bytes += record.json().len();
        self.queue(kind).push_front(record);
    }

    pub fn len(&self) -> usize {
        self.outcomes.len() + self.refusals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn queue(&mut self, kind: Kind) -> &mut VecDeque<Record> {
        match kind {
            Kind::Outcome => &mut self.outcomes,
            Kind::Refusal => &mut self.refusals,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.len() < MOST && self.bytes + bytes <= MOST_BYTES
    }

    fn drop_refusal(&mut self) -> bool {
        let dropped = self.refusals.pop_front();
        self.bytes -= dropped.as_ref().map_or(0, |record| record.json().len());
        dropped.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(number: usize) -> Record {
        Record::new(&json!({ "number": number })).unwrap()
    }

    fn large() -> Record {
        Record::new(&json!({ "text": "x".repeat(1 << 19) })).unwrap()
    }

    #[test]
    fn an_outcome_takes_the_place_of_the_oldest_refusal() {
        let mut late = Late::default();
        assert_eq!((0..MOST).map(|number| late.push(Kind::Refusal, record(number))).sum::<usize>(), 0);
        assert_eq!(late.push(Kind::Outcome, record(MOST)), 1);
        assert_eq!(late.len(), MOST);
        let order: Vec<_> = std::iter::from_fn(|| late.pop()).map(|(_, record)| record.json().to_owned()).collect();
        assert_eq!(order[..2], [record(MOST), record(1)].map(|record| record.json().to_owned()));
        assert_eq!(late.bytes, 0);
    }

    #[test]
    fn a_refusal_takes_no_outcomes_place() {
        let mut late = Late::default();
        (0..MOST).for_each(|number| assert_eq!(late.push(Kind::Outcome, record(number)), 0));
        assert_eq!(late.push(Kind::Refusal, record(MOST)), 1);
        assert_eq!(late.push(Kind::Outcome, record(MOST)), 1);
        assert_eq!((late.outcomes.len(), late.refusals.len()), (MOST, 0));
    }

    #[test]
    fn large_records_do_not_fill_the_memory() {
        let mut late = Late::default();
        let lost: usize = (0..100).map(|_| late.push(Kind::Outcome, large())).sum();
        assert_eq!(late.len() + lost, 100);
        assert!(late.bytes <= MOST_BYTES && late.len() >= 30, "{}", late.len());
    }

    #[test]
    fn what_is_put_back_is_the_next_again() {
        let mut late = Late::default();
        (0..2).for_each(|number| assert_eq!(late.push(Kind::Outcome, record(number)), 0));
        let (kind, first) = late.pop().unwrap();
        late.put_back(kind, first);
        assert_eq!(late.pop().unwrap().1.json(), record(0).json());
    }
}
