//! Provisioned pools, and configuration that changes while the trace runs.

use crate::config::{Provision, Scaling};
use crate::engine::event::{
    Event, order_of_look, order_of_provisioned_timer, order_of_ready, order_of_schedule,
};
use crate::engine::replay::{Replay, storage_mb};
use crate::ids::{EnvironmentId, FunctionId};
use crate::model::environments::Pool;
use crate::model::provisioned::{ProvisionedPool, Released, Requested, Tracking};
use crate::model::rates::RequestWindow;
use crate::model::scaling::ScalingRate;
use crate::model::state_keys::KeyStatistics;
use crate::rng::{Draw, Identity, Purpose};
use crate::time::Micros;

/// A provisioned pool: its numbers, its idle environments, its configuration.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(super) struct Service {
    /// The function that it belongs to.
    pub(super) function: FunctionId,
    /// Name of the rows that it serves: of the function, or of one of its versions.
    name: String,
    /// Whether it serves all versions.
    whole: bool,
    /// Whether the configuration has it still.
    active: bool,
    pub(super) pool: ProvisionedPool,
    pub(super) idle: Pool,
    pub(super) window: RequestWindow,
    provision: Provision,
    /// Environments created so far: the next one's number within the pool.
    made: u64,
    timer_at: Micros,
    looks: bool,
}

impl Replay {
    /// Finds the provisioned pool that serves a version.
    pub(super) fn find_service(&mut self, id: FunctionId) {
        let function = self.slots[id.index()].function;
        let name = &self.records[id.index()].name;
        let serves = |service: &Service| {
            service.function == function && (service.whole || service.name == *name)
        };
        let active = |service: &Service| service.active && serves(service);
        // One that the configuration has no more serves nobody, though some may be busy (Z22).
        let found = self.services.iter().position(active);
        self.records[id.index()].service =
            found.map(|place| u32::try_from(place).expect("fewer than 2^32 pools"));
    }

    fn find_services_of(&mut self, function: FunctionId) {
        for number in 0..u32::try_from(self.slots.len()).expect("fewer than 2^32") {
            if self.slots[number as usize].function == function {
                self.find_service(FunctionId(number));
            }
        }
    }

    /// A function takes the units that are reserved or provisioned for it: at the start where the
    /// scenario names it, else with its first row (Z20).
    pub(super) fn take_units(&mut self, function: FunctionId, now: Micros) {
        let function = self.slots[function.index()].function;
        let record = &mut self.records[function.index()];
        if record.seen {
            return;
        }
        record.seen = true;
        self.configure(function, now, true);
    }

    /// Brings the ledger and the provisioned pools in line with a function's settings.
    pub(super) fn configure(&mut self, function: FunctionId, now: Micros, at_once: bool) {
        let record = &self.records[function.index()];
        let (config, seen) = (&record.config, record.seen);
        let reserved = config.reserved.filter(|_| seen || config.reserved_by_name);
        let (name, mut provisioned) = (record.name.clone(), config.provisioned.clone());
        if !(seen || config.provisioned_by_name) {
            provisioned.clear();
        }
        if reserved != self.ledger.reserved(function) {
            let in_flight = self.slots[function.index()].levels.busy;
            self.ledger.set_reserved(function, reserved, in_flight);
        }
        // Unset by change: gone (Z20).
        for place in 0..self.services.len() {
            let service = &self.services[place];
            let wanted = |provision: &Provision| name_of(&name, provision) == service.name;
            if service.function == function && !provisioned.iter().any(wanted) {
                self.services[place].provision =
                    Provision { qualifier: None, initial: 0, tracking: None, schedule: Vec::new() };
                self.services[place].pool.track(None);
                self.services[place].active = false;
                self.resize(place, 0, now);
            }
        }
        for provision in provisioned {
            let pool_name = name_of(&name, &provision);
            let found = self
                .services
                .iter()
                .position(|one| one.function == function && one.name == pool_name);
            let place = found.unwrap_or_else(|| {
                self.services.push(Service {
                    function,
                    name: pool_name,
                    whole: provision.qualifier.is_none(),
                    active: true,
                    pool: ProvisionedPool::new(now),
                    idle: Pool::default(),
                    window: RequestWindow::default(),
                    provision: Provision { initial: 0, tracking: None, ..provision.clone() },
                    made: 0,
                    timer_at: Micros::MAX,
                    looks: false,
                });
                self.services.len() - 1
            });
            let number = u32::try_from(place).expect("fewer than 2^32 pools");
            let service = &mut self.services[place];
            service.active = true;
            let before = std::mem::replace(&mut service.provision, provision.clone());
            if before.tracking != provision.tracking {
                service.pool.track(provision.tracking.map(|it| Tracking {
                    target_num: it.target_num,
                    target_den: it.target_den,
                    min: it.min,
                    max: it.max,
                }));
            }
            if found.is_none() || before.schedule != provision.schedule {
                let past = provision.schedule.partition_point(|(at, ..)| *at < now);
                self.schedule_next(number, u32::try_from(past).expect("fewer than 2^32"));
            }
            let service = &mut self.services[place];
            if before.initial != provision.initial {
                if at_once && service.pool.claimed() == 0 {
                    // Configuration that was there before: READY at once (Q35).
                    service.pool.ready_at_once(provision.initial, now);
                    self.claim_provisioned(function);
                    self.add_ready(place, provision.initial, now);
                } else {
                    self.resize(place, provision.initial, now);
                }
            }
        }
        self.find_services_of(function);
        self.claim_provisioned(function);
        self.gauge_region(now);
    }

    /// Tells the ledger what the pools of a function claim.
    fn claim_provisioned(&mut self, function: FunctionId) {
        let own = self.services.iter().filter(|service| service.function == function);
        let claimed: u32 = own.map(|service| service.pool.claimed()).sum();
        let in_flight = self.slots[function.index()].levels.busy;
        self.ledger.set_provisioned(function, claimed, in_flight);
    }

    /// Asks for another number of provisioned environments.
    fn resize(&mut self, place: usize, size: u32, now: Micros) {
        let number = u32::try_from(place).expect("fewer than 2^32 pools");
        let service = &mut self.services[place];
        let function = service.function;
        match service.pool.request(size, now) {
            Requested::Raise { ready_at } => {
                let event = Event::Ready { pool: number };
                self.calendar.push(ready_at, order_of_ready(number), event);
            }
            Requested::Lower { idle } => {
                for _ in 0..idle {
                    let gone = self.services[place].idle.take_longest_idle();
                    self.environments.remove(gone.expect("as many as are idle"));
                }
                self.provisioned_gone(function, idle);
            }
        }
        self.claim_provisioned(function);
        self.gauge_region(now);
    }

    fn provisioned_gone(&mut self, function: FunctionId, gone: u32) {
        self.records[function.index()].provisioned_alive -= gone;
        self.touch(function).levels.alive -= gone;
    }

    /// Provisioned environments become READY.
    pub(super) fn on_ready(&mut self, place: u32, now: Micros) {
        let place = place as usize;
        let created = self.services[place].pool.on_ready(now);
        if created > 0 {
            self.add_ready(place, created, now);
        }
    }

    fn add_ready(&mut self, place: usize, created: u32, now: Micros) {
        for _ in 0..created {
            let environment = self.create_provisioned(place, now);
            self.services[place].idle.add(environment, now);
        }
        let function = self.services[place].function;
        self.records[function.index()].provisioned_alive += created;
        self.touch(function).levels.alive += created;
        // At the first instant of a minute it counts in the minute that opens.
        if now < self.minute_end {
            let slot = self.touch(function);
            slot.meter.gauge(slot.levels);
        }
        self.gauge_region(now);
        self.set_provisioned_timer(place, now);
    }

    fn create_provisioned(&mut self, place: usize, now: Micros) -> EnvironmentId {
        let service = &mut self.services[place];
        let who = Identity { low: service.made, high: fnv1a(&service.name) };
        service.made += 1;
        let draw = Draw { who, copy: 0, attempt: 0 };
        let retires_at = self.account.max_lifetime.map_or(Micros::MAX, |span| {
            now + self.luck.uniform(Purpose::ProvisionedLifetime, draw, span)
        });
        let owner = u32::try_from(place).expect("fewer than 2^32 pools");
        let environment = self.environments.create(owner, retires_at);
        self.environments.get_mut(environment).provisioned = true;
        environment
    }

    fn set_provisioned_timer(&mut self, place: usize, now: Micros) {
        if !self.ages {
            return;
        }
        let number = u32::try_from(place).expect("fewer than 2^32 pools");
        let service = &mut self.services[place];
        let (_, next) = service.idle.retiring(now, &self.environments);
        if let Some(next) = next.filter(|next| *next < service.timer_at) {
            service.timer_at = next;
            let event = Event::ProvisionedTimer { pool: number };
            self.calendar.push(next, order_of_provisioned_timer(number), event);
        }
    }

    /// Idle provisioned environments whose lifetime is over are replaced without a gap (Z5).
    pub(super) fn on_provisioned_timer(&mut self, place: u32, now: Micros) {
        let place = place as usize;
        if self.services[place].timer_at != now {
            return;
        }
        self.services[place].timer_at = Micros::MAX;
        let (mut due, _) = self.services[place].idle.retiring(now, &self.environments);
        due.sort_by_key(|old| self.environments.get(*old).number);
        for old in due {
            let new = self.create_provisioned(place, now);
            self.services[place].pool.recycled();
            self.services[place].idle.replace(old, new);
            self.environments.remove(old);
        }
        self.set_provisioned_timer(place, now);
    }

    /// A run takes a provisioned environment.
    pub(super) fn start_provisioned(&mut self, place: u32, now: Micros) {
        let service = &mut self.services[place as usize];
        service.pool.start(now);
        if service.provision.tracking.is_some() && !service.looks {
            service.looks = true;
            let end = now.floor_to(Micros::MINUTE) + Micros::MINUTE;
            self.calendar.push(end, order_of_look(place), Event::Look { pool: place });
        }
    }

    /// A provisioned environment is free again.
    pub(super) fn release_provisioned(&mut self, environment: EnvironmentId, now: Micros) {
        let record = *self.environments.get(environment);
        let place = record.owner as usize;
        let function = self.services[place].function;
        self.ledger.release_provisioned(function);
        self.provisioned_busy -= 1;
        self.slots[function.index()].levels.provisioned -= 1;
        match self.services[place].pool.release(now) {
            Released::Gone => {
                self.environments.remove(environment);
                self.provisioned_gone(function, 1);
            }
            Released::Kept => {
                let replaced =
                    record.retires_at <= now || (record.resets && self.account.destroy_on_reset);
                if replaced {
                    let new = self.create_provisioned(place, now);
                    self.services[place].pool.recycled();
                    self.services[place].idle.add(new, now);
                    self.environments.remove(environment);
                } else {
                    let kept = self.environments.get_mut(environment);
                    kept.needs_init |= kept.resets;
                    kept.resets = false;
                    self.services[place].idle.add(environment, now);
                }
                self.set_provisioned_timer(place, now);
            }
        }
        self.claim_provisioned(function);
    }

    /// Target tracking looks at the minute that ends (Z25).
    pub(super) fn look(&mut self, place: u32, now: Micros) {
        let service = &mut self.services[place as usize];
        let wanted = service.pool.look(now);
        // A minute without a value is seen too, since it starts the count anew; after one nothing
        // is left to look at until it is used again.
        let active = service.pool.has_value() || service.pool.busy() > 0;
        service.looks = active && service.provision.tracking.is_some();
        if service.looks {
            let event = Event::Look { pool: place };
            self.calendar.push(now + Micros::MINUTE, order_of_look(place), event);
        }
        if let Some(size) = wanted {
            self.resize(place as usize, size, now);
        }
    }

    /// Waits for an entry of a schedule; those after it follow.
    fn schedule_next(&mut self, place: u32, entry: u32) {
        let schedule = &self.services[place as usize].provision.schedule;
        if let Some((at, ..)) = schedule.get(entry as usize) {
            let event = Event::Schedule { pool: place, entry };
            self.calendar.push(*at, order_of_schedule(place, entry), event);
        }
    }

    /// A scheduled action sets the bounds of a pool (Z25).
    pub(super) fn on_schedule(&mut self, place: u32, entry: u32, now: Micros) {
        let service = &mut self.services[place as usize];
        let Some((at, min, max)) = service.provision.schedule.get(entry as usize).copied() else {
            return;
        };
        if at != now {
            return;
        }
        self.schedule_next(place, entry + 1);
        let service = &mut self.services[place as usize];
        if let Some(size) = service.pool.schedule(min, max) {
            self.resize(place as usize, size, now);
        }
    }

    /// The configuration changes: an epoch begins.
    pub(super) fn change(&mut self, epoch: u32, now: Micros) {
        self.epoch = epoch;
        self.limits = self.account.epochs[epoch as usize];
        self.ledger.set_limit(self.limits.concurrency);
        self.account.reuse = self.limits.reuse;
        self.account.destroy_on_reset = self.limits.destroy_on_reset;
        self.account.proactive_fraction = self.limits.proactive_fraction;
        self.account.queue = self.limits.queue;
        for number in 0..u32::try_from(self.slots.len()).expect("fewer than 2^32") {
            let id = FunctionId(number);
            let record = &mut self.records[id.index()];
            let mut changed = None;
            while record.later.front().is_some_and(|(from, _)| *from <= epoch) {
                let (_, config) = record.later.pop_front().expect("it is there");
                changed.get_or_insert_with(|| record.config.clone());
                record.config = config;
            }
            let Some(before) = changed else { continue };
            let after = &self.records[id.index()].config;
            let shape = |config: &crate::config::FunctionConfig| {
                (config.memory_mb(0), config.timeout, config.arm, config.ephemeral_mb)
            };
            if shape(&before) != shape(after) {
                self.make_obsolete(id);
            }
            let function = self.slots[id.index()].function;
            if function == id {
                self.configure(function, now, false);
            }
        }
        self.gauge_region(now);
    }

    /// Environments of a version go: idle ones at once, busy ones at their release (Z8).
    fn make_obsolete(&mut self, id: FunctionId) {
        let gone = self.slots[id.index()].pool.clear(&mut self.environments);
        let function = self.slots[id.index()].function;
        self.touch(function).levels.alive -= gone;
        self.environments.make_obsolete(id.0);
    }

    /// Something other than a start has changed how the Region stands. A gauge is what holds after
    /// all that ends at an instant, so it is read later.
    pub(super) fn gauge_region(&mut self, now: Micros) {
        // What changes at the first instant of a minute stands when that opens.
        if now < self.minute_end {
            self.gauge_at = Some(now);
        }
    }

    /// Reads the gauges of an instant that is over, or whose ends are.
    pub(super) fn read_gauges(&mut self) {
        if self.gauge_at.take().is_some() {
            let levels = self.region_levels();
            self.region.gauge(levels);
        }
    }

    /// The scaling rate of the moment.
    pub(super) fn scaling_rate(&self) -> Option<(ScalingRate, Scaling)> {
        let scaling = self.limits.scaling?;
        let rate = ScalingRate {
            mode: self.account.scaling_mode,
            capacity: scaling.capacity,
            refill_tokens: scaling.refill_tokens,
            refill_per: scaling.refill_per,
            step: scaling.step,
        };
        Some((rate, scaling))
    }

    /// What each provisioned pool came to.
    pub fn provisioned_pools(&self) -> Vec<PoolTotals> {
        let extent = self.extent();
        if extent.first.is_none() {
            return Vec::new();
        }
        let end = extent.last_release.unwrap_or(Micros::ZERO);
        let from = extent.first.unwrap_or(end);
        self.services
            .iter()
            .map(|service| {
                let (busy, ready) = service.pool.utilisation(from, end);
                let config = &self.records[service.function.index()].config;
                PoolTotals {
                    function: service.function,
                    name: service.name.clone(),
                    utilisation: if ready > 0 { busy as f64 / ready as f64 } else { 0.0 },
                    busy_us: busy,
                    ready_us: ready,
                    billed_us: service.pool.billed(end),
                    inits: service.pool.inits(),
                    init: config.restore.unwrap_or(config.init),
                    memory_mb: config.memory_mb(0),
                    storage_mb: storage_mb(config),
                    arm: config.arm,
                    seen: self.slots[service.function.index()].meter.minute()
                        != crate::metrics::Minute::NONE,
                }
            })
            .collect()
    }
}

impl Replay {
    /// The hottest shared records: their function where keys are a function's own, and the key.
    pub fn hottest_keys(&self, count: usize) -> Vec<(Option<FunctionId>, u32, KeyStatistics)> {
        let named = |(number, statistics)| match self.runs.owner(number) {
            Some((function, key)) => (Some(FunctionId(function)), key, statistics),
            None => (None, number, statistics),
        };
        self.keys.top(count).into_iter().map(named).collect()
    }

    /// What all shared records together came to.
    pub fn shared_state(&self) -> SharedState {
        let end = self.extent().last_release.unwrap_or(Micros::ZERO);
        SharedState {
            keys: self.keys.total(),
            blocked_us: self.keys.blocked(end),
            most_blocked: self.keys.most_blocked(),
            throttles: self.throttles_by_waiting,
        }
    }
}

/// What all shared records together came to.
#[derive(Clone, Copy, Debug)]
pub struct SharedState {
    /// Sums over the records; of the longest ones the longest.
    pub keys: KeyStatistics,
    /// Units held by runs that waited × time.
    pub blocked_us: i128,
    /// Most such units at once.
    pub most_blocked: u32,
    /// Throttles while such units were held in the same scope (Z35).
    pub throttles: u64,
}

/// What a provisioned pool came to.
#[derive(Clone, Debug)]
pub struct PoolTotals {
    /// Its function.
    pub function: FunctionId,
    /// Its name.
    pub name: String,
    /// Mean of busy over READY, over time.
    pub utilisation: f64,
    /// Time spent busy, all environments.
    pub busy_us: i128,
    /// Time spent READY, all environments.
    pub ready_us: i128,
    /// Environments × time that is billed (Z41).
    pub billed_us: i128,
    /// Inits that are billed (Z24).
    pub inits: u64,
    /// Length of each.
    pub init: Micros,
    /// Memory at the end of the replay.
    pub memory_mb: u32,
    /// Ephemeral storage that is charged.
    pub storage_mb: u64,
    /// Architecture at the end of the replay.
    pub arm: bool,
    /// Whether the function had a row.
    pub seen: bool,
}

/// Name of the rows that a pool serves.
fn name_of(function: &str, provision: &Provision) -> String {
    match &provision.qualifier {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function.to_owned(),
    }
}

/// FNV-1a, 64 bits, of the UTF-8.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
