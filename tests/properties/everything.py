"""Drawn scenarios with limits, events, provisioned environments, shared records and clients.

Owns how they are drawn, replayed and taken apart; the claims stand in the tests.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import assume

import lambda_replay as lr
from differential.comparison import plain, table
from lambda_replay.results import ReplayResult
from properties.replays import S, bare
from reference.random_cases import case
from semantics.product import frame

Line = dict[str, Any]
Rows = list[dict[str, Any]]


def qualified(function: str) -> str:
    """Return the name of a row's pool: none is $LATEST (Z9)."""
    return function if ":" in function else f"{function}:$LATEST"


@dataclass(frozen=True)
class World:
    """A replay of everything, and what it came from.

    Attributes
    ----------
    sections
        The scenario.
    rows
        The trace, in order of time.
    result
        As the API gives it.
    """

    sections: Mapping[str, Any]
    rows: Rows
    result: ReplayResult

    @cached_property
    def outcomes(self) -> list[Line]:
        """Outcomes in plain values."""
        assert self.result.outcomes is not None
        return table(self.result.outcomes)

    @cached_property
    def attempts(self) -> list[Line]:
        """Attempts in plain values, each with what its row says of itself."""
        assert self.result.attempts is not None
        by_row = {outcome["row"]: outcome for outcome in self.outcomes}
        lines = []
        for attempt in table(self.result.attempts):
            outcome = by_row[attempt["row"]]
            told = {name: outcome[name] for name in ("timestamp", "function", "source")}
            lines.append({**attempt, **told, "name": bare(outcome["function"])})
        return lines

    @cached_property
    def metrics(self) -> list[Line]:
        """Metrics in plain values."""
        assert self.result.metrics is not None
        return table(self.result.metrics)

    @cached_property
    def functions(self) -> list[Line]:
        """The functions table in plain values."""
        return table(self.result.functions)

    @cached_property
    def summary(self) -> Line:
        """The summary in plain values."""
        summary: Line = plain(self.result.summary.to_dict())
        return summary

    @property
    def runs(self) -> list[Line]:
        """Attempts that ran."""
        return [attempt for attempt in self.attempts if attempt["outcome"] != "throttled"]

    @property
    def refusals(self) -> list[Line]:
        """Attempts that were refused."""
        return [attempt for attempt in self.attempts if attempt["outcome"] == "throttled"]

    @property
    def account(self) -> Mapping[str, Any]:
        """The section of the account."""
        account: Mapping[str, Any] = self.sections["account"]
        return account

    def function(self, name: str) -> Mapping[str, Any]:
        """The section of a function."""
        section: Mapping[str, Any] = self.sections.get("functions", {}).get(name, {})
        return section

    def reserved(self, name: str) -> int | None:
        """The reserved concurrency of a function."""
        reserved: int | None = self.function(name).get("reserved_concurrency")
        return reserved

    def provisioned(self, name: str) -> dict[str | None, int]:
        """Provisioned environments of a function by qualifier; null serves all rows (Z22)."""
        given = self.function(name).get("provisioned_concurrency", 0)
        return dict(given) if isinstance(given, Mapping) else {None: given}

    @property
    def unreserved_units(self) -> int:
        """Units that on-demand runs of functions without reserved concurrency share (F1.2)."""
        names = self.sections.get("functions", {})
        taken = 0
        for name in names:
            reserved = self.reserved(name)
            provisioned = sum(self.provisioned(name).values())
            taken += provisioned if reserved is None else reserved
        return int(self.account["concurrency"]) - taken


def scenario_of(sections: Mapping[str, Any]) -> lr.Scenario:
    """Return a scenario that may reserve all there is; one that AWS refuses is no example."""
    account = {"min_unreserved": 0, **sections["account"]}
    try:
        return lr.Scenario(**{**sections, "account": account})
    except lr.ScenarioError:
        assume(condition=False)
        raise


def replayed(sections: Mapping[str, Any], rows: Rows) -> World:
    """Replay rows in order of time."""
    result = lr.replay(frame(rows), scenario_of(sections), outcomes=True, attempts=True)
    return World(sections, rows, result)


def with_identity(rows: Rows) -> Rows:
    """Return rows whose luck does not depend on their place."""
    return [
        {**{name: value for name, value in row.items() if name != "request_id"}, "row_uid": place}
        for place, row in enumerate(rows)
    ]


def still(sections: Mapping[str, Any], *, clients: bool = True) -> dict[str, Any]:
    """Return a scenario whose limits stay what they are, so that a state can be recomputed.

    No changes, no faults, no scaling of time or traffic; provisioned environments by numbers.
    """
    functions = {}
    for name, section in sections.get("functions", {}).items():
        kept = dict(section)
        if isinstance(kept.get("provisioned_concurrency"), Mapping):
            kept["provisioned_concurrency"] = _number_of(kept["provisioned_concurrency"])
        if not clients:
            kept.pop("client_retry", None)
        functions[name] = kept
    seed = {"seed": sections.get("replay", {}).get("seed", 0)}
    kept = {name: sections[name] for name in ("account", "state") if name in sections}
    return {**kept, "functions": functions, "replay": seed}


def _number_of(provisioned: Mapping[str, Any]) -> Any:
    if "initial" in provisioned:
        return provisioned["initial"]
    live = provisioned["live"]
    return {"live": live["initial"] if isinstance(live, Mapping) else live}


def drawn_case(seed: int) -> tuple[dict[str, Any], Rows]:
    """Return a scenario and a trace from a seed, as ``reference.random_cases`` draws them."""
    sections, rows = case(seed)
    for section in sections.get("functions", {}).values():
        # Only 512 MB in the older eras.
        section.pop("ephemeral_storage_mb", None)
        client = section.get("client_retry")
        if isinstance(client, dict) and any("state_key" in row for row in rows):
            # A client that gives up on a run that waits for a record: refused as yet.
            section["client_retry"] = {
                key: value for key, value in client.items() if key != "read_timeout_s"
            }
    return sections, rows


# ---- intervals -----------------------------------------------------------------------------


def level_at(runs: Iterable[Line], instant: int) -> int:
    """Return how many runs hold a unit once all of an instant has happened."""
    return sum(run["start"] <= instant < run["end"] for run in runs)


def peak(runs: Sequence[Line]) -> int:
    """Return the highest level of [start, end)."""
    return max((level_at(runs, run["start"]) for run in runs), default=0)


def grouped(lines: Iterable[Line], *names: str) -> dict[Any, list[Line]]:
    """Return lines by the values of some columns, in their order."""
    groups: dict[Any, list[Line]] = defaultdict(list)
    for line in lines:
        key = tuple(line[name] for name in names)
        groups[key[0] if len(names) == 1 else key].append(line)
    return groups


def micros(milliseconds: float) -> int:
    """Return milliseconds as whole microseconds."""
    exact = milliseconds * 1_000
    assert abs(exact - round(exact)) < 0.001
    return round(exact)


def seconds(microseconds: int) -> float:
    """Return microseconds in seconds."""
    return microseconds / S
