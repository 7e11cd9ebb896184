"""How large a limit must be: proved by replaying it and its neighbours.

Whether a size meets a target is no monotone function of the size, so nothing is found by bisection
where that has not been proved (docs/decisions/0018). Each size that is named was replayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import polars as pl

from lambda_replay.checks import Check, CheckError, Number, measure, parse
from lambda_replay.exceptions import LambdaReplayError, Problem, ScenarioError, show
from lambda_replay.figures import clock, count, mean, money, plural, share_of
from lambda_replay.lines import name_of, set_table, wrap
from lambda_replay.measures import shown
from lambda_replay.replay import choose_scenario
from lambda_replay.scenario.keys import format_key
from lambda_replay.several import Wanted, replay_several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lambda_replay.engine import Progress
    from lambda_replay.ingest import TraceLike
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = ["Recommendation", "What", "size"]

What = Literal[
    "account", "reserved", "provisioned", "downstream", "maximum_concurrency", "shards"
]

#: Sizes that are all replayed; of more, an even choice is, and then all around where it changes.
SCANNED: Final = 400
#: No limit that any trace would meet.
_UNLIMITED: Final = 1_000_000
CHEAPEST: Final = "cheapest"
_DEFAULT_TARGET: Final[dict[str, str]] = {
    "account": "throttles <= 0",
    "reserved": "throttles <= 0",
    "provisioned": "cold_starts <= 0",
    "downstream": "connections <= limit",
}
#: Results that are kept: a size may be asked for again.
_RESULTS_KEPT: Final = 8
_MEASURES: Final = ("throttled", "throttles", "dropped", "loss_rate", "cold_starts")


class SizeError(LambdaReplayError, ValueError):
    """A question about sizes that cannot be asked so."""

    exit_code = 2
    default_code = "LR-Z000"


@dataclass(frozen=True)
class Recommendation:
    """How large, and why.

    Attributes
    ----------
    what, key
        What was sized, and the key of the scenario that was set.
    target
        What was to be met.
    value
        The smallest size from which on every larger one up to the demand's peak meets the target
        (``downstream``: the largest up to which every smaller one does); None where there is none.
    smallest
        The smallest size that meets it at all (``downstream``: the largest).
    table
        A row per size that was replayed: ``size``, ``meets``, then measures.
    failing
        Sizes between ``smallest`` and ``value`` that fail.
    exact
        Whether every size that could change the answer was replayed, or is known from a proof.
    proof
        Why.
    current
        What the scenario says now; None where nothing.
    peak
        What the demand needs at most, without the limit.
    notes
        What else follows: break-even, schedule, a paragraph for a quota request.
    result
        The replay of :attr:`value`, or of the smallest that meets the target; None where none does.
    """

    what: str
    key: str
    target: str
    value: int | None
    smallest: int | None
    table: pl.DataFrame
    failing: tuple[int, ...]
    exact: bool
    proof: str
    current: int | None
    peak: int
    notes: tuple[tuple[str, str], ...] = ()
    result: ReplayResult | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        names = ("what", "key", "target", "value", "smallest", "exact", "proof", "current", "peak")
        return {
            "schema_version": 1,
            **{name: getattr(self, name) for name in names},
            "failing": list(self.failing),
            "notes": [{"about": about, "text": text} for about, text in self.notes],
            "table": self.table.to_dicts(),
        }

    def __str__(self) -> str:
        return "\n".join(_text(self))


def size(
    trace: TraceLike,
    scenario: Scenario | None = None,
    *,
    what: What = "account",
    function: str | None = None,
    source: str | None = None,
    downstream: str | None = None,
    target: str | None = None,
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Recommendation:
    """Find out how large a limit must be.

    Parameters
    ----------
    trace, scenario, seed
        As for :func:`lambda_replay.replay`.
    what
        ``account`` (concurrency of the account), ``reserved`` or ``provisioned`` (concurrency of
        ``function``), ``downstream`` (reserved concurrency of each function of ``downstream``, so
        that its connections suffice).
    function
        Whose reserved or provisioned concurrency.
    downstream
        Name of a table of [downstream].
    target
        A condition that is to hold, as ``--fail-if`` has them, or ``cheapest``. About the whole
        account unless it begins with ``function=NAME:``. By default no throttles, for provisioned
        concurrency no cold starts of the function, for a downstream service its limit.
    progress
        Told how far all replays together are, in rows.

    Returns
    -------
    Recommendation
        ``str()`` of it is for people.

    Raises
    ------
    SizeError
        A function or downstream service is missing or unknown, or the key changes while the trace
        runs.
    CheckError
        The target cannot be understood.

    Notes
    -----
    Zero throttles need as much as the run without the limit has at its peak, neither less nor more:
    up to its first refusal a smaller limit changes nothing. Any other target is found by replaying
    sizes one by one.
    """
    if what not in get_args(What):
        message = f"what is {show(what)}; it is one of {', '.join(get_args(What))}"
        raise SizeError(message)
    if what in {"maximum_concurrency", "shards"}:
        of = f" of {show(source)}" if source else ""
        message = f"{what}{of} belongs to an event source, and those are not replayed yet"
        raise SizeError(message, code="LR-Z-SOURCE", hint="size account, reserved or provisioned")
    base = choose_scenario(trace, scenario, seed)
    question = _question(base, what, function, downstream, target)
    return _Search(trace, base, question, progress).answer()


# ---------------------------------------------------------------------------- the question


@dataclass(frozen=True)
class _Question:
    what: str
    #: Keys that are set to the size.
    keys: tuple[str, ...]
    function: str | None
    target: str
    check: Check | None
    #: Sizes that make sense at all.
    least: int
    most: int
    current: int | None
    #: Functions of a downstream service, its limit, and connections of an environment.
    service: tuple[tuple[str, ...], int, int] | None = None


def _question(
    base: Scenario, what: str, function: str | None, downstream: str | None, target: str | None
) -> _Question:
    resolved = base.resolve()
    account = resolved.account
    text = target or _DEFAULT_TARGET[what]
    if what == "provisioned" and target is None and function is not None:
        text = f"function={function}: {text}"
    check = None
    if text not in {CHEAPEST, _DEFAULT_TARGET["downstream"]}:
        check = parse(text)
    if what == "downstream":
        return _downstream(base, downstream, text, check)
    if what == "account":
        _check_unchanged(base, "account.concurrency")
        aside = _aside(base)
        return _Question(
            what,
            ("account.concurrency",),
            None,
            text,
            check,
            max(1, aside),
            _UNLIMITED,
            account.concurrency,
        )
    if function is None:
        message = f"{what} concurrency of which function? Name it: function="
        raise SizeError(message, hint="on the command line: --function NAME")
    bare = function.partition(":")[0]
    settings = resolved.function(bare)
    key = format_key(("functions", bare, f"{what}_concurrency"))
    _check_unchanged(base, key)
    if what == "reserved":
        own = settings.reserved or 0
        most = max(0, account.concurrency - min(100, account.concurrency) - (_aside(base) - own))
        return _Question(what, (key,), bare, text, check, 0, most, settings.reserved)
    pools = base.to_dict().get("functions", {}).get(bare, {}).get("provisioned_concurrency")
    if isinstance(pools, dict):
        message = f"{bare} has provisioned concurrency by qualifier or by schedule already"
        raise SizeError(message, hint=f"take {key} out of the scenario, or sweep one of its keys")
    most = settings.reserved
    if most is None:
        own = pools if isinstance(pools, int) else 0
        most = max(0, account.concurrency - min(100, account.concurrency) - (_aside(base) - own))
    return _Question(
        what, (key,), bare, text, check, 0, most, pools if isinstance(pools, int) else None
    )


def _aside(base: Scenario) -> int:
    """Units that functions named in the scenario have set aside."""
    resolved = base.resolve()
    total = 0
    for name in resolved.literal_names():
        one = resolved.function(name)
        if one.reserved is not None:
            total += one.reserved
    return total


def _check_unchanged(base: Scenario, key: str) -> None:
    """Refuse a key that the scenario changes on the way."""
    for change in base.to_dict().get("changes", []):
        if key in change.get("set", {}):
            message = f"{key} changes at {change['at']}: there is no one size of it"
            raise SizeError(message, hint="take it out of [[changes]]")


def _downstream(base: Scenario, name: str | None, text: str, check: Check | None) -> _Question:
    services = base.downstream()
    if name is None or name not in services:
        known = ", ".join(services) or "none"
        message = (
            "which downstream service?" if name is None else f"there is no downstream {show(name)}"
        )
        hint = f"[downstream.NAME] in the scenario: {known}; on the command line --downstream NAME"
        raise SizeError(message, hint=hint)
    service = services[name]
    keys = tuple(
        format_key(("functions", one, "reserved_concurrency")) for one in service.functions
    )
    for key in keys:
        _check_unchanged(base, key)
    account = base.resolve().account
    most = max(0, account.concurrency - min(100, account.concurrency))
    own = (service.functions, service.limit, service.per_environment or 1)
    return _Question("downstream", keys, None, text, check, 0, most, None, own)


# ---------------------------------------------------------------------------- the search


@dataclass
class _Search:
    trace: TraceLike
    base: Scenario
    question: _Question
    progress: Callable[[Progress], None] | None
    #: By size: whether it meets the target (None: it is no valid scenario), and its result.
    known: dict[int, tuple[bool, dict[str, Any]]] = field(default_factory=dict)
    results: dict[int, ReplayResult] = field(default_factory=dict)
    invalid: set[int] = field(default_factory=set)
    concurrency_free: ReplayResult | None = None

    def answer(self) -> Recommendation:
        question = self.question
        free, peak = self._free()
        peak = min(max(peak, question.least), question.most)
        if question.what == "downstream":
            return self._downward(peak)
        if question.target == CHEAPEST:
            return self._cheapest(free, peak)
        assert question.check is not None
        if self._is_threshold(question.check):
            return self._by_threshold(free, peak)
        return self._by_scanning(free, peak)

    # ---------------------------------------------------------------- one replay and its verdict

    def _scenario(self, number: int) -> Scenario:
        return self.base.with_many(dict.fromkeys(self.question.keys, number))

    def try_all(self, numbers: Iterable[int]) -> None:
        """Replay sizes that were not replayed yet."""
        fresh = [one for one in dict.fromkeys(numbers) if one not in self.known]
        scenarios, valid = [], []
        for number in fresh:
            if number < self.question.least or number > self.question.most:
                continue
            if number in self.invalid:
                continue
            try:
                scenarios.append(self._scenario(number))
            except ScenarioError:
                self.invalid.add(number)
                continue
            valid.append(number)
        if not valid:
            return

        def done(place: int, result: ReplayResult) -> None:
            number = valid[place]
            self.known[number] = self._judge(result)
            self._keep(number, result)

        wanted = Wanted(metrics=self.question.service is not None)
        replay_several(self.trace, scenarios, wanted=wanted, done=done, progress=self.progress)

    def _keep(self, number: int, result: ReplayResult) -> None:
        """Keep few results: those of the ends and of the sizes tried last."""
        self.results[number] = result
        if len(self.results) > _RESULTS_KEPT:
            del self.results[next(iter(self.results))]

    def result(self, number: int | None) -> ReplayResult | None:
        if number is None:
            return None
        if number not in self.results:
            found = replay_several(self.trace, [self._scenario(number)])
            self.results[number] = found[0]
        return self.results[number]

    def _judge(self, result: ReplayResult) -> tuple[bool, dict[str, Any]]:
        question = self.question
        summary = result.summary.to_dict()
        row: dict[str, Any] = {name: measure(summary, name) for name in _MEASURES}
        row["cost_usd.total"] = measure(summary, "cost_usd.total")
        row["max_concurrency"] = result.summary.max_concurrency
        if question.function is not None:
            mine = _row_of(result, question.function)
            for name in ("throttled", "cold_starts", "spillover_invocations", "utilisation"):
                row[f"function.{name}"] = measure(mine, name) if mine else None
        if question.service is not None:
            row["connections"] = _connections(result, question.service)
            if question.check is None:
                return row["connections"] <= question.service[1], row
        if question.check is None:
            return True, row
        check = question.check
        functions = None
        if check.function is not None:
            mine = _row_of(result, check.function)
            if mine is None:
                names = result.functions["function"].to_list()
                # Says which functions there are.
                check.evaluate(summary, {name: {} for name in names})
            functions = {check.function: mine or {}}
        judged = check.evaluate(summary, functions)
        row["target"] = judged.value
        # Where nothing happened that could be wrong, the target is met.
        return judged.holds or judged.value is None, row

    def meets(self, number: int) -> bool:
        return self.known[number][0] if number in self.known else False

    # ---------------------------------------------------------------- the demand

    def _free(self) -> tuple[ReplayResult, int]:
        """Replay without the limit; gives the most units that were wanted of it."""
        question = self.question
        if question.what == "account":
            scenario = self.base.with_many({"account.concurrency": _UNLIMITED})
            (found,) = replay_several(self.trace, [scenario], wanted=Wanted(metrics=True))
            most = found.region["ClaimedAccountConcurrency"].max()
            return found, max(
                found.summary.max_concurrency, most if isinstance(most, int) else 0
            )
        free: dict[str, object] = {"account.concurrency": _UNLIMITED}
        if question.what in {"reserved", "downstream"}:
            free |= dict.fromkeys(question.keys, _UNLIMITED // 4 // max(1, len(question.keys)))
        else:
            free |= dict.fromkeys(question.keys, 0)
        try:
            scenario = self.base.with_many(free)
        except ScenarioError:
            scenario = self.base.with_many({"account.concurrency": _UNLIMITED})
        (found,) = replay_several(self.trace, [scenario], wanted=Wanted(metrics=True))
        if question.service is not None:
            names = _matching(found, question.service[0])
            peaks = [row["max_concurrency"] for row in found.functions.to_dicts()
                     if row["function"] in names]
            return found, max(peaks, default=0)
        assert question.function is not None
        mine = _row_of(found, question.function)
        if mine is None:
            names = found.functions["function"].to_list()
            check = Check(question.function, question.function, "throttles", ">", 0)
            check.evaluate({}, {name: {} for name in names})
            message = f"{question.function} has no row in the trace"
            raise SizeError(message)
        return found, int(mine["max_concurrency"])

    def _is_threshold(self, check: Check) -> bool:
        """Tell whether meeting the target is known to hold from one size on.

        No throttles at all, of everything that draws on the limit: up to its first refusal a run is
        the run without the limit, so that none is refused from the peak on, and some below.
        """
        none = check.measure == "throttles" and check.threshold == 0
        if not none or check.operator not in {"<=", "=="}:
            return False
        if self.question.what == "account":
            return check.function is None
        # Units of its own make a function's rows independent of all others, unless the request
        # rate of the account refuses.
        own = self.question.what == "reserved" and check.function == self.question.function
        return own and self.base.resolve().account.rps is None

    # ---------------------------------------------------------------- ways to the answer

    def _by_threshold(self, free: ReplayResult, peak: int) -> Recommendation:
        question = self.question
        low, high = peak, peak
        self.try_all([peak - 1, peak, peak + 1])
        # Rates that follow the limit may ask for more than the peak of units does.
        while not self.meets(high) and high < question.most:
            low, high = high + 1, min(question.most, 2 * high + 1)
            self.try_all([high])
        while low < high:
            middle = (low + high) // 2
            self.try_all([middle])
            low, high = (low, middle) if self.meets(middle) else (middle + 1, high)
        self.try_all([low - 1, low, low + 1])
        if not self.meets(low):
            return self._recommend(None, None, (), free, peak, self._why_not(low))
        below = low - 1 >= question.least and low - 1 in self.known
        proof = (
            "from one replay without the limit: up to its first refusal a smaller limit changes"
            f" nothing; replayed: {low} meets the target"
            + (f", {low - 1} does not" if below and not self.meets(low - 1) else "")
        )
        if below and self.meets(low - 1):
            # What the proof rules out has happened: believe the replays.
            return self._by_scanning(free, max(peak, low))
        return self._recommend(low, low, (), free, peak, proof)

    def _by_scanning(self, free: ReplayResult, peak: int) -> Recommendation:
        question = self.question
        low, high = question.least, max(peak, question.least)
        if question.what == "reserved":
            # More than the function wants is taken from the others: they may lose by it.
            high = min(question.most, peak + 1)
        high = min(high + 1, question.most)
        exact = high - low + 1 <= SCANNED
        numbers = list(range(low, high + 1))
        if not exact:
            step = -(-(high - low) // (SCANNED // 2))
            numbers = sorted({*range(low, high + 1, step), high, max(low, high - 1)})
        self.try_all(numbers)
        if not exact:
            self._refine(numbers)
        top = min(peak, high)
        self.try_all([top])
        meeting = sorted(one for one in self.known if one <= top and self.meets(one))
        if not meeting:
            return self._recommend(None, None, (), free, peak, self._why_not(top), exact=exact)
        tried = sorted(one for one in self.known if one <= top)
        value: int | None = None
        for number in reversed(tried):
            if not self.meets(number):
                break
            value = number
        smallest = meeting[0]
        failing = tuple(
            one for one in tried if one > smallest and not self.meets(one)
        )
        end = value if value is not None else smallest
        self.try_all([end - 1, end + 1, smallest - 1])
        which = "all" if exact else f"{len(tried)} of {top - low + 1}"
        proof = f"{which} sizes from {low} to {top} replayed, none inferred from another"
        return self._recommend(value, smallest, failing, free, peak, proof, exact=exact)

    def _refine(self, numbers: Sequence[int]) -> None:
        """Replay everything between two tried sizes that differ in whether they meet the target."""
        while True:
            tried = sorted(self.known)
            gaps = [
                (one, other)
                for one, other in zip(tried, tried[1:], strict=False)
                if other - one > 1 and self.meets(one) != self.meets(other)
            ]
            if not gaps:
                return
            fresh = [at for one, other in gaps[:4] for at in range(one + 1, other)]
            self.try_all(fresh)
            if not any(one in self.known for one in fresh):
                return

    def _cheapest(self, free: ReplayResult, peak: int) -> Recommendation:
        question = self.question
        low, high = question.least, min(max(peak, question.least), question.most)
        exact = high - low + 1 <= SCANNED
        step = 1 if exact else -(-(high - low) // (SCANNED // 2))
        numbers = sorted({*range(low, high + 1, step), high})
        self.try_all(numbers)
        costs = {
            number: row["cost_usd.total"]
            for number, (_, row) in self.known.items()
            if row["cost_usd.total"] is not None
        }
        if not costs:
            message = "prices of the Region are not known, so nothing is cheapest"
            raise SizeError(message, hint="set account.pricing.region")
        if not exact:
            near = min(costs, key=lambda number: (costs[number], number))
            self.try_all(range(near - step + 1, near + step))
            costs = {number: row["cost_usd.total"] for number, (_, row) in self.known.items()}
        best = min(costs, key=lambda number: (costs[number], number))
        self.try_all([best - 1, best + 1])
        for number, (_, row) in list(self.known.items()):
            self.known[number] = (number == best, row)
        which = "all" if exact else f"{len(costs)}"
        proof = f"{which} sizes from {low} to {high} replayed; {best} costs least"
        return self._recommend(best, best, (), free, peak, proof, exact=exact)

    def _downward(self, peak: int) -> Recommendation:
        """Find the largest cap that protects a downstream service."""
        question = self.question
        assert question.service is not None
        high = min(question.most, max(peak, 1))
        low = question.least
        exact = high - low + 1 <= SCANNED
        step = 1 if exact else -(-(high - low) // (SCANNED // 2))
        self.try_all(sorted({*range(low, high + 1, step), high}))
        if not exact:
            self._refine(())
        tried = sorted(self.known)
        value: int | None = None
        for number in tried:
            if not self.meets(number):
                break
            value = number
        meeting = [number for number in tried if self.meets(number)]
        largest = meeting[-1] if meeting else None
        if value is not None:
            self.try_all([value + 1])
        failing = tuple(
            one for one in tried if largest is not None and one < largest and not self.meets(one)
        )
        which = "all" if exact else f"{len(tried)} of {high - low + 1}"
        proof = f"{which} caps from {low} to {high} replayed, none inferred from another"
        return self._recommend(value, largest, failing, None, peak, proof, exact=exact)

    # ---------------------------------------------------------------- the answer

    def _why_not(self, number: int) -> str:
        result = self.result(number) if number in self.known else None
        room = ""
        if self.question.most <= 1 and self.question.what != "account":
            account = self.base.resolve().account.concurrency
            room = f" (an account of {count(account)} leaves {self.question.most} to set aside)"
        if result is None or not result.summary.throttles_by_limit:
            return f"no size meets the target{room}"
        limits = ", ".join(
            f"{name} {count(many)}" for name, many in result.summary.throttles_by_limit.items()
        )
        return f"no size meets the target{room}: at {number} throttles remain, by {limits}"

    def _recommend(
        self,
        value: int | None,
        smallest: int | None,
        failing: tuple[int, ...],
        free: ReplayResult | None,
        peak: int,
        proof: str,
        *,
        exact: bool = True,
    ) -> Recommendation:
        question = self.question
        chosen = value if value is not None else smallest
        result = self.result(chosen)
        found = Recommendation(
            what=question.what,
            key=" and ".join(question.keys),
            target=question.target,
            value=value,
            smallest=smallest,
            table=_table(self.known),
            failing=failing,
            exact=exact,
            proof=proof,
            current=question.current,
            peak=peak,
            notes=(),
            result=result,
        )
        notes = tuple(_notes(found, self, free))
        return Recommendation(**{**found.__dict__, "notes": notes})


def _row_of(result: ReplayResult, function: str) -> dict[str, Any] | None:
    rows = result.functions.filter(pl.col("function") == function).to_dicts()
    return rows[0] if rows else None


def _matching(result: ReplayResult, patterns: Sequence[str]) -> set[str]:
    from lambda_replay.scenario.globs import compile_glob  # noqa: PLC0415 - one caller

    names = result.functions["function"].to_list()
    found: set[str] = set()
    for pattern in patterns:
        glob = compile_glob(pattern)
        found |= {name for name in names if name == pattern or (glob and glob.match(name))}
    return found


def _connections(result: ReplayResult, service: tuple[tuple[str, ...], int, int]) -> int:
    """Connections at most: of each minute, the sum of the functions' most environments."""
    patterns, _, each = service
    assert result.metrics is not None
    names = list(_matching(result, patterns))
    sums = (
        result.metrics.filter(pl.col("function").is_in(names))
        .group_by("timestamp")
        .agg(pl.col("environments").sum())
    )
    most = sums["environments"].max()
    return (most if isinstance(most, int) else 0) * each


def _table(known: Mapping[int, tuple[bool, dict[str, Any]]]) -> pl.DataFrame:
    rows = [{"size": number, "meets": ok, **row} for number, (ok, row) in sorted(known.items())]
    schema = {"size": pl.Int64(), "meets": pl.Boolean()}
    names = dict.fromkeys(name for row in rows for name in row if name not in schema)
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(names, pl.Float64())}, strict=False)


# ---------------------------------------------------------------------------- what follows from it


def _notes(
    found: Recommendation, search: _Search, free: ReplayResult | None
) -> Iterable[tuple[str, str]]:
    if free is not None and found.what == "account":
        at = free.summary.concurrency
        yield (
            "demand",
            f"without the limit: mean {mean(at.mean)}, p50 {count(at.p50)}, p99 {count(at.p99)},"
            f" p99.9 {count(at.p999)}, max {count(at.max)}; claimed at most {count(found.peak)}",
        )
        if found.value is not None:
            yield "quota", _quota(found, free)
    if found.what == "reserved" and found.value is not None:
        account = search.base.resolve().account
        left = account.concurrency - found.value - (_aside(search.base) - (found.current or 0))
        least = min(100, account.concurrency)
        word = "as AWS wants at least" if left >= least else "AWS wants"
        yield "pool", f"leaves {count(left)} unreserved ({word} {count(least)})"
    if found.what == "provisioned":
        yield from _provisioned(found, search, free)
    if search.question.service is not None:
        names, limit, each = search.question.service
        yield (
            "service",
            f"{count(limit)} connections, {plural(each, 'connection')} per environment, for"
            f" {', '.join(name_of(one, 20) for one in names[:4])}; environments are counted by"
            " minute, each function at its most",
        )
        if found.result is not None:
            one = found.result.summary
            yield (
                "what it costs",
                f"{count(one.throttled)} throttled, {count(one.dropped)} dropped, async age p99"
                f" {shown('async_age_ms.p99', one.async_age_ms.p99)}",
            )


def _quota(found: Recommendation, free: ReplayResult) -> str:
    """Write a paragraph for a quota request."""
    trace, at = free.trace, free.summary.concurrency
    assert found.value is not None
    span = ""
    if trace.first is not None and trace.last is not None:
        span = f" from {clock(trace.first, day=True)} to {clock(trace.last, day=True)} UTC"
    runs = free.summary.invocations
    seconds = (
        (trace.last - trace.first).total_seconds() if trace.first and trace.last else 0.0
    )
    rate = f"{runs / seconds:,.4g} invocations/s of " if seconds > 0 else ""
    duration = free.summary.duration_ms.mean
    each = f"{duration:,.4g} ms on average" if duration is not None else "no duration"
    now = f" (now {count(found.current)})" if found.current is not None else ""
    return (
        f"We request a Lambda concurrent executions quota of {count(found.value)}{now}. A replay of"
        f" {count(trace.rows)} recorded requests{span} needs {rate}{each}, that is"
        f" {mean(at.mean)} concurrent executions on average, {count(at.p99)} for 99% of the time and"
        f" {count(found.peak)} at the peak; {count(found.value)} is the smallest quota at which"
        f" {found.target} holds."
    )


def _provisioned(
    found: Recommendation, search: _Search, free: ReplayResult | None
) -> Iterable[tuple[str, str]]:
    """Break-even, and a schedule by hour of the day."""
    costs = {
        number: row["cost_usd.total"]
        for number, (_, row) in search.known.items()
        if row["cost_usd.total"] is not None
    }
    if 0 not in costs and search.question.least == 0:
        search.try_all([0])
        costs = {number: row["cost_usd.total"] for number, (_, row) in search.known.items()}
    if costs.get(0) is not None:
        nothing = costs[0]
        paying = [number for number, cost in costs.items() if number and cost <= nothing]
        best = min(costs, key=lambda number: (costs[number], number))
        text = (
            f"up to {max(paying)} the total costs no more than without ({money(nothing)})"
            if paying
            else f"every size that was tried costs more than none ({money(nothing)})"
        )
        text += f"; {best} costs least ({money(costs[best])})"
        if found.value and found.value in search.known:
            cold = search.known[0][1]["function.cold_starts"]
            left = search.known[found.value][1]["function.cold_starts"]
            more, fewer = costs[found.value] - nothing, (cold or 0) - (left or 0)
            if fewer > 0 and more > 0:
                text += f"; each cold start avoided costs {money(more / fewer)}"
            used = search.known[found.value][1]["function.utilisation"]
            if used is not None:
                text += f"; utilisation {share_of(used)}"
        yield "break-even", text
    if free is None or free.metrics is None or search.question.function is None:
        return
    hours = (
        free.metrics.filter(pl.col("function") == search.question.function)
        .group_by(pl.col("timestamp").dt.hour().alias("hour"))
        .agg(pl.col("ConcurrentExecutions").max().alias("most"))
        .sort("hour")
    )
    stretches: list[tuple[int, int, int]] = []
    for hour, most in hours.iter_rows():
        level = int(most or 0)
        if stretches and stretches[-1][1] == hour and stretches[-1][2] == level:
            stretches[-1] = (stretches[-1][0], hour + 1, level)
        else:
            stretches.append((hour, hour + 1, level))
    if stretches:
        parts = [f"{begin:02d}-{end:02d} h: {count(level)}" for begin, end, level in stretches]
        yield "schedule", f"most at once by hour of the day, UTC: {', '.join(parts)}"


# ---------------------------------------------------------------------------- for people


def _text(found: Recommendation) -> list[str]:
    now = "now none" if found.current is None else f"now {count(found.current)}"
    if found.value is None and found.smallest is None:
        lines = [f"{found.key}: no size", f"target        {found.target} ({now})"]
        lines += wrap("why", [found.proof])
    else:
        head = "from some size on: none" if found.value is None else count(found.value)
        lines = [f"{found.key} = {head}", f"target        {found.target} ({now})"]
        if found.smallest != found.value and found.smallest is not None:
            word = "largest" if found.what == "downstream" else "smallest"
            lines += wrap(
                word,
                [
                    f"{count(found.smallest)} meets it too, but not every size in between:"
                    f" {', '.join(map(count, found.failing[:8]))}"
                    + (f" and {len(found.failing) - 8} more" if len(found.failing) > 8 else "")
                    + (" fails" if len(found.failing) == 1 else " fail")
                ],
            )
        lines += wrap("proof", [found.proof])
    if not found.exact:
        lines += wrap("", ["not every size was replayed: one in between might differ"])
    lines.append("")
    lines += _rows(found)
    lines.append("")
    for about, text in found.notes:
        lines += wrap(about, [text], most=6)
    return lines


def _rows(found: Recommendation) -> list[str]:
    """Show the sizes around the answer, and an even choice of the others."""
    rows = found.table.to_dicts()
    if not rows:
        return []
    sizes = [row["size"] for row in rows]
    near = {
        one
        for end in (found.value, found.smallest, found.current)
        if end is not None
        for one in (end - 1, end, end + 1)
    }
    step = max(1, len(sizes) // 6)
    wanted = {*(one for one in sizes if one in near), *sizes[::step], sizes[-1], *found.failing[:3]}
    columns = [
        name
        for name in ("throttled", "loss_rate", "cold_starts", "max_concurrency", "connections",
                     "function.throttled", "function.cold_starts", "cost_usd.total")
        if name in found.table.columns
    ][:6]
    table = [["size", "meets", *columns]]
    for row in rows:
        if row["size"] in wanted:
            cells = [_cell(name, row[name]) for name in columns]
            table.append([count(row["size"]), "yes" if row["meets"] else "no", *cells])
    return set_table(table[:20], left=0)


def _cell(name: str, value: Number | None) -> str:
    if name == "connections":
        return "-" if value is None else count(int(value))
    return shown(name.removeprefix("function."), value)
