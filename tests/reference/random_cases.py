"""Random scenarios with everything in them, from a seed: small, on a grid that makes ties common.

Owns nothing that a rule needs: it only makes examples. Reserved and provisioned concurrency fit
into the account, so the scenarios are valid ones.
"""

from random import Random
from typing import Any

from reference.worked import S, us

Scenario = dict[str, Any]
Rows = list[dict[str, Any]]

FUNCTIONS = ("f", "g", "h")


def some(random: Random, share: float, **values: Any) -> dict[str, Any]:
    """Return one of the values of each key, where luck has it."""
    return {
        key: random.choice(choices) for key, choices in values.items() if random.random() < share
    }


def account(random: Random) -> Scenario:
    """Return ``[account]``."""
    section = some(
        random,
        0.4,
        era=("2017-12", "2019-12", "2020-12", "2023-11", "2025-08"),
        idle=(
            {"policy": "none"},
            {"policy": "fixed", "seconds": 5},
            {"policy": "halving", "seconds": 7},
            {"policy": "uniform", "seconds": [2, 9]},
        ),
        env=({"max_lifetime": "off"}, {"max_lifetime": 11}, {"max_lifetime": [5, 30]}),
        reuse_policy=("mru", "lru", "fifo", "random"),
        error=({"reset": "destroy"}, {"reset": "suppressed_init"}),
        requests_per_second=("off", 1, 2, 3),
        rps=({"mode": "token_bucket"}, {"window_s": 2}),
        proactive_fraction=(0.5,),
        billing=({"aborted_init": True},),
        pricing=({"free_tier": True},),
        scaling=(
            "off",
            {"capacity": 1, "refill_per_s": 0.25},
            {"capacity": 2, "refill_per_s": 0.5, "scope": "region"},
            {"capacity": 2, "mode": "step", "step_s": 5},
            {"capacity": 2, "mode": "sliding", "rps_coupling": False},
        ),
    )
    section["async"] = some(
        random, 0.5, jitter_half=(0, 0.125), expiry=("predictive", "deadline"), dispatch_s=(0, 1)
    )
    # At least as much as is reserved and provisioned below.
    section["concurrency"] = random.choice((6, 7, 8))
    return section


def provisioned(random: Random, most: int) -> Any:
    """Return provisioned concurrency of at most so many environments."""
    number = random.randint(0, most)
    tracking = {"target": random.choice((0.5, 0.7)), "min": 0, "max": most}
    schedule = [{"at": us(random.randint(0, 60)), "min": random.randint(0, most), "max": most}]
    table = {"initial": number, "target_tracking": tracking, "schedule": schedule}
    return random.choice((number, table, {"live": number}, {"live": table}))


def function(random: Random) -> Scenario:
    """Return the section of a function."""
    section = some(
        random,
        0.3,
        reserved_concurrency=(0, 1, 2, 2),
        timeout_s=(1, 2, 3, 5),
        init_ms=(0, 1_000, 2_000, 10_000, 11_000),
        memory_mb=(128, 1_024),
        architecture=("x86_64", "arm64"),
        ephemeral_storage_mb=(1_024,),
        maximum_event_age_s=(60, 90, 240),
        maximum_retry_attempts=(0, 1, 2),
        on_failure=("dlq",),
        restore_ms=(500,),
        init_billed=(True, False),
        client_retry=(
            "botocore_legacy",
            "botocore_standard_2026",
            {"max_attempts": 3, "base_s": 1, "cap_s": 1, "factor": 1},
            {"max_attempts": 4, "base_s": 1, "factor": 0.5, "quota": 10},
            {"max_attempts": 3, "base_s": 1, "read_timeout_s": 2},
        ),
    )
    if random.random() < 0.4:
        most = min(2, section.get("reserved_concurrency", 2))
        section["provisioned_concurrency"] = provisioned(random, most)
    return section


def change(random: Random) -> Scenario:
    """Return one change."""
    key, values = random.choice(
        (
            ("functions.f.reserved_concurrency", ("off", 0, 2)),
            ("functions.g.provisioned_concurrency", (0, 1, 2, {"live": 1})),
            ("functions.g.provisioned_concurrency", (0, 1, 2)),
            ("functions.g.timeout_s", (1, 3, "off")),
            ("functions.f.memory_mb", (128, 512)),
            ("functions.f.maximum_event_age_s", (60, 600)),
            ("account.concurrency", (6, 9)),
        )
    )
    at = us(random.randint(0, random.choice((15, 100))))
    return {"at": at, "set": {key: random.choice(values)}}


def fault(random: Random) -> Scenario:
    """Return one fault."""
    what = random.choice(
        ({"slow": 2.0}, {"init": 3.0}, {"error": "crash"}, {"error": "handled"}, {"throttle": True})
    )
    where = random.choice(({}, {"function": "f"}, {"function": "?"}))
    return {"at": us(random.randint(0, 20)), "for_s": random.randint(1, 20), **what, **where}


def scenario(random: Random) -> Scenario:
    """Return a scenario."""
    sections: Scenario = {
        "account": account(random),
        "functions": {
            name: function(random) for name in FUNCTIONS[:2] if random.random() < 0.7
        },
        "replay": some(
            random, 0.15, seed=(1, 2), load=(0.5, 1.5, 2.0), time_scale=(0.5, 2.0),
            until=(us(10), us(30)),
        ),
    }  # fmt: skip
    if random.random() < 0.3:
        sections["changes"] = [change(random) for _ in range(random.randint(1, 3))]
    if random.random() < 0.3:
        sections["faults"] = [fault(random) for _ in range(random.randint(1, 2))]
    sections["state"] = some(
        random,
        0.5,
        discipline=("lock", "optimistic", "optimistic", "append"),
        scope=("account", "function"),
        max_lock_wait_s=(1, 2, "off"),
        max_retries=(0, 1),
        backoff_ms=(0, 500, 3_000),
    )
    return sections


def rows(random: Random) -> Rows:
    """Return a trace."""
    trace, at = [], 0
    keyed = random.choice((0, 0.3, 0.9))
    dense = random.random() < 0.15
    names = random.choice((("f",), ("f", "g", "f:live"), ("f", "g", "g:live", "h")))
    for position in range(random.choice((1, 3, 8, 15, 25))):
        at += random.choice((0, 0, S // 20)) if dense else random.choice((0, 0, S, 2 * S, 5 * S))
        row: dict[str, Any] = {
            "timestamp": at,
            "function": random.choice(names),
            "duration_ms": random.choice((0, 10) if dense else (0, 1_000, 1_000, 2_000, 3_000)),
            "source": random.choice(("sync", "sync", "async")),
            **some(
                random,
                0.25,
                extension_ms=(500, 1_000),
                init_ms=(0, 0.25, 1_000, 2_000, 12_000),
                error=("crash", "handled", "item"),
                error_runs=(0, 1, 2),
                payload_bytes=(300_000,),
                memory_mb=(256,),
                request_id=(f"r{position}",),
            ),
            **some(random, keyed, state_key=("a", "a", "b"), state_access=("read", "write")),
        }
        trace.append(row)
    return trace


def case(seed: int) -> tuple[Scenario, Rows]:
    """Return a scenario and a trace."""
    random = Random(seed)
    return scenario(random), rows(random)
