"""What a scenario says, with every preset, glob and default looked up.

Owns reading the scenario's sections, and what a change does to them. Keys that this reference does
not model are refused, so that nobody compares against rules it does not have.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from reference.marks import Marks
from reference.source_settings import CHANGEABLE as OF_SOURCE
from reference.source_settings import resolve_source
from reference.units import exact, instant_of, is_off, milliseconds_to_us, one_of, seconds_to_us

ERAS = ("2017-12", "2018-10", "2019-12", "2020-12", "2023-11", "2025-08")

# rule: Z5 (later eras: halving)
ERA_IDLE: Mapping[str, Mapping[str, Any]] = {
    "2017-12": {"policy": "uniform", "seconds": [1620, 3780]},
    "2018-10": {"policy": "uniform", "seconds": [1620, 3780]},
    "2019-12": {"policy": "fixed", "seconds": 600},
}
HALVING_PERIOD_S = 380  # rule: Z4 (as measured)
MAX_LIFETIME_S = [14_400, 28_800]  # rule: F3.4 (every few hours)
CONCURRENCY = 1_000  # rule: F1.1 (default)
RPS_PER_UNIT = 10  # rule: F1.4
MEMORY_MB = 128
EVENT_AGE_S = 21_600  # rule: F5.2
RETRY_ATTEMPTS = 2  # rule: F5.2
INIT_TIMEOUT_S = 10  # rule: F3.1
JITTER_HALF = 0.125  # rule: F5.3

OF_FUNCTION = frozenset(
    "init_ms init_billed memory_mb duration_factor timeout_s architecture ephemeral_storage_mb "
    "reserved_concurrency provisioned_concurrency maximum_event_age_s maximum_retry_attempts "
    "on_failure client_retry restore_ms init_timeout_s".split()
)
OF_PROVISIONED = frozenset({"initial", "target_tracking", "schedule"})
KNOWN_KEYS: Mapping[str, frozenset[str]] = {
    "account": frozenset(
        "concurrency era idle env error reuse_policy proactive_fraction min_unreserved rps "
        "scaling async billing report pricing requests_per_second init_timeout_s".split()
    ),
    "account.idle": frozenset({"policy", "seconds"}),
    "account.env": frozenset({"max_lifetime"}),
    "account.error": frozenset({"reset"}),
    "account.rps": frozenset({"mode", "window_s"}),
    "account.scaling": frozenset(
        {"scope", "mode", "capacity", "refill_per_s", "step_s", "rps_coupling"}
    ),
    "account.async": frozenset({"jitter_half", "expiry", "dispatch_s"}),
    "account.billing": frozenset({"aborted_init"}),
    "account.report": frozenset({"clamp_timeout"}),
    "account.pricing": frozenset({"region", "free_tier"}),
    "defaults": OF_FUNCTION,
    "function": OF_FUNCTION,
    "replay": frozenset({"seed", "load", "time_scale", "until"}),
    "state": frozenset(
        "discipline scope max_lock_wait_s max_retries backoff_ms purge_lag_s top".split()
    ),
    "change": frozenset({"at", "set"}),
    "fault": frozenset({"at", "for_s", "function", "slow", "init", "error", "throttle"}),
    "scenario": frozenset(
        {
            "account",
            "defaults",
            "functions",
            "replay",
            "state",
            "changes",
            "faults",
            "event_sources",
        }
    ),
}
# Of the account these alone may change while the trace runs; the rest shapes what is under way.
CHANGEABLE = (
    "account.concurrency",
    "account.requests_per_second",
    "account.scaling",
    "account.async.",
    "account.reuse_policy",
    "account.error.",
    "account.proactive_fraction",
    "functions.",
    "defaults.",
)


# ---- units ---------------------------------------------------------------------------------


def bounds_us(value: Any) -> tuple[int, int]:
    """Return seconds, or a pair of them, as bounds in microseconds."""
    low, high = value if isinstance(value, list | tuple) else (value, value)
    return seconds_to_us(low), seconds_to_us(high)


# ---- names ---------------------------------------------------------------------------------


def is_glob(pattern: str) -> bool:
    """Tell whether a section's name is a glob."""
    return any(character in pattern for character in "*?")


def literal_characters(pattern: str) -> int:
    """Count the characters of a glob that stand for themselves."""
    return sum(character not in "*?" for character in pattern)


def bare_name(function: str) -> str:
    """Return a function's name without its qualifier."""
    # rule: Z9 (what comes after the colon is the qualifier)
    return function.partition(":")[0]


def pool_name(function: str) -> str:
    """Return the pool that serves a function as the trace writes it."""
    # rule: Z9 (each qualifier a pool of its own, none = $LATEST)
    name, _, qualifier = function.partition(":")
    return name if qualifier in ("", "$LATEST") else function


# ---- parts of a scenario -------------------------------------------------------------------


@dataclass(frozen=True)
class Idle:
    """Idle policy with its bounds in microseconds; ``halving`` has its period in both."""

    policy: str
    low: int
    high: int


@dataclass(frozen=True)
class Scaling:
    """How many environments may be created, and when."""

    scope: str
    mode: str
    capacity: int
    refill_per_s: Fraction
    step_us: int
    rps_coupling: bool


@dataclass(frozen=True)
class Tracking:
    """Target tracking of provisioned concurrency."""

    target: Fraction
    least: int
    most: int


@dataclass(frozen=True)
class ScheduleEntry:
    """When the bounds of provisioned concurrency become others: once, or again and again."""

    at: int | None
    least: int | None
    most: int | None
    cron: str | None = None
    rate: str | None = None
    timezone: str = "UTC"
    begin: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Provision:
    """Provisioned concurrency of one pool; ``everything`` serves all rows of the name."""

    pool: str
    everything: bool
    initial: int
    tracking: Tracking | None
    schedule: tuple[ScheduleEntry, ...]


@dataclass(frozen=True)
class ClientRetry:
    """What a synchronous caller does about a 429."""

    max_attempts: int
    base_us: int
    cap_us: int | None
    factor: float | None
    quota: int | None
    read_timeout_us: int | None
    adaptive: bool = False


@dataclass(frozen=True)
class State:
    """What runs with one state key do to each other."""

    discipline: str
    by_function: bool
    max_lock_wait_us: int | None
    max_retries: int
    backoff_us: int


@dataclass(frozen=True)
class Change:
    """Configuration that becomes another at an instant."""

    at: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong from an instant on, until another."""

    begin: int
    end: int
    function: str | None
    slow: float | None
    init: float | None
    error: str | None
    throttle: bool

    def concerns(self, name: str, now: int) -> bool:
        """Tell whether a run of a function that starts now has it."""
        # rule: Z36 ([at, at + for_s); a bare name or glob, missing = all)
        if not self.begin <= now < self.end:
            return False
        return self.function is None or fnmatchcase(name, self.function)


# rule: F4.2, Z28 (quota off by default, each row its own client)
CLIENTS: Mapping[str, ClientRetry] = {
    "none": ClientRetry(1, 0, None, None, None, None),
    "botocore_legacy": ClientRetry(5, 1_000_000, None, None, None, None),
    "botocore_standard_2020": ClientRetry(3, 1_000_000, 20_000_000, None, None, None),
    "botocore_standard_2026": ClientRetry(3, 1_000_000, 20_000_000, None, None, None),
    "botocore_adaptive": ClientRetry(3, 1_000_000, 20_000_000, None, None, None, adaptive=True),
}


class Settings:
    """A scenario, resolved.

    ``sections`` is kept so that a change can be applied to it.
    """

    def __init__(self, sections: Mapping[str, Any], marks: Marks) -> None:
        self.sections = sections
        account = sections.get("account", {})
        self.account: Mapping[str, Any] = account
        self.defaults: Mapping[str, Any] = sections.get("defaults", {})
        self.functions: Mapping[str, Mapping[str, Any]] = sections.get("functions", {})
        self.check()
        self.looked_up: dict[tuple[str, str], Any] = {}

        self.era = str(account.get("era", "2025-08"))
        if self.era not in ERAS:
            message = f"no such era: {self.era!r}"
            raise ValueError(message)
        self.concurrency = int(account.get("concurrency", CONCURRENCY))
        self.requests_per_second = account.get("requests_per_second")
        self.rps_mode = one_of(
            account.get("rps", {}).get("mode", "fixed_window"), "fixed_window", "token_bucket"
        )
        self.rps_window_us = seconds_to_us(account.get("rps", {}).get("window_s", 1))
        self.idle = resolve_idle(account, self.era, marks)
        lifetime = account.get("env", {}).get("max_lifetime", MAX_LIFETIME_S)
        if is_off(lifetime):
            marks.hit("Z5.lifetime_off")
        self.max_lifetime = None if is_off(lifetime) else bounds_us(lifetime)
        self.reuse_policy = one_of(
            account.get("reuse_policy", "mru"), "mru", "lru", "fifo", "random"
        )
        self.error_reset = one_of(
            account.get("error", {}).get("reset", "suppressed_init"), "suppressed_init", "destroy"
        )
        proactive = account.get("proactive_fraction", 0)
        self.proactive_fraction = 0.0 if is_off(proactive) else float(proactive)
        self.scaling = resolve_scaling(account, self.era)
        asynchronous = account.get("async", {})
        self.jitter_half = 0.0
        if not is_off(asynchronous.get("jitter_half", JITTER_HALF)):
            self.jitter_half = float(asynchronous.get("jitter_half", JITTER_HALF))
        self.expiry = one_of(asynchronous.get("expiry", "predictive"), "predictive", "deadline")
        dispatch = asynchronous.get("dispatch_s", 0)
        self.dispatch_us = 0 if is_off(dispatch) else seconds_to_us(dispatch)
        self.aborted_init_billed = bool(account.get("billing", {}).get("aborted_init", False))
        one_of(account.get("report", {}).get("clamp_timeout", True), True)
        one_of(account.get("pricing", {}).get("region", "us-east-1"), "us-east-1")
        self.free_tier = bool(account.get("pricing", {}).get("free_tier", False))

        self.state = resolve_state(sections.get("state", {}))
        self.sources = {
            name: resolve_source(name, section)
            for name, section in sections.get("event_sources", {}).items()
        }
        replay = sections.get("replay", {})
        self.seed = int(replay.get("seed", 0))
        self.load = float(replay.get("load", 1.0))
        self.time_scale = float(replay.get("time_scale", 1.0))
        until = replay.get("until")
        self.until = None if is_off(until) else instant_of(until)
        self.changes = [
            Change(instant_of(change["at"]), change["set"])
            for change in sections.get("changes", [])
        ]
        self.faults = [resolve_fault(fault) for fault in sections.get("faults", [])]

    def check(self) -> None:
        """Refuse what this reference has no rule for."""
        check_keys(self.sections, "scenario")
        check_keys(self.account, "account")
        for part in ("idle", "env", "error", "rps", "scaling", "async", "billing", "report"):
            if isinstance(self.account.get(part), Mapping):
                check_keys(self.account[part], f"account.{part}")
        check_keys(self.account.get("pricing", {}), "account.pricing")
        check_keys(self.defaults, "defaults")
        for section in self.functions.values():
            check_keys(section, "function")
        check_keys(self.sections.get("replay", {}), "replay")
        check_keys(self.sections.get("state", {}), "state")
        for change in self.sections.get("changes", []):
            check_keys(change, "change")
            for key in change["set"]:
                of_source = key.startswith("event_sources.") and key.split(".")[-1] in OF_SOURCE
                if not (of_source or key.startswith(CHANGEABLE)):
                    message = f"the reference does not model a change of {key}"
                    raise ValueError(message)
        for fault in self.sections.get("faults", []):
            check_keys(fault, "fault")

    def changed(self, values: Mapping[str, Any], marks: Marks) -> "Settings":
        """Return the settings after a change."""
        sections = deepcopy(dict(self.sections))
        for key, value in values.items():
            section = sections
            *path, last = key.split(".")
            for part in path:
                if not isinstance(section.get(part), dict):
                    section[part] = {}
                section = section[part]
            section[last] = value
        return Settings(sections, marks)

    # ---- by function -----------------------------------------------------------------------

    def layers(self, name: str, marks: Marks) -> list[Mapping[str, Any]]:
        """Return the sections that apply to a function, the most specific first."""
        layers = []
        if name in self.functions:
            marks.hit("scenario.literal_name")
            layers.append(self.functions[name])
        globs = [
            pattern for pattern in self.functions if is_glob(pattern) and fnmatchcase(name, pattern)
        ]
        # Sorting is stable: among equals the section that comes first stays first.
        globs.sort(key=literal_characters, reverse=True)
        counts = [literal_characters(pattern) for pattern in globs]
        if len(set(counts)) > 1:
            marks.hit("scenario.most_literal_glob")
        if len(set(counts)) < len(counts):
            marks.hit("scenario.glob_tie")
        layers.extend(self.functions[pattern] for pattern in globs)
        layers.append(self.defaults)
        return layers

    def value(self, function: str, key: str, default: Any, marks: Marks) -> Any:
        """Return what holds for a function: the most specific section that has the key."""
        # rule: Z9 (settings go by the bare name)
        name = bare_name(function)
        if (name, key) not in self.looked_up:
            self.looked_up[name, key] = default
            layers = self.layers(name, marks)
            for depth, section in enumerate(layers):
                if key in section:
                    if 0 < depth == len(layers) - 1:
                        marks.hit("scenario.defaults")
                    elif depth > 0:
                        marks.hit("scenario.less_specific_section")
                    self.looked_up[name, key] = section[key]
                    break
        return self.looked_up[name, key]

    def init_us(self, function: str, marks: Marks) -> int:
        """Return the init time of a function's cold start, where the row has none."""
        value = self.value(function, "init_ms", 0, marks)
        if isinstance(value, str):
            message = f"the reference does not model init_ms = {value!r}"
            raise ValueError(message)  # noqa: TRY004
        return milliseconds_to_us(value)

    def restore_us(self, function: str, marks: Marks) -> int | None:
        """Return what replaces every init of a function with snapshots."""
        value = self.value(function, "restore_ms", None, marks)
        return None if is_off(value) else milliseconds_to_us(value)

    def init_timeout_us(self, function: str, marks: Marks) -> int | None:
        """Return the time after which an init is aborted."""
        default = self.account.get("init_timeout_s", INIT_TIMEOUT_S)
        value = self.value(function, "init_timeout_s", default, marks)
        return None if is_off(value) else seconds_to_us(value)

    def init_billed(self, function: str, marks: Marks) -> bool:
        """Tell whether a function's init is billed."""
        # rule: Z43, F3.7
        by_era = self.era == "2025-08"
        billed = bool(self.value(function, "init_billed", by_era, marks))
        if billed != by_era:
            marks.hit("Z43.function_overrides_era")
        return billed

    def timeout_us(self, function: str, marks: Marks) -> int | None:
        """Return the time after which a run is cut."""
        value = self.value(function, "timeout_s", "off", marks)
        return None if is_off(value) else seconds_to_us(value)

    def memory_mb(self, function: str, of_trace: int | None, marks: Marks) -> int:
        """Return the memory of a function's runs."""
        # rule: Z43 (the function's own, else the trace's, else the default's)
        for section in self.layers(bare_name(function), marks)[:-1]:
            if "memory_mb" in section:
                return int(section["memory_mb"])
        if of_trace is not None:
            marks.hit("Z43.memory_of_trace")
            return of_trace
        return int(self.defaults.get("memory_mb", MEMORY_MB))

    def duration_factor(self, function: str, of_trace: int | None, marks: Marks) -> float:
        """Return what the durations of a function's runs are multiplied by."""
        # The trace's own memory keeps the trace's own durations.
        memory = self.memory_mb(function, of_trace, marks)
        if memory == of_trace and self.memory_mb(function, memory + 1, marks) != memory:
            return 1.0
        table = self.value(function, "duration_factor", "off", marks)
        return 1.0 if is_off(table) else float(table.get(str(memory), 1))

    def architecture(self, function: str, marks: Marks) -> str:
        """Return the architecture of a function's runs."""
        value = self.value(function, "architecture", "x86_64", marks)
        return str(one_of(value, "x86_64", "arm64"))

    def ephemeral_mb(self, function: str, marks: Marks) -> int:
        """Return the ephemeral storage of a function's environments."""
        return int(self.value(function, "ephemeral_storage_mb", 512, marks))

    def shape(self, function: str, marks: Marks) -> tuple[Any, ...]:
        """Return what makes environments useless when it changes."""
        # rule: Z8
        return (
            self.memory_mb(function, None, marks),
            self.timeout_us(function, marks),
            self.architecture(function, marks),
            self.ephemeral_mb(function, marks),
        )

    def reserved(self, function: str, marks: Marks) -> int | None:
        """Return a function's reserved concurrency."""
        # rule: Z20 (unset by change: "off")
        value = self.value(function, "reserved_concurrency", None, marks)
        return None if is_off(value) else int(value)

    def event_age_us(self, function: str, marks: Marks) -> int:
        """Return how old an asynchronous event may become."""
        return seconds_to_us(self.value(function, "maximum_event_age_s", EVENT_AGE_S, marks))

    def retry_attempts(self, function: str, marks: Marks) -> int:
        """Return how often an asynchronous event is tried again after a function error."""
        return int(self.value(function, "maximum_retry_attempts", RETRY_ATTEMPTS, marks))

    def on_failure(self, function: str, marks: Marks) -> str | None:
        """Return the name under which failed events are delivered."""
        value = self.value(function, "on_failure", None, marks)
        return None if is_off(value) else str(value)

    def client_retry(self, function: str, marks: Marks) -> ClientRetry:
        """Return what callers of a function do about a 429."""
        return resolve_client(self.value(function, "client_retry", "none", marks))

    def provisions(self, name: str, marks: Marks) -> list[Provision]:
        """Return the provisioned concurrency of a function, by pool."""
        # rule: Z20 (0 and nothing else is none, as "off" is)
        return [
            one
            for one in self.given_provisions(name, marks)
            if one.initial or one.tracking or one.schedule
        ]

    def given_provisions(self, name: str, marks: Marks) -> list[Provision]:
        """Return what is written about a function's pools, those of nothing included."""
        value = self.value(name, "provisioned_concurrency", None, marks)
        if is_off(value):
            return []
        # rule: Z22 (an integer serves all rows of the name)
        if not isinstance(value, Mapping):
            return [Provision(name, True, int(value), None, ())]
        if OF_PROVISIONED & set(value):
            return [resolve_provision(name, True, value)]
        # rule: Z22 (a table serves the rows of the qualifiers it names)
        return [
            resolve_provision(f"{name}:{qualifier}", False, own)
            for qualifier, own in value.items()
            if not is_off(own)
        ]

    def rps_account(self) -> Fraction | None:
        """Return how many requests per second the account takes."""
        # rule: Z17 (a number sets the account's window only; the default follows the limit)
        if self.requests_per_second is None:
            return Fraction(RPS_PER_UNIT * self.concurrency)
        if self.requests_per_second == "off":
            return None
        return exact(self.requests_per_second)

    def rps_units(self, units: int) -> Fraction | None:
        """Return how many requests per second so many units take."""
        # rule: Q36 (one switch for every level)
        return None if self.requests_per_second == "off" else Fraction(RPS_PER_UNIT * units)

    @property
    def billing_unit_us(self) -> int:
        """Return the step in which time is billed."""
        # rule: Z40, F7
        return 100_000 if self.era < "2020-12" else 1_000


# ---- reading parts -------------------------------------------------------------------------


def check_keys(section: Mapping[str, Any], kind: str) -> None:
    """Refuse keys that this reference has no rule for."""
    unknown = sorted(set(section) - KNOWN_KEYS[kind])
    if unknown:
        message = f"the reference does not model {kind} keys {unknown}"
        raise ValueError(message)


def resolve_idle(account: Mapping[str, Any], era: str, marks: Marks) -> Idle:
    """Return the idle policy: the scenario's, else the era's."""
    # rule: Z5 (presets of the eras)
    section = account.get("idle")
    if section == "off":
        return Idle("none", 0, 0)
    if section is None:
        section = ERA_IDLE.get(era, {"policy": "halving"})
        marks.hit(f"Z5.era_{section['policy']}")
    policy = section.get("policy", ERA_IDLE.get(era, {"policy": "halving"})["policy"])
    if policy in ("none", "off"):
        return Idle("none", 0, 0)
    if policy == "halving":
        return Idle("halving", *bounds_us(section.get("seconds", HALVING_PERIOD_S)))
    if policy in ("fixed", "uniform"):
        return Idle(policy, *bounds_us(section["seconds"]))
    message = f"the reference does not model the idle policy {policy!r}"
    raise ValueError(message)


def resolve_scaling(account: Mapping[str, Any], era: str) -> Scaling | None:
    """Return the scaling rate: the scenario's, what it leaves out is the era's."""
    section = account.get("scaling", {})
    if section == "off":
        return None
    # rule: F2.3 (presets of the eras), Z18 (3,000 unless the region says otherwise)
    former = era < "2023-11"
    return Scaling(
        scope=one_of(
            section.get("scope", "region" if former else "function"), "function", "region"
        ),
        mode=one_of(section.get("mode", "continuous"), "continuous", "step", "sliding"),
        capacity=int(section.get("capacity", 3_000 if former else 1_000)),
        refill_per_s=exact(section.get("refill_per_s", Fraction(500, 60) if former else 100)),
        step_us=seconds_to_us(section.get("step_s", 10)),
        # rule: F2.1 (default on in eras from 2023-11 on)
        rps_coupling=section.get("rps_coupling", not former) is True,
    )


def resolve_client(value: Any) -> ClientRetry:
    """Return a client's retries: a preset's or those of a table."""
    if not isinstance(value, Mapping):
        return CLIENTS[one_of("none" if is_off(value) else value, *CLIENTS)]
    unknown = sorted(
        set(value)
        - {"mode", "max_attempts", "base_s", "cap_s", "factor", "quota", "read_timeout_s"}
    )
    if unknown:
        message = f"the reference does not model client_retry keys {unknown}"
        raise ValueError(message)
    cap, factor = value.get("cap_s", 20), value.get("factor", "uniform")
    quota, read_timeout = value.get("quota", "off"), value.get("read_timeout_s", "off")
    return ClientRetry(
        max_attempts=int(value.get("max_attempts", 3)),
        base_us=seconds_to_us(value.get("base_s", 1)),
        cap_us=None if is_off(cap) else seconds_to_us(cap),
        factor=None if factor == "uniform" else float(factor),
        quota=None if is_off(quota) else int(quota),
        read_timeout_us=None if is_off(read_timeout) else seconds_to_us(read_timeout),
        adaptive=one_of(value.get("mode", "standard"), "standard", "adaptive") == "adaptive",
    )


def resolve_provision(pool: str, everything: bool, value: Any) -> Provision:
    """Return the provisioned concurrency of one pool."""
    if not isinstance(value, Mapping):
        return Provision(pool, everything, int(value), None, ())
    unknown = sorted(set(value) - OF_PROVISIONED)
    if unknown:
        message = f"the reference does not model provisioned_concurrency keys {unknown}"
        raise ValueError(message)
    tracking = value.get("target_tracking", "off")
    schedule = [
        ScheduleEntry(
            at=instant_of(entry["at"]) if "at" in entry else None,
            least=entry.get("min"),
            most=entry.get("max"),
            cron=entry.get("cron"),
            rate=entry.get("rate"),
            timezone=entry.get("timezone", "UTC"),
            begin=instant_of(entry["start_time"]) if "start_time" in entry else None,
            end=instant_of(entry["end_time"]) if "end_time" in entry else None,
        )
        for entry in value.get("schedule", [])
    ]
    return Provision(
        pool=pool,
        everything=everything,
        initial=int(value.get("initial", 0)),
        tracking=None
        if is_off(tracking)
        else Tracking(exact(tracking["target"]), int(tracking["min"]), int(tracking["max"])),
        schedule=tuple(schedule),
    )


def resolve_state(section: Mapping[str, Any]) -> State:
    """Return what runs with one state key do to each other."""
    longest = section.get("max_lock_wait_s", "off")
    backoff = section.get("backoff_ms", 0)
    return State(
        discipline=one_of(section.get("discipline", "lock"), "lock", "optimistic", "append"),
        by_function=one_of(section.get("scope", "account"), "account", "function") == "function",
        max_lock_wait_us=None if is_off(longest) else seconds_to_us(longest),
        max_retries=int(section.get("max_retries", 3)),
        backoff_us=0 if is_off(backoff) else milliseconds_to_us(backoff),
    )


def resolve_fault(section: Mapping[str, Any]) -> Fault:
    """Return what goes wrong, and when."""
    begin = instant_of(section["at"])
    error = section.get("error")
    if error is not None:
        one_of(error, "handled", "crash")
    return Fault(
        begin=begin,
        end=begin + seconds_to_us(section["for_s"]),
        function=section.get("function"),
        slow=section.get("slow"),
        init=section.get("init"),
        error=error,
        throttle=section.get("throttle") is True,
    )


def resolve(scenario: Mapping[str, Any], marks: Marks) -> Settings:
    """Look everything up that a replay needs to know of a scenario."""
    return Settings(scenario, marks)
