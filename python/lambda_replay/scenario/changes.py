"""``[[changes]]``: what a scenario becomes, instant by instant (Z1, Z20).

Owns which keys may change while a trace runs, and how they are applied. Every epoch is checked as
a scenario of its own, so that what does not fit is said before the replay.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from lambda_replay.exceptions import Problem, show
from lambda_replay.scenario.account import AccountSection
from lambda_replay.scenario.contradictions import Contradiction, contradictions
from lambda_replay.scenario.epoch import Epoch
from lambda_replay.scenario.eras import Era
from lambda_replay.scenario.functions import FunctionSection
from lambda_replay.scenario.keys import KeyPath, KeySyntaxError, format_key, parse_key
from lambda_replay.scenario.models import SECTIONS, ScenarioModel
from lambda_replay.scenario.plain import put, without
from lambda_replay.scenario.problems import Where, place_of, problem_at, problem_of
from lambda_replay.scenario.recognised import drop_accepted
from lambda_replay.scenario.resolve import resolve_epoch
from lambda_replay.scenario.section import fields_of, takes_of
from lambda_replay.scenario.sources import SourceSection
from lambda_replay.scenario.takes import Context
from lambda_replay.scenario.units import show_instant

__all__ = ["Epochs", "epochs_of"]

#: Keys of the account that may change; what shapes the runs under way may not.
_CHANGEABLE: Final = (
    "concurrency",
    "min_unreserved",
    "requests_per_second",
    "scaling",
    "init_timeout_s",
    "reuse_policy",
    "proactive_fraction",
    "error",
    "async",
)
#: Keys of event sources that may change; type, function, shards and what shapes their machines
#: may not.
CHANGEABLE: Final = (
    "enabled",
    "batch_size",
    "maximum_batching_window_s",
    "maximum_retry_attempts",
    "maximum_record_age_s",
    "bisect_batch_on_function_error",
    "report_batch_item_failures",
    "on_failure",
    "maximum_concurrency",
    "visibility_timeout_s",
    "max_receive_count",
    "batch_duration",
    "base_ms",
)
_FIXED_OF_SCALING: Final = ("scope", "mode")
_MAY_CHANGE: Final = (
    "these may: account.concurrency, account.min_unreserved, account.requests_per_second, "
    "account.scaling (not its scope and mode), account.init_timeout_s, account.reuse_policy, "
    "account.proactive_fraction, account.error, account.async, defaults.*, functions.NAME.* and "
    "most of event_sources.NAME.*"
)


class Epochs(NamedTuple):
    """All epochs in order, and what is wrong with the scenario as a whole or with its changes."""

    epochs: tuple[Epoch, ...]
    problems: list[Problem]


class _Set(NamedTuple):
    """One key of ``set``: where it stands, the key itself, its value."""

    at: KeyPath
    path: KeyPath
    value: object


def epochs_of(model: ScenarioModel, data: dict[str, Any], where: Where, era: Era) -> Epochs:
    """Resolve a scenario for every stretch of time between its changes.

    Parameters
    ----------
    model
        The scenario, each section by itself valid.
    data
        The same as plain data.
    where
        Positions of its keys.
    era
        The era in force.
    """
    first = resolve_epoch(model, era)
    epochs, problems = [first], []
    known = {one.path for one in contradictions(first)}
    problems += [_contradiction(one, where) for one in contradictions(first)]
    state = _State(model, data, era, where, problems)
    numbered = sorted(enumerate(model.changes), key=lambda item: item[1].at)
    for at_us, group in itertools.groupby(numbered, key=lambda item: item[1].at):
        sets = [one for number, _ in group for one in state.apply(number)]
        epoch = resolve_epoch(state.model, era, at_us)
        epochs.append(epoch)
        for one in contradictions(epoch):
            if one.path in known or not sets:
                continue
            known.add(one.path)
            problems.append(_of_change(one, sets, at_us, where))
    return Epochs(tuple(epochs), problems)


class _State:
    """The scenario as it has become."""

    def __init__(
        self,
        model: ScenarioModel,
        data: dict[str, Any],
        era: Era,
        where: Where,
        problems: list[Problem],
    ) -> None:
        self.model, self.data, self.era = model, dict(data), era
        self.where, self.problems = where, problems

    def apply(self, number: int) -> Iterator[_Set]:
        """Apply a change; what is wrong with a key is noted, and the key left as it was."""
        for text, value in self.model.changes[number].set.items():
            at: KeyPath = ("changes", number, "set", text)
            try:
                path: KeyPath = parse_key(text)
            except KeySyntaxError as error:
                self._note(at, value, f"is no dotted key: {error}", "LR-S008")
                continue
            if refusal := _refusal(path, value, self.model.event_sources):
                self._note(at, value, refusal, "LR-S010")
                continue
            if self._put(_Set(at, path, value)):
                yield _Set(at, path, value)

    def _note(self, at: KeyPath, value: object, message: str, code: str) -> None:
        self.problems.append(problem_at(at, self.where, message, code=code, value=value))

    def _put(self, one: _Set) -> bool:
        data = dict(self.data)
        if one.value == "off" and one.path[0] != "account" and not _takes_off(one.path, self.era):
            # Unset: back to what it would be without the key.
            if _takes(one.path) is not None:
                without(data, one.path)
        elif blocked := put(data, one.path, one.value):
            message = f"{format_key(blocked)} is no table, so it has no keys"
            self._note(one.at, one.value, message, "LR-S008")
            return False
        root = one.path[:2] if one.path[0] in {"functions", "event_sources"} else one.path[:1]
        section: Any = data
        for name in root:
            section = section.get(name, {})
        try:
            self._revalidate(root, drop_accepted(section, place_of(root) or ""))
        except ValidationError as error:
            for problem in self._problems(error, root, data, one):
                self.problems.append(problem)
            return False
        self.data = data
        return True

    def _revalidate(self, root: KeyPath, section: object) -> None:
        context = Context(era=self.era)
        if root == ("account",):
            update: dict[str, Any] = {
                "account": AccountSection.model_validate(section, context=context)
            }
        elif root[0] == "event_sources":
            source = SourceSection.model_validate(section, context=context)
            update = {"event_sources": {**self.model.event_sources, str(root[1]): source}}
        else:
            values = FunctionSection.model_validate(section, context=context)
            functions = {**self.model.functions, str(root[-1]): values}
            update = {"defaults": values} if root == ("defaults",) else {"functions": functions}
        self.model = self.model.model_copy(update=update)

    def _problems(
        self, error: ValidationError, root: KeyPath, data: dict[str, Any], one: _Set
    ) -> Iterator[Problem]:
        """Word what is wrong as for the key itself, and place it at the change."""
        for item in error.errors(include_url=False):
            found = problem_of({**item, "loc": (*root, *item["loc"])}, data, {}, self.era, 0)
            here = problem_at(one.at, self.where, found.message, code=found.code)
            yield dataclasses.replace(
                here, value=found.value, suggestion=found.suggestion, message=found.message
            )


def _refusal_of_source(path: KeyPath, known: Collection[str]) -> str | None:
    name, key = str(path[1]), str(path[2])
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {show(near[0])}?" if near else ""
        return f"there is no event source {show(name)}{guess}"
    if key in CHANGEABLE or key not in fields_of(SourceSection):
        return None
    these = f"of an event source these may: {', '.join(CHANGEABLE)}"
    return f"{format_key(path)} cannot change while a trace runs; {these}"


def _refusal(path: KeyPath, value: object, known: Collection[str] = ()) -> str | None:
    """Say why a key cannot change; None where it can. ``known`` are the names of sources."""
    section = path[0]
    if section == "functions" and len(path) >= 3:
        return None
    if section == "defaults" and len(path) >= 2:
        return None
    if section == "event_sources" and len(path) >= 3:
        return _refusal_of_source(path, known)
    if section in {"functions", "defaults", "event_sources"} or (
        section == "account" and len(path) == 1
    ):
        quoted = show(
            f"functions.NAME.{next(iter(value))}"
            if isinstance(value, dict) and value and section != "event_sources"
            else "functions.NAME.reserved_concurrency"
            if section != "event_sources"
            else "event_sources.NAME.enabled"
        )
        return f"names a section; expected dotted keys in quotes, such as {quoted} = …"
    if section == "account" and path[1] in _CHANGEABLE:
        fixed = path[2:3] if path[1] == "scaling" else ()
        if path[1:] == ("scaling",) and isinstance(value, dict):
            fixed = tuple(key for key in _FIXED_OF_SCALING if key in value)
        if not any(name in _FIXED_OF_SCALING for name in fixed):
            return None
        return f"account.scaling.{fixed[0]} cannot change while a trace runs; {_MAY_CHANGE}"
    if section == "account" and path[1] not in fields_of(AccountSection):
        # An unknown key is said to be one by the model.
        return None
    if section not in SECTIONS[""].model_fields:
        return f"there is no {format_key(path)} that could change; {_MAY_CHANGE}"
    return f"{format_key(path)} cannot change while a trace runs; {_MAY_CHANGE}"


def _takes(path: KeyPath) -> Any:
    place = place_of(path[:-1])
    field = None if place is None else fields_of(SECTIONS[place]).get(str(path[-1]))
    return field and takes_of(field)


def _takes_off(path: KeyPath, era: Era) -> bool:
    takes = _takes(path)
    if takes is None:
        return False
    try:
        takes.check("off", era)
    except PydanticCustomError:
        return False
    return True


# ---------------------------------------------------------------------------- contradictions


def _contradiction(one: Contradiction, where: Where) -> Problem:
    return problem_at(one.path, where, one.message, code=one.code)


def _of_change(one: Contradiction, sets: list[_Set], at_us: int, where: Where) -> Problem:
    """Blame the key of the change that is nearest to the contradiction."""
    exact = [each for each in sets if each.path == one.path]
    near = [each for each in sets if each.path[:2] == one.path[:2]]
    blamed = (exact or near or sets)[-1]
    key = "" if exact else f"{format_key(one.path)}: "
    message = f"from {show_instant(at_us)} on {key}{one.message}"
    return problem_at(blamed.at, where, message, code=one.code, value=blamed.value)
