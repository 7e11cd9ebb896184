"""Who may run: the checks of functions.md §1.5, in their order.

Owns every refusal with its reason. A refusal leaves no trace in any state.
"""

from fractions import Fraction
from typing import NamedTuple

from reference.entities import Environment
from reference.provisioned import Pool
from reference.settings import RPS_PER_UNIT, Fault
from reference.trace import Row
from reference.world import World

SECOND = 1_000_000

# rule: F1.6, Z17, Z21 (the reason of a 429 where reserved concurrency has a part in it, and else)
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"
REASONS = {
    "account_concurrency": "ConcurrentInvocationLimitExceeded",
    "reserved_concurrency": RESERVED_REASON,
    "reserved_zero": RESERVED_REASON,
    "latest_blocked": RESERVED_REASON,
    "account_rps": "FunctionInvocationRateLimitExceeded",
    "reserved_rps": "ReservedFunctionInvocationRateLimitExceeded",
    "scaling_rate": "ConcurrentInvocationLimitExceeded",
}


class Refusal(NamedTuple):
    """Why a request is answered with 429."""

    limit: str
    reason: str


class Place(NamedTuple):
    """Where a request may run."""

    environment: Environment
    cold: bool
    pool: Pool | None
    spillover: str | None
    sample: Fraction | None


class Admission(World):
    """Finds a place for a request, or the limit that binds."""

    def admit(self, row: Row, number: int, now: int) -> Place | Refusal:
        """Find a place for a request, in the order of checks; a refusal leaves no trace."""
        # rule: F1.5 (RC = 0, request rates, provisioned, concurrency, warm reuse, scaling)
        name, settings = row.name, self.settings
        refusal = self.refused_outright(row, now)
        if refusal:
            return refusal
        pool = self.provisioned.serving(row, settings.provisions(name, self.marks))
        spillover = self.spillover(pool, row, now) if pool else None
        if pool and pool.ready and not spillover:
            environment = self.environments.choose(pool.idle(), row, number, settings)
            self.environments.take(environment)
            self.count(row, pool, now)
            pool.note(now)
            return Place(environment, False, pool, None, pool.sample())
        limit = self.out_of_units(name, served=pool is not None)
        if limit:
            return Refusal(limit, REASONS[limit])
        idle = self.environments.idle(row.pool)
        # rule: Z19 (tested only where a warm environment would be reused)
        coupled = bool(idle) and row.source != "async" and self.coupled(name, now)
        # rule: F0.5 (a token for each environment, and for each unit bought)
        if (coupled or not idle) and self.scaling.empty(name, settings.scaling, now):
            limit = "scaling_rate"
            if coupled:
                # rule: Z17 (coupling: as its function)
                self.marks.hit("Z19.refused")
                limit = "account_rps" if self.reserved(name) is None else "reserved_rps"
            return Refusal("scaling_rate", REASONS[limit])
        if idle:
            environment = self.environments.choose(idle, row, number, settings)
            self.environments.take(environment)
        else:
            environment = self.environments.create(row, number, settings, now)
        if coupled:
            self.marks.hit("Z19.bought")
            self.buy(name, now)
        if coupled or not idle:
            self.scaling.take(name, settings.scaling, now)
        self.count(row, None, now)
        sample = pool.sample() if pool else None
        return Place(environment, not idle, None, spillover, sample)

    def refused_outright(self, row: Row, now: int) -> Refusal | None:
        """Return why a request is refused before anybody looks for a place, if it is."""
        name, settings = row.name, self.settings
        reserved = self.reserved(name)
        if reserved == 0:
            return Refusal("reserved_zero", RESERVED_REASON)
        # rule: Z21 (after the check for reserved 0; the reason as concurrency)
        if any(fault.throttle for fault in self.faults(name, now)):
            reason = REASONS["account_concurrency"] if reserved is None else RESERVED_REASON
            return Refusal("fault", reason)
        # rule: F1.4, Q32 (synchronous requests and those of event sources)
        if row.source == "async":
            return None
        if self.rates.full("account", settings.rps_account(), settings, now):
            return Refusal("account_rps", REASONS["account_rps"])
        if reserved is not None and self.rates.full(
            ("reserved", name), settings.rps_units(reserved), settings, now
        ):
            return Refusal("reserved_rps", REASONS["reserved_rps"])
        return None

    def faults(self, name: str, now: int) -> list[Fault]:
        """Return the faults that a run of a function has that starts now."""
        return [fault for fault in self.settings.faults if fault.concerns(name, now)]

    def spillover(self, pool: Pool, row: Row, now: int) -> str | None:
        """Return why a request does not get a provisioned environment."""
        if not pool.ready:
            return "not_ready" if pool.requested else None
        if not pool.idle():
            return "busy"
        # rule: Z24 (asynchronous runs are exempt)
        per_second = self.settings.rps_units(len(pool.ready))
        scope = ("provisioned", pool.name)
        if self.rates.full(scope, per_second, self.settings, now):
            if row.source != "async":
                return "request_rate"
            self.marks.hit("Z24.async_exempt")
        return None

    def out_of_units(self, name: str, served: bool) -> str | None:
        """Return the limit of concurrency that binds, if any does."""
        reserved = self.reserved(name)
        if reserved is None:
            # rule: F0.3 (unreserved in flight < L - sum(RC) - sum(PC of f without RC))
            free = self.settings.concurrency - self.allocated()
            return "account_concurrency" if self.unreserved_in_flight() >= free else None
        # rule: F0.3 (on demand in flight < RC - PC)
        provisioned = self.provisioned.claimed(name)
        if self.on_demand_in_flight(name) < reserved - provisioned:
            return None
        # rule: F3.9 (all reserved units are provisioned, so $LATEST is throttled)
        if provisioned >= reserved and not served:
            return "latest_blocked"
        return "reserved_concurrency"

    def count(self, row: Row, pool: Pool | None, now: int) -> None:
        """Count an admitted request in the windows it belongs to."""
        # rule: Q32 (provisioned ones included, asynchronous ones in none)
        if row.source == "async":
            return
        settings, reserved = self.settings, self.reserved(row.name)
        self.rates.take("account", settings.rps_account(), settings, now)
        of_reserved = None if reserved is None else settings.rps_units(reserved)
        self.rates.take(("reserved", row.name), of_reserved, settings, now)
        if pool:
            per_second = settings.rps_units(len(pool.ready))
            self.rates.take(("provisioned", pool.name), per_second, settings, now)
        else:
            # rule: Z19 (on-demand runs admitted in the aligned second)
            second = (row.name, now // SECOND)
            self.on_demand_starts[second] = self.on_demand_starts.get(second, 0) + 1

    def coupled(self, name: str, now: int) -> bool:
        """Tell whether a warm start needs another unit bought."""
        # rule: Z19 (rate >= 10 x (live on-demand environments + bought units))
        scaling = self.settings.scaling
        if scaling is None or not scaling.rps_coupling:
            return False
        rate = self.on_demand_starts.get((name, now // SECOND), 0)
        live = sum(one.pool.partition(":")[0] == name for one in self.environments.alive)
        bought = sum(end is None or now < end for end in self.bought.get(name, []))
        return rate >= RPS_PER_UNIT * (live + bought)

    def buy(self, name: str, now: int) -> None:
        """Buy a unit, which lives the idle time."""
        # rule: Z19 (halving 380 s, uniform b, none for ever)
        idle = self.settings.idle
        end = None if idle.policy == "none" else now + idle.high
        self.bought.setdefault(name, []).append(end)

    def mark_refusal(self, row: Row, limit: str, now: int) -> None:
        """Count which limit refused which kind of request."""
        self.marks.hit(f"F1.6.{limit}")
        if row.source == "async":
            self.marks.hit(f"F1.6.{limit}.async")
        if any(run.begin is not None and now < run.begin for run in self.in_flight):
            self.marks.hit("F1.3.init_holds_unit")
        if any(run.answered is not None for run in self.in_flight):
            self.marks.hit("F1.3.extension_holds_unit")
        if limit == "account_concurrency" and any(
            run.row.name != row.name for run in self.in_flight
        ):
            self.marks.hit("F1.1.shared")
