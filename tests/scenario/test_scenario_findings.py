"""Warnings of scenarios that are right, and the JSON Schema."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from lambda_replay.scenario import Scenario
from lambda_replay.scenario.json_schema import json_schema
from lambda_replay.scenario.template import TEMPLATE

QUIET = "account.concurrency = 1000\ndefaults.init_ms = 1\n"

FINDINGS: list[tuple[str, str, str]] = [
    ("[functions.f]\nreserved_concurrency = 0", "functions.f.reserved_concurrency", "0 stops"),
    (
        "[functions.f]\nreserved_concurrency = 720",
        "functions.f.reserved_concurrency",
        "",
    ),
    (
        "[functions.f]\nreserved_concurrency = 5\nprovisioned_concurrency = 5",
        "functions.f.provisioned_concurrency",
        "$LATEST is refused",
    ),
    (
        "[functions.f]\ntimeout_s = 3\ninit_ms = 3500",
        "functions.f.timeout_s",
        "timeout_s 3 is less than the init of 3500 ms",
    ),
    ("[functions.f]\ninit_ms = 12000", "functions.f.init_ms", "longer than init_timeout_s = 10"),
    (
        "[functions.f]\nmaximum_event_age_s = 180",
        "functions.f.maximum_event_age_s",
        "less than the waits of 2 retries, up to 202.5 s",
    ),
    (
        (
            "[functions.f.provisioned_concurrency]\n"
            "target_tracking = { min = 0, max = 5, target = 0.7 }"
        ),
        "functions.f.provisioned_concurrency",
        "never scales from 0",
    ),
    (
        (
            "[functions.f.provisioned_concurrency]\n"
            "initial = 1\ntarget_tracking = { min = 1, max = 950, target = 0.7 }"
        ),
        "functions.f",
        "may set 950 units apart, and 900 can be",
    ),
    (
        "[functions.f.provisioned_concurrency]\ninitail = 5",
        "functions.f.provisioned_concurrency.initail",
        "did you mean 'initial'?",
    ),
    (
        "[functions.f.client_retry]\nread_timeout_s = 60",
        "functions.f.client_retry",
        "longer runs are invoked again",
    ),
    (
        (
            "[[changes]]\nat = 2026-03-02\nset = { 'account.concurrency' = 500 }\n"
            "[replay]\nuntil = 2026-03-01"
        ),
        "changes[0].at",
        "the replay ends before",
    ),
]


@pytest.mark.parametrize(("text", "path", "part"), FINDINGS)
def test_findings(text: str, path: str, part: str) -> None:
    found = Scenario.loads(QUIET + text, "s.toml").findings()
    if not part:
        assert found == ()
        return
    (finding,) = found
    assert finding.path == path and part in finding.message
    assert finding.file == "s.toml" and finding.line is not None and finding.code == "LR-W001"


def test_little_is_left_for_the_rest() -> None:
    scenario = Scenario.loads(
        QUIET + "[functions.f]\nreserved_concurrency = 700\n[functions.g]\n"
        "provisioned_concurrency = 150\n"
    )
    (finding,) = scenario.findings()
    assert finding.path == "functions.g"
    assert "850 of 1000 units are set apart; 150 are left" in finding.message


def test_provisioned_concurrency_under_a_low_limit() -> None:
    scenario = Scenario(
        account={"concurrency": 50, "min_unreserved": 10},
        defaults={"init_ms": 1},
        functions={"f": {"provisioned_concurrency": 10}},
    )
    (finding,) = scenario.findings()
    assert "10 of 50 units are held all the time" in finding.message


def test_a_limit_that_is_assumed() -> None:
    scenario = Scenario(defaults={"init_ms": 1}, functions={"f": {"reserved_concurrency": 10}})
    (finding,) = scenario.findings()
    assert finding.path == "account.concurrency" and "1000 is assumed" in finding.message


def test_no_init_times_at_all() -> None:
    (finding,) = Scenario.loads("", "s.toml").findings()
    assert (finding.file, finding.line, finding.path) == ("s.toml", None, "defaults.init_ms")
    assert Scenario(functions={"f": {"init_ms": 5}}).findings() == ()
    assert Scenario(defaults={"init_ms": 0}).findings() == ()


@pytest.mark.parametrize(
    ("era", "section"),
    [
        ("2018-10", {"provisioned_concurrency": 1}),
        ("2018-10", {"maximum_event_age_s": 21600}),
        ("2017-12", {"on_failure": "dlq"}),
        ("2020-12", {"restore_ms": 5}),
        ("2020-12", {"architecture": "arm64"}),
    ],
)
def test_keys_that_the_era_did_not_have(era: str, section: dict[str, Any]) -> None:
    account = {"era": era, "concurrency": 1000}
    defaults = {"init_ms": 1}
    (finding,) = Scenario(account=account, defaults=defaults, functions={"f": section}).findings()
    assert f"the era is {era}" in finding.message
    later = Scenario(account={"concurrency": 1000}, defaults=defaults, functions={"f": section})
    assert later.findings() == ()


# ---------------------------------------------------------------------------- the schema


def errors(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:  # noqa: PLR0912
    """Check a value against what our schema uses of JSON Schema."""
    if "$ref" in schema:
        return errors(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        each = [errors(value, one, root) for one in schema["anyOf"]]
        return [] if [] in each else [f"{value!r} is none of anyOf: {each}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is not in {schema['enum']}"]
    if "const" in schema and value != schema["const"]:
        return [f"{value!r} is not {schema['const']!r}"]
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    if "type" in schema:
        wanted = kinds[schema["type"]]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            return [f"{value!r} is no {schema['type']}"]
    found = []
    if {"minimum", "maximum"} & {*schema}:
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        found += [] if low <= value <= high else [f"{value} is not within {low} … {high}"]
    if isinstance(value, dict):
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
            if inner is False:
                found.append(f"unknown {key}")
            elif isinstance(inner, dict):
                found += errors(item, inner, root)
        found += [f"{key} is missing" for key in schema.get("required", []) if key not in value]
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            found += errors(item, schema["items"], root)
    return found


def plain(value: Any) -> Any:
    """Give dates as the text that they are to JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


GOOD = [
    "",
    TEMPLATE,
    re.sub(r"(?m)^#(?=[a-z\[])", "", TEMPLATE),
    "account.idle = 'halving'\naccount.scaling = 'off'\naccount.requests_per_second = 'off'",
    (
        "[account.idle]\npolicy = 'uniform'\nseconds = [1, 2.5]\n[account.scaling]\n"
        "refill_per_s = '500/60'\nmode = 'step'"
    ),
    (
        "[functions.f]\nreserved_concurrency = 'off'\ntimeout_s = 30\n"
        "client_retry = 'step_functions'\n"
        "[functions.f.provisioned_concurrency]\nlive = 5"
    ),
    (
        "[functions.f.provisioned_concurrency.live]\ninitial = 5\n"
        "target_tracking = { min = 1, max = 9, target = 0.7 }\n"
        "schedule = [{ at = 2026-03-01T00:00:00Z, min = 2 }]"
    ),
    "[functions.f.client_retry]\nmax_attempts = 4\ncap_s = 'off'\nfactor = 0.5",
    "[account.async]\njitter_half = 0\nexpiry = 'deadline'\n[state]\ndiscipline = 'append'",
]


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_takes_what_is_right(text: str) -> None:
    Scenario.loads(text)
    schema = json_schema()
    assert errors(plain(tomllib.loads(text)), schema, schema) == []


@pytest.mark.parametrize(
    "text",
    [
        "account.concurency = 5",
        "account.concurrency = 0",
        "account.era = '2019-11'",
        "[functions.f]\nmaximum_retry_attempts = 3",
        "[functions.f]\nclient_retry = 'x'",
        "[[faults]]\nslow = 2",
        "state.discipline = 'x'",
    ],
)
def test_the_schema_refuses_what_is_wrong(text: str) -> None:
    schema = json_schema()
    assert errors(plain(tomllib.loads(text)), schema, schema)


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = [(name, one) for section in sections for name, one in section["properties"].items()]
    assert len(keys) > 80
    for name, one in keys:
        described = "description" in one or "$ref" in one or "items" in one
        assert described or name in {"functions", "event_sources"}, name
    assert '"type": "null"' not in str(schema).replace("'", '"')
