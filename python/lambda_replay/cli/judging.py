"""Conditions of ``--fail-if`` and of ``[checks]``: judged, shown, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lambda_replay.checks import Check, CheckError, CheckResult, parse
from lambda_replay.cli.failures import say, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = [
    "CHECK_FAILED",
    "all_checks",
    "block",
    "block_of",
    "failed",
    "judge",
    "judge_result",
    "tell",
]

#: Done, and a condition holds.
CHECK_FAILED = 99
_MOST = 4


def all_checks(given: Iterable[Check], scenario: Scenario) -> list[Check]:
    """Give the conditions of the command line, then those of the scenario."""
    found = {check.text: check for check in given}
    for text in scenario.checks():
        found.setdefault(text, parse(text))
    return list(found.values())


def judge(
    checks: Sequence[Check],
    summary: Mapping[str, Any],
    functions: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[list[CheckResult], CheckError | None]:
    """Judge conditions; the first that cannot be judged is answered too."""
    judged: list[CheckResult] = []
    wrong: CheckError | None = None
    for check in checks:
        try:
            judged.append(check.evaluate(summary, functions))
        except CheckError as error:
            # The replay is done: its result is shown before this is.
            wrong = wrong or error
    return judged, wrong


def judge_result(
    checks: Sequence[Check], result: ReplayResult
) -> tuple[list[CheckResult], CheckError | None]:
    """Judge conditions on one result."""
    functions = None
    if any(check.function is not None for check in checks):
        functions = {row["function"]: row for row in result.functions.to_dicts()}
    return judge(checks, result.summary.to_dict(), functions)


def failed(checks: Iterable[CheckResult]) -> int:
    """Give the exit code that conditions ask for."""
    return CHECK_FAILED if any(check.holds for check in checks) else 0


def block(checks: Sequence[CheckResult], about: str = "") -> list[str]:
    """Show conditions as a block, those that fail the run first."""
    return block_of([("", check) for check in checks], about)


def block_of(checks: Sequence[tuple[str, CheckResult]], about: str = "") -> list[str]:
    """Show conditions, each of a side or of none, as one block."""
    from lambda_replay.lines import WIDTH, name_of  # noqa: PLC0415 - imports rich

    if not checks:
        return []
    ordered = sorted(checks, key=lambda pair: (not pair[1].holds, pair[1].value is not None))
    failing = sum(check.holds for _, check in checks)
    verdict = f"{failing} of {len(checks)} fail" if failing else f"none of {len(checks)} fails"
    lines = [f"checks        {verdict}{about}"]
    for side, check in ordered[:_MOST]:
        value = check.shown if check.value is not None else "no value, so it cannot hold"
        word = "FAIL" if check.holds else "ok"
        whose = f"{name_of(side, 16)}: " if side else ""
        text = name_of(check.check.text, WIDTH - 22 - len(value) - len(whose))
        lines.append(f"{'':14}{word:<6}{whose}{text}  {value}")
    if len(ordered) > _MOST:
        held = sum(check.holds for _, check in ordered[_MOST:])
        lines.append(f"{'':14}{len(ordered) - _MOST} more, {held} of them failing")
    return [*lines, ""]


def tell(checks: Iterable[CheckResult]) -> None:
    """Say on stderr what people must know where the output is for machines."""
    for check in checks:
        if check.holds:
            say([f"failed: {check.check.text} holds: {check.shown}"])
        elif check.value is None:
            warn(f"{check.check.text} cannot hold: there is no value")
