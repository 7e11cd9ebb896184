"""Conditions of ``--fail-if`` and of ``[checks]``: judged, shown, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lambda_replay.checks import Check, CheckError, CheckResult, parse
from lambda_replay.cli.failures import say, warn
from lambda_replay.exceptions import TraceError, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = [
    "CHECK_FAILED",
    "all_checks",
    "block",
    "block_of",
    "conclude",
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
    """Judge conditions; the first that cannot be understood here is answered too."""
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
    checks: Sequence[Check], result: ReplayResult | None
) -> tuple[list[CheckResult], CheckError | None]:
    """Judge conditions on one result; where there is none, none of them was judged."""
    if result is None:
        return [check.unmeasured() for check in checks], None
    functions = None
    if any(check.function is not None for check in checks):
        functions = {row["function"]: row for row in result.functions.to_dicts()}
    return judge(checks, result.summary.to_dict(), functions)


def conclude(checks: Sequence[CheckResult], wrong: CheckError | None) -> int:
    """Give the exit code that conditions ask for, once the result is out.

    Raises
    ------
    CheckError
        One of them is about what is not there.
    TraceError
        None holds, and there was nothing to judge one of them on: a gate that judged nothing is
        not open.
    """
    if wrong is not None:
        raise wrong
    if any(check.holds for check in checks):
        return CHECK_FAILED
    if unmeasured := [check for check in checks if not check.measured]:
        first, many = unmeasured[0], len(unmeasured)
        which = show(first.check.text) + (f" and {many - 1} more" if many > 1 else "")
        message = f"the condition {which} could not be judged: {why_unmeasured(first)}"
        hint = "what was not judged did not pass; leave the condition out where it means nothing"
        raise TraceError(message, code="LR-T-UNMEASURED", hint=hint)
    return 0


def why_unmeasured(check: CheckResult) -> str:
    """Say why a condition was not judged."""
    if check.value is None:
        return f"{check.check.measure} has no value"
    return "nothing was replayed"


def block(checks: Sequence[CheckResult], about: str = "", **look: Any) -> list[str]:
    """Show conditions as a block, those that fail the run first; as :func:`block_of`."""
    return block_of([("", check) for check in checks], about, **look)


def block_of(
    checks: Sequence[tuple[str, CheckResult]],
    about: str = "",
    *,
    most: int = _MOST,
    width: int | None = None,
    name: Callable[[str, int], str] | None = None,
    paint: Callable[..., str] | None = None,
) -> list[str]:
    """Show conditions as one block, and an empty line after it.

    Parameters
    ----------
    checks
        Each of a side, or of none, which is empty text.
    about
        What they are judged on.
    most
        Conditions to show.
    width, name, paint
        How a stream shows text; by default plain and 100 columns wide.
    """
    from lambda_replay.lines import WIDTH, name_of  # noqa: PLC0415 - imports rich

    if not checks:
        return []
    name = name or name_of

    def painted(text: str, colour: str, *, bold: bool = False) -> str:
        return text if paint is None else paint(text, colour, bold=bold)

    # Those that fail the run, then those that nobody judged.
    ordered = sorted(checks, key=lambda pair: (not pair[1].holds, pair[1].measured))
    failing = sum(check.holds for _, check in checks)
    unmeasured = sum(not check.measured for _, check in checks)
    verdict = (
        painted(f"{failing:,} of {len(checks):,} fail{about}", "red", bold=True)
        if failing
        else painted(f"none of {len(checks):,} fails{about}", "yellow" if unmeasured else "green")
    )
    if unmeasured:
        verdict += f", {painted(f'{unmeasured:,} could not be judged', 'yellow', bold=True)}"
    lines = [f"checks        {verdict}"]
    shown = ordered if len(ordered) <= most else ordered[: max(1, most - 1)]
    for side, check in shown:
        word, colour = ("FAIL", "red") if check.holds else ("ok", "green")
        value = check.shown
        if not check.measured:
            word, colour, value = "OPEN", "yellow", why_unmeasured(check)
        whose = f"{name(side, 16)}: " if side else ""
        room = (width or WIDTH) - 22 - len(value) - len(whose)
        text = name(check.check.text, max(8, room))
        lines.append(f"{'':14}{painted(word.ljust(6), colour)}{whose}{text}  {value}")
    if len(ordered) > len(shown):
        left = ordered[len(shown) :]
        held = sum(check.holds for _, check in left)
        lines.append(f"{'':14}{len(left):,} more, {held:,} of them failing")
    return [*lines, ""]


def tell(checks: Sequence[CheckResult]) -> None:
    """Say on stderr what people must know where the output is for machines."""
    failing = [check for check in checks if check.holds]
    for check in failing:
        say([f"failed: {check.check.text} holds: {check.shown}"])
    for check in checks:
        # Where none holds, they are an error of their own.
        if failing and not check.measured:
            warn(f"{check.check.text} could not be judged: {why_unmeasured(check)}")
