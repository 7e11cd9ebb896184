//! Synchronous callers: what they hold back (F4.2, mode `adaptive`), and rows whose runs go on
//! after the client has stopped waiting for them (Z28).

use std::collections::VecDeque;

use crate::engine::event::{Event, order_of_retry};
use crate::engine::replay::Replay;
use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::model::limiter::RateLimiter;
use crate::outcome::{OutcomeKind, Reason, Run, Sink, Source};
use crate::request::{Progress, Request};
use crate::time::Micros;

/// The client of a function's callers: one for all of them, first come first served.
#[derive(Debug)]
pub(super) struct Sender {
    limiter: RateLimiter,
    /// Places of requests that wait for a token.
    waiting: VecDeque<u32>,
    /// Number and attempts of the first of them: its place among retries.
    first: (u64, u32),
    /// When it is sent as things stand; other events are overtaken.
    due: Micros,
}

/// What is known of rows with several runs under way at once, by ticket; tickets are reused.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    tickets: Vec<Ticket>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    /// Runs under way whose end is not known.
    open: u32,
    errors: u32,
    /// The last run, and the attempt that it is of.
    last: Option<Run>,
    conflicts: u32,
    attempt: u32,
    decided: Option<Decided>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) request: Request,
    pub(super) kind: OutcomeKind,
    pub(super) reason: Option<Reason>,
    pub(super) limit: Option<Limit>,
    pub(super) settled: Option<Micros>,
}

impl Tickets {
    /// A run begins whose end is not known, and which its client may not wait for.
    pub(super) fn open(&mut self, progress: &mut Progress) {
        let ticket = progress.ticket.unwrap_or_else(|| {
            let new = Ticket { errors: progress.errors, ..Ticket::default() };
            if let Some(ticket) = self.free.pop() {
                self.tickets[ticket as usize] = new;
                return ticket;
            }
            self.tickets.push(new);
            u32::try_from(self.tickets.len() - 1).expect("fewer than 2^32 rows are on their way")
        });
        progress.ticket = Some(ticket);
        self.tickets[ticket as usize].open += 1;
    }

    /// The end of a run is known.
    pub(super) fn note(&mut self, progress: &Progress, failed: bool) {
        let Some(ticket) = progress.ticket else { return };
        let ticket = &mut self.tickets[ticket as usize];
        ticket.errors += u32::from(failed);
        if progress.attempts >= ticket.attempt {
            ticket.attempt = progress.attempts;
            ticket.last = progress.run;
            ticket.conflicts = progress.conflicts;
        }
    }

    /// Nothing more is to come of one of its runs.
    pub(super) fn close_run(&mut self, ticket: u32) {
        self.tickets[ticket as usize].open -= 1;
    }

    /// What became of the row.
    pub(super) fn decide(&mut self, ticket: u32, decided: Decided) {
        self.tickets[ticket as usize].decided = Some(decided);
    }

    /// Takes what became of a row, once all its runs have ended.
    fn take(&mut self, ticket: u32) -> Option<Decided> {
        let kept = &mut self.tickets[ticket as usize];
        let mut decided = kept.decided.filter(|_| kept.open == 0)?;
        let progress = &mut decided.request.progress;
        progress.ticket = None;
        progress.errors = kept.errors;
        progress.run = kept.last;
        progress.conflicts = kept.conflicts;
        *kept = Ticket::default();
        self.free.push(ticket);
        Some(decided)
    }
}

impl Replay {
    /// How long the client of a request waits for an answer (Z28).
    pub(super) fn patience(&self, request: &Request, function: FunctionId) -> Option<Micros> {
        let client = self.records[function.index()].config.client?;
        client.read_timeout.filter(|_| request.source == Source::Sync)
    }

    /// Whether the client of a request keeps it for now; then it is sent later.
    pub(super) fn holds_back(
        &mut self,
        request: &mut Request,
        function: FunctionId,
        now: Micros,
    ) -> bool {
        let record = &mut self.records[function.index()];
        request.progress.limited = record.config.client.is_some_and(|client| client.adaptive);
        if !request.progress.limited {
            return false;
        }
        let sender = record.sender.get_or_insert_with(|| {
            Box::new(Sender {
                limiter: RateLimiter::new(now),
                waiting: VecDeque::new(),
                first: (0, 0),
                due: Micros::MAX,
            })
        });
        if sender.waiting.is_empty() && sender.limiter.take(now) {
            return false;
        }
        sender.waiting.push_back(self.parking.park(request));
        if sender.waiting.len() == 1 {
            sender.first = (request.number, request.progress.attempts);
            self.plan_sending(function, now);
        }
        true
    }

    /// Finds out when the first of the requests held back is sent.
    fn plan_sending(&mut self, function: FunctionId, now: Micros) {
        let Some(sender) = &mut self.records[function.index()].sender else { return };
        if sender.waiting.is_empty() {
            sender.due = Micros::MAX;
            return;
        }
        let (due, (number, attempts)) = (sender.limiter.next(now), sender.first);
        if due != sender.due {
            sender.due = due;
            self.calendar.push(due, order_of_retry(number, attempts), Event::Send { function });
        }
    }

    /// The first of the requests held back is sent.
    pub(super) fn send<S: Sink>(&mut self, function: FunctionId, now: Micros, sink: &mut S) {
        let Some(sender) = &mut self.records[function.index()].sender else { return };
        if sender.due != now || !sender.limiter.take(now) {
            return;
        }
        let place = sender.waiting.pop_front().expect("one waits for its instant");
        sender.due = Micros::MAX;
        let next = sender.waiting.front().copied();
        let mut request = self.parking.take(place);
        if let Some(next) = next {
            let first = self.parking.order(next);
            let sender = self.records[function.index()].sender.as_mut().expect("it is there");
            sender.first = first;
            self.plan_sending(function, now);
        }
        request.progress.limited = true;
        self.try_to_run(request, function, now, sink);
    }

    /// A client hears of a request that went through its limiter.
    pub(super) fn answered(&mut self, function: FunctionId, throttled: bool, now: Micros) {
        if let Some(sender) = &mut self.records[function.index()].sender {
            sender.limiter.answered(throttled, now);
            self.plan_sending(function, now);
        }
    }

    /// The client of a run with a record has waited for as long as it would; the run goes on.
    pub(super) fn lose_patience<S: Sink>(&mut self, place: u32, now: Micros, sink: &mut S) {
        let Some(run) = self.runs.get(place) else { return };
        if run.patience != Some(now) {
            return;
        }
        run.patience = None;
        run.abandoned = true;
        let request = run.request;
        self.unanswered(request, now, sink);
    }

    /// Writes a row down where nothing more can come of it.
    pub(super) fn close_ticket<S: Sink>(&mut self, ticket: u32, sink: &mut S) {
        if let Some(decided) = self.tickets.take(ticket) {
            let Decided { request, kind, reason, limit, settled } = decided;
            self.end_row(&request, kind, reason, limit, settled, sink);
        }
    }
}
