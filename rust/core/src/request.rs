//! A request or event on its way, with all that its row says and all that has happened to it.

use crate::config::RowError;
use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::outcome::{Run, Source};
use crate::rng::{Draw, Identity};
use crate::time::Micros;

/// No record of shared state.
pub const NO_KEY: u32 = u32::MAX;
/// Not a batch.
pub const NO_BATCH: u32 = u32::MAX;

/// A row of the trace on its way to an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Position in the trace as given.
    pub row: u64,
    /// Copy of the row, where `load` made several (Z38).
    pub copy: u32,
    /// Place in the order of arrival.
    pub number: u64,
    /// When it reached Lambda.
    pub timestamp: Micros,
    /// The function version.
    pub id: FunctionId,
    /// Its code in the trace.
    pub shown: u32,
    /// How it got there.
    pub source: Source,
    /// Handler time, extension included.
    pub duration: Micros,
    /// The last part of it, after the answer.
    pub extension: Micros,
    /// What a cold start adds, where the trace knows.
    pub init: Option<Micros>,
    /// Memory by the trace, MB; 0 where it does not know.
    pub memory_mb: u32,
    /// How its runs fail …
    pub error: Option<RowError>,
    /// … and how many of them.
    pub error_runs: u32,
    /// Size, bytes.
    pub payload: u64,
    /// Record of shared state.
    pub state_key: u32,
    /// Whether that is only read.
    pub reads: bool,
    /// Whose luck its draws are.
    pub who: Identity,
    /// Place of the batch that it stands for.
    pub batch: u32,
    /// What has happened so far.
    pub progress: Progress,
}

/// What has happened to a request so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Tries of any kind.
    pub attempts: u32,
    /// 429s.
    pub throttles: u32,
    /// Runs.
    pub runs: u32,
    /// Runs that ended in error.
    pub errors: u32,
    /// Throttles since the last run, for the back-off (Q20).
    pub streak: u32,
    /// Retries after function errors.
    pub retries: u32,
    /// Times the last run started over.
    pub conflicts: u32,
    /// Whether the last try went through its client's rate limiter.
    pub limited: bool,
    /// Where the row's runs are kept together, where one may go on without its client.
    pub ticket: Option<u32>,
    /// What bound at the last attempt, where that was refused.
    pub limit: Option<Limit>,
    /// The last run.
    pub run: Option<Run>,
}

impl Request {
    /// Whose luck a draw about its present attempt is (Q34).
    pub const fn draw(&self) -> Draw {
        Draw { who: self.who, copy: self.copy, attempt: self.progress.attempts }
    }

    /// Whose luck a draw about the row itself is.
    pub const fn draw_of_row(&self, copy: u32) -> Draw {
        Draw { who: self.who, copy, attempt: 0 }
    }
}

/// Requests that wait for something, by place; places are reused.
///
/// Most of those that wait in great numbers are events that have not run yet and whose row says
/// little: these take 56 bytes, the others what they need on top.
#[derive(Debug, Default)]
pub struct Parking {
    places: Vec<Parked>,
    free: Vec<u32>,
    whole: Vec<Option<Box<Request>>>,
    free_whole: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Parked {
    row: u64,
    number: u64,
    timestamp: Micros,
    duration: Micros,
    id: FunctionId,
    shown: u32,
    attempts: u32,
    throttles: u32,
    /// Place of the whole request; `WHOLE` for none.
    whole: u32,
    streak: u16,
    asynchronous: bool,
    limit: Option<Limit>,
}

const _: () = assert!(size_of::<Parked>() == 56, "as promised");
const SIMPLE: u32 = u32::MAX;

impl Parking {
    /// Parks a request.
    pub fn park(&mut self, request: &Request) -> u32 {
        let whole = if Self::is_simple(request) { SIMPLE } else { self.keep(request) };
        let progress = &request.progress;
        let parked = Parked {
            row: request.row,
            number: request.number,
            timestamp: request.timestamp,
            duration: request.duration,
            id: request.id,
            shown: request.shown,
            attempts: progress.attempts,
            throttles: progress.throttles,
            whole,
            streak: u16::try_from(progress.streak).unwrap_or(u16::MAX),
            asynchronous: request.source == Source::Async,
            limit: progress.limit,
        };
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = parked;
            return place;
        }
        self.places.push(parked);
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 requests wait")
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Takes a request back.
    pub fn take(&mut self, place: u32) -> Request {
        self.free.push(place);
        let parked = self.places[place as usize];
        if parked.whole != SIMPLE {
            self.free_whole.push(parked.whole);
            return *self.whole[parked.whole as usize].take().expect("a request is taken once");
        }
        Request {
            row: parked.row,
            copy: 0,
            number: parked.number,
            timestamp: parked.timestamp,
            id: parked.id,
            shown: parked.shown,
            source: if parked.asynchronous { Source::Async } else { Source::Sync },
            duration: parked.duration,
            extension: Micros::ZERO,
            init: None,
            memory_mb: 0,
            error: None,
            error_runs: u32::MAX,
            payload: 0,
            state_key: NO_KEY,
            reads: false,
            who: Identity::ordinal(parked.row),
            batch: NO_BATCH,
            progress: Progress {
                attempts: parked.attempts,
                throttles: parked.throttles,
                streak: u32::from(parked.streak),
                limit: parked.limit,
                ..Progress::default()
            },
        }
    }

    /// Arrival and attempts of what waits at a place.
    pub fn order(&self, place: u32) -> (u64, u32) {
        let parked = &self.places[place as usize];
        (parked.number, parked.attempts)
    }

    /// Places of what waits still, in order of arrival.
    pub fn places(&self) -> Vec<u32> {
        let mut taken = vec![true; self.places.len()];
        for free in &self.free {
            taken[*free as usize] = false;
        }
        let numbers = (0..).zip(taken).filter(|(_, taken)| *taken).map(|(place, _)| place);
        let mut places: Vec<u32> = numbers.collect();
        places.sort_unstable_by_key(|place| self.places[*place as usize].number);
        places
    }

    /// Whether all that must be kept fits into `Parked`.
    fn is_simple(request: &Request) -> bool {
        request.copy == 0
            && request.extension == Micros::ZERO
            && request.init.is_none()
            && request.memory_mb == 0
            && request.error.is_none()
            && request.payload == 0
            && request.state_key == NO_KEY
            && request.who == Identity::ordinal(request.row)
            && request.progress.runs == 0
            && u16::try_from(request.progress.streak).is_ok()
    }

    fn keep(&mut self, request: &Request) -> u32 {
        if let Some(place) = self.free_whole.pop() {
            self.whole[place as usize] = Some(Box::new(*request));
            return place;
        }
        self.whole.push(Some(Box::new(*request)));
        u32::try_from(self.whole.len() - 1).expect("fewer than 2^32 requests wait")
    }
}
