//! Lines of one request become a run: START, REPORT, and the init of the environment before it.
//!
//! What is kept grows with the requests in flight and the environments that begin, not with the log.
//!
//! REPORT alone is enough for a run. `Init Duration` on it does not say that the request waited: Lambda
//! also initialises ahead of demand and for provisioned concurrency. It did where the init began at
//! most that duration (and [`Options::tolerance`]) before the handler.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::attempts::{AsIs, Attempts, Seen, fingerprint};
use super::event::{Event, Fault, InitKind, Message, Report, Status};
use super::runs::{Bad, Cold, Ended, NOTHING, Runs, Tally};
use crate::ReadError;

/// Whether a request waited for the init on its REPORT, where nothing else tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitOnPath {
    /// It did: its arrival is that much earlier.
    #[default]
    Always,
    /// It did not.
    Never,
}

/// How a log is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The function of lines that do not say which.
    pub function: Option<String>,
    /// What to make of inits of which nothing tells.
    pub init_on_path: InitOnPath,
    /// µs by which an init may end before the handler and still be on its path.
    pub tolerance: i64,
    /// Rows of a batch.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            function: None,
            init_on_path: InitOnPath::Always,
            tolerance: 250_000,
            batch: 1 << 16,
        }
    }
}

/// Takes batches of runs.
pub trait Sink {
    /// # Errors
    /// No more is wanted.
    fn take(&mut self, runs: Runs) -> Result<(), ReadError>;
}

impl<F: FnMut(Runs) -> Result<(), ReadError>> Sink for F {
    fn take(&mut self, runs: Runs) -> Result<(), ReadError> {
        self(runs)
    }
}

/// Requests that began and did not end, at most.
const MOST_OPEN: usize = 1 << 20;
/// Environments of which something is kept, at most.
const MOST_STREAMS: usize = 1 << 16;
/// REPORT lines without START that are kept in mind, in case it comes late.
const MOST_LATE: usize = 1 << 16;
/// Inits of environments without a name that are kept in mind.
const MOST_NAMELESS: usize = 64;
/// Characters kept of a bad line.
const SHOWN: usize = 400;

/// A request that began.
struct Open {
    start: i64,
    order: u64,
    status: Status,
}

/// The last init of an environment that no run has used yet.
#[derive(Clone, Copy, Default)]
struct Beginning {
    start: Option<(i64, InitKind)>,
    /// A failed init: when it ended, how long it took, and whether that was within the invocation.
    failed: Option<(i64, i64, bool)>,
}

/// What is known of a run besides its columns, until the batch is full.
struct Mark {
    request: u64,
    at: i64,
    is_started: bool,
    is_time_out: bool,
    is_assumed: bool,
}

/// Joins events to runs.
pub struct Joiner<'s> {
    options: Options,
    sink: &'s mut dyn Sink,
    runs: Runs,
    /// One per run of the batch.
    marks: Vec<Mark>,
    tally: Tally,
    attempts: Attempts,
    open: HashMap<u64, Open, AsIs>,
    order: u64,
    streams: HashMap<u64, Beginning, AsIs>,
    nameless: VecDeque<(i64, InitKind)>,
    nameless_failed: Option<(i64, i64, bool)>,
    /// Requests whose REPORT came without START.
    late: HashMap<u64, (), AsIs>,
    /// Runs of the last batch.
    filled: usize,
    /// What the log groups, streams and owners of the last message were.
    last: Named,
}

/// Names of a message, and their numbers in the batch.
#[derive(Default)]
struct Named {
    group: Option<String>,
    function: Option<String>,
    stream: Option<String>,
    /// Fingerprint of group and stream.
    place: u64,
    owner: Option<String>,
    codes: Option<(u32, u32, u32)>,
}

/// The function of a log group of Lambda's own naming.
pub fn function_of(group: &str) -> Option<&str> {
    // Insights puts the account before it, and an ARN more.
    let start = group.find("/aws/lambda/")? + "/aws/lambda/".len();
    let name = group[start..].trim_end_matches(":*");
    (!name.is_empty()).then_some(name)
}

impl<'s> Joiner<'s> {
    /// Runs go to `sink`.
    pub fn new(options: Options, sink: &'s mut dyn Sink) -> Self {
        Self {
            options,
            sink,
            runs: Runs::default(),
            marks: Vec::new(),
            tally: Tally::default(),
            attempts: Attempts::default(),
            open: HashMap::default(),
            order: 0,
            streams: HashMap::default(),
            nameless: VecDeque::new(),
            nameless_failed: None,
            late: HashMap::default(),
            filled: 0,
            last: Named::default(),
        }
    }

    /// What was counted so far.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Takes a message that stands at `line`.
    ///
    /// # Errors
    /// It is a run of a function that nothing names, or the sink wants no more.
    pub fn message(&mut self, line: u64, message: &Message<'_>) -> Result<(), ReadError> {
        use super::{platform, text};

        let body = message.text.trim_ascii_start();
        if body.first() == Some(&b'{') {
            if !platform::may_hold(body) {
                self.tally.others += 1;
                return Ok(());
            }
            let found = platform::parse(body);
            let said = match &found {
                Ok(Some(envelope)) => envelope.said(),
                Ok(None) => {
                    self.tally.others += 1;
                    return Ok(());
                }
                Err(fault) => Err(*fault),
            };
            return match said {
                Ok(Some(said)) => {
                    let at = said.at.or(message.at);
                    self.event(line, message, at, said.function, &said.event)
                }
                Ok(None) => Ok(()),
                Err(fault) => self.bad(line, fault, body),
            };
        }
        match text::parse(body) {
            Ok(Some(event)) => self.event(line, message, message.at, None, &event),
            Ok(None) => {
                self.tally.others += 1;
                Ok(())
            }
            Err(fault) => self.bad(line, fault, body),
        }
    }

    /// Sets a line aside.
    ///
    /// # Errors
    /// The sink wants no more.
    pub fn bad(&mut self, line: u64, fault: Fault, text: &[u8]) -> Result<(), ReadError> {
        *self.tally.faults.entry(fault.name()).or_default() += 1;
        let shown = text.get(..SHOWN).unwrap_or(text);
        let text = String::from_utf8_lossy(shown).into_owned();
        self.runs.bad.push(Bad { line, fault, text });
        if self.runs.bad.len() >= self.options.batch { self.flush() } else { Ok(()) }
    }

    pub(super) fn event(
        &mut self,
        line: u64,
        message: &Message<'_>,
        at: Option<i64>,
        function: Option<&str>,
        event: &Event<'_>,
    ) -> Result<(), ReadError> {
        match event {
            Event::TraceId(trace) => {
                self.late_trace(trace);
                return Ok(());
            }
            Event::Dropped(count) => {
                self.tally.dropped += count;
                return Ok(());
            }
            Event::ManyAtOnce => {
                self.tally.many_at_once += 1;
                return Ok(());
            }
            Event::RestoreReport => return Ok(()),
            Event::TimedOut { id } | Event::End { id, status: Status::TimeOut } => {
                self.told_status(id, Status::TimeOut);
                return Ok(());
            }
            Event::End { id, status } => {
                if *status != Status::Unknown {
                    self.told_status(id, *status);
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(at) = at else { return self.bad(line, Fault::Time, message.text) };
        self.name(message, function);
        match event {
            Event::InitStart(kind) => self.init_started(at, *kind),
            Event::InitReport { duration, in_invoke, .. } => {
                self.tally.inits_failed += 1;
                let failed = Some((at, *duration, *in_invoke));
                if self.last.stream.is_some() {
                    self.beginning().failed = failed;
                } else {
                    self.nameless_failed = failed;
                }
            }
            Event::Start { id } => self.started(id, at),
            Event::Report(report) => return self.reported(line, report, at),
            _ => {}
        }
        Ok(())
    }

    /// Finds the names that a message has; those of the last one are kept.
    fn name(&mut self, message: &Message<'_>, function: Option<&str>) {
        let last = &mut self.last;
        let same = last.group.as_deref() == message.group.as_deref()
            && last.stream.as_deref() == message.stream.as_deref()
            && last.owner.as_deref() == message.owner.as_deref()
            && (function.is_none() || last.function.as_deref() == function);
        if same && last.place != 0 {
            return;
        }
        let of_group = message.group.as_deref().and_then(function_of);
        let of_stream = message.stream.as_deref().and_then(super::lines::function_of);
        let name = function.or(of_group).or(of_stream).or(self.options.function.as_deref());
        *last = Named {
            group: message.group.as_deref().map(str::to_owned),
            function: name.map(str::to_owned),
            stream: message.stream.as_deref().map(str::to_owned),
            place: fingerprint(message.group.as_deref().unwrap_or_default())
                ^ fingerprint(message.stream.as_deref().unwrap_or_default()).rotate_left(1)
                | 1,
            owner: message.owner.as_deref().map(str::to_owned),
            codes: None,
        };
    }

    fn beginning(&mut self) -> &mut Beginning {
        if self.streams.len() >= MOST_STREAMS && !self.streams.contains_key(&self.last.place) {
            // What is left of so many never served, or serves beyond this log.
            self.tally.inits_unused +=
                self.streams.values().filter(|stream| stream.start.is_some()).count() as u64;
            self.streams.clear();
        }
        self.streams.entry(self.last.place).or_default()
    }

    fn init_started(&mut self, at: i64, kind: InitKind) {
        if self.last.stream.is_some() {
            let before = self.beginning().start.replace((at, kind));
            self.tally.inits_unused += u64::from(before.is_some_and(|(earlier, _)| earlier != at));
        } else {
            if self.nameless.len() == MOST_NAMELESS {
                self.nameless.pop_front();
                self.tally.inits_unused += 1;
            }
            self.nameless.push_back((at, kind));
        }
    }

    fn started(&mut self, id: &str, at: i64) {
        let request = fingerprint(id);
        if self.late.remove(&request).is_some() {
            self.tally.late_starts += 1;
            return;
        }
        if self.open.len() >= MOST_OPEN {
            let oldest = self.order - (MOST_OPEN / 2) as u64;
            let before = self.open.len();
            self.open.retain(|_, open| open.order >= oldest);
            self.tally.unfinished += (before - self.open.len()) as u64;
        }
        self.order += 1;
        let open = Open { start: at, order: self.order, status: Status::Unknown };
        // Another START of the same: the run before it never ended, or this is a copy.
        let before = self.open.insert(request, open);
        self.tally.unfinished += u64::from(before.is_some_and(|open| open.start != at));
    }

    fn told_status(&mut self, id: &str, status: Status) {
        if let Some(open) = self.open.get_mut(&fingerprint(id)) {
            open.status = status;
        }
    }

    fn reported(&mut self, line: u64, report: &Report<'_>, at: i64) -> Result<(), ReadError> {
        self.tally.reports += 1;
        if self.last.function.is_none() {
            return Err(ReadError::NoFunction { line, group: self.last.group.clone() });
        }
        let request = fingerprint(report.id);
        let open = if self.open.is_empty() { None } else { self.open.remove(&request) };
        if open.is_none() && self.late.len() < MOST_LATE {
            self.late.insert(request, ());
        }
        // REPORT is written when the run ends; START tells to 1 ms when it began.
        let ran_from = at.saturating_sub(report.duration);
        let start = open.as_ref().map_or(ran_from, |open| open.start.min(at));
        let (arrival, init, ahead, cold) = self.init_of(report, start);
        let is_assumed = cold == Cold::Unknown;
        let status = match open.as_ref().map_or(Status::Unknown, |open| open.status) {
            told if report.status == Status::Unknown => told,
            // `runtimeDone` knows the kind of error, which the report does not repeat.
            Status::Crash if report.status == Status::Error => Status::Crash,
            _ => report.status,
        };
        if self.runs.len() >= self.options.batch {
            self.flush()?;
        }
        if self.runs.timestamp.is_empty() {
            // The first batch of a source of a few lines needs no room for many.
            let expected = self.filled.min(self.options.batch);
            self.runs.reserve(expected);
        }
        let (function, stream, account) = self.codes();
        let runs = &mut self.runs;
        let number = |value: Option<u32>| value.map_or(NOTHING, i64::from);
        runs.timestamp.push(arrival);
        runs.function.push(function);
        runs.duration.push(report.duration);
        runs.init.push(init);
        runs.init_ahead.push(ahead);
        runs.cold.push(cold as u8);
        runs.error.push(match status {
            Status::Unknown | Status::Success => Ended::Well,
            Status::Error => Ended::Handled,
            Status::Crash | Status::TimeOut => Ended::Crash,
        } as u8);
        runs.memory.push(number(report.memory_mb));
        runs.max_memory.push(number(report.max_memory_mb));
        runs.billed.push(report.billed_ms.unwrap_or(NOTHING));
        runs.request_id.push(report.id);
        runs.trace_id.push(report.trace_id.unwrap_or_default());
        runs.stream.push(stream);
        runs.account.push(account);
        self.marks.push(Mark {
            request,
            at,
            is_started: open.is_some(),
            is_time_out: status == Status::TimeOut,
            is_assumed,
        });
        Ok(())
    }

    /// Arrival, init on the path, init ahead, and whether the start was cold.
    fn init_of(&mut self, report: &Report<'_>, start: i64) -> (i64, i64, i64, Cold) {
        let tolerance = self.options.tolerance;
        let named = self.last.stream.is_some();
        let failed = if named {
            let place = self.last.place;
            // A run that is here means that whatever began has served.
            match self.streams.get_mut(&place) {
                Some(beginning) => beginning.failed.take(),
                None => None,
            }
        } else {
            self.nameless_failed.take()
        };
        let init = match (report.init, report.restore) {
            (None, None) => None,
            (init, restore) => Some(init.unwrap_or(0) + restore.unwrap_or(0)),
        };
        let Some(init) = init else {
            if let Some((ended, took, in_invoke)) = failed {
                if in_invoke {
                    self.forget_beginning(start);
                    // The init ran again within the invocation: it is part of the duration.
                    return (start, NOTHING, NOTHING, Cold::Yes);
                }
                if ended <= start && start - ended <= tolerance {
                    self.forget_beginning(start);
                    return (start.saturating_sub(took), took, NOTHING, Cold::Yes);
                }
            }
            return (start, NOTHING, NOTHING, Cold::No);
        };
        let on_path = match self.beginning_of(start, init) {
            Some((_, InitKind::Provisioned)) => Some(false),
            Some((began, InitKind::OnDemand)) => Some(start - began <= init + tolerance),
            None => None,
        };
        if on_path.unwrap_or(self.options.init_on_path == InitOnPath::Always) {
            let cold = if on_path.is_some() { Cold::Yes } else { Cold::Unknown };
            (start.saturating_sub(init), init, NOTHING, cold)
        } else {
            let cold = if on_path.is_some() { Cold::No } else { Cold::Unknown };
            (start, NOTHING, init, cold)
        }
    }

    /// The init that an environment began with: its own, or the nearest where it has no name.
    fn beginning_of(&mut self, start: i64, init: i64) -> Option<(i64, InitKind)> {
        if self.last.stream.is_some() {
            let beginning = self.streams.get_mut(&self.last.place)?;
            let found = beginning.start.take_if(|(began, _)| *began <= start);
            self.streams.remove(&self.last.place);
            return found;
        }
        let expected = start.saturating_sub(init);
        let distance = |began: i64| began.saturating_sub(expected).saturating_abs();
        let (place, _) = self
            .nameless
            .iter()
            .enumerate()
            .filter(|(_, (began, _))| *began <= start)
            .min_by_key(|(_, (began, _))| distance(*began))?;
        // Without names, one that fits is taken for the right one; one that does not tells nothing.
        let (began, _) = self.nameless[place];
        if distance(began) > self.options.tolerance {
            return None;
        }
        self.nameless.remove(place)
    }

    fn forget_beginning(&mut self, start: i64) {
        if self.last.stream.is_some() {
            self.streams.remove(&self.last.place);
        } else {
            self.nameless.retain(|(began, _)| *began > start);
        }
    }

    fn late_trace(&mut self, trace: &str) {
        let traces = &mut self.runs.trace_id;
        let Some(last) = traces.ends.len().checked_sub(1) else { return };
        if traces.get(last).is_empty() {
            traces.ends.pop();
            traces.push(trace);
        }
    }

    fn codes(&mut self) -> (u32, u32, u32) {
        if let Some(codes) = self.last.codes {
            return codes;
        }
        let runs = &mut self.runs;
        let function = runs.functions.code(self.last.function.as_deref().unwrap_or_default());
        let stream = self.last.stream.as_deref().map_or(u32::MAX, |name| runs.streams.code(name));
        let account = self.last.owner.as_deref().map_or(u32::MAX, |name| runs.accounts.code(name));
        self.last.codes = Some((function, stream, account));
        (function, stream, account)
    }

    /// Tells retries and copies, and counts what is left. All runs of a batch at once: each look-up waits
    /// for memory, and many can wait together.
    fn number_attempts(&mut self, runs: &mut Runs) {
        let marks = std::mem::take(&mut self.marks);
        let seen: Vec<Seen> =
            marks.iter().map(|mark| self.attempts.note(mark.request, mark.at)).collect();
        runs.attempt.extend(seen.iter().map(|seen| match seen {
            Seen::Run(attempt) => *attempt,
            Seen::Copy => 0,
        }));
        let tally = &mut self.tally;
        for (place, mark) in marks.iter().enumerate() {
            let attempt = runs.attempt[place];
            if attempt == 0 {
                tally.copies += 1;
                continue;
            }
            let (init, ahead) = (runs.init[place], runs.init_ahead[place]);
            tally.runs += 1;
            tally.retries += u64::from(attempt > 1);
            tally.started += u64::from(mark.is_started);
            tally.time_outs += u64::from(mark.is_time_out);
            tally.inits += u64::from(init != NOTHING);
            tally.inits_ahead += u64::from(ahead != NOTHING);
            if mark.is_assumed {
                tally.inits_assumed += 1;
                tally.longest_assumed = tally.longest_assumed.max(init).max(ahead);
            }
        }
        if seen.contains(&Seen::Copy) {
            let keep: Vec<bool> = seen.iter().map(|seen| *seen != Seen::Copy).collect();
            runs.retain(&keep);
        }
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        self.last.codes = None;
        let mut runs = std::mem::take(&mut self.runs);
        self.filled = runs.len();
        self.number_attempts(&mut runs);
        if runs.is_empty() { Ok(()) } else { self.sink.take(runs) }
    }

    /// Ends a source; what is open may go on in the next one.
    ///
    /// # Errors
    /// The sink wants no more.
    pub fn end_of_source(&mut self) -> Result<(), ReadError> {
        self.last = Named::default();
        self.flush()
    }

    /// Ends everything.
    ///
    /// # Errors
    /// The sink wants no more.
    pub fn finish(mut self) -> Result<Tally, ReadError> {
        self.flush()?;
        self.tally.unfinished += self.open.len() as u64;
        self.tally.inits_unused += self.nameless.len() as u64
            + self.streams.values().filter(|stream| stream.start.is_some()).count() as u64;
        Ok(self.tally)
    }
}
