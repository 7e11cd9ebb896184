"""How a run goes: init, waiting for its key, handler, answer, extension, release.

Owns the instants of a run and what it is billed.
"""

import math

from reference.admission import Admission, Place
from reference.entities import Request, Run
from reference.settings import Fault
from reference.trace import Row


class Runs(Admission):
    """Lets runs begin and end."""

    # ---- begin -----------------------------------------------------------------------------

    def start(self, request: Request, number: int, place: Place, now: int) -> Run:
        """Begin a run: its init, if it has any, then its handler."""
        row, settings, name = request.row, self.settings, request.row.name
        faults = self.faults(name, now)
        # rule: Z36 (slow: a factor on the duration, extension with it)
        slow = math.prod(fault.slow for fault in faults if fault.slow is not None)
        factor = settings.duration_factor(name, row.memory_mb, self.marks)
        if factor != 1:
            self.marks.hit("F3.1.duration_factor")
        length = slow * factor
        duration = self.scaled(row.duration, length)
        run = Run(
            request=request,
            attempt=number,
            environment=place.environment,
            start=now,
            cold=place.cold,
            provisioned=place.pool is not None,
            spillover=place.spillover,
            duration=duration,
            # rule: Z13 (at most the duration)
            extension=min(duration, self.scaled(row.extension, length)),
            # rule: Z8 (a run keeps the settings of its start)
            timeout=settings.timeout_us(name, self.marks),
            error=self.error_of(request, faults),
            listed=[one for one in request.records or () if self.fails(one) == "item"],
            memory_mb=settings.memory_mb(name, row.memory_mb, self.marks),
            architecture=settings.architecture(name, self.marks),
            ephemeral_mb=settings.ephemeral_mb(name, self.marks),
            # rule: Z42 (none where provisioned concurrency is configured)
            free_tier=not settings.provisions(name, self.marks),
            keys=self.keys_of(request),
            sample=place.sample,
        )
        self.in_flight.append(run)
        if place.pool:
            self.marks.hit("Z24.provisioned")
        elif place.spillover:
            self.marks.hit(f"Z24.{place.spillover}")
        if slow != 1:
            self.marks.hit("Z36.slow")
        begin = now + self.init(run, faults)
        if run.suppressed and run.timeout is not None and run.suppressed > run.timeout:
            # rule: Z11, Z12 (the suppressed init is limited by the time-out by itself)
            self.marks.hit("Z11.suppressed_init_cut")
            run.suppressed, run.cut = run.timeout, True
            run.answer_at = run.end_at = begin + run.timeout
            return run
        run.begin = begin + run.suppressed
        if not run.keys:
            run.try_begin = run.begin
            self.plan(run, run.begin)
        elif run.begin == now:
            self.begin(run, now)
        else:
            run.begin_at = run.begin
        return run

    def scaled(self, length: int, factor: float) -> int:
        """Return a length times a factor, to the nearest microsecond."""
        # rule: Z3, Z36
        return length if factor == 1 else math.floor(length * factor + 0.5)

    def error_of(self, request: Request, faults: list[Fault]) -> str | None:
        """Return how the handler of a run ends."""
        errors = {fault.error for fault in faults}
        if request.records is None:
            errors.add(self.fails(request))
            # rule: Z14 (item on a sync or async row is a success)
            if "item" in errors:
                self.marks.hit("Z14.item")
        # rule: interface 1 (for an event source: the whole batch)
        errors |= {self.fails(record) for record in request.records or ()}
        # rule: Z36 (crash before handled)
        if any(fault.error for fault in faults):
            self.marks.hit("Z36.error")
        if "crash" in errors:
            return "crash"
        return "handled" if "handled" in errors else None

    def fails(self, request: Request) -> str | None:
        """Return the error that a row brings to the run that begins now."""
        row = request.row
        # rule: Z14 (a fault's error beats error_runs; error_runs counts runs)
        if row.error_runs is None or len(request.runs) + 1 <= row.error_runs:
            return row.error
        if row.error in ("handled", "crash"):
            self.marks.hit("Z14.error_runs_over")
        return None

    def keys_of(self, request: Request) -> tuple[tuple[str, bool], ...]:
        """Return the records of shared state that a run takes turns at, and how."""
        touched: dict[str, bool] = {}
        for one in [request] if request.records is None else request.records:
            key = self.key_of(one.row)
            if key is not None:
                touched[key] = touched.get(key, False) or one.row.writes
        if len(touched) > 1:
            # rule: state (a batch takes the keys of its records in ascending order)
            self.marks.hit("state.several_keys")
        return tuple(sorted(touched.items()))

    def key_of(self, row: Row) -> str | None:
        """Return the record of shared state that a row touches."""
        state = self.settings.state
        if row.state_key is None:
            return None
        if state.discipline == "append":
            self.marks.hit("state.append")
            return None
        # rule: state (global in an account unless state.scope = "function")
        if state.by_function:
            self.marks.hit("state.by_function")
            return f"{row.name}\0{row.state_key}"
        return row.state_key

    def init_us(self, row: Row, faults: list[Fault]) -> int:
        """Return how long an init takes: the row's own, else the function's."""
        settings, name = self.settings, row.name
        init = settings.restore_us(name, self.marks)
        if init is not None:
            # rule: Z54 (restore_ms replaces init_ms)
            self.marks.hit("Z54.restore")
        elif row.init is None:
            init = settings.init_us(name, self.marks)
            self.marks.hit("F3.2.init_of_function")
        else:
            init = row.init
            self.marks.hit("F3.2.init_of_row")
        # rule: Z36 (init: a factor on init_ms)
        factor = math.prod(fault.init for fault in faults if fault.init is not None)
        if factor != 1:
            self.marks.hit("Z36.init")
        return self.scaled(init, factor)

    def init(self, run: Run, faults: list[Fault]) -> int:
        """Initialise a run's environment; return what passes before the invocation itself."""
        settings, row, environment = self.settings, run.row, run.environment
        if not run.cold:
            if environment.needs_init:
                # rule: F3.5, Z7, Z23 (suppressed init, with that row's init_ms)
                self.marks.hit("Z7.suppressed_provisioned" if run.provisioned else "Z7.suppressed")
                run.suppressed = self.init_us(row, faults)
                environment.needs_init = False
            elif row.init:
                self.marks.hit("Z49.warm_pays_no_init")
            return 0
        init = self.init_us(row, faults)
        if self.environments.hidden(row, run.attempt, settings):
            # rule: Z54 (begins at its start, init_ms 0, init billed as the era says)
            self.marks.hit("Z54.proactive")
            run.init_billed = init
            return 0
        limit = settings.init_timeout_us(row.name, self.marks)
        if limit is not None and init > limit:
            # rule: Z12 (aborted at 10 s, then once more in full as a suppressed init)
            self.marks.hit("Z12.aborted")
            run.suppressed = init
            run.init_billed = limit if settings.aborted_init_billed else 0
            return limit
        if limit is not None and init == limit:
            self.marks.hit("Z12.exactly_in_time")
        run.init = run.init_billed = init
        return init

    def plan(self, run: Run, begin: int) -> None:
        """Set when the handler answers and the environment is released, if it begins then."""
        assert run.begin is not None
        run.answer_at = begin + run.duration - run.extension
        run.end_at = begin + run.duration
        if run.timeout is None:
            return
        # rule: Z10 (exactly timeout_s is in time)
        limit = run.begin + run.timeout
        if run.end_at == limit:
            self.marks.hit("Z10.exactly_in_time")
        if run.answer_at > limit:
            run.cut = True
            run.answer_at = run.end_at = limit
        elif run.end_at > limit:
            # rule: Z13 (handler in time and extension not)
            run.overrun = True
            run.end_at = limit

    # ---- shared state ----------------------------------------------------------------------

    def begin(self, run: Run, now: int) -> None:
        """Begin the handler of a run with shared state, or begin it once more."""
        run.begin_at = None
        if self.settings.state.discipline == "optimistic":
            # rule: state (remember the version)
            run.try_begin = now
            run.versions = tuple(key.version for key in self.keys.of(run))
            self.plan(run, now)
            return
        # rule: state (waits at the first key that is not free, keeps those it has)
        while run.held < len(run.keys):
            if not self.keys.request(run):
                # rule: Z10, Z33 (limits of waiting: the time-out, max_lock_wait_s)
                longest = self.settings.state.max_lock_wait_us
                limits = [one for one in (run.timeout, longest) if one is not None]
                assert run.begin is not None
                run.limit_at = run.begin + min(limits) if limits else None
                return
        assert run.begin is not None
        run.try_begin = now
        run.lock_wait = now - run.begin
        self.plan(run, now)

    def grant(self, runs: list[Run], now: int) -> None:
        """Let runs begin that waited for their key."""
        # rule: state (releases, then new requests, by arrival)
        for run in sorted(runs, key=lambda one: (one.row.place, one.attempt)):
            self.marks.hit("state.granted")
            run.limit_at = None
            self.begin(run, now)

    def give_up(self, run: Run, now: int) -> None:
        """End a run that has waited too long for its key."""
        assert run.begin is not None
        run.limit_at = None
        run.lock_wait = now - run.begin
        # rule: Z33 (where both fall together: a time-out)
        if run.timeout is not None and now == run.begin + run.timeout:
            self.marks.hit("Z10.cut_while_waiting")
            run.cut = True
        else:
            self.marks.hit("Z33.gave_up")
            run.gave_up = True
        granted = self.keys.leave(run, now)
        run.keys = ()
        run.end_at = now
        self.answer(run, now)
        self.grant(granted, now)

    def conflict(self, run: Run, now: int) -> bool:
        """Compare and set at the answer; tell whether the run starts over."""
        state = self.settings.state
        written = [place for place, (_, writes) in enumerate(run.keys) if writes]
        if not written or state.discipline != "optimistic":
            return False
        # rule: Z32 (a run that fails anyway compares and writes nothing)
        if run.cut or run.error:
            self.marks.hit("Z32.failed_writes_nothing")
            return False
        keys = self.keys.of(run)
        if all(keys[place].version == run.versions[place] for place in written):
            self.marks.hit("Z32.written")
            for place in written:
                keys[place].version += 1
            return False
        if run.conflicts >= state.max_retries:
            self.marks.hit("Z32.too_many")
            run.failure = "WriteConflict"
            return False
        self.marks.hit("Z32.started_over")
        run.conflicts += 1
        run.answer_at = run.end_at = None
        run.overrun = False
        again = now + state.backoff_us
        assert run.begin is not None
        if run.timeout is not None and again > run.begin + run.timeout:
            self.marks.hit("Z32.cut_in_backoff")
            run.cut = True
            run.answer_at = run.end_at = run.begin + run.timeout
        elif state.backoff_us:
            self.marks.hit("Z32.backoff")
            run.begin_at = again
        else:
            self.begin(run, now)
        return True

    # ---- end -------------------------------------------------------------------------------

    def answer(self, run: Run, now: int) -> None:
        """Answer: what happens now decides what caller and queue see."""
        run.answer_at = None
        if self.conflict(run, now):
            return
        # rule: Z14 (a time-out beats the row's error)
        if run.cut:
            self.marks.hit("Z14.timed_out")
            run.failure = "TimedOut"
        elif run.gave_up:
            run.failure = "LockWaitExceeded"
        elif run.error and run.failure is None:
            run.failure = {"crash": "Crash", "handled": "Handled"}[run.error]
            self.marks.hit(f"F3.5.{run.error}")
        run.answered = now
        if run.batch is None:
            self.retries.answered(run.request, run, self.settings, now)
        else:
            run.batch.owner.done(run.batch, run, now)
        if run.end_at == now:
            self.release(run, now)
        else:
            self.marks.hit("Z13.answer_before_release")

    def release(self, run: Run, now: int) -> None:
        """End a run: its unit is free, its environment idle unless its time is over."""
        self.in_flight.remove(run)
        run.end_at, run.released = None, now
        self.account(run, now)
        if run.keys and self.settings.state.discipline == "lock":
            # rule: Z31 (a key is held to the release)
            self.grant(self.keys.leave(run, now), now)
        if run.overrun:
            self.marks.hit("Z13.overrun")
        reset = run.cut or run.overrun or run.failure == "Crash"
        if run.provisioned:
            self.release_provisioned(run, reset, now)
        else:
            self.environments.release(run, self.settings, reset, now)

    def release_provisioned(self, run: Run, reset: bool, now: int) -> None:
        """Give a provisioned environment back to its pool."""
        environment = run.environment
        pool = self.provisioned.pools[environment.pool]
        if len(pool.ready) > pool.requested:
            # rule: Z23 (lowering: busy ones go at release)
            self.marks.hit("Z23.gone_at_release")
            self.remove_provisioned(pool, environment, now, "lowered")
        else:
            self.environments.idle_again(environment, now)
            over = environment.retires is not None and environment.retires <= now
            destroyed = reset and self.settings.error_reset == "destroy"
            if over or destroyed:
                # rule: Z5, Z7 (replaced at once)
                self.marks.hit("Z7.provisioned_destroyed" if destroyed else "Z5.provisioned_busy")
                self.recycle(environment, now)
            elif reset:
                environment.needs_init = True
        pool.note(now)

    def account(self, run: Run, now: int) -> None:
        """Set what a run reports and is billed."""
        settings, unit = self.settings, self.settings.billing_unit_us
        if run.begin is not None and run.try_begin is not None:
            # rule: Z35 (the wait; optimistic: begin of the last try - begin)
            run.lock_wait = run.try_begin - run.begin
        if (run.cut or run.overrun) and run.timeout is not None:
            # rule: Z11 (on a time-out Duration is timeout_s, though the unit was held longer)
            run.reported = run.timeout
        else:
            assert run.begin is not None
            run.reported = run.suppressed + now - run.begin
        billed = run.reported
        if run.init_billed:
            # rule: Z43 (by function, else by era)
            if settings.init_billed(run.row.name, self.marks):
                self.marks.hit("Z43.init_billed")
                billed += run.init_billed
                if -(-run.init_billed // unit) - (-run.reported // unit) > -(-billed // unit):
                    self.marks.hit("F3.7.one_ceiling")
            else:
                self.marks.hit("Z43.init_not_billed")
        self.marks.hit("Z40.hundred_ms" if unit == 100_000 else "F7.one_ms")
        if billed == 0:
            self.marks.hit("Z40.least_unit")
        elif billed % unit == 0:
            self.marks.hit("Z40.exact_unit")
        # rule: F3.7 (one ceiling, over the sum), Z40 (at least one unit)
        run.billed_us = max(1, -(-billed // unit)) * unit
