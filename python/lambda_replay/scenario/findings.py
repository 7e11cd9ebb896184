"""What a scenario may well mean otherwise: found without a trace, and no error.

Owns the rules that ``scenario check`` applies beyond what is right or wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final, NamedTuple

from lambda_replay.scenario import limits
from lambda_replay.scenario.check import Checked
from lambda_replay.scenario.epoch import Epoch, ResolvedFunction
from lambda_replay.scenario.functions import OF_POOL
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.problems import value_at
from lambda_replay.scenario.source_findings import source_findings
from lambda_replay.scenario.units import s_to_us, show_instant

__all__ = ["Finding", "findings"]

#: From which share of what can be set apart on little is left for the rest.
_CLOSE: Final = 0.8
#: Limits as new accounts have them, where idle provisioned environments hurt.
_LOW: Final = 100
#: Keys of functions that did not exist before an era, and since when they do.
_SINCE: Final = (
    ("provisioned_concurrency", "2019-12", "provisioned concurrency came on 2019-12-03"),
    ("maximum_event_age_s", "2019-12", "the event age can be set since 2019-11-25"),
    ("maximum_retry_attempts", "2019-12", "retries can be set since 2019-11-25"),
    ("on_failure", "2019-12", "failure destinations came on 2019-11-25"),
    ("restore_ms", "2023-11", "SnapStart came in November 2022"),
)


class Finding(NamedTuple):
    """A key, and what about it."""

    path: KeyPath
    message: str


def findings(checked: Checked) -> Iterator[Finding]:
    """List what is worth a second look, in the order of the contract."""
    epoch = checked.epochs[0]
    yield from _account(checked, epoch)
    if not _has_init(checked):
        message = (
            "no section gives init_ms: where the trace has none either, cold starts cost no time "
            "(Q28)"
        )
        yield Finding(("defaults", "init_ms"), message)
    for path, section in _sections(checked):
        if path == ("defaults",):
            function = epoch.merge(())
        elif epoch.sections[str(path[1])].pattern is None:
            function = epoch.function(str(path[1]))
        else:
            function = epoch.merge((str(path[1]),))
        yield from _function(checked, path, section, function)
    yield from (Finding(*one) for one in source_findings(checked))
    until = checked.model.replay.until
    for number, change in enumerate(checked.model.changes):
        if isinstance(until, int) and change.at >= until:
            message = f"the replay ends before, at replay.until = {show_instant(until)}"
            yield Finding(("changes", number, "at"), message)


def _sections(checked: Checked) -> Iterator[tuple[KeyPath, dict[str, object]]]:
    for path in (("defaults",), *(("functions", name) for name in checked.model.functions)):
        section = value_at(checked.data, path)
        if isinstance(section, dict):
            yield path, section


def _has_init(checked: Checked) -> bool:
    sections = (checked.model.defaults, *checked.model.functions.values())
    return any(one.init_ms is not None or one.restore_ms is not None for one in sections)


# ---------------------------------------------------------------------------- the account


def _account(checked: Checked, epoch: Epoch) -> Iterator[Finding]:
    account = epoch.account
    room = account.concurrency - account.min_unreserved
    initial = most = 0
    last: KeyPath = ("account", "concurrency")
    for key, section in epoch.sections.items():
        if section.pattern is not None:
            continue
        units: int = section.given.get("reserved") or 0
        peak = units
        if not units and epoch.function(key).reserved is None:
            pools = section.given.get("provisioned", ())
            units = sum(pool.initial for pool in pools)
            peak = sum(pool.most() for pool in pools)
        if units or peak:
            initial, most, last = initial + units, most + peak, ("functions", key)
    if most and checked.model.account.concurrency is None:
        message = (
            f"is not given: {account.concurrency} is assumed, and new accounts have less "
            "(10 and 50 were seen); AWS refuses a reservation that leaves too little"
        )
        yield Finding(("account", "concurrency"), message)
    if most > room:
        message = (
            f"target tracking and schedules may set {most} units apart, and {room} can be: "
            "AWS would refuse to go on"
        )
        yield Finding(last, message)
    if initial > _CLOSE * room:
        rest = account.concurrency - initial
        message = (
            f"{initial} of {account.concurrency} units are set apart; {rest} are left for all "
            "other functions together"
        )
        yield Finding(last, message)


# ---------------------------------------------------------------------------- functions


def _function(
    checked: Checked, path: KeyPath, section: dict[str, object], function: ResolvedFunction
) -> Iterator[Finding]:
    if section.get("reserved_concurrency") == 0 and not isinstance(
        section["reserved_concurrency"], bool
    ):
        message = (
            "0 stops the function: every request is refused and every event dropped at once (F5.6)"
        )
        yield Finding((*path, "reserved_concurrency"), message)
    if "provisioned_concurrency" in section:
        yield from _provisioned(checked, (*path, "provisioned_concurrency"), section, function)
    yield from _times(path, section, function)
    for key, since, when in _SINCE:
        if key in section and checked.era.name < since:
            yield Finding((*path, key), f"is used although the era is {checked.era.name}: {when}")
    if section.get("architecture") == "arm64" and checked.era.name < "2023-11":
        message = f"is used although the era is {checked.era.name}: arm64 came in September 2021"
        yield Finding((*path, "architecture"), message)


def _provisioned(
    checked: Checked, path: KeyPath, section: dict[str, object], function: ResolvedFunction
) -> Iterator[Finding]:
    given = section["provisioned_concurrency"]
    if isinstance(given, dict) and not any(key in given for key in OF_POOL):
        for qualifier in given:
            if near := difflib.get_close_matches(qualifier, OF_POOL, n=1, cutoff=0.8):
                message = f"is taken for the name of a qualifier; did you mean '{near[0]}'?"
                yield Finding((*path, qualifier), message)
    units = sum(pool.initial for pool in function.provisioned)
    if units and units == function.reserved:
        message = (
            f"{units} provisioned are all of reserved_concurrency: nothing is left for on-demand "
            "runs, and $LATEST is refused (F3.9)"
        )
        yield Finding(path, message)
    limit = checked.epochs[0].account.concurrency
    is_fixed = not any(
        pool.schedule or pool.recurring or pool.tracking for pool in function.provisioned
    )
    if units and is_fixed and limit <= _LOW:
        message = (
            f"{units} of {limit} units are held all the time, idle or not; "
            "a schedule would give them back"
        )
        yield Finding(path, message)
    for pool in function.provisioned:
        scheduled = pool.schedule or pool.recurring
        if pool.tracking and not pool.initial and not pool.tracking.min and not scheduled:
            message = (
                "target tracking never scales from 0: without environments there is no metric; "
                "give initial or min (F3.9)"
            )
            yield Finding(path, message)


def _times(
    path: KeyPath, section: dict[str, object], function: ResolvedFunction
) -> Iterator[Finding]:
    init_us = function.init_us if function.restore_us is None else function.restore_us
    timeout_us = function.timeout_us
    if timeout_us is not None and timeout_us < init_us and {"timeout_s", "init_ms"} & {*section}:
        key = "timeout_s" if "timeout_s" in section else "init_ms"
        message = (
            f"timeout_s {timeout_us / 1e6:g} is less than the init of {init_us / 1e3:g} ms: "
            "a run that initialises anew after an error always times out (F3.7)"
        )
        yield Finding((*path, key), message)
    abort_us = function.init_timeout_us
    if abort_us is not None and init_us > abort_us and {"init_ms", "restore_ms"} & {*section}:
        key = "restore_ms" if "restore_ms" in section else "init_ms"
        message = (
            f"{init_us / 1e3:g} ms is longer than init_timeout_s = {abort_us / 1e6:g}: "
            "every init is aborted and done again in the first run (Z12)"
        )
        yield Finding((*path, key), message)
    waits = limits.RETRY_WAITS_S.value[: function.max_retries]
    longest_us = s_to_us(sum(waits) * (1 + limits.JITTER_HALF.value))
    keys = {"maximum_event_age_s", "maximum_retry_attempts"} & {*section}
    if keys and function.max_event_age_us < longest_us:
        key = max(keys, key=lambda one: one == "maximum_event_age_s")
        message = (
            f"maximum_event_age_s {function.max_event_age_us / 1e6:g} is less than the waits of "
            f"{function.max_retries} retries, up to {longest_us / 1e6:g} s: "
            "the last may never come (F5.5)"
        )
        yield Finding((*path, key), message)
    client = function.client
    if (
        client is not None
        and client.read_timeout_us is not None
        and (timeout_us is None or client.read_timeout_us < timeout_us)
        and "client_retry" in section
    ):
        limit = "has none" if timeout_us is None else f"is {timeout_us / 1e6:g} s"
        message = (
            f"callers stop waiting after {client.read_timeout_us / 1e6:g} s and the function's "
            f"time-out {limit}: longer runs are invoked again (F4.2)"
        )
        yield Finding((*path, "client_retry"), message)
