//! Who holds units of the limit that has just refused a request.

use crate::blame::{Blame, BlameRow};
use crate::engine::replay::Replay;
use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::time::Micros;

impl Replay {
    /// From now on refusals note who held the capacity.
    pub fn keep_blame(&mut self) {
        self.blame = Some(Box::default());
    }

    /// Who held the capacity at each refusal so far; empty where nobody asked.
    pub fn blame(&self) -> Vec<BlameRow> {
        self.blame.as_ref().map_or_else(Vec::new, |blame| blame.rows())
    }

    /// Notes a refusal and who held the units that were wanted.
    #[cold]
    #[inline(never)]
    pub(super) fn note_blame(&mut self, now: Micros, victim: FunctionId, limit: Limit) {
        let Some(mut blame) = self.blame.take() else { return };
        self.add_holders(&mut blame, now, victim, limit);
        self.blame = Some(blame);
    }

    fn add_holders(&self, blame: &mut Blame, now: Micros, victim: FunctionId, limit: Limit) {
        let mut refused = blame.refused(victim, limit, now);
        match limit {
            Limit::AccountConcurrency => {
                // Together they hold what is claimed of the account: nobody else need be looked at
                // once that is found.
                let mut left = self.ledger.claimed_total();
                let idle = self.keys.waiting() == 0;
                for (number, slot) in (0_u32..).zip(&self.slots) {
                    if left == 0 {
                        return;
                    }
                    let id = FunctionId(number);
                    if slot.function != id {
                        continue;
                    }
                    let (in_use, aside) = self.ledger.units(id, slot.levels.busy);
                    if in_use + aside == 0 {
                        continue;
                    }
                    left = left.saturating_sub(u64::from(in_use + aside));
                    let waiting = if idle { 0 } else { self.keys.waiting_of(number).min(in_use) };
                    refused.add(id, in_use - waiting + aside, waiting);
                }
            }
            Limit::ReservedConcurrency | Limit::LatestBlocked => {
                let busy = self.slots[victim.index()].levels.busy;
                let waiting = self.keys.waiting_of(victim.0).min(busy);
                refused.add(victim, busy - waiting, waiting);
            }
            _ => {}
        }
    }
}
