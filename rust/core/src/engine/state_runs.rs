//! Runs that share records, while they are on their way.

use std::collections::HashMap;

use crate::engine::runs::Started;
use crate::model::state_keys::Access;
use crate::request::Request;
use crate::time::Micros;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its environment is not ready yet.
    Init,
    /// It waits for its record.
    Waiting,
    /// Its handler runs.
    Running,
    /// It has answered, its extension runs on.
    Answered,
}

/// A run with a record.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(super) struct StateRun {
    pub(super) request: Request,
    pub(super) started: Started,
    pub(super) key: u32,
    pub(super) access: Access,
    pub(super) phase: Phase,
    /// Begin of the handler.
    pub(super) begin: Micros,
    /// Begin of the present try.
    pub(super) try_begin: Micros,
    /// Version of the record at that instant.
    pub(super) version: u64,
    /// Times it started over.
    pub(super) conflicts: u32,
    /// When the present wait, answer or release is due; other events are overtaken.
    pub(super) due: Micros,
    /// How many of its keys are held.
    pub(super) held: usize,
    /// Whether the run ends in its time-out at `due`.
    pub(super) timed_out: bool,
    /// When its client stops waiting for the answer.
    pub(super) patience: Option<Micros>,
    /// Whether that has happened: the run goes on for nobody.
    pub(super) abandoned: bool,
}

/// Runs by place; places are reused.
#[derive(Debug, Default)]
pub(super) struct StateRuns {
    runs: Vec<Option<StateRun>>,
    free: Vec<u32>,
    /// Keys that are a function's own, by function and key.
    keys: HashMap<(u32, u32), u32>,
    /// Function and key by number of such a key.
    owners: Vec<(u32, u32)>,
}

impl StateRuns {
    /// Number of a key that is a function's own.
    pub(super) fn key_of(&mut self, function: u32, key: u32) -> u32 {
        let next = u32::try_from(self.keys.len()).expect("fewer than 2^32 keys");
        let number = *self.keys.entry((function, key)).or_insert(next);
        if number == next {
            self.owners.push((function, key));
        }
        number
    }

    /// Function and key of a number, where keys are a function's own.
    pub(super) fn owner(&self, number: u32) -> Option<(u32, u32)> {
        self.owners.get(number as usize).copied()
    }

    pub(super) fn add(&mut self, run: &StateRun) -> u32 {
        if let Some(place) = self.free.pop() {
            self.runs[place as usize] = Some(*run);
            return place;
        }
        self.runs.push(Some(*run));
        u32::try_from(self.runs.len() - 1).expect("fewer than 2^32 runs")
    }

    pub(super) fn get(&mut self, place: u32) -> Option<&mut StateRun> {
        self.runs.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, place: u32) -> StateRun {
        self.free.push(place);
        self.runs[place as usize].take().expect("a run ends once")
    }

    /// What is on its way still, in order of arrival, then of attempt.
    pub(super) fn drain(&mut self) -> Vec<StateRun> {
        let mut runs: Vec<StateRun> = self.runs.drain(..).flatten().collect();
        self.free.clear();
        runs.sort_by_key(|run| (run.request.number, run.request.progress.attempts));
        runs
    }
}
