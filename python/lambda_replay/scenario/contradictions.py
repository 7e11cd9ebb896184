"""What several sections of a scenario say together and cannot both be (F1.1, F3.9, Z20)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lambda_replay.names import LATEST, split
from lambda_replay.scenario.epoch import Epoch, ResolvedFunction
from lambda_replay.scenario.keys import KeyPath, format_key
from lambda_replay.scenario.source_checks import misfits

__all__ = ["Contradiction", "contradictions"]

#: Names that one message lists.
_SHOWN = 5


class Contradiction(NamedTuple):
    """A key that is to blame, and what does not fit."""

    path: KeyPath
    message: str
    code: str = "LR-S006"


def contradictions(epoch: Epoch) -> Iterator[Contradiction]:
    """List what does not fit together in one epoch."""
    account = epoch.account
    room = account.concurrency - account.min_unreserved
    if room < 0:
        yield Contradiction(
            ("account", "min_unreserved"),
            f"{account.min_unreserved} units must stay unreserved, more than there are: "
            f"account.concurrency is {account.concurrency} (F1.1)",
        )
        return
    alone = [*_alone(epoch, room)]
    yield from alone
    yield from _by_qualifier(epoch)
    if not alone:
        yield from _together(epoch, room)
    for key in epoch.sections:
        function = _of_section(epoch, key)
        yield from _provisioned(epoch, ("functions", key), function)
    yield from _provisioned(epoch, ("defaults",), epoch.merge(()))
    yield from _without_runtime(epoch)
    for one in misfits(epoch):
        yield Contradiction(*one)


def _of_section(epoch: Epoch, key: str) -> ResolvedFunction:
    """Give what a name has that the section is for."""
    section = epoch.sections[key]
    return epoch.function(key) if section.pattern is None else epoch.merge((key,))


def _given(epoch: Epoch, name: str) -> Iterator[tuple[KeyPath, object]]:
    """List the sections that say something about a key, with what they say."""
    if epoch.default[name]:
        yield ("defaults",), epoch.default[name]
    for key, section in epoch.sections.items():
        if section.given.get(name) is not None:
            yield ("functions", key), section.given[name]


def _rest(epoch: Epoch, room: int) -> str:
    account = epoch.account
    return (
        f"{room} can be set apart: account.concurrency {account.concurrency}, of which "
        f"account.min_unreserved = {account.min_unreserved} must stay unreserved (F1.1)"
    )


def _alone(epoch: Epoch, room: int) -> Iterator[Contradiction]:
    """List the values that are too much by themselves."""
    total = epoch.account.concurrency
    for path, units in _given(epoch, "reserved"):
        assert isinstance(units, int)
        at = (*path, "reserved_concurrency")
        if units > total:
            message = f"{units} is more than the account has: account.concurrency is {total} (F1.1)"
            yield Contradiction(at, message)
        elif units > room:
            yield Contradiction(at, f"{units} is too much; at most {_rest(epoch, room)}")
    for path, _ in _given(epoch, "provisioned"):
        function = epoch.merge(()) if path == ("defaults",) else _of_section(epoch, str(path[1]))
        units = sum(pool.initial for pool in function.provisioned)
        if function.reserved is None and units > room:
            at = (*path, "provisioned_concurrency")
            yield Contradiction(at, f"{units} is too much; at most {_rest(epoch, room)}")


def _together(epoch: Epoch, room: int) -> Iterator[Contradiction]:
    """Find the first literal name with which too much is set apart."""
    total, parts = 0, []
    for key, section in epoch.sections.items():
        if section.pattern is not None:
            # Those of a glob count from the first row of each name on.
            continue
        name, units = "reserved_concurrency", section.given.get("reserved")
        if units is None and epoch.function(key).reserved is None:
            name = "provisioned_concurrency"
            units = sum(pool.initial for pool in section.given.get("provisioned", ()))
        if not units:
            continue
        total += units
        parts.append(f"{key} {units}")
        if total > room:
            shown = parts if len(parts) <= _SHOWN else ["…", *parts[-_SHOWN:]]
            message = (
                f"with this one {total} units are reserved or provisioned "
                f"({' + '.join(shown)}); at most {_rest(epoch, room)}"
            )
            yield Contradiction(("functions", key, name), message)
            return


def _by_qualifier(epoch: Epoch) -> Iterator[Contradiction]:
    """Find sections of one qualifier that say what holds for the whole function (Z9)."""
    for key, section in epoch.sections.items():
        bare, qualifier = split(key) or (key, LATEST)
        if ":" not in key or (qualifier == LATEST and not key.endswith(f":{LATEST}")):
            continue
        if "reserved" in section.given:
            right = format_key(("functions", bare, "reserved_concurrency"))
            yield Contradiction(
                ("functions", key, "reserved_concurrency"),
                "reserved concurrency is for a whole function with all its versions and aliases "
                f"(F1.1); write {right}",
            )
        if "provisioned" in section.given:
            path: KeyPath = ("functions", key, "provisioned_concurrency")
            if qualifier == LATEST:
                message = "provisioned concurrency is for versions and aliases, never for $LATEST"
                yield Contradiction(path, f"{message} (F3.9)")
            else:
                right = format_key(("functions", bare, "provisioned_concurrency", qualifier))
                yield Contradiction(path, f"write the qualifier below the key: {right}")


def _provisioned(
    epoch: Epoch, path: KeyPath, function: ResolvedFunction
) -> Iterator[Contradiction]:
    if function.reserved is None or not function.provisioned:
        return
    given = epoch.default if path == ("defaults",) else epoch.sections[str(path[1])].given
    if not ("provisioned" in given or "reserved" in given):
        # Said where it was given.
        return
    key = "provisioned_concurrency" if "provisioned" in given else "reserved_concurrency"
    units = sum(pool.initial for pool in function.provisioned)
    most = sum(pool.most() for pool in function.provisioned)
    if units > function.reserved:
        message = (
            f"{units} provisioned are more than the {function.reserved} of reserved_concurrency "
            "that they come out of (F3.9)"
        )
        yield Contradiction((*path, key), message)
    elif most > function.reserved:
        message = (
            f"target tracking or the schedule may provision {most}, more than the "
            f"{function.reserved} of reserved_concurrency that they come out of (F3.9)"
        )
        yield Contradiction((*path, key), message)


def _without_runtime(epoch: Epoch) -> Iterator[Contradiction]:
    """Find ``init_ms = "typical"`` where no runtime says of what (Z55)."""
    message = 'init_ms = "typical" needs the key runtime, such as runtime = "python3.12" (Z55)'
    if epoch.default["runtime"] is not None:
        return
    if epoch.default["init"] == "typical":
        yield Contradiction(("defaults", "init_ms"), message)
    for key, section in epoch.sections.items():
        if section.given.get("init") != "typical":
            continue
        keys = (key,) if section.pattern is not None else epoch.sections_for(key)
        if not any("runtime" in epoch.sections[one].given for one in keys):
            yield Contradiction(("functions", key, "init_ms"), message)
