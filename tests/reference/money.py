"""What it costs, in exact fractions of a dollar.

Owns prices, tiers and the free tier (functions.md §7, Z40 to Z43). A float is made only where a
value is handed out.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction

from reference.entities import Run
from reference.kafka import Kafka
from reference.marks import Marks
from reference.measures import runs_of, span
from reference.model import Model
from reference.provisioned import Pool
from reference.units import EPOCH

SECOND = 1_000_000
FIVE_MINUTES = 300 * SECOND

REQUEST = Fraction("0.20") / 1_000_000
FREE_REQUESTS = 1_000_000
FREE_GB_S = 400_000
BILLION = 1_000_000_000
# Up to so many GB-seconds a month, and the price of one.
DURATION: Mapping[str, Sequence[tuple[Fraction | None, Fraction]]] = {
    "x86_64": (
        (Fraction(6 * BILLION), Fraction("0.0000166667")),
        (Fraction(15 * BILLION), Fraction("0.0000150000")),
        (None, Fraction("0.0000133334")),
    ),
    "arm64": (
        (Fraction("7.5") * BILLION, Fraction("0.0000133334")),
        (Fraction("18.75") * BILLION, Fraction("0.0000120001")),
        (None, Fraction("0.0000106667")),
    ),
}
ALLOCATION = {"x86_64": Fraction("0.0000041667"), "arm64": Fraction("0.0000033334")}
PROVISIONED_DURATION = {"x86_64": Fraction("0.0000097222"), "arm64": Fraction("0.0000077778")}
EPHEMERAL = Fraction("0.0000000309")
FREE_EPHEMERAL_MB = 512
KAFKA_UNIT_HOUR = Fraction("0.185")
FREE_PAYLOAD = 262_144
SURCHARGE_BYTES = 65_536

PARTS = ("requests", "duration", "provisioned", "other")
Cost = dict[str, Fraction]


def month_of(run: Run) -> str:
    """Return the month of a run."""
    # rule: Z42 (UTC month of its start)
    return (EPOCH + timedelta(microseconds=run.start)).strftime("%Y-%m")


def requests_of(run: Run, marks: Marks) -> int:
    """Return how many requests a run is billed as."""
    # rule: Z29 (async only, each run)
    over = run.row.payload_bytes - FREE_PAYLOAD
    if run.row.source == "async" and over > 0:
        marks.hit("Z29.surcharge")
        return 1 + -(-over // SURCHARGE_BYTES)
    return 1


def gb_seconds(memory_mb: int, microseconds: int) -> Fraction:
    """Return memory times time."""
    return Fraction(memory_mb, 1024) * Fraction(microseconds, SECOND)


def of_run(run: Run) -> Fraction:
    """Return a run's billed GB-seconds."""
    return gb_seconds(run.memory_mb, run.billed_us)


def tiered(before: Fraction, amount: Fraction, architecture: str, marks: Marks) -> Fraction:
    """Return the price of GB-seconds that come after others of the same month."""
    cost, below = Fraction(0), Fraction(0)
    for bound, price in DURATION[architecture]:
        top = before + amount if bound is None else min(before + amount, bound)
        part = top - max(before, below)
        if part > 0:
            cost += part * price
            if top < before + amount:
                marks.hit("F7.tier_crossed")
        below = bound or Fraction(0)
        if bound is None or before + amount <= bound:
            break
    return cost


# ---- provisioned concurrency ---------------------------------------------------------------


def spans(pool: Pool, end: int) -> list[list[tuple[int, int, int]]]:
    """Return a pool's spans, each from a request to a removal, as (begin, end, amount)."""
    # rule: Z41 (one span from the first request to the removal, the last release or until; what
    # is requested after that, while events still wait for a retry, is not charged)
    found: list[list[tuple[int, int, int]]] = []
    open_span = False
    amounts = [one for one in pool.amounts if one[0] <= end] or pool.amounts[:1]
    for index, (since, amount) in enumerate(amounts):
        until = amounts[index + 1][0] if index + 1 < len(amounts) else end
        if not amount:
            open_span = False
            continue
        if not open_span:
            found.append([])
            open_span = True
        found[-1].append((since, max(since, until), amount))
    return found


def allocation_us(pool: Pool, end: int, marks: Marks) -> int:
    """Return environments times time, in microseconds."""
    billed = 0
    for pieces in spans(pool, end):
        length = pieces[-1][1] - pieces[0][0]
        billed += sum((until - since) * amount for since, until, amount in pieces)
        # rule: Z41 (rounded up once to 5 min, the rest at the last amount)
        rest = -length % FIVE_MINUTES
        if rest:
            marks.hit("Z41.rounded_up")
        billed += rest * pieces[-1][2]
    return billed


def of_pool(model: Model, pool: Pool, marks: Marks) -> Fraction:
    """Return what a provisioned pool costs before any run."""
    settings, name = model.settings, pool.function
    memory = settings.memory_mb(name, None, marks)
    architecture = settings.architecture(name, marks)
    unit = settings.billing_unit_us
    # rule: Z24 (billed once each with the scenario's init_ms), Z54 (which restore_ms replaces)
    restore = settings.restore_us(name, marks)
    init = settings.init_us(name, marks) if restore is None else restore
    init = -(-init // unit) * unit
    allocated = gb_seconds(memory, allocation_us(pool, span(model)[1], marks))
    initialised = gb_seconds(memory, init * len(pool.inits))
    return allocated * ALLOCATION[architecture] + initialised * PROVISIONED_DURATION[architecture]


# ---- functions and account -----------------------------------------------------------------


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Return runs in the order of their start."""
    return sorted(runs, key=lambda run: (run.start, run.row.place, run.attempt))


def other_of(run: Run) -> Fraction:
    """Return what else a run costs."""
    over = max(0, run.ephemeral_mb - FREE_EPHEMERAL_MB)
    return gb_seconds(over, run.billed_us) * EPHEMERAL


def of_pollers(model: Model, name: str | None, marks: Marks) -> Fraction:
    """Return what provisioned pollers cost of the topics that invoke a function, or of all."""
    cost = Fraction(0)
    for owner in model.owners.values():
        if not isinstance(owner, Kafka):
            continue
        if name not in (None, owner.source.function.partition(":")[0]):
            continue
        used = owner.unit_us(span(model)[1])
        if used:
            # rule: F7 (per second, at least a minute)
            marks.hit("F7.pollers")
            cost += Fraction(max(60, -(-used // SECOND)), 3_600) * KAFKA_UNIT_HOUR
    return cost


def of_name(model: Model, name: str, marks: Marks) -> Cost:
    """Return the cost of a function, before tiers and free tier."""
    # rule: Z42
    runs = runs_of(model, name)
    cost = dict.fromkeys(PARTS, Fraction(0))
    for run in runs:
        cost["requests"] += requests_of(run, marks) * REQUEST
        price = DURATION[run.architecture][0][1]
        if run.provisioned:
            marks.hit("F7.provisioned_duration")
            price = PROVISIONED_DURATION[run.architecture]
        cost["duration"] += of_run(run) * price
        cost["other"] += other_of(run)
    for pool in model.provisioned.of_function(name):
        cost["provisioned"] += of_pool(model, pool, marks)
    cost["other"] += of_pollers(model, name, marks)
    return cost


def of_account(model: Model, marks: Marks) -> Cost:
    """Return the cost of all functions together, with tiers and free tier."""
    cost = dict.fromkeys(PARTS, Fraction(0))
    requests: dict[str, int] = defaultdict(int)
    free: dict[str, Fraction] = defaultdict(lambda: Fraction(FREE_GB_S))
    used: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for run in in_order(runs_of(model, None)):
        month = month_of(run)
        requests[month] += requests_of(run, marks)
        cost["other"] += other_of(run)
        amount = of_run(run)
        if run.provisioned:
            cost["duration"] += amount * PROVISIONED_DURATION[run.architecture]
            continue
        if model.settings.free_tier and run.free_tier:
            # rule: Z42 (first come in order of start, x86 and Arm from one pot)
            given = min(free[month], amount)
            marks.hit("Z42.free" if given else "Z42.free_used_up")
            free[month] -= given
            amount -= given
        key = (month, run.architecture)
        cost["duration"] += tiered(used[key], amount, run.architecture, marks)
        used[key] += amount
    for number in requests.values():
        # rule: Z42 (requests always count towards the free million)
        paid = max(0, number - FREE_REQUESTS) if model.settings.free_tier else number
        cost["requests"] += paid * REQUEST
    for pool in model.provisioned.pools.values():
        cost["provisioned"] += of_pool(model, pool, marks)
    cost["other"] += of_pollers(model, None, marks)
    return cost


def handed_out(cost: Cost) -> dict[str, float]:
    """Return a cost in floats, with its total."""
    parts = {name: float(value) for name, value in cost.items()}
    return {**parts, "total": float(sum(cost.values()))}


def costs(model: Model, marks: Marks) -> dict[str | None, dict[str, float]]:
    """Return the cost of every function, and under null that of the account."""
    names = {request.row.name for request in model.requests}
    names |= {pool.function for pool in model.provisioned.pools.values()}
    by_name = {name: of_name(model, name, marks) for name in names}
    account = of_account(model, marks)
    functions = sum((sum(cost.values()) for cost in by_name.values()), Fraction(0))
    table: dict[str | None, dict[str, float]] = {
        name: handed_out(cost) for name, cost in by_name.items()
    }
    # rule: Z42 (the difference of the total to the functions' sum is adjustment)
    adjustment = sum(account.values()) - functions
    table[None] = {**handed_out(account), "adjustment": float(adjustment)}
    return table
