"""Scenarios that are right: what they resolve to, and where each value came from."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay.scenario import FACTS, Origin, Resolved, ResolvedFunction, Scenario, limits
from lambda_replay.scenario.globs import compile_glob, literal_characters, literal_prefix
from lambda_replay.scenario.limits import ERAS, Range, Setting
from lambda_replay.scenario.models import SECTIONS
from lambda_replay.scenario.recognised import NOT_APPLIED, RECOGNISED
from lambda_replay.scenario.section import fields_of, takes_of
from lambda_replay.scenario.units import ms_to_us, s_to_us

#: Digest of the scenario that says nothing. It changes only with what a replay depends on.
EMPTY_DIGEST = "ac94c690c21b32dc3c090a3669bf598ada3d5e1e572208c9530397a442c29d53"


def plain_function(
    memory: int, architecture: str, init_us: int, init_billed: bool, own: bool, default: int = 128
) -> ResolvedFunction:
    """A function that has the defaults of today but for these."""
    return ResolvedFunction(
        memory_mb=memory,
        memory_is_own=own,
        default_memory_mb=default,
        duration_factors=(),
        architecture=architecture,
        init_us=init_us,
        init_billed=init_billed,
        timeout_us=None,
        init_timeout_us=10_000_000,
        ephemeral_mb=512,
        restore_us=None,
        reserved=None,
        provisioned=(),
        max_event_age_us=21_600_000_000,
        max_retries=2,
        on_failure=None,
        client=None,
    )


def core_values(resolved: Resolved) -> dict[str, Any]:
    """Give some of what the core takes for the account."""
    values = resolved.core_epochs()
    names = ("seed", "idle", "max_lifetime_us", "billing_unit_us")
    concurrency = values["limits"][0][1]["concurrency"]
    return {"concurrency": concurrency, **{name: values[name] for name in names}}


def test_no_scenario_is_a_scenario() -> None:
    resolved = Scenario().resolve()
    assert core_values(resolved) == {
        "seed": 0,
        "concurrency": 1000,
        "idle": ("halving", 380_000_000),
        "max_lifetime_us": (14_400_000_000, 28_800_000_000),
        "billing_unit_us": 1_000,
    }
    assert resolved.function("any") == plain_function(128, "x86_64", 0, True, False)
    assert resolved.account.era == "2025-08" and resolved.account.reuse_policy == "mru"
    assert Scenario.loads("").resolve() == resolved


def test_a_full_scenario(tmp_path: Path) -> None:
    path = tmp_path / "prod.toml"
    path.write_text(
        """
[account]
concurrency = 500
era = "2019-12"
requests_per_second = "off"
scaling = "off"
reuse_policy = "mru"
idle = { policy = "uniform", seconds = [1.5, 2] }
env.max_lifetime = 3600

[defaults]
memory_mb = 256
init_ms = 12.5
timeout_s = "off"

[functions.checkout]
memory_mb = 1024
architecture = "arm64"
init_billed = true

[replay]
seed = 18446744073709551615
load = 1.0
"""
    )
    scenario = Scenario.load(path)
    assert scenario.source == str(path)
    resolved = scenario.resolve()
    assert core_values(resolved) == {
        "seed": 2**64 - 1,
        "concurrency": 500,
        "idle": ("uniform", 1_500_000, 2_000_000),
        "max_lifetime_us": (3_600_000_000, 3_600_000_000),
        "billing_unit_us": 100_000,
    }
    assert resolved.function("checkout") == plain_function(1024, "arm64", 12_500, True, True, 256)
    assert resolved.function("other") == plain_function(256, "x86_64", 12_500, False, False, 256)


def test_json_says_the_same(tmp_path: Path) -> None:
    data = {"account": {"concurrency": 5, "idle": "none"}, "functions": {"a*": {"init_ms": 1.5}}}
    path = tmp_path / "s.json"
    path.write_text(json.dumps(data))
    assert Scenario.load(path) == Scenario(**data)
    assert Scenario.load(path).resolve().origins()[0].origin == f"{path}:1"


@pytest.mark.parametrize(
    ("era", "idle", "unit_us", "init_billed", "memory"),
    [
        ("2017-12", ("uniform", 1_620_000_000, 3_780_000_000), 100_000, False, 3008),
        ("2018-10", ("uniform", 1_620_000_000, 3_780_000_000), 100_000, False, 3008),
        ("2019-12", ("fixed", 600_000_000), 100_000, False, 3008),
        ("2020-12", ("halving", 380_000_000), 1_000, False, 10_240),
        ("2023-11", ("halving", 380_000_000), 1_000, False, 10_240),
        ("2025-08", ("halving", 380_000_000), 1_000, True, 10_240),
    ],
)
def test_era_presets(
    era: str, idle: tuple[Any, ...], unit_us: int, init_billed: bool, memory: int
) -> None:
    scenario = Scenario(account={"era": era}, functions={"f": {"memory_mb": memory}})
    resolved = scenario.resolve()
    assert resolved.account.idle == idle
    assert resolved.account.billing_unit_us == unit_us
    assert resolved.defaults.init_billed is init_billed
    assert resolved.account.concurrency == 1000
    assert resolved.function("f").memory_mb == memory
    assert resolved.account.era == era


def test_there_are_no_other_eras() -> None:
    assert list(ERAS) == ["2017-12", "2018-10", "2019-12", "2020-12", "2023-11", "2025-08"]


@pytest.mark.parametrize(
    ("era", "idle", "expected"),
    [
        ("2025-08", "none", ("none",)),
        ("2025-08", "off", ("none",)),
        ("2025-08", {"policy": "off"}, ("none",)),
        ("2025-08", "halving", ("halving", 380_000_000)),
        ("2017-12", "halving", ("halving", 380_000_000)),
        ("2025-08", {}, ("halving", 380_000_000)),
        ("2025-08", {"seconds": 60}, ("halving", 60_000_000)),
        ("2019-12", {"seconds": 60}, ("fixed", 60_000_000)),
        ("2019-12", "fixed", ("fixed", 600_000_000)),
        ("2017-12", "uniform", ("uniform", 1_620_000_000, 3_780_000_000)),
        ("2017-12", {"policy": "fixed", "seconds": 0.000001}, ("fixed", 1)),
        ("2025-08", {"policy": "uniform", "seconds": [0, 0]}, ("uniform", 0, 0)),
        ("2025-08", {"policy": "fixed", "seconds": 1_000_000_000}, ("fixed", 10**15)),
    ],
)
def test_idle_policies(era: str, idle: object, expected: tuple[Any, ...]) -> None:
    scenario = Scenario(account={"era": era, "idle": idle})
    assert scenario.resolve().core_epochs()["idle"] == expected


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        ("off", None),
        (60, (60_000_000, 60_000_000)),
        (0.5, (500_000, 500_000)),
        ([0, 1.5], (0, 1_500_000)),
    ],
)
def test_lifetimes(lifetime: object, expected: tuple[int, int] | None) -> None:
    scenario = Scenario(account={"env": {"max_lifetime": lifetime}})
    assert scenario.resolve().core_epochs()["max_lifetime_us"] == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, 0), (1, 1000), (0.0005, 1), (0.0004999, 0), (1.0005, 1001), (0.0015, 2), (2.5, 2500)],
)
def test_durations_go_to_the_nearest_microsecond_halves_up(
    milliseconds: float, expected: int
) -> None:
    """Rule Z3."""
    assert ms_to_us(milliseconds) == expected
    assert s_to_us(milliseconds) == ms_to_us(milliseconds * 1000)


# ---------------------------------------------------------------------------- functions


GLOBS = """
[functions."*"]
memory_mb = 200
init_ms = 1
[functions."img-*"]
memory_mb = 300
[functions."img-?"]
memory_mb = 400
[functions."img-big-*"]
memory_mb = 500
architecture = "arm64"
[functions.img-a]
init_ms = 9
[functions."[$LATEST]"]
memory_mb = 600
[functions."x[ab]*"]
memory_mb = 700
[functions."x[bc]*"]
memory_mb = 701
[functions."f:live"]
memory_mb = 800
[functions.f]
memory_mb = 801
init_ms = 3
[functions."a[b"]
memory_mb = 900
[defaults]
init_billed = false
"""


@pytest.mark.parametrize(
    ("name", "memory", "init_us", "architecture"),
    [
        ("other", 200, 1000, "x86_64"),
        ("img-xx", 300, 1000, "x86_64"),
        # Four literal characters each: the first of the file wins.
        ("img-b", 300, 1000, "x86_64"),
        ("img-big-7", 500, 1000, "arm64"),
        # What the literal section leaves out comes from the globs.
        ("img-a", 300, 9000, "x86_64"),
        ("[$LATEST]", 600, 1000, "x86_64"),
        # The same key is a glob too, for one of its characters; without literal characters it ties
        # with "*", which comes first.
        ("$", 200, 1000, "x86_64"),
        ("xb1", 700, 1000, "x86_64"),
        ("xc1", 701, 1000, "x86_64"),
        # Case-sensitive on every platform.
        ("IMG-a", 200, 1000, "x86_64"),
        ("f", 801, 3000, "x86_64"),
        # By the bare name (Z9), and more exactly by name and qualifier.
        ("f:7", 801, 3000, "x86_64"),
        ("f:live", 800, 3000, "x86_64"),
        ("img-a:live", 300, 9000, "x86_64"),
        ("a[b", 900, 1000, "x86_64"),
        ("a", 200, 1000, "x86_64"),
        ("", 200, 1000, "x86_64"),
    ],
)
def test_the_most_specific_section_wins(
    name: str, memory: int, init_us: int, architecture: str
) -> None:
    function = Scenario.loads(GLOBS).resolve().function(name)
    assert function == plain_function(memory, architecture, init_us, False, True)


def test_sections_for_lists_them_most_specific_first() -> None:
    resolved = Scenario.loads(GLOBS).resolve()
    assert resolved.sections_for("img-a") == ("img-a", "img-*", "img-?", "*")
    assert resolved.sections_for("f:live") == ("f:live", "f", "*")


def test_without_a_section_memory_is_not_the_function_s_own() -> None:
    """Rule Z43: then the trace's column comes before [defaults]."""
    resolved = Scenario(
        defaults={"memory_mb": 512}, functions={"f": {"memory_mb": 512}, "g": {"init_ms": 1}}
    ).resolve()
    assert resolved.function("f").memory_is_own
    assert not resolved.function("g").memory_is_own
    assert not resolved.function("h").memory_is_own
    assert {resolved.function(name).memory_mb for name in "fgh"} == {512}


@pytest.mark.parametrize(
    ("key", "is_glob", "literal", "prefix"),
    [
        ("abc", False, 3, "abc"),
        ("a*c", True, 2, "a"),
        ("a?", True, 1, "a"),
        ("a[bc]d", True, 2, "a"),
        ("a[b", False, 3, "a"),
        ("a[]b]", True, 1, "a"),
        ("a[!]b]", True, 1, "a"),
        ("a[]", False, 3, "a"),
        ("", False, 0, ""),
    ],
)
def test_globs(key: str, is_glob: bool, literal: int, prefix: str) -> None:
    assert (compile_glob(key) is not None) is is_glob
    assert literal_characters(key) == literal
    assert literal_prefix(key) == prefix


@given(st.text("ab[]!*?-", max_size=8), st.text("ab[]!-", max_size=6))
def test_globs_match_as_fnmatch_does(key: str, name: str) -> None:
    import fnmatch

    pattern = compile_glob(key)
    if pattern is None:
        assert fnmatch.fnmatchcase(name, key) == (name == key)
    else:
        assert (pattern.match(name) is not None) == fnmatch.fnmatchcase(name, key)
        assert pattern.match(name) is None or name.startswith(literal_prefix(key))


def test_many_names_share_what_they_resolve_to() -> None:
    functions = {f"f{i}": {"memory_mb": 512} for i in range(2_000)}
    functions |= {f"g{i}-*": {"memory_mb": 256} for i in range(20)}
    resolved = Scenario(functions=functions).resolve()
    names = [f"g{i % 40}-{i}:live" for i in range(100_000)]
    found = {resolved.function(name) for name in names}
    assert {function.memory_mb for function in found} == {128, 256}
    # Alike functions share one object, so that 1e5 names cost 1e5 references.
    assert resolved.function(names[0]) is resolved.function(names[40])


# ---------------------------------------------------------------------------- origins


def test_origins() -> None:
    scenario = Scenario.loads(
        """[account]
era = "2019-12"
scaling = "off"
[functions."img-*"]
memory_mb = 512
[replay]
seed = 3
""",
        "p.toml",
    )
    origins = {origin.key: origin for origin in scenario.resolve().origins()}
    assert origins["account.concurrency"] == Origin("account.concurrency", 1000, "default")
    assert origins["account.era"] == Origin("account.era", "2019-12", "p.toml:2")
    assert origins["account.idle.policy"] == ("account.idle.policy", "fixed", "era 2019-12")
    assert origins["account.idle.seconds"] == ("account.idle.seconds", 600, "era 2019-12")
    assert origins["account.env.max_lifetime"].value == (14_400, 28_800)
    assert origins["account.scaling"] == ("account.scaling", "off", "p.toml:3")
    assert origins["defaults.init_billed"] == ("defaults.init_billed", False, "era 2019-12")
    assert origins["defaults.timeout_s"] == ("defaults.timeout_s", "off", "default")
    assert origins['functions."img-*".memory_mb'].origin == "p.toml:5"
    assert origins["replay.seed"].origin == "p.toml:7"
    assert all(origin.value is not None for origin in origins.values())


def test_without_an_era_its_values_are_defaults() -> None:
    assert {origin.origin for origin in Scenario().resolve().origins()} == {"default"}


def test_origins_of_the_idle_policy() -> None:
    def seconds(account: dict[str, object]) -> Origin:
        origins = Scenario(account=account).resolve().origins()
        return next(origin for origin in origins if origin.key == "account.idle.seconds")

    assert seconds({"idle": "halving"}).origin == "default"
    assert seconds({"era": "2019-12", "idle": "halving"})[1:] == (380, "default")
    assert seconds({"era": "2019-12", "idle": "fixed"})[1:] == (600, "era 2019-12")
    assert seconds({"idle": {"seconds": 5}})[1:] == (5, "given")
    keys = [origin.key for origin in Scenario(account={"idle": "none"}).resolve().origins()]
    assert "account.idle.policy" in keys and "account.idle.seconds" not in keys


def test_origins_after_changes() -> None:
    scenario = Scenario.loads("[account]\nera = '2019-12'\nidle = 'none'\n", "p.toml")
    changed = scenario.with_set("account.concurrency=5").with_("replay.seed", 1)
    origins = {origin.key: origin.origin for origin in changed.resolve().origins()}
    assert origins["account.concurrency"] == "--set"
    assert origins["replay.seed"] == "given"
    assert origins["account.era"] == "p.toml:2"
    assert origins["account.idle.policy"] == "p.toml:3"


def test_undocumented_choices() -> None:
    every = Scenario().resolve().undocumented_touching(set())
    found = {one.rule: one for one in every}
    assert set(found) == {"Q8", "Q9", "Q10", "Q28"}
    assert found["Q9"].key == "account.idle" and found["Q9"].value == "halving, 380 s"
    assert found["Q10"].value == "14400 to 28800 s"
    assert found["Q8"].value == "mru"
    assert found["Q28"].value == 0
    given = Scenario(
        account={"idle": "none", "env": {"max_lifetime": "off"}}, defaults={"init_ms": 0}
    )
    found = {one.rule: one for one in given.resolve().undocumented_touching(set())}
    assert set(found) == {"Q8", "Q9", "Q10"}
    assert "without end" in found["Q9"].sentence and "without end" in found["Q10"].sentence


@pytest.mark.parametrize("era", list(ERAS))
def test_undocumented_choices_in_every_era(era: str) -> None:
    choices = Scenario(account={"era": era}).resolve().undocumented()
    assert len({(one.key, one.rule) for one in choices}) == len(choices) > 20
    for one in choices:
        assert one.sentence.endswith(".") and "\n" not in one.sentence
        assert set(one.facts) <= FACTS


@pytest.mark.parametrize(
    ("account", "facts", "rules"),
    [
        ({}, {"async"}, {"Q18", "Q23", "Q24", "Q26"}),
        ({}, {"retries"}, {"Q19", "Q20", "Q21", "Q22"}),
        ({}, {"scaling"}, {"Q1", "Q3"}),
        ({"scaling": "off"}, {"scaling"}, set()),
        ({}, {"rps"}, {"Q4", "Q5", "Q32", "Q37"}),
        ({"requests_per_second": "off", "scaling": "off"}, {"rps"}, set()),
        ({}, {"provisioned"}, {"Q14", "Q15", "Q16", "Q17", "Q35", "Q38"}),
        ({}, {"state"}, {"S"}),
        ({}, {"errors"}, {"Q2"}),
        ({"proactive_fraction": 0.5}, {"proactive"}, {"Q11"}),
        ({"proactive_fraction": 0.5}, {"cold_starts"}, set()),
        ({}, {"clients"}, {"Q7", "Q26"}),
        ({}, {"changes"}, set()),
    ],
)
def test_undocumented_choices_that_touch_a_run(
    account: dict[str, Any], facts: set[str], rules: set[str]
) -> None:
    resolved = Scenario(account=account).resolve()
    touched = {one.rule for one in resolved.undocumented_touching(facts) if one.facts}
    assert touched == rules


def test_not_modelled() -> None:
    sentences = Scenario().not_modelled()
    assert len(sentences) == len(NOT_APPLIED)
    assert "Recursive-loop" in " ".join(sentences)
    switched_off = Scenario(account={"recursion": "off"})
    assert len(switched_off.not_modelled()) == len(sentences) - 1


# ---------------------------------------------------------------------------- one home for limits


def test_every_setting_has_its_rule_and_source() -> None:
    settings = [value for value in vars(limits).values() if isinstance(value, Setting)]
    for era in ERAS.values():
        settings += [getattr(era, field.name) for field in dataclasses.fields(era)[1:]]
    assert len(settings) > 20
    assert all(setting.rule and setting.source for setting in settings)


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.CONCURRENCY.value = 5  # type: ignore[misc]


def test_ranges() -> None:
    old = Range(128, 3008, 64)
    assert 128 in old and 3008 in old and 192 in old
    assert 127 not in old and 129 not in old and 3072 not in old
    assert str(old) == "128 to 3008 in steps of 64" and str(Range(1, 2)) == "1 to 2"
    assert all(limits.MEMORY_MB.value in era.memory_mb.value for era in ERAS.values())
    assert limits.CONCURRENCY.value in limits.CONCURRENCY_RANGE.value
    assert limits.SEED.value in limits.SEED_RANGE.value


def test_a_key_is_modelled_or_recognised_not_both() -> None:
    assert set(RECOGNISED) <= set(SECTIONS)
    for place, keys in RECOGNISED.items():
        assert not set(fields_of(SECTIONS[place])) & set(keys)


def test_every_modelled_key_says_what_would_be_right() -> None:
    for place, section in SECTIONS.items():
        for key, field in fields_of(section).items():
            takes = takes_of(field)
            if takes is None:
                tables = {*SECTIONS, *(one.rpartition(".")[2] for one in SECTIONS)}
                assert key in {*tables, "defaults", "functions", "event_sources", "set"}
                continue
            assert all(takes.expected(era) for era in ERAS.values()), (place, key)
            assert field.description, (place, key)


# ---------------------------------------------------------------------------- digest and identity


def test_the_digest_is_stable() -> None:
    assert Scenario().digest() == EMPTY_DIGEST
    code = "from lambda_replay.scenario import Scenario; print(Scenario().digest())"
    env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert run.stdout.strip() == EMPTY_DIGEST


@pytest.mark.parametrize(
    "text",
    [
        "[account]",
        "[functions.f]",
        "[account]\nera = '2025-08'\nconcurrency = 1000",
        "[account]\nidle = 'halving'\nrecursion = 'off'",
        "[account]\nscaling = { refill_per_s = '1000/10', capacity = 1000 }",
        "[account]\nrequests_per_second = 10000\nmin_unreserved = 100",
        "[account.async]\njitter_half = 0.125\nbacklog_factor = 1",
        "[functions.f]\nreserved_concurrency = 'off'\nprovisioned_concurrency = 0",
        "[functions.f]\nclient_retry = 'none'\ntimeout_s = 'off'\nmaximum_retry_attempts = 2",
        "[state]\ndiscipline = 'lock'",
        "[account.idle]\nseconds = 380.0",
        "[account.env]\nmax_lifetime = [14400.0, 28800]",
        "[replay]\nseed = 0\nload = 1.0",
    ],
)
def test_what_changes_nothing_keeps_the_digest(text: str) -> None:
    assert Scenario.loads(text).digest() == EMPTY_DIGEST


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("account.concurrency", 999),
        ("account.era", "2023-11"),
        ("account.idle", "none"),
        ("account.idle.seconds", 381),
        ("account.env.max_lifetime", "off"),
        ("defaults.memory_mb", 129),
        ("defaults.architecture", "arm64"),
        ("defaults.init_ms", 0.001),
        ("defaults.init_billed", False),
        # The same as the default, yet it comes before the trace's own column.
        ("functions.f.memory_mb", 128),
        ("replay.seed", 1),
        ("replay.until", "2026-03-01T12:00:00Z"),
        ("account.scaling", "off"),
        ("account.pricing.free_tier", True),
        ("functions.f.reserved_concurrency", 5),
        ("functions.f.provisioned_concurrency", {"live": 5}),
        ("defaults.client_retry", "botocore_legacy"),
        ("state.discipline", "append"),
        ("faults", [{"at": 0, "for_s": 1, "throttle": True}]),
        ("changes", [{"at": 0, "set": {"account.concurrency": 999}}]),
    ],
)
def test_what_changes_something_changes_the_digest(key: str, value: object) -> None:
    assert Scenario().with_(key, value).digest() != EMPTY_DIGEST


def test_order_counts_for_globs_alone() -> None:
    def scenario(*names: str) -> Scenario:
        return Scenario(functions={name: {"memory_mb": 200 + ord(name[0])} for name in names})

    assert scenario("a", "b") == scenario("b", "a")
    assert scenario("a", "b").digest() == scenario("b", "a").digest()
    assert scenario("a*", "?b") != scenario("?b", "a*")
    assert scenario("a*", "?b").digest() != scenario("?b", "a*").digest()
    assert scenario("a*", "bb*").digest() == scenario("bb*", "a*").digest()


def test_equality_and_hash() -> None:
    one = Scenario(account={"concurrency": 5}, functions={"f": {"init_ms": 1}})
    same = Scenario.loads("[functions.f]\ninit_ms = 1.0\n[account]\nconcurrency = 5")
    assert one == same and hash(one) == hash(same)
    assert one != one.with_("account.concurrency", 6)
    assert Scenario(account={}) == Scenario()
    assert Scenario() != "x" and Scenario() != object()
    assert len({one, same, Scenario()}) == 2


def test_a_scenario_does_not_change() -> None:
    given: dict[str, Any] = {"concurrency": 5}
    scenario = Scenario(account=given)
    given["concurrency"] = 6
    scenario.to_dict()["account"]["concurrency"] = 7
    assert scenario.to_dict() == {"account": {"concurrency": 5}}
    with pytest.raises(AttributeError):
        scenario.source = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        scenario._source = "x"
    with pytest.raises(AttributeError):
        del scenario._source
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.resolve().seed = 1  # type: ignore[misc]
    assert copy.copy(scenario) is scenario and copy.deepcopy(scenario) is scenario


def test_pickling_keeps_everything() -> None:
    scenario = Scenario.loads(GLOBS, "g.toml").with_("account.idle", "none")
    other = pickle.loads(pickle.dumps(scenario))
    assert other == scenario and other.digest() == scenario.digest()
    assert other.source == "g.toml"
    assert other.resolve().origins() == scenario.resolve().origins()
    resolved = scenario.resolve()
    resolved.function("img-a")
    again = pickle.loads(pickle.dumps(resolved))
    assert again == resolved and again.function("img-a") == resolved.function("img-a")
    assert hash(again) == hash(resolved)


def test_repr() -> None:
    assert repr(Scenario()) == "<Scenario>"
    scenario = Scenario.loads("[functions.'a.b']\nmemory_mb = 512\n", "p.toml")
    assert repr(scenario) == '<Scenario p.toml functions."a.b".memory_mb=512>'
    many = Scenario(functions={f"f{i}": {"memory_mb": 512} for i in range(100)})
    assert len(repr(many)) < 230


def test_the_given_is_given_back() -> None:
    text = "[account]\nidle = 'halving'\nscaling = 'off'\n[functions.f]\ninit_ms = 1.5\n"
    scenario = Scenario.loads(text)
    assert scenario.to_dict() == {
        "account": {"idle": "halving", "scaling": "off"},
        "functions": {"f": {"init_ms": 1.5}},
    }
    assert Scenario(**scenario.to_dict()) == scenario
