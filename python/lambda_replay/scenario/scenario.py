"""`Scenario`: a configuration as given, checked; immutable."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn

from lambda_replay.exceptions import Problem, ScenarioError, cut, escape, show
from lambda_replay.scenario.assemble import resolve
from lambda_replay.scenario.check import Checked, check
from lambda_replay.scenario.findings import findings
from lambda_replay.scenario.globs import compile_glob
from lambda_replay.scenario.keys import (
    KeyPath,
    KeySyntaxError,
    format_key,
    parse_key,
    split_assignment,
)
from lambda_replay.scenario.models import DownstreamSection
from lambda_replay.scenario.plain import put
from lambda_replay.scenario.problems import Where, problem_at, value_at
from lambda_replay.scenario.read import Location, parse_toml, parse_value, read_document
from lambda_replay.scenario.recognised import NOT_APPLIED
from lambda_replay.scenario.resolved import Resolved

__all__ = ["Scenario"]


class Scenario:
    """What to replay a trace under.

    Parameters
    ----------
    **sections
        As in TOML: ``account={"concurrency": 500}``, ``defaults=…``, ``functions=…``, ``replay=…``.
        No section at all is a valid scenario: one account with the defaults of today.

    Raises
    ------
    ScenarioError
        With every problem at once.

    Notes
    -----
    Immutable; equal to any scenario that was given the same keys and values, wherever they came
    from. Scenarios that were written differently but replay alike have the same `digest`.

    Examples
    --------
    >>> from lambda_replay.scenario import Scenario
    >>> Scenario(account={"concurrency": 500}).resolve().account.concurrency
    500
    """

    __slots__ = ("_checked", "_identity", "_resolved", "_source", "_where")

    _checked: Checked
    _identity: object
    _resolved: list[Resolved]
    _source: str | None
    _where: Where

    def __init__(self, **sections: Any) -> None:
        self._fill(sections, {(name,): Location() for name in sections}, None)

    def _fill(self, data: Mapping[str, object], where: Where, source: str | None) -> None:
        checked = check(data, where)
        for name, value in (
            ("_checked", checked),
            ("_identity", _identity(checked.data)),
            ("_resolved", []),
            ("_source", source),
            ("_where", where),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def _make(cls, data: Mapping[str, object], where: Where, source: str | None) -> Scenario:
        scenario = cls.__new__(cls)
        scenario._fill(data, where, source)
        return scenario

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scenario:
        """Read a scenario file: JSON if its name ends in ``.json``, else TOML.

        Raises
        ------
        ScenarioError
            With every problem, each with line and column; also if the file cannot be read.
        """
        document = read_document(path)
        return cls._make(document.data, document.where, os.fspath(path))

    @classmethod
    def loads(cls, text: str, source: str = "<string>") -> Scenario:
        """Read a scenario from TOML text; ``source`` names it in messages.

        Raises
        ------
        ScenarioError
            With every problem, each with line and column.
        """
        document = parse_toml(text, source)
        return cls._make(document.data, document.where, source)

    # ------------------------------------------------------------------ other scenarios

    def with_(self, key: str, value: object) -> Scenario:
        """Give a scenario in which one key has another value.

        Parameters
        ----------
        key
            Dotted, as in TOML: ``account.concurrency``, ``functions."my.fn".memory_mb``. Globs need
            no quotes: ``functions.img-*.memory_mb``. The key need not have been given before.
        value
            As in `Scenario`.

        Raises
        ------
        ScenarioError
            With every problem of the new scenario.
        """
        return self.with_many({key: value})

    def with_many(self, values: Mapping[str, object]) -> Scenario:
        """Give a scenario in which several keys have other values, checked together.

        Parameters
        ----------
        values
            By dotted key, as for `with_`.

        Raises
        ------
        ScenarioError
            With every problem of the new scenario.
        """
        changes: list[tuple[KeyPath, object, Location]] = []
        for key, value in values.items():
            try:
                changes.append((parse_key(key), value, Location()))
            except KeySyntaxError as error:
                problem = Problem(value=key, message=f"is no dotted key: {error}", code="LR-S008")
                raise ScenarioError(problems=[problem]) from None
        return self._changed(changes)

    def with_set(self, *assignments: str) -> Scenario:
        """Give a scenario changed by ``KEY=VALUE`` texts, as from ``--set``.

        Parameters
        ----------
        *assignments
            KEY as in `with_`. VALUE is a TOML value; what is none, is text: ``account.era=2019-12``
            needs no quotes. Later ones win.

        Raises
        ------
        ScenarioError
            With every problem, those of the texts under the file ``--set``.
        """
        changes: list[tuple[KeyPath, object, Location]] = []
        problems: list[Problem] = []
        for text in assignments:
            try:
                path, value = split_assignment(text)
                changes.append((path, parse_value(value), Location("--set")))
            except KeySyntaxError as error:
                problems.append(
                    Problem(file="--set", value=text, message=str(error), code="LR-S008")
                )
            except ScenarioError as error:
                problems.extend(error.problems)
        return self._changed(changes, problems)

    def _changed(
        self,
        changes: list[tuple[KeyPath, object, Location]],
        problems: list[Problem] | None = None,
    ) -> Scenario:
        data = self.to_dict()
        where = dict(self._where)
        found = list(problems or ())
        for path, value, location in changes:
            blocked = put(data, path, value)
            if blocked is not None:
                message = (
                    f"{format_key(blocked)} is {show(value_at(data, blocked))}, not a table, "
                    "so it has no keys"
                )
                found.append(problem_at(path, {(): location}, message, code="LR-S008", value=value))
                continue
            # What stood there is gone, and so are the positions below it.
            where = {key: at for key, at in where.items() if key[: len(path)] != path}
            where[path] = location
            for end in range(1, len(path)):
                where.setdefault(path[:end], location)
        if found:
            # The rest is checked too, so that all is reported at once.
            try:
                check(data, where)
            except ScenarioError as error:
                found.extend(error.problems)
            raise ScenarioError(problems=found)
        return self._make(data, where, self._source)

    # ------------------------------------------------------------------ what it says

    @property
    def source(self) -> str | None:
        """Path or name of the text that it was read from; None where given in Python."""
        return self._source

    def to_dict(self) -> dict[str, Any]:
        """Copy what was given, as plain data."""
        return copy.deepcopy(self._checked.data)

    def resolve(self) -> Resolved:
        """Give the explicit structure: every default, preset and glob resolved."""
        if not self._resolved:
            self._resolved.append(resolve(self._checked, self._where))
        return self._resolved[0]

    def digest(self) -> str:
        """Give the SHA-256 of the resolved scenario: equal for scenarios that replay alike."""
        return self.resolve().digest()

    def findings(self) -> tuple[Problem, ...]:
        """List what is no error and worth a second look, each where it stands."""
        found = []
        for one in findings(self._checked):
            value = value_at(self._checked.data, one.path)
            problem = problem_at(one.path, self._where, one.message, code="LR-W001", value=value)
            if problem.file is None:
                # A key that is not given has no place but the file.
                problem = dataclasses.replace(problem, file=self._source)
            found.append(problem)
        return tuple(sorted(found, key=lambda one: (one.line or 0, one.column or 0)))

    def checks(self) -> tuple[str, ...]:
        """Give the conditions of [checks] that fail a run."""
        return self._checked.model.checks.fail_if or ()

    def downstream(self) -> dict[str, DownstreamSection]:
        """Give the tables of [downstream] by name."""
        return dict(self._checked.model.downstream)

    def not_modelled(self) -> tuple[str, ...]:
        """Say which rules of Lambda this version does not apply; without those switched off."""
        data = self._checked.data
        return tuple(
            rule.sentence
            for rule in NOT_APPLIED
            if not any(value_at(data, tuple(key.split("."))) is not None for key in rule.unless)
        )

    # ------------------------------------------------------------------ an immutable value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scenario):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        keys = " ".join(f"{key}={value}" for key, value in _leaves(self._checked.data))
        parts = ["Scenario", *([escape(self._source)] if self._source else []), cut(keys, 200)]
        return f"<{' '.join(part for part in parts if part)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Scenario._make, (self._checked.data, dict(self._where), self._source)

    def __copy__(self) -> Scenario:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Scenario:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"a Scenario does not change; with_() gives another: {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"a Scenario does not change: {name!r}")


# ---------------------------------------------------------------------------- plain data


def _identity(data: dict[str, object]) -> object:
    """Freeze what was given. Order counts among globs only, where it settles ties."""
    functions = data.get("functions")
    names = functions if isinstance(functions, dict) else {}
    return _frozen(data), tuple(name for name in names if compile_glob(name) is not None)


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        # An empty table says nothing.
        return frozenset((key, _frozen(item)) for key, item in value.items() if item != {})
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return (bool, value) if isinstance(value, bool) else value


def _leaves(value: object, path: KeyPath = ()) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    else:
        yield format_key(path), show(value)
