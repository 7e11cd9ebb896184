"""Make ``docs/scenario.md``, the reference of a scenario's keys, from the models themselves.

What a key takes, its default and its rule stand once, in ``scenario/limits.py`` and the models; the
page is only another view of them, and a test says when it is out of date.

Examples
--------
From the root of the repository::

    python tools/make_scenario_reference.py > docs/scenario.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lambda_replay.scenario import Scenario, limits
from lambda_replay.scenario.functions import CLIENTS
from lambda_replay.scenario.models import SECTIONS
from lambda_replay.scenario.recognised import RECOGNISED
from lambda_replay.scenario.section import fields_of, takes_of
from lambda_replay.scenario.setting import Setting
from lambda_replay.scenario.source_checks import KINDS_OF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from lambda_replay.scenario.eras import Era

__all__ = ["page"]

_INTRODUCTION: Final = """\
# Keys of a scenario

Made by `tools/make_scenario_reference.py`; change the models, not this page.

A scenario is a TOML file (or JSON, or a dict). Every key may be left out; what is not given has the
default below. "off" switches a key off where it takes that word. `lambda-replay scenario show`
lists the values in force and where each comes from, `scenario schema` prints the JSON Schema for
editors, `scenario check` reports every problem at once. Rules are those of
[semantics.md](semantics.md); "ours" marks a default that AWS does not document.

Of several sections for one function the most specific wins, key by key: `[functions.NAME]`, then
globs such as `[functions."img-*"]` (the one with the most literal characters, then the first), then
`[defaults]`.
"""

_TITLES: Final = {
    "": "The file",
    "function": "`[defaults]` and `[functions.NAME]`",
    "function.client_retry": "`client_retry` of a function, as a table",
    "function.provisioned_concurrency": "`provisioned_concurrency` of a function, as a table",
    "function.provisioned_concurrency.target_tracking": "`target_tracking` of such a table",
    "function.provisioned_concurrency.schedule": "`schedule` of such a table, each entry",
    "event_source": "`[event_sources.NAME]`",
    "event_source.provisioned_pollers": "`provisioned_pollers` of an event source, as a table",
    "event_source.poller_step": "`poller_step` of an event source, as a table",
    "event_source.reshard": "`[[event_sources.NAME.reshard]]`, each entry",
    "changes": "`[[changes]]`, each entry",
    "faults": "`[[faults]]`, each entry",
    "routes": "`[[routes]]`, each entry",
}
#: Sections whose title says it all.
_OBVIOUS: Final = frozenset(
    {"", "function", "event_source", "account.billing", "account.report", "account.pricing"}
)
#: Sections that hold keys of many rules: theirs says nothing about a single key.
_MIXED: Final = frozenset({"", "account", "function", "event_source"})
_RULE: Final = re.compile(
    r"\(((?:[FSZQEP]\d*(?:\.\d+)*)(?:, [FZQEP]\d+(?:\.\d+)*)*)(, not documented by AWS)?\)"
)
_DEFAULT: Final = re.compile(r"Default (?P<value>(?:[^.]|\.(?=\w))*)\.")


def page() -> str:
    """Give the whole page."""
    return "\n".join([_INTRODUCTION, *_sections(), *_eras(), *_clients(), *_not_modelled()])


def _sections() -> Iterator[str]:
    defaults = {origin.key: origin.value for origin in Scenario().resolve().origins()}
    for place, model in SECTIONS.items():
        title = _TITLES.get(place, f"`[{place}]`")
        yield f"## {title}\n"
        if place not in _OBVIOUS:
            yield f"{_sentence(model)}\n"
        yield "| key | takes | default | what | rule |\n| --- | --- | --- | --- | --- |"
        for key, field in fields_of(model).items():
            yield _row(place, model, key, field, defaults)
        yield ""


def _sentence(model: type[BaseModel]) -> str:
    """Give the docstring of a section without the key that it opens with."""
    text = (model.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    _, found, rest = text.partition(": ")
    text = rest if found else text
    return text[0].upper() + text[1:]


def _row(
    place: str,
    model: type[BaseModel],
    key: str,
    field: FieldInfo,
    defaults: Mapping[str, object],
) -> str:
    text = " ".join((field.description or "").replace("``", "`").split())
    known = "defaults" if place == "function" else place
    default = _show(defaults[f"{known}.{key}"]) if f"{known}.{key}" in defaults else ""
    stated = _DEFAULT.search(text)
    if stated is not None:
        value = _RULE.sub("", stated["value"]).strip()
        default = value if "era" in value or not default else default
    if field.is_required():
        default = "required"
    what = _RULE.sub("", _DEFAULT.sub("", text)).replace(" .", ".").strip()
    what = what or _of_table(place, key)
    if place == "event_source" and key in KINDS_OF:
        what += f" For {', '.join(KINDS_OF[key])}."
    takes = takes_of(field)
    era = limits.ERAS[limits.DEFAULT_ERA.value]
    expected = takes.expected(era) if takes is not None else _plain(place, key)
    cells = [f"`{key}`", expected, default or "–", what, _rule(place, model, key, text)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _of_table(place: str, key: str) -> str:
    model = SECTIONS.get(f"{place}.{key}" if place else key)
    model = SECTIONS["event_source"] if (place, key) == ("", "event_sources") else model
    model = SECTIONS["function"] if (place, key) in {("", "defaults"), ("", "functions")} else model
    return "see below" if model is not None else ""


def _plain(place: str, key: str) -> str:
    """Say what a key takes that has no kind of its own: a table or an array of tables."""
    if key in {"changes", "faults", "routes", "schedule", "reshard"}:
        return "an array of tables"
    if (place, key) == ("", "functions"):
        return "a table for each name or glob"
    if (place, key) == ("", "event_sources"):
        return "a table for each name"
    return "a table"


def _rule(place: str, model: type[BaseModel], key: str, text: str) -> str:
    """Find the rule: in the words about the key, in its setting, in those about its section."""
    found = _RULE.search(text)
    if found is not None:
        return found[1] + (", ours" if found[2] else "")
    era: Era = limits.ERAS[limits.DEFAULT_ERA.value]
    for setting in (getattr(limits, key.upper(), None), getattr(era, key, None)):
        if isinstance(setting, Setting) and setting.rule != "-":
            return setting.rule + ("" if setting.documented else ", ours")
    below = SECTIONS.get(f"{place}.{key}" if place else key)
    about = below if below is not None else None if place in _MIXED else model
    found = _RULE.search(about.__doc__ or "") if about is not None else None
    return found[1] if found is not None else "–"


def _show(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_show, value))}]"
    return str(value)


def _eras() -> Iterator[str]:
    yield "## Eras\n"
    yield "`account.era` is a preset of every dated rule; each era lasts until the next one.\n"
    eras = limits.ERAS.values()
    head = " | ".join(f"{era.name}" for era in eras)
    yield f"| | {head} | rule |\n| --- |{' --- |' * (len(limits.ERAS) + 1)}"

    def row(name: str, rule: str, values: list[str]) -> str:
        return f"| {name} | {' | '.join(values)} | {rule} |"

    yield row("`idle`", "Z4, Z5", [_idle(era.idle.value) for era in eras])
    for key in ("memory_mb", "timeout_s", "ephemeral_storage_mb"):
        yield row(f"`{key}`", "F3.1", [str(getattr(era, key).value) for era in eras])
    yield row("`scaling.scope`", "F2", [era.scaling.value.scope for era in eras])
    yield row("`scaling.capacity`", "F2", [_capacity(era) for era in eras])
    refill = [era.scaling.value.refill for era in eras]
    yield row("`scaling.refill_per_s`", "F2", [f"{a}/{b}" if b != 1 else str(a) for a, b in refill])
    yield row(
        "`scaling.rps_coupling`", "Z19", [_show(era.scaling.value.rps_coupling) for era in eras]
    )
    yield row("billed in", "Z40", [f"{era.billing_unit_us.value // 1_000} ms" for era in eras])
    yield row("`init_billed`", "F3.7", [_show(era.init_billed.value) for era in eras])
    presets = [era.sources.value for era in eras]
    yield row(
        "streams: `maximum_retry_attempts`", "E1", [_limit(one.retry_attempts) for one in presets]
    )
    yield row(
        "streams: `maximum_record_age_s`", "E1", [_limit(one.record_age_s) for one in presets]
    )
    yield row("SQS: batches more per minute", "E5.1", [str(one.ramp_per_minute) for one in presets])
    yield row("SQS: batches at once", "E5.1", [f"{one.most_batches:,}" for one in presets])
    yield "\nCapacity by Region where the scope is one:\n"
    yield "| from era on | capacity |\n| --- | --- |"
    before: Any = None
    for era in eras:
        preset = era.scaling.value
        if preset.scope == "region" and preset.capacities != before:
            named = [f"{region or 'any other'} {most:,}" for region, most in preset.capacities]
            yield f"| {era.name} | {', '.join(named)} |"
            before = preset.capacities
    yield ""


def _limit(most: int | None) -> str:
    return "-1" if most is None else f"{most:,}"


def _idle(preset: tuple[str, object]) -> str:
    policy, seconds = preset
    return policy if seconds is None else f"{policy}, {_show(seconds)} s"


def _capacity(era: Era) -> str:
    sizes = [most for _, most in era.scaling.value.capacities]
    return str(sizes[0]) if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)} by Region"


def _clients() -> Iterator[str]:
    yield "## Presets of `client_retry`\n"
    yield "| name | max_attempts | base_s | cap_s | factor |\n| --- | --- | --- | --- | --- |"
    for name, table in CLIENTS.items():
        keys = ("max_attempts", "base_s", "cap_s", "factor")
        values = ["1", "–", "–", "–"] if table is None else [_show(table[key]) for key in keys]
        yield f'| "{name}" | {" | ".join(values)} |'
    yield ""


def _not_modelled() -> Iterator[str]:
    yield "## Recognised, not modelled yet\n"
    yield "Such a key is refused, but for values that ask for what happens anyway.\n"
    yield "| key | what it is about | accepted |\n| --- | --- | --- |"
    for place, keys in RECOGNISED.items():
        at = "" if not place else "functions.NAME." if place == "function" else f"{place}."
        at = at.replace("function.", "functions.NAME.", 1) if place.startswith("function.") else at
        at = at.replace("event_source.", "event_sources.NAME.", 1)
        for key, one in keys.items():
            accepted = ", ".join(_toml(value) for value in one.accepted) or "–"
            yield f"| `{at}{key}` | {one.what} | {accepted} |"
    yield ""


def _toml(value: object) -> str:
    return "{}" if value == {} and isinstance(value, dict) else _show(value)


if __name__ == "__main__":
    print(page(), end="")
