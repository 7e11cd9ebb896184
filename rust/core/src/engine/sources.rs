//! Event sources in the loop: records that arrive, batches that run like everything else, and what
//! becomes of each record.

use std::collections::VecDeque;

use crate::batch::NO_SOURCE;
use crate::engine::event::{
    Event, SourceTimer, batch_number, order_of_answer, order_of_arrival, order_of_source,
};
use crate::engine::replay::{Columns, MUCH, Replay};
use crate::engine::requests::Come;
use crate::engine::runs::End;
use crate::error::Error;
use crate::ids::FunctionId;
use crate::model::concurrency::Refusal;
use crate::model::state_keys::Access;
use crate::outcome::{Attempt, Outcome, OutcomeKind, Reason, Run, Sink, Source};
use crate::request::{NO_KEY, Progress, Request};
use crate::rng::{Draw, Luck};
use crate::sources::Machine;
use crate::sources::config::{KindConfig, SourceConfig};
use crate::sources::figures::{Figures, Level, SourceRow};
use crate::sources::hub::{Answer, Class, Hub, Refused, Start, Timer};
use crate::sources::record::{COMMON, Failure, Rare, Record};
use crate::time::Micros;

/// Rows that are looked at together before they arrive.
const AHEAD: usize = 32;

/// All event sources of an account.
#[derive(Debug)]
pub(super) struct Sources {
    list: Vec<EventSource>,
    pub(super) hub: Hub,
    pub(super) batches: Batches,
    /// Records of copies that have not arrived yet.
    landings: Vec<(u32, u32, Record)>,
    free_landings: Vec<u32>,
    /// Records that have not reached their end.
    waiting: u64,
    /// Timers in the calendar; those that matter only to records that wait stand apart.
    timers: u64,
    changes: u64,
    /// Whether the trace has begun.
    opened: bool,
}

#[derive(Debug)]
struct EventSource {
    function: FunctionId,
    machine: Machine,
    /// Settings of the epochs to come.
    later: VecDeque<(u32, SourceConfig)>,
    figures: Vec<Figures>,
    first_unit: u32,
    units: u32,
}

/// Batches that run, by place; places are reused.
#[derive(Debug, Default)]
pub(super) struct Batches {
    list: Vec<Batch>,
    free: Vec<u32>,
}

/// A batch that runs.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    source: u32,
    unit: u32,
    running: bool,
    /// Whether its run holds records of shared state, up to its release.
    pub(super) holds: bool,
    /// The invocation; its progress holds the run once its end is known.
    pub(super) request: Option<Request>,
    pub(super) error: Option<Reason>,
    overrun: bool,
    /// Arrival of its last record, where the iterator's age is that at its end (P25).
    newest: Option<Micros>,
    /// Records of shared state, in ascending order; and what was seen of them.
    pub(super) keys: Vec<(u32, Access)>,
    pub(super) versions: Vec<u64>,
}

impl Batches {
    fn add(&mut self, source: u32, unit: u32) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.list.push(Batch {
                source,
                unit,
                running: false,
                holds: false,
                request: None,
                error: None,
                overrun: false,
                newest: None,
                keys: Vec::new(),
                versions: Vec::new(),
            });
            u32::try_from(self.list.len() - 1).expect("fewer than 2^32 batches")
        });
        let batch = &mut self.list[place as usize];
        (batch.source, batch.unit, batch.holds) = (source, unit, false);
        (batch.running, batch.request, batch.error, batch.newest) = (true, None, None, None);
        batch.overrun = false;
        batch.keys.clear();
        batch.versions.clear();
        place
    }

    pub(super) fn get(&self, place: u32) -> &Batch {
        &self.list[place as usize]
    }

    pub(super) fn get_mut(&mut self, place: u32) -> &mut Batch {
        &mut self.list[place as usize]
    }

    /// It runs no more.
    fn remove(&mut self, place: u32) {
        let batch = &mut self.list[place as usize];
        batch.running = false;
        if !batch.holds {
            self.free.push(place);
        }
    }

    /// Its run is released.
    pub(super) fn release(&mut self, place: u32) {
        self.free.push(place);
    }
}

impl Sources {
    pub(super) fn new(luck: Luck) -> Self {
        Self {
            list: Vec::new(),
            hub: Hub::new(luck),
            batches: Batches::default(),
            landings: Vec::new(),
            free_landings: Vec::new(),
            waiting: 0,
            timers: 0,
            changes: 0,
            opened: false,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether anything is left to be done; `epochs` are changes of configuration to come.
    pub(super) const fn is_busy(&self, epochs: usize) -> bool {
        self.timers > 0
            || self.landings.len() > self.free_landings.len()
            || self.waiting > 0 && (self.changes > 0 || epochs > 0)
    }

    /// Shards, partitions or queues of all sources.
    fn units(&self) -> u32 {
        self.list.last().map_or(0, |last| last.first_unit + last.units)
    }
}

/// What one unit of a source came to.
#[derive(Clone, Debug)]
pub struct UnitRow {
    /// Which source.
    pub source: u32,
    /// Which shard, partition or group; 0 for a queue.
    pub unit: u32,
    /// Its figures.
    pub figures: Figures,
    /// What stood in it.
    pub level: Level,
    /// Its busiest key, and how many records have it.
    pub busiest: Option<(u32, u32)>,
}

impl Replay {
    /// Registers the next event source, in the order of their names; `epochs` are its settings by
    /// the number of the epoch that they begin with, the first one 0.
    pub fn add_source(&mut self, epochs: Vec<(u32, SourceConfig)>) {
        assert!(self.first_arrival.is_none(), "sources are known before the first row");
        let mut later: VecDeque<_> = epochs.into();
        let (first, config) = later.pop_front().expect("settings from the start");
        assert!(first == 0, "settings from the start");
        let function = config.function();
        if let KindConfig::Stream(stream) = &config.kind
            && !stream.reshards.is_empty()
        {
            self.take_care();
        }
        let machine = Machine::new(config);
        let (first_unit, units) = (self.sources.units(), machine.units());
        self.sources.hub.backlog.push(0);
        self.sources.hub.levels.push(Vec::new());
        self.sources.list.push(EventSource {
            function,
            machine,
            later,
            figures: Vec::new(),
            first_unit,
            units,
        });
    }

    /// Registers the next key of records: see [`crate::sources::record::Keys::add`].
    pub fn add_key(&mut self, hash: u128, length: u32) {
        self.sources.hub.keys.add(hash, length);
    }

    /// Registers the name of the next record of shared state, by code: batches take several in the
    /// order of their names.
    pub fn add_state_key(&mut self, name: &str) {
        self.sources.hub.state_names.push(name.into());
    }

    /// How many keys are registered.
    pub const fn keys(&self) -> usize {
        self.sources.hub.keys.len()
    }

    /// The trace begins for the event sources, too.
    pub(super) fn open_sources<S: Sink>(&mut self, now: Micros, sink: &mut S) {
        if self.sources.len() == 0 {
            return;
        }
        // Changes before the trace come first.
        self.run_to(now, order_of_source(Class::Change, 0), sink);
        self.sources.opened = true;
        self.sources.hub.wants_attempts = sink.wants_attempts();
        for source in 0..u32::try_from(self.sources.len()).expect("fewer than 2^32") {
            self.drive(source, sink, |machine, hub| machine.open(now, hub));
        }
    }

    /// An epoch begins for the event sources, too.
    pub(super) fn change_sources<S: Sink>(&mut self, epoch: u32, now: Micros, sink: &mut S) {
        for source in 0..self.sources.len() {
            let later = &mut self.sources.list[source].later;
            let mut changed = None;
            while later.front().is_some_and(|(from, _)| *from <= epoch) {
                changed = later.pop_front().map(|(_, config)| config);
            }
            let Some(config) = changed else { continue };
            let number = u32::try_from(source).expect("fewer than 2^32");
            if self.sources.opened {
                self.drive(number, sink, |machine, hub| machine.configure(config, now, hub));
            } else {
                // Before the trace begins: it has never been otherwise.
                self.sources.list[source].machine = Machine::new(config);
            }
        }
    }

    /// Lets the machine of a source do something, and does what follows.
    #[inline]
    fn drive<S: Sink, R>(
        &mut self,
        source: u32,
        sink: &mut S,
        call: impl FnOnce(&mut Machine, &mut Hub) -> R,
    ) -> R {
        let Sources { list, hub, .. } = &mut *self.sources;
        let one = &mut list[source as usize];
        hub.source = source;
        hub.first_unit = one.first_unit;
        hub.units = one.units;
        std::mem::swap(&mut hub.figures, &mut one.figures);
        let answer = call(&mut one.machine, hub);
        std::mem::swap(&mut hub.figures, &mut one.figures);
        if !hub.timers.is_empty() {
            self.set_timers();
        }
        if !self.sources.hub.attempts.is_empty() {
            self.tell_attempts(sink);
        }
        if !self.sources.hub.settled.is_empty() {
            self.settle_records(source, sink);
        }
        answer
    }

    fn set_timers(&mut self) {
        let Sources { hub, timers, changes, .. } = &mut *self.sources;
        for due in hub.timers.drain(..) {
            *(if is_for_records(due.timer) { &mut *changes } else { &mut *timers }) += 1;
            let order = order_of_source(due.class, due.order);
            let timer = SourceTimer::new(due.timer, due.source);
            let event = Event::Source { timer, unit: due.unit };
            self.calendar.push(due.at, order, event);
        }
    }

    fn tell_attempts<S: Sink>(&mut self, sink: &mut S) {
        for attempt in self.sources.hub.attempts.drain(..) {
            sink.attempt(&Attempt {
                row: attempt.row,
                copy: attempt.copy,
                number: attempt.number,
                kind: attempt.kind,
                reason: attempt.reason,
                limit: attempt.limit,
                at: attempt.at,
                batch: attempt.batch,
                run: attempt.run,
            });
        }
    }

    /// Records have reached their end.
    fn settle_records<S: Sink>(&mut self, source: u32, sink: &mut S) {
        let Sources { list, hub, waiting, .. } = &mut *self.sources;
        let one = &mut list[source as usize];
        let function = self.slots[one.function.index()].function;
        let totals = &mut self.records[function.index()].careful;
        let mut rest = hub.records.as_slice();
        for settled in &hub.settled {
            let (records, after) = rest.split_at(settled.count);
            rest = after;
            let progress = &settled.progress;
            let run = progress.run;
            // The last run was cut off by the end of the replay (Z39).
            let cut = run.is_some_and(|run| run.end.is_none());
            let kind = if cut { OutcomeKind::Pending } else { settled.kind };
            let pending = kind == OutcomeKind::Pending;
            let at = settled.at.filter(|_| !pending);
            let count = records.len() as u64;
            let never_ran = progress.runs == 0 && is_given_up(kind);
            *waiting -= count;
            hub.backlog[source as usize] -= count;
            hub.levels[source as usize][settled.unit as usize].waiting -= count;
            let figures = &mut one.figures[settled.unit as usize];
            figures.outcomes[kind as usize] += count;
            figures.never_ran += if never_ran { count } else { 0 };
            if let Some(at) = at {
                figures.last_settled = figures.last_settled.max(at);
            }
            totals.outcomes[kind as usize] += count;
            totals.never_ran += if never_ran { count } else { 0 };
            if let Some(run) = run.filter(|_| !cut) {
                for record in records {
                    totals.waits.record(run.start - record.timestamp);
                }
            }
            if S::WANTED {
                let limit = progress.limit.filter(|_| is_given_up(kind));
                for record in records {
                    let rare = hub.rares.of(source, record);
                    sink.outcome(&Outcome {
                        row: record.row,
                        copy: rare.copy,
                        timestamp: record.timestamp,
                        shown: rare.shown,
                        source: Source::event(source),
                        kind,
                        reason: settled.reason.filter(|_| !pending),
                        limit,
                        attempts: progress.attempts,
                        throttles: progress.throttles,
                        errors: progress.errors,
                        conflicts: progress.conflicts,
                        settled: at,
                        run,
                    });
                }
            }
            for record in records {
                hub.rares.forget(record);
            }
        }
        hub.settled.clear();
        hub.records.clear();
    }

    /// A timer of a source is due.
    pub(super) fn source_due<S: Sink>(
        &mut self,
        timer: Timer,
        source: u32,
        unit: u32,
        now: Micros,
        sink: &mut S,
    ) {
        if is_for_records(timer) {
            self.sources.changes -= 1;
        } else {
            self.sources.timers -= 1;
        }
        if timer == Timer::Start {
            self.start_batch(source, unit, now, sink);
        } else {
            self.drive(source, sink, |machine, hub| machine.fire(timer, unit, now, hub));
        }
    }

    /// A batch may start.
    fn start_batch<S: Sink>(&mut self, source: u32, unit: u32, now: Micros, sink: &mut S) {
        let start = self.drive(source, sink, |machine, hub| machine.start(unit, now, hub));
        let Some(start) = start else { return };
        let id = self.sources.list[source as usize].function;
        let function = self.slots[id.index()].function;
        let place = self.sources.batches.add(source, unit);
        let request = self.request_of_batch(source, id, place, &start, now);
        match self.admit(&request, function, now) {
            Ok(admitted) => {
                self.drive(source, sink, |machine, hub| machine.admitted(unit, now, hub));
                self.note_age(source, function, place, &start, now);
                let Sources { hub, batches, .. } = &mut *self.sources;
                let batch = batches.get_mut(place);
                std::mem::swap(&mut batch.keys, &mut hub.state_keys);
                self.launch(request, function, admitted, now, sink);
            }
            Err(refusal) => {
                self.sources.batches.remove(place);
                self.refuse_batch(source, unit, function, refusal, now, sink);
            }
        }
    }

    fn refuse_batch<S: Sink>(
        &mut self,
        source: u32,
        unit: u32,
        function: FunctionId,
        refusal: Refusal,
        now: Micros,
        sink: &mut S,
    ) {
        self.count_throttle(now, function, refusal.limit);
        self.records[function.index()].careful.throttles += 1;
        self.count_waiting(function, refusal.limit);
        let refused = Refused {
            reason: refusal.reason.into(),
            limit: refusal.limit,
            // A batch of its own, although it does not run.
            batch: self.runs_started,
        };
        self.runs_started += 1;
        self.drive(source, sink, |machine, hub| machine.refused(unit, &refused, now, hub));
    }

    /// Age of the iterator of a stream, or of what a batch is measured by (E4.12).
    fn note_age(
        &mut self,
        source: u32,
        function: FunctionId,
        place: u32,
        start: &Start,
        now: Micros,
    ) {
        let Some(newest) = start.newest else { return };
        let config = self.sources.list[source as usize].machine.config();
        if matches!(&config.kind, KindConfig::Stream(stream) if stream.age_at_end) {
            self.sources.batches.get_mut(place).newest = Some(newest);
        } else {
            self.record_age(source, start.unit, function, now - newest, now);
        }
    }

    fn record_age(
        &mut self,
        source: u32,
        unit: u32,
        function: FunctionId,
        age: Micros,
        now: Micros,
    ) {
        let extra = self.extras.at(function, now);
        extra.iterator_ages += 1;
        extra.iterator_age_sum = extra.iterator_age_sum.plus(age);
        extra.iterator_age_max = extra.iterator_age_max.max(age);
        let minute = self.sources.hub.minutes.at(source, now);
        minute.iterator_ages += 1;
        minute.iterator_age_max = minute.iterator_age_max.max(age);
        self.sources.list[source as usize].figures[unit as usize].ages.record(age);
        self.records[function.index()].careful.iterator_ages.record(age);
    }

    /// A batch as a request: whose luck its draws are is its first record's.
    fn request_of_batch(
        &self,
        source: u32,
        id: FunctionId,
        batch: u32,
        start: &Start,
        now: Micros,
    ) -> Request {
        let Sources { list, .. } = &*self.sources;
        let shard = u64::from(list[source as usize].first_unit + start.unit);
        let order = shard << crate::sources::hub::SEQUENCE_BITS
            | u64::from(start.sequence) & ((1 << crate::sources::hub::SEQUENCE_BITS) - 1);
        let rare = &start.rare;
        Request {
            row: start.row,
            copy: rare.copy,
            number: batch_number(order),
            timestamp: now,
            id,
            shown: rare.shown,
            source: Source::event(source),
            duration: start.duration,
            extension: start.extension,
            init: rare.init,
            memory_mb: rare.memory_mb,
            error: start.error,
            error_runs: u32::MAX,
            payload: 0,
            state_key: NO_KEY,
            reads: false,
            who: rare.who,
            batch,
            progress: Progress { attempts: start.attempts, ..Progress::default() },
        }
    }

    /// The end of a batch's run is known: its answer comes then.
    pub(super) fn await_answer(&mut self, request: Request, end: &End) {
        let place = request.batch;
        let order = order_of_answer(request.number, request.progress.attempts);
        let batch = self.sources.batches.get_mut(place);
        batch.request = Some(request);
        batch.error = end.error;
        batch.overrun = end.overrun;
        self.calendar.push(end.answer, order, Event::BatchAnswer { batch: place });
    }

    /// The run of a batch answers.
    pub(super) fn batch_answered<S: Sink>(&mut self, place: u32, now: Micros, sink: &mut S) {
        let batch = self.sources.batches.get(place);
        let (source, unit, newest) = (batch.source, batch.unit, batch.newest);
        let request = batch.request.as_ref().expect("its end is known");
        let run = request.progress.run.expect("it runs");
        let (error, overrun) = (batch.error, batch.overrun);
        let answer = Answer { error, overrun, run, conflicts: request.progress.conflicts };
        let function = self.slots[request.id.index()].function;
        self.sources.batches.remove(place);
        if let Some(newest) = newest {
            let unit = self.sources.list[source as usize].machine.figures_of(unit);
            self.record_age(source, unit, function, now - newest, now);
            self.mark(function, now);
        }
        self.drive(source, sink, |machine, hub| machine.answered(unit, &answer, now, hub));
    }

    /// A row of an event source.
    pub(super) fn arrive_record<S: Sink>(
        &mut self,
        place: usize,
        source: u32,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        let Some(Come { row, now, late }) = self.come_to(place, columns, sink) else { return };
        let (record, shard) = self.record_of(place, source, row, now, columns);
        if self.account.load > 1.0 {
            self.copy_record(source, &record, shard, now, sink);
        }
        if late {
            self.leave_out_record(source, record, shard, sink);
        } else {
            self.land(source, record, shard, now, sink);
        }
    }

    /// Checks that rows name sources and shards that there are.
    pub(super) fn check_sources(&self, batch: &crate::batch::Batch<'_>) -> Result<(), Error> {
        let extras = batch.extras.unwrap_or_default();
        let Some(sources) = extras.event_sources else { return Ok(()) };
        for (place, source) in sources.iter().enumerate().filter(|(_, one)| **one != NO_SOURCE) {
            let row = self.rows_fed + place as u64;
            let Some(one) = self.sources.list.get(*source as usize) else {
                return Err(Error::Value { row, column: "source", value: f64::from(*source) });
            };
            if let Some(shards) = extras.shards
                && shards[place] != NO_SOURCE
                && shards[place] >= one.units
                && !matches!(one.machine, Machine::Queue(_))
            {
                let value = f64::from(shards[place]);
                return Err(Error::Value { row, column: "shard", value });
            }
        }
        Ok(())
    }

    /// Takes in the rows of a batch from `start` on.
    pub(super) fn arrive_all_carefully<S: Sink>(
        &mut self,
        start: usize,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        let rows = columns.batch.len();
        for first in (start..rows).step_by(AHEAD) {
            let places = first..rows.min(first + AHEAD);
            self.look_ahead(places.clone(), columns);
            for place in places {
                self.arrive_carefully(place, columns, sink);
            }
        }
    }

    /// Records of a thousand shards that land one after the other wait for memory each time.
    /// Looked at together before, they wait once.
    fn look_ahead(&self, places: std::ops::Range<usize>, columns: Columns<'_>) {
        let Some(extras) = columns.batch.extras else { return };
        let (Some(sources), Some(keys), None) = (extras.event_sources, extras.keys, extras.shards)
        else {
            return;
        };
        let mut seen = 0;
        for (source, key) in sources[places.clone()].iter().zip(&keys[places]) {
            if let Some(EventSource { machine: Machine::Stream(stream), .. }) =
                self.sources.list.get(*source as usize)
            {
                seen ^= stream.look_ahead(*key, &self.sources.hub);
            }
        }
        std::hint::black_box(seen);
    }

    /// A record reaches its source.
    fn land<S: Sink>(
        &mut self,
        source: u32,
        record: Record,
        shard: Option<u32>,
        now: Micros,
        sink: &mut S,
    ) {
        let id = self.sources.list[source as usize].function;
        let function = self.slots[id.index()].function;
        if !self.records[function.index()].seen {
            self.take_units(function, now);
        }
        self.sources.waiting += 1;
        let Sources { list, hub, .. } = &mut *self.sources;
        let one = &mut list[source as usize];
        let Machine::Stream(stream) = &mut one.machine else {
            self.drive(source, sink, |machine, hub| machine.land(record, shard, now, hub));
            return;
        };
        // Most records go this way: a stream touches no figures when one lands.
        (hub.source, hub.first_unit, hub.units) = (source, one.first_unit, one.units);
        stream.land(record, shard, now, hub);
        if !hub.timers.is_empty() {
            self.set_timers();
        }
    }

    /// Makes the copies of a record that `load` asks for; each arrives later (Z38).
    fn copy_record<S: Sink>(
        &mut self,
        source: u32,
        record: &Record,
        shard: Option<u32>,
        now: Micros,
        sink: &mut S,
    ) {
        let rare = self.sources.hub.rares.of(source, record);
        let draw = Draw { who: rare.who, copy: 0, attempt: 0 };
        for (copy, at) in self.copies(draw, now) {
            let kept = self.sources.hub.rares.keep(Rare { copy, ..rare });
            let copied = record.copied(at, kept);
            if self.account.until.is_some_and(|until| at >= until) {
                self.leave_out_record(source, copied, shard, sink);
                continue;
            }
            let landing = (source, shard.unwrap_or(u32::MAX), copied);
            let place = if let Some(place) = self.sources.free_landings.pop() {
                self.sources.landings[place as usize] = landing;
                place
            } else {
                self.sources.landings.push(landing);
                u32::try_from(self.sources.landings.len() - 1).expect("fewer than 2^32 wait")
            };
            let event = Event::Landing { landing: place };
            self.calendar.push(at, order_of_arrival(record.row, copy), event);
        }
    }

    /// A copy of a record arrives.
    pub(super) fn landing<S: Sink>(&mut self, place: u32, now: Micros, sink: &mut S) {
        let (source, shard, record) = self.sources.landings[place as usize];
        self.sources.free_landings.push(place);
        let shard = (shard != u32::MAX).then_some(shard);
        self.land(source, record, shard, now, sink);
    }

    /// A record that arrives after the end of the replay (Z39).
    fn leave_out_record<S: Sink>(
        &mut self,
        source: u32,
        record: Record,
        shard: Option<u32>,
        sink: &mut S,
    ) {
        self.sources.waiting += 1;
        self.drive(source, sink, |machine, hub| {
            let unit = machine.unit_for(&record, shard, hub);
            hub.backlog[hub.source as usize] += 1;
            hub.level(unit).waiting += 1;
            hub.count_key(unit, &record);
            hub.settle(unit, &[record], OutcomeKind::Pending, None, None, &Progress::default());
        });
    }

    /// A row of the trace as a record.
    #[inline]
    fn record_of(
        &mut self,
        place: usize,
        source: u32,
        row: u64,
        now: Micros,
        columns: Columns<'_>,
    ) -> (Record, Option<u32>) {
        let batch = columns.batch;
        let extras = batch.extras.unwrap_or_default();
        let failure = match extras.errors.map_or(0, |errors| errors[place]) {
            0 => None,
            1 => Some(Failure::Handled),
            2 => Some(Failure::Crash),
            _ => Some(Failure::Item),
        };
        let mut record = Record::new(row, now, Micros(columns.checked.durations[place]))
            .sized(extras.payloads.map_or(0, |payloads| payloads[place]))
            .failing(failure)
            .filtered(extras.filtered.is_some_and(|filtered| filtered[place] == 1));
        record.key = extras.keys.map_or(NO_KEY, |keys| keys[place]);
        let shard = extras.shards.map(|shards| shards[place]).filter(|shard| *shard != NO_SOURCE);
        let usual = self.sources.hub.rares.usual(source, row);
        let shown = columns.shown(place);
        if usual.shown == u32::MAX {
            self.sources.hub.rares.set_shown(source, shown);
        }
        let rare = Rare {
            copy: 0,
            shown,
            error_runs: extras.error_runs.map_or(u32::MAX, |runs| runs[place]),
            extension: extras
                .extensions
                .map_or(Micros::ZERO, |spans| spans.get(place))
                .min(record.duration),
            init: columns.checked.init(place),
            memory_mb: batch.memory.map_or(0, |memory| memory[place]),
            state_key: extras.state_keys.map_or(NO_KEY, |keys| keys[place]),
            reads: extras.reads.is_some_and(|reads| reads[place] == 1),
            who: columns.identity(place),
        };
        let common = rare.who == usual.who
            && (usual.shown == u32::MAX || usual.shown == shown)
            && (failure.is_none() || rare.error_runs == u32::MAX)
            && rare.extension == Micros::ZERO
            && rare.init.is_none()
            && rare.memory_mb == 0
            && rare.state_key == NO_KEY;
        record.rare = if common { COMMON } else { self.sources.hub.rares.keep(rare) };
        (record, shard)
    }

    /// The replay ends while batches run (Z39).
    pub(super) fn cut_batches<S: Sink>(&mut self, sink: &mut S) {
        for place in 0..self.sources.batches.list.len() {
            let batch = &self.sources.batches.list[place];
            let run = batch.request.as_ref().and_then(|request| request.progress.run);
            let Some(run) = run.filter(|_| batch.running) else { continue };
            let (source, unit) = (batch.source, batch.unit);
            let run = Run { end: None, lock_wait: Micros::ZERO, billed_ms: 0, ..run };
            self.drive(source, sink, |machine, hub| machine.cut(unit, &run, hub));
        }
    }

    /// The replay ends: what waits in the sources still is settled.
    pub(super) fn finish_sources<S: Sink>(&mut self, until: Option<Micros>, sink: &mut S) {
        if !self.sources.opened {
            return;
        }
        let now = until.or(self.extent().last_release).unwrap_or(Micros::ZERO);
        for source in 0..u32::try_from(self.sources.len()).expect("fewer than 2^32") {
            self.drive(source, sink, |machine, hub| machine.finish(until, now, hub));
        }
        assert!(self.sources.waiting == 0, "every record has an outcome");
    }

    /// Takes what was counted of sources by minute, if it is much or if `all` is wanted.
    pub fn take_source_minutes(&mut self, all: bool) -> Vec<SourceRow> {
        let minutes = &mut self.sources.hub.minutes;
        if all || minutes.len() >= MUCH { minutes.take() } else { Vec::new() }
    }

    /// What each shard, partition, group or queue came to. Complete once the replay is finished.
    pub fn source_units(&self) -> Vec<UnitRow> {
        let units = self.sources.units() as usize;
        let busiest = self.sources.hub.key_counts.busiest(units, &self.sources.hub.keys);
        let mut rows = Vec::new();
        for (source, one) in (0..).zip(&self.sources.list) {
            for (unit, figures) in (0..).zip(&one.figures) {
                let own = (one.first_unit + unit) as usize;
                let busiest = if unit < one.units { busiest[own] } else { None };
                let levels = &self.sources.hub.levels[source as usize];
                let level = levels.get(unit as usize).copied().unwrap_or_default();
                rows.push(UnitRow { source, unit, figures: figures.clone(), level, busiest });
            }
        }
        rows
    }
}

/// Whether a timer only matters to records that wait: without any, the replay does not go on for
/// it.
const fn is_for_records(timer: Timer) -> bool {
    !matches!(timer, Timer::Start | Timer::Other)
}

/// Whether a record has ended without success.
const fn is_given_up(kind: OutcomeKind) -> bool {
    matches!(kind, OutcomeKind::Expired | OutcomeKind::Discarded)
}
