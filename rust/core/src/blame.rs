//! Who held the capacity while others were refused.
//!
//! Counted at refusals only: a replay that is not asked does nothing for it, and between two
//! refusals nothing is noted either. Sums are of whole units, so that no order of adding matters.

use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::time::Micros;

/// What one function held at the refusals of another by one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlameRow {
    /// Who was refused.
    pub victim: FunctionId,
    /// By what.
    pub limit: Limit,
    /// Who held units then; nobody where the limit is not about units in use.
    pub holder: Option<FunctionId>,
    /// Refusals of the victim by the limit, all of them.
    pub throttles: u64,
    /// What the holder held.
    pub held: Held,
    /// The first refusal, and the last.
    pub first: Micros,
    /// The last refusal.
    pub last: Micros,
}

/// Units at refusals: the sum and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Units of runs that did something, and units set aside.
    pub sum: u64,
    /// The most of them at once.
    pub max: u32,
    /// Units of runs that only waited for a record.
    pub waiting_sum: u64,
    /// The most of them at once.
    pub waiting_max: u32,
}

impl Held {
    fn add(&mut self, held: u32, waiting: u32) {
        self.sum += u64::from(held);
        self.max = self.max.max(held);
        self.waiting_sum += u64::from(waiting);
        self.waiting_max = self.waiting_max.max(waiting);
    }
}

/// Refusals of one function by one limit.
#[derive(Clone, Debug)]
struct Case {
    throttles: u64,
    first: Micros,
    last: Micros,
    /// By holder.
    held: Vec<Held>,
}

/// Who held what, by victim and limit.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    /// By victim, then by limit.
    cases: Vec<[Option<Box<Case>>; Limit::ALL.len()]>,
}

impl Blame {
    /// Notes a refusal; what `add` is called with by holder then is what they held.
    pub fn refused(&mut self, victim: FunctionId, limit: Limit, now: Micros) -> Refused<'_> {
        if self.cases.len() <= victim.index() {
            self.cases.resize_with(victim.index() + 1, Default::default);
        }
        let case = self.cases[victim.index()][limit as usize].get_or_insert_with(|| {
            Box::new(Case { throttles: 0, first: now, last: now, held: Vec::new() })
        });
        case.throttles += 1;
        case.last = now;
        Refused { held: &mut case.held }
    }

    /// What was noted, in the order of victim, limit and holder.
    pub fn rows(&self) -> Vec<BlameRow> {
        let mut rows = Vec::new();
        for (victim, by_limit) in (0_u32..).zip(&self.cases) {
            for (limit, case) in Limit::ALL.into_iter().zip(by_limit) {
                let Some(case) = case else { continue };
                let row = |holder, held| BlameRow {
                    victim: FunctionId(victim),
                    limit,
                    holder,
                    throttles: case.throttles,
                    held,
                    first: case.first,
                    last: case.last,
                };
                let before = rows.len();
                for (holder, held) in (0_u32..).zip(&case.held) {
                    if held.max > 0 || held.waiting_max > 0 {
                        rows.push(row(Some(FunctionId(holder)), *held));
                    }
                }
                if rows.len() == before {
                    rows.push(row(None, Held::default()));
                }
            }
        }
        rows
    }
}

/// A refusal just noted.
#[derive(Debug)]
pub struct Refused<'a> {
    held: &'a mut Vec<Held>,
}

impl Refused<'_> {
    /// Adds what a function holds: `waiting` of its units are of runs that only wait.
    pub fn add(&mut self, holder: FunctionId, held: u32, waiting: u32) {
        if self.held.len() <= holder.index() {
            self.held.resize(holder.index() + 1, Held::default());
        }
        self.held[holder.index()].add(held, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_was_held_at_each_refusal() {
        let mut blame = Blame::default();
        for (at, held) in [(5, 3), (9, 1)] {
            let mut refused = blame.refused(FunctionId(2), Limit::AccountConcurrency, Micros(at));
            refused.add(FunctionId(1), held, 2);
        }
        let held = Held { sum: 4, max: 3, waiting_sum: 4, waiting_max: 2 };
        let row = BlameRow {
            victim: FunctionId(2),
            limit: Limit::AccountConcurrency,
            holder: Some(FunctionId(1)),
            throttles: 2,
            held,
            first: Micros(5),
            last: Micros(9),
        };
        assert_eq!(blame.rows(), [row]);
    }

    #[test]
    fn nobody_holds_a_rate() {
        let mut blame = Blame::default();
        let _ = blame.refused(FunctionId(0), Limit::AccountRps, Micros(1));
        assert_eq!(blame.rows()[0].holder, None);
        assert_eq!(blame.rows()[0].throttles, 1);
    }
}
