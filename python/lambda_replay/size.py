"""How large a limit must be: proved by replaying it and its neighbours.

Whether a size meets a target is no monotone function of the size, so nothing is found by bisection
where that has not been proved (docs/decisions/0018). Each size that is named was replayed.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

import polars as pl

from lambda_replay.checks import Check, measure
from lambda_replay.exceptions import ScenarioError, TraceError, show
from lambda_replay.figures import count
from lambda_replay.ingest import open_trace
from lambda_replay.recommendation import Recommendation
from lambda_replay.replay import choose_scenario
from lambda_replay.several import Wanted, replay_several
from lambda_replay.size_notes import notes_on
from lambda_replay.size_question import (
    CHEAPEST,
    UNLIMITED,
    Named,
    Question,
    SizeError,
    What,
    aside,
    question_of,
    row_of,
)
from lambda_replay.size_sources import free_of_source, named_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lambda_replay.engine import Progress
    from lambda_replay.ingest import TraceLike
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = ["Recommendation", "Search", "SizeError", "What", "size"]

#: Sizes that are all replayed; of more, an even choice is, and then all around where it changes.
SCANNED: Final = 400
#: Results that are kept: a size may be asked for again.
_RESULTS_KEPT: Final = 8
#: What is told of the function that is sized, and of one that an event source invokes.
_OF_FUNCTIONS: Final = ("throttled", "cold_starts", "spillover_invocations", "utilisation")
_OF_SOURCES: Final = (
    *("iterator_age_ms.p99", "iterator_age_ms.max", "wait_ms.p99", "wait_ms.max"),
    *("throttled", "cold_starts"),
)
_MEASURES: Final = ("throttled", "throttles", "dropped", "loss_rate", "cold_starts")


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
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> Recommendation:
    """Find out how large a limit must be.

    Parameters
    ----------
    trace, scenario, seed
        As for :func:`lambda_replay.replay`.
    what
        ``account`` (concurrency of the account), ``reserved`` or ``provisioned`` (concurrency of
        ``function``), ``downstream`` (reserved concurrency of each function of ``downstream``, so
        that its connections suffice), ``maximum_concurrency`` (of a queue) or ``shards`` (of a
        stream or topic) of ``source``.
    function
        Whose reserved or provisioned concurrency.
    source
        Name of an event source of the scenario.
    downstream
        Name of a table of [downstream].
    target
        A condition that is to hold, as ``--fail-if`` has them, or ``cheapest``. About the whole
        account unless it begins with ``function=NAME:``. By default no throttles, for provisioned
        concurrency no cold starts of the function, for a downstream service its limit, for an
        event source nothing lost of its function.
    progress
        Told how far all replays together are, in rows.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    Recommendation
        ``str()`` of it is for people.

    Raises
    ------
    SizeError
        A function, event source or downstream service is missing or unknown, or the key changes
        while the trace runs.
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
    base = choose_scenario(trace, scenario, seed)
    question = question_of(base, what, Named(function, source, downstream), target)
    # Once: what comes as a stream is put aside, and then read as often as need be.
    with contextlib.closing(open_trace(trace, read)) as opened:
        return Search(opened, base, question, progress, read, bad).answer()


# ---------------------------------------------------------------------------- the search


@dataclass
class Search:
    """The sizes that were replayed so far, and how to the answer."""

    trace: TraceLike
    base: Scenario
    question: Question
    progress: Callable[[Progress], None] | None
    read: ReadOptions | None
    bad: BadRows | None
    #: By size: whether it meets the target (None: it is no valid scenario), and its result.
    known: dict[int, tuple[bool, dict[str, Any]]] = field(default_factory=dict)
    results: dict[int, ReplayResult] = field(default_factory=dict)
    invalid: set[int] = field(default_factory=set)

    def answer(self) -> Recommendation:
        """Find the answer."""
        question = self.question
        free, peak = self._free()
        peak = min(max(peak, question.least), question.most)
        if question.what == "downstream":
            return self._downward(peak)
        if question.what == "shards":
            if not self.meets(peak):
                proof = f"no number met it: 1, 2, 4, … {count(peak)} replayed"
                return self._recommend(None, None, free=free, peak=peak, proof=proof, exact=False)
            # Beyond twice what doubling needed there is no demand to meet.
            peak = min(2 * peak, question.most)
            return self._by_scanning(free, peak)
        if question.target == CHEAPEST:
            return self._cheapest(free, peak)
        assert question.check is not None
        if self._is_threshold(question.check):
            return self._by_threshold(free, peak)
        return self._by_scanning(free, peak)

    # ---------------------------------------------------------------- one replay and its verdict

    def _scenario(self, number: int) -> Scenario:
        return self.base.with_many(dict.fromkeys(self.question.keys, number))

    def replay(self, scenarios: list[Scenario], **options: Any) -> list[ReplayResult]:
        """Replay scenarios side by side, the trace read as it was asked for."""
        return replay_several(self.trace, scenarios, read=self.read, bad=self.bad, **options)

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
        try:
            self.replay(scenarios, wanted=wanted, done=done, progress=self.progress)
        except TraceError as error:
            if self.question.what == "shards" and error.code == "LR-T-SHARD":
                raise named_shards(self.question) from error
            raise

    def _keep(self, number: int, result: ReplayResult) -> None:
        """Keep few results: those of the ends and of the sizes tried last."""
        self.results[number] = result
        if len(self.results) > _RESULTS_KEPT:
            del self.results[next(iter(self.results))]

    def result(self, number: int | None) -> ReplayResult | None:
        """Give the replay of a size."""
        if number is None:
            return None
        if number not in self.results:
            found = self.replay([self._scenario(number)])
            self.results[number] = found[0]
        return self.results[number]

    def _judge(self, result: ReplayResult) -> tuple[bool, dict[str, Any]]:
        question = self.question
        summary = result.summary.to_dict()
        row: dict[str, Any] = {name: measure(summary, name) for name in _MEASURES}
        row["cost_usd.total"] = measure(summary, "cost_usd.total")
        row["max_concurrency"] = result.summary.max_concurrency
        if question.function is not None:
            mine = row_of(result, question.function)
            for name in _OF_SOURCES if question.source is not None else _OF_FUNCTIONS:
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
            mine = row_of(result, check.function)
            if mine is None:
                names = result.functions["function"].to_list()
                # Says which functions there are.
                check.evaluate(summary, {name: {} for name in names})
            functions = {check.function: mine or {}}
        judged = check.evaluate(summary, functions)
        row["target"] = judged.value
        # Where nothing could happen, the target is met; where nothing was let in, it is not.
        asked = summary if check.function is None else (functions or {}).get(check.function) or {}
        return judged.holds or (judged.value is None and not asked.get("records")), row

    def set_aside(self) -> int:
        """Count the units that functions named in the scenario have set aside."""
        return aside(self.base)

    def meets(self, number: int) -> bool:
        """Tell whether a size was replayed and meets the target."""
        return self.known[number][0] if number in self.known else False

    # ---------------------------------------------------------------- the demand

    def _free(self) -> tuple[ReplayResult, int]:
        """Replay without the limit; gives the most units that were wanted of it."""
        question = self.question
        if question.what == "account":
            scenario = self.base.with_many({"account.concurrency": UNLIMITED})
            (found,) = self.replay([scenario], wanted=Wanted(metrics=True))
            most = found.region["ClaimedAccountConcurrency"].max()
            return found, max(found.summary.max_concurrency, most if isinstance(most, int) else 0)
        if question.source is not None:
            return free_of_source(self)
        free: dict[str, object] = {"account.concurrency": UNLIMITED}
        if question.what in {"reserved", "downstream"}:
            free |= dict.fromkeys(question.keys, UNLIMITED // 4 // max(1, len(question.keys)))
        else:
            free |= dict.fromkeys(question.keys, 0)
        try:
            scenario = self.base.with_many(free)
        except ScenarioError:
            scenario = self.base.with_many({"account.concurrency": UNLIMITED})
        (found,) = self.replay([scenario], wanted=Wanted(metrics=True))
        if question.service is not None:
            members = _matching(found, question.service[0])
            peaks = [
                row["max_concurrency"]
                for row in found.functions.to_dicts()
                if row["function"] in members
            ]
            return found, max(peaks, default=0)
        assert question.function is not None
        mine = row_of(found, question.function)
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
            return self._recommend(None, None, (), free=free, peak=peak, proof=self._why_not(low))
        below = low - 1 >= question.least and low - 1 in self.known
        proof = (
            "from one replay without the limit: up to its first refusal a smaller limit changes"
            f" nothing; replayed: {low} meets the target"
            + (f", {low - 1} does not" if below and not self.meets(low - 1) else "")
        )
        if below and self.meets(low - 1):
            # What the proof rules out has happened: believe the replays.
            return self._by_scanning(free, max(peak, low))
        return self._recommend(low, low, (), free=free, peak=peak, proof=proof)

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
            self._refine()
        top = min(peak, high)
        self.try_all([top])
        meeting = sorted(one for one in self.known if one <= top and self.meets(one))
        if not meeting:
            return self._recommend(
                None, None, (), free=free, peak=peak, proof=self._why_not(top), exact=exact
            )
        tried = sorted(one for one in self.known if one <= top)
        value: int | None = None
        for number in reversed(tried):
            if not self.meets(number):
                break
            value = number
        smallest = meeting[0]
        failing = tuple(one for one in tried if one > smallest and not self.meets(one))
        end = value if value is not None else smallest
        self.try_all([end - 1, end + 1, smallest - 1])
        proof = f"{self._replayed()}, none inferred from another"
        return self._recommend(
            value, smallest, failing, free=free, peak=peak, proof=proof, exact=exact
        )

    def _refine(self) -> None:
        """Replay everything between two tried sizes that differ in whether they meet the target."""
        while True:
            tried = sorted(self.known)
            gaps = [
                (one, other)
                for one, other in itertools.pairwise(tried)
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
        proof = f"{self._replayed()}; {best} costs least"
        return self._recommend(best, best, (), free=free, peak=peak, proof=proof, exact=exact)

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
            self._refine()
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
        proof = f"{self._replayed('cap')}, none inferred from another"
        return self._recommend(
            value, largest, failing, free=None, peak=peak, proof=proof, exact=exact
        )

    # ---------------------------------------------------------------- the answer

    def _replayed(self, noun: str = "size") -> str:
        """Say which sizes were replayed: those of the table."""
        tried = sorted(self.known)
        first, last = tried[0], tried[-1]
        if first == last:
            return f"{noun} {count(first)} replayed alone"
        many = last - first + 1
        which = "all" if len(tried) == many else f"{count(len(tried))} of {count(many)}"
        return f"{which} {noun}s from {count(first)} to {count(last)} replayed"

    def _why_not(self, number: int) -> str:
        result = self.result(number) if number in self.known else None
        room = ""
        if self.question.most <= 1 and self.question.what != "account":
            account = self.base.resolve().account.concurrency
            room = f" (an account of {count(account)} leaves {self.question.most} to set aside)"
        check = self.question.check
        if check is not None and all(row["target"] is None for _, row in self.known.values()):
            return f"{check.measure} has no value at any size that was replayed"
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
        failing: tuple[int, ...] = (),
        *,
        free: ReplayResult | None,
        peak: int,
        proof: str,
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
        notes = tuple(notes_on(found, self, free))
        return Recommendation(**{**found.__dict__, "notes": notes})


def _matching(result: ReplayResult, patterns: Sequence[str]) -> set[str]:
    from lambda_replay.scenario.globs import compile_glob  # noqa: PLC0415 - one caller

    names = result.functions["function"].to_list()
    found: set[str] = set()
    for pattern in patterns:
        glob = compile_glob(pattern)
        found |= {name for name in names if name == pattern or (glob and glob.match(name))}
    return found


def _connections(result: ReplayResult, service: tuple[tuple[str, ...], int, int]) -> int:
    """Count connections at most: by minute, the sum of each function's most environments."""
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
