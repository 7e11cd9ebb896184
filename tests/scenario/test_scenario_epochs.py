"""What the core is handed: the structure for every stretch of time between changes."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import pytest

from lambda_replay.exceptions import ScenarioError
from lambda_replay.scenario import Scenario
from lambda_replay.scenario.keys import format_key

HOUR = 3_600_000_000
MARCH = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z

FULL = """
[account]
concurrency = 500
min_unreserved = 50
era = "2025-08"
requests_per_second = 700
reuse_policy = "random"
proactive_fraction = 0.25
init_timeout_s = 20
idle = "none"
env.max_lifetime = "off"
error.reset = "destroy"
rps = { mode = "token_bucket", window_s = 0.5 }
async = { jitter_half = 0, expiry = "deadline", dispatch_s = 0.033 }
billing.aborted_init = true
report.clamp_timeout = true
pricing = { region = "eu-west-1", free_tier = true }

[account.scaling]
scope = "region"
mode = "sliding"
capacity = 10
refill_per_s = 0.1
step_s = 5
rps_coupling = false

[defaults]
memory_mb = 256
init_ms = 12.5
maximum_retry_attempts = 1

[functions.checkout]
memory_mb = 1024
timeout_s = 3
init_timeout_s = "off"
architecture = "arm64"
ephemeral_storage_mb = 1024
restore_ms = 100.5
reserved_concurrency = 100
maximum_event_age_s = 60
on_failure = "dlq"
init_billed = false
client_retry = { max_attempts = 4, base_s = 0.5, cap_s = "off", factor = 1, quota = 9 }

[functions.checkout.provisioned_concurrency]
old = 5
[functions.checkout.provisioned_concurrency.live]
initial = 15
target_tracking = { target = 0.7, min = 2, max = 50 }
schedule = [
  { at = "2026-03-02", max = 60 },
  { at = 2026-03-01T12:00:00Z, min = 20 },
]

[functions."img-*"]
provisioned_concurrency = 3

[state]
discipline = "optimistic"
scope = "function"
max_lock_wait_s = 1.5
max_retries = 5
backoff_ms = 0.5
top = 7

[[faults]]
at = 2026-03-01T12:00:00Z
for_s = 600
function = "check*"
slow = 3
[[faults]]
at = 2026-03-01T13:00:00+01:00
for_s = 0.5
error = "crash"
[[faults]]
at = 1772366400000000
for_s = 1
function = "img-a"
throttle = true

[replay]
seed = 7
time_scale = 0.5
load = 2
until = 2026-03-03
"""


def test_the_account() -> None:
    assert Scenario.loads(FULL).resolve().core_epochs() == {
        "seed": 7,
        "billing_unit_us": 1_000,
        "idle": ("none",),
        "max_lifetime_us": None,
        "aborted_init_billed": True,
        "rps_mode": "token_bucket",
        "rps_window_us": 500_000,
        "scaling_scope": "region",
        "scaling_mode": "sliding",
        "discipline": "optimistic",
        "state_scope": "function",
        "max_lock_wait_us": 1_500_000,
        "max_retries": 5,
        "backoff_us": 500,
        "state_top": 7,
        "until_us": MARCH + 36 * HOUR,
        "time_scale": 0.5,
        "load": 2.0,
        "limits": [
            (
                None,
                {
                    "concurrency": 500,
                    "rps": 700,
                    "rps_on": True,
                    "scaling": {
                        "capacity": 10,
                        "refill": (1, 10_000_000),
                        "step_us": 5_000_000,
                        "rps_coupling": False,
                    },
                    "reuse": "random",
                    "error_reset": "destroy",
                    "proactive_fraction": 0.25,
                    "jitter_half": 0.0,
                    "expiry": "deadline",
                    "dispatch_us": 33_000,
                },
            )
        ],
        "faults": [
            {
                "from_us": MARCH,
                "to_us": MARCH + 600_000_000,
                "slow": 3.0,
                "init": None,
                "error": None,
                "throttle": False,
            },
            {
                "from_us": MARCH,
                "to_us": MARCH + 500_000,
                "slow": None,
                "init": None,
                "error": "crash",
                "throttle": False,
            },
            {
                "from_us": MARCH,
                "to_us": MARCH + 1_000_000,
                "slow": None,
                "init": None,
                "error": None,
                "throttle": True,
            },
        ],
    }


CHECKOUT = {
    "init_us": 12_500,
    "init_billed": False,
    "timeout_us": 3_000_000,
    "init_timeout_us": None,
    "memory_mb": 1024,
    "default_memory_mb": 256,
    "duration_factor": 1.0,
    "arm": True,
    "ephemeral_mb": 1024,
    "restore_us": 100_500,
    "reserved": 100,
    "max_event_age_us": 60_000_000,
    "max_retries": 1,
    "on_failure": "dlq",
    "provisioned": [
        ("old", 5, None, []),
        (
            "live",
            15,
            {"target": (7, 10), "min": 2, "max": 50},
            [(MARCH, 20, None), (MARCH + 12 * HOUR, None, 60)],
        ),
    ],
    "client": {
        "max_attempts": 4,
        "base_us": 500_000,
        "cap_us": None,
        "factor": 1.0,
        "quota": 9,
        "read_timeout_us": None,
        "adaptive": False,
    },
    "faults": [0, 1],
    "reserved_by_name": True,
    "provisioned_by_name": True,
}


def test_functions() -> None:
    resolved = Scenario.loads(FULL).resolve()
    assert resolved.function_epochs("checkout") == [(0, CHECKOUT)]
    # Settings by the bare name (Z9), faults too.
    assert resolved.function_epochs("checkout:live") == [(0, CHECKOUT)]
    ((_, image),) = resolved.function_epochs("img-a")
    assert image["provisioned"] == [(None, 3, None, [])]
    assert image["faults"] == [1, 2]
    ((_, other),) = resolved.function_epochs("other")
    assert other == {
        "init_us": 12_500,
        "init_billed": True,
        "timeout_us": None,
        "init_timeout_us": 20_000_000,
        "memory_mb": None,
        "default_memory_mb": 256,
        "duration_factor": 1.0,
        "arm": False,
        "ephemeral_mb": 512,
        "restore_us": None,
        "reserved": None,
        "max_event_age_us": 21_600_000_000,
        "max_retries": 1,
        "on_failure": None,
        "provisioned": [],
        "client": None,
        "faults": [1],
        "reserved_by_name": False,
        "provisioned_by_name": False,
    }


def test_literal_names_are_bare() -> None:
    """Rule Z20: what a literal section says counts from the start, rows or not."""
    functions: dict[str, Any] = {
        "f": {"reserved_concurrency": 5},
        "g:live": {"memory_mb": 256},
        "h*": {"reserved_concurrency": 1},
        "ha": {"memory_mb": 256},
    }
    changes = [{"at": MARCH, "set": {"functions.k.provisioned_concurrency": 2}}]
    resolved = Scenario(functions=functions, changes=changes).resolve()
    assert resolved.literal_names() == ("f", "g", "ha", "k")
    own = {
        name: [
            (number, one["reserved_by_name"], one["provisioned_by_name"])
            for number, one in resolved.function_epochs(name)
        ]
        for name in ("f", "ha", "k")
    }
    assert own == {
        "f": [(0, True, False)],
        "ha": [(0, False, False)],
        "k": [(0, False, False), (1, False, True)],
    }
    assert resolved.function("ha").reserved == 1


@pytest.mark.parametrize(
    ("era", "region", "scope", "capacity", "refill", "coupling"),
    [
        ("2017-12", "us-east-1", "region", 3_000, (1, 120_000), False),
        ("2017-12", "us-east-2", "region", 500, (1, 120_000), False),
        ("2019-12", "eu-central-1", "region", 1_000, (1, 120_000), False),
        ("2020-12", "us-east-2", "region", 1_000, (1, 120_000), False),
        ("2020-12", "sa-east-1", "region", 500, (1, 120_000), False),
        ("2023-11", "sa-east-1", "function", 1_000, (1, 10_000), True),
        ("2025-08", "us-east-1", "function", 1_000, (1, 10_000), True),
    ],
)
def test_scaling_by_era(
    era: str, region: str, scope: str, capacity: int, refill: tuple[int, int], coupling: bool
) -> None:
    """Rules F2, Z18: 500 per 60 s is exact."""
    scenario = Scenario(account={"era": era, "pricing": {"region": region}})
    config = scenario.resolve().core_epochs()
    assert config["scaling_scope"] == scope and config["scaling_mode"] == "continuous"
    ((_, limits),) = config["limits"]
    assert limits["scaling"] == {
        "capacity": capacity,
        "refill": refill,
        "step_us": 10_000_000,
        "rps_coupling": coupling,
    }


@pytest.mark.parametrize(
    ("given", "refill"),
    [(100, (1, 10_000)), (0.25, (1, 4_000_000)), ("500/60", (1, 120_000)), ("0.5", (1, 2_000_000)),
     (0, (0, 1)), (0.1, (1, 10_000_000))],
)  # fmt: skip
def test_refill_is_exact(given: object, refill: tuple[int, int]) -> None:
    scenario = Scenario(account={"scaling": {"refill_per_s": given}})
    assert scenario.resolve().account.scaling is not None
    assert scenario.resolve().account.scaling.refill == refill


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("none", None),
        ("off", None),
        ("botocore_legacy", (5, 1_000_000, None, None)),
        ("botocore_standard_2020", (3, 1_000_000, 20_000_000, None)),
        ("botocore_standard_2026", (3, 1_000_000, 20_000_000, None)),
        ("step_functions", (7, 2_000_000, None, 1.0)),
        ({}, (3, 1_000_000, 20_000_000, None)),
        ({"factor": "uniform", "quota": "off"}, (3, 1_000_000, 20_000_000, None)),
    ],
)
def test_clients(preset: object, expected: tuple[Any, ...] | None) -> None:
    """Rules F4.2, Z28."""
    client = Scenario(defaults={"client_retry": preset}).resolve().function("f").client
    assert (client and client[:4]) == expected
    assert client is None or client[4:] == (None, None, False)


@pytest.mark.parametrize("given", ["botocore_adaptive", {"mode": "adaptive"}])
def test_f4_2_an_adaptive_client(given: object) -> None:
    client = Scenario(defaults={"client_retry": given}).resolve().function("f").client
    assert client == (3, 1_000_000, 20_000_000, None, None, None, True)


def test_f4_2_a_mode_that_aws_does_not_have() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(defaults={"client_retry": {"mode": "adaptiv"}})
    (problem,) = caught.value.problems
    assert problem.path == "defaults.client_retry.mode"
    assert problem.suggestion == "adaptive"


def test_step_functions_waits_two_four_up_to_64_seconds() -> None:
    client = Scenario(defaults={"client_retry": "step_functions"}).resolve().function("f").client
    assert client is not None
    waits = [client.base_us * 2**n for n in range(client.max_attempts - 1)]
    assert [wait // 1_000_000 for wait in waits] == [2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(
    ("given", "pools"),
    [
        (20, ((None, 20, None, ()),)),
        (0, ()),
        ("off", ()),
        ({"initial": 0}, ()),
        ({"initial": 4}, ((None, 4, None, ()),)),
        ({"live": 15, "7": {"initial": 2}}, (("live", 15, None, ()), ("7", 2, None, ()))),
        ({"live": 15, "old": "off"}, (("live", 15, None, ()),)),
        ({"schedule": [{"at": 5, "min": 1}]}, ((None, 0, None, ((5, 1, None),)),)),
    ],
)  # fmt: skip
def test_provisioned(given: object, pools: tuple[Any, ...]) -> None:
    """Rule Z22: a table without keys of a pool names qualifiers."""
    scenario = Scenario(functions={"f": {"provisioned_concurrency": given}})
    found = scenario.resolve().function("f").provisioned
    assert tuple(pool[:4] for pool in found) == pools


@pytest.mark.parametrize(
    ("runtime", "init_us"),
    [("python3.12", 215_000), ("nodejs", 264_000), ("dotnet8", 517_000), ("image", 795_000)],
)
def test_typical_init_times(runtime: str, init_us: int) -> None:
    """Rule Z55."""
    scenario = Scenario(defaults={"init_ms": "typical"} | {"runtime": runtime})
    assert scenario.resolve().function("f").init_us == init_us
    scenario = Scenario(
        defaults={"init_ms": "typical", "runtime": "java"}, functions={"f": {"runtime": runtime}}
    )
    assert scenario.resolve().function("f").init_us == init_us
    assert scenario.resolve().function("g").init_us == 372_000


def test_requests_follow_concurrency() -> None:
    """Rules F1.4, Z17, Q36."""

    def limits(**account: object) -> list[tuple[int | None, bool]]:
        changes = [{"at": 0, "set": {"account.concurrency": 20}}]
        config = Scenario(account=account, changes=changes).resolve().core_epochs()
        return [(one["rps"], one["rps_on"]) for _, one in config["limits"]]

    assert limits(concurrency=10) == [(100, True), (200, True)]
    assert limits(requests_per_second=7) == [(7, True), (7, True)]
    assert limits(requests_per_second="off") == [(None, False), (None, False)]


def test_min_unreserved() -> None:
    """Rule Q38."""
    for concurrency, units in ((1_000, 100), (100, 100), (10, 10)):
        account = Scenario(account={"concurrency": concurrency}).resolve().account
        assert account.min_unreserved == units
    assert Scenario(account={"min_unreserved": "off"}).resolve().account.min_unreserved == 0


# ---------------------------------------------------------------------------- changes


CHANGES = """
[account]
concurrency = 1000
[functions.checkout]
reserved_concurrency = 100
[functions."my.fn"]
memory_mb = 512
[functions."img-*"]
reserved_concurrency = 5

[[changes]]
at = "2026-03-01T14:00:00Z"
set = { "functions.checkout.reserved_concurrency" = "off", "account.scaling" = "off" }
[[changes]]
at = 2026-03-01T12:00:00Z
set = { "functions.checkout.reserved_concurrency" = 0 }
[[changes]]
at = 2026-03-01T12:00:00Z
set = { "functions.checkout.reserved_concurrency" = 7, 'functions."my.fn".memory_mb' = "off" }
[[changes]]
at = "2026-03-01T15:00:00Z"
[changes.set]
"account.concurrency" = 50
"account.scaling.capacity" = 5
"functions.img-*.reserved_concurrency" = "off"
"defaults.timeout_s" = 3
"""


def test_changes_of_one_instant_are_one_epoch_in_file_order() -> None:
    resolved = Scenario.loads(CHANGES).resolve()
    limits = resolved.core_epochs()["limits"]
    assert [at for at, _ in limits] == [None, MARCH, MARCH + 2 * HOUR, MARCH + 3 * HOUR]
    assert [one["concurrency"] for _, one in limits] == [1000, 1000, 1000, 50]
    assert [one["rps"] for _, one in limits] == [10_000, 10_000, 10_000, 500]
    capacities = [one["scaling"] and one["scaling"]["capacity"] for _, one in limits]
    assert capacities == [1000, 1000, None, 5]
    checkout = [(n, one["reserved"], one["timeout_us"]) for n, one in
                resolved.function_epochs("checkout")]  # fmt: skip
    assert checkout == [(0, 100, None), (1, 7, None), (2, None, None), (3, None, 3_000_000)]


def test_off_unsets_what_cannot_be_off() -> None:
    resolved = Scenario.loads(CHANGES).resolve()
    memory = [(n, one["memory_mb"]) for n, one in resolved.function_epochs("my.fn")]
    assert memory == [(0, 512), (1, None), (3, None)]
    image = [(n, one["reserved"]) for n, one in resolved.function_epochs("img-9")]
    assert image == [(0, 5), (3, None)]


def test_instants_in_every_form_are_one() -> None:
    forms: list[object] = [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01 12:00:00",
        MARCH,
        dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 1, 12),
    ]
    digests = {Scenario(replay={"until": form}).digest() for form in forms}
    assert len(digests) == 1
    assert Scenario(replay={"until": dt.date(2026, 3, 1)}).resolve().until_us == MARCH - 12 * HOUR


def test_what_cannot_change_says_so() -> None:
    def refused(key: str, value: object) -> str:
        with pytest.raises(ScenarioError) as caught:
            Scenario(changes=[{"at": MARCH, "set": {key: value}}])
        (problem,) = caught.value.problems
        assert problem.path == format_key(("changes", 0, "set", key))
        return problem.message

    for key, value in (
        ("account.idle", "none"),
        ("account.idle.seconds", 5),
        ("account.env.max_lifetime", "off"),
        ("account.era", "2019-12"),
        ("account.rps.mode", "token_bucket"),
        ("account.pricing.free_tier", True),
        ("account.scaling.scope", "region"),
        ("account.scaling", {"mode": "step"}),
        ("replay.seed", 5),
        ("replay.until", "off"),
        ("state.discipline", "append"),
    ):
        message = refused(key, value)
        assert "cannot change while a trace runs" in message and "account.concurrency" in message
    assert "expected dotted keys in quotes" in refused("functions", {"f": {"memory_mb": 256}})
    assert "expected dotted keys in quotes" in refused("functions.f", {"memory_mb": 256})
    assert "there is no x.y" in refused("x.y", 1)
    assert "did you mean 'concurrency'?" in refused("account.concurency", 1)
    assert "did you mean 'memory_mb'?" in refused("functions.f.memroy_mb", 1)
    assert "out of range" in refused("functions.f.memory_mb", 1)
    assert "is text; expected an integer" in refused("account.concurrency", "off")
    assert "64 is no size of memory" in refused("functions.f.duration_factor", {"64": 1.0})
    assert "is no dotted key" in refused("functions..f", 1)


def test_a_change_that_contradicts_is_named() -> None:
    """Rule Z20."""
    text = """
[functions.f]
reserved_concurrency = 500
provisioned_concurrency = 5
[[changes]]
at = 2026-03-01T12:00:00Z
set = { "functions.g.reserved_concurrency" = 400 }
[[changes]]
at = 2026-03-01T13:00:00Z
set = { "account.concurrency" = 900 }
[[changes]]
at = 2026-03-01T14:00:00Z
set = { "functions.f.reserved_concurrency" = 4 }
"""
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads(text, "s.toml")
    first, second = caught.value.problems
    assert (first.line, first.path) == (10, 'changes[1].set."account.concurrency"')
    assert first.message.startswith("from 2026-03-01T13:00:00Z on functions.g.reserved_concurrency")
    assert "f 500 + g 400" in first.message
    assert (second.line, second.path) == (13, 'changes[2].set."functions.f.reserved_concurrency"')
    assert "5 provisioned are more than the 4 of reserved_concurrency" in second.message


def test_a_contradiction_within_one_instant_is_none() -> None:
    changes = [
        {"at": MARCH, "set": {"functions.f.reserved_concurrency": 2}},
        {"at": MARCH, "set": {"functions.f.provisioned_concurrency": 1}},
    ]
    functions = {"f": {"reserved_concurrency": 9, "provisioned_concurrency": 9}}
    resolved = Scenario(functions=functions, changes=changes).resolve()
    assert resolved.function_epochs("f")[1][1]["reserved"] == 2


def test_many_changes_of_many_functions_take_seconds_at_most() -> None:
    functions = {f"f{i}": {"memory_mb": 512} for i in range(500)}
    changes = [
        {"at": i, "set": {f"functions.f{i}.memory_mb": 1024}} for i in range(200)
    ]  # fmt: skip
    resolved = Scenario(functions=functions, changes=changes).resolve()
    assert len(resolved.core_epochs()["limits"]) == 201
    assert [n for n, _ in resolved.function_epochs("f7")] == [0, 8]


def test_resolved_scenarios_with_changes_can_be_pickled() -> None:
    resolved = Scenario.loads(CHANGES).resolve()
    again = pickle.loads(pickle.dumps(resolved))
    assert again == resolved and hash(again) == hash(resolved)
    assert again.function_epochs("checkout") == resolved.function_epochs("checkout")


def test_durations_by_memory() -> None:
    factors = {"512": 2.5, "1024": 0.5}
    scenario = Scenario(
        defaults={"memory_mb": 512, "duration_factor": factors},
        functions={
            "g": {"memory_mb": 1024},
            "h": {"memory_mb": 2048},
            "i": {"duration_factor": "off"},
        },
    )
    found = {
        name: scenario.resolve().function_epochs(name)[0][1]["duration_factor"] for name in "fghi"
    }
    assert found == {"f": 2.5, "g": 0.5, "h": 1.0, "i": 1.0}


@pytest.mark.parametrize(
    ("given", "path", "part"),
    [
        ({"64": 1}, "", "64 is no size of memory: 128 to 10240 MB"),
        ({"0512": 1}, "", "0512 is no size of memory"),
        ({"512": 0}, ".512", "expected a number from 0.001"),
        ({"512": "fast"}, ".512", "expected a number from 0.001"),
        (2.0, "", "expected a table of factors by memory in MB"),
    ],
)
def test_what_durations_by_memory_may_not_be(given: object, path: str, part: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(functions={"f": {"duration_factor": given}})
    (problem,) = caught.value.problems
    assert problem.path == f"functions.f.duration_factor{path}"
    assert part in problem.message
