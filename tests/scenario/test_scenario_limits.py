"""What AWS would refuse: ranges by era, and sections that contradict each other."""

from __future__ import annotations

import pytest

from lambda_replay.exceptions import Problem, ScenarioError
from lambda_replay.scenario import Scenario

# text, line, key, what the message must say, code
BAD: list[tuple[str, int, str, list[str], str]] = [
    # Σ reserved > concurrency − min_unreserved
    (
        "[functions.a]\nreserved_concurrency = 500\n[functions.b]\nreserved_concurrency = 401",
        4,
        "functions.b.reserved_concurrency",
        [
            "901 units",
            "a 500 + b 401",
            "at most 900",
            "account.concurrency 1000",
            "= 100 must stay",
        ],
        "LR-S006",
    ),
    (
        "account.concurrency = 10\n[functions.a]\nreserved_concurrency = 1",
        3,
        "functions.a.reserved_concurrency",
        ["1 is too much; at most 0 can be set apart", "account.concurrency 10"],
        "LR-S006",
    ),
    (
        "account.concurrency = 2000\n[functions.'img-*']\nreserved_concurrency = 1901",
        3,
        'functions."img-*".reserved_concurrency',
        ["1901 is too much; at most 1900"],
        "LR-S006",
    ),
    (
        "[defaults]\nreserved_concurrency = 901",
        2,
        "defaults.reserved_concurrency",
        ["901 is too much; at most 900"],
        "LR-S006",
    ),
    (
        (
            "[functions.a]\nreserved_concurrency = 500\n[functions.b.provisioned_concurrency]\n"
            "live = 300\nold = { initial = 101 }"
        ),
        3,
        "functions.b.provisioned_concurrency",
        ["with this one 901 units are reserved or provisioned (a 500 + b 401)"],
        "LR-S006",
    ),
    (
        "[functions.a]\nprovisioned_concurrency = 901",
        2,
        "functions.a.provisioned_concurrency",
        ["901 is too much; at most 900"],
        "LR-S006",
    ),
    (
        "[account]\nconcurrency = 50\nmin_unreserved = 51",
        3,
        "account.min_unreserved",
        ["51 units must stay unreserved, more than there are", "account.concurrency is 50"],
        "LR-S006",
    ),
    # provisioned > reserved, and where it cannot be
    (
        "[functions.f]\nreserved_concurrency = 10\nprovisioned_concurrency = 11",
        3,
        "functions.f.provisioned_concurrency",
        ["11 provisioned are more than the 10 of reserved_concurrency"],
        "LR-S006",
    ),
    (
        (
            "[defaults]\nreserved_concurrency = 10\n"
            "[functions.f.provisioned_concurrency]\na = 6\nb = 6"
        ),
        3,
        "functions.f.provisioned_concurrency",
        ["12 provisioned are more than the 10"],
        "LR-S006",
    ),
    (
        "[functions.'x*']\nprovisioned_concurrency = 11\n[functions.xa]\nreserved_concurrency = 10",
        4,
        "functions.xa.reserved_concurrency",
        ["11 provisioned are more than the 10"],
        "LR-S006",
    ),
    (
        (
            "[functions.f]\nreserved_concurrency = 10\n[functions.f.provisioned_concurrency]\n"
            "target_tracking = { min = 1, max = 11, target = 0.7 }"
        ),
        3,
        "functions.f.provisioned_concurrency",
        ["target tracking or the schedule may provision 11, more than the 10"],
        "LR-S006",
    ),
    (
        "[functions.f.provisioned_concurrency]\n'$LATEST' = 5",
        2,
        'functions.f.provisioned_concurrency."$LATEST"',
        ["for versions and aliases, never for $LATEST"],
        "LR-S006",
    ),
    (
        "[functions.'f:$LATEST']\nprovisioned_concurrency = 5",
        2,
        'functions."f:$LATEST".provisioned_concurrency',
        ["never for $LATEST"],
        "LR-S006",
    ),
    (
        "[functions.'f:live']\nprovisioned_concurrency = 5",
        2,
        'functions."f:live".provisioned_concurrency',
        ["below the key: functions.f.provisioned_concurrency.live"],
        "LR-S006",
    ),
    (
        "[functions.'f:live']\nreserved_concurrency = 5",
        2,
        'functions."f:live".reserved_concurrency',
        ["for a whole function", "write functions.f.reserved_concurrency"],
        "LR-S006",
    ),
    # reserved > concurrency, L = 0, negative, > i32
    (
        "account.concurrency = 500\n[functions.f]\nreserved_concurrency = 501",
        3,
        "functions.f.reserved_concurrency",
        ["501 is more than the account has: account.concurrency is 500"],
        "LR-S006",
    ),
    ("account.concurrency = 0", 1, "account.concurrency", ["0 is out of range"], "LR-S005"),
    (
        "[functions.f]\nreserved_concurrency = -1",
        2,
        "functions.f.reserved_concurrency",
        ['-1 is out of range; expected an integer from 0 to 2147483647, or "off"'],
        "LR-S005",
    ),
    (
        "[functions.f]\nreserved_concurrency = 2147483648",
        2,
        "functions.f.reserved_concurrency",
        ["2147483648 is out of range"],
        "LR-S005",
    ),
    (
        "[functions.f]\nprovisioned_concurrency = -1",
        2,
        "functions.f.provisioned_concurrency",
        ["-1 is out of range; expected an integer from 0, a table with initial"],
        "LR-S005",
    ),
    # min > max, target outside 0.1 … 0.9
    (
        (
            "[functions.f.provisioned_concurrency]\n"
            "target_tracking = { min = 5, max = 4, target = 0.7 }"
        ),
        2,
        "functions.f.provisioned_concurrency.target_tracking.min",
        ["5 does not fit: min 5 is above max 4"],
        "LR-S006",
    ),
    (
        (
            "[functions.f.provisioned_concurrency.live]\n"
            "target_tracking = { min = 1, max = 4, target = 0.95 }"
        ),
        2,
        "functions.f.provisioned_concurrency.live.target_tracking.target",
        ["0.95 is out of range; expected a number from 0.1 to 0.9"],
        "LR-S005",
    ),
    (
        "[functions.f.provisioned_concurrency]\ntarget_tracking = { min = 1, target = 0.7 }",
        2,
        "functions.f.provisioned_concurrency.target_tracking.max",
        ["max is missing; expected an integer from 0"],
        "LR-S009",
    ),
    (
        (
            "[functions.f.provisioned_concurrency.a]\n"
            "target_tracking = { mn = 1, min = 1, max = 2, target = 0.7 }"
        ),
        2,
        "functions.f.provisioned_concurrency.a.target_tracking.mn",
        ["did you mean 'min'?"],
        "LR-S003",
    ),
    (
        "[functions.f.provisioned_concurrency]\nlive = -1",
        2,
        "functions.f.provisioned_concurrency.live",
        ["-1 is out of range; expected an integer from 0, a table with initial"],
        "LR-S005",
    ),
    (
        "[functions.f.provisioned_concurrency]\nlive = '5'",
        2,
        "functions.f.provisioned_concurrency.live",
        ["'5' is text; expected an integer from 0", "did you mean 5?"],
        "LR-S004",
    ),
    # schedules
    (
        (
            "[functions.f.provisioned_concurrency]\n"
            "schedule = [{ at = 2026-03-01, min = 5 }, { at = '2026-03-01T00:00:00Z', max = 9 }]"
        ),
        2,
        "functions.f.provisioned_concurrency.schedule",
        ["schedule[0] and schedule[1] are for the same instant"],
        "LR-S006",
    ),
    (
        (
            "[functions.f.provisioned_concurrency]\n"
            "schedule = [{ at = 2026-03-02, max = 4 }, { at = 2026-03-01, min = 5 }]"
        ),
        2,
        "functions.f.provisioned_concurrency.schedule",
        ["from schedule[0] on min 5 is above max 4"],
        "LR-S006",
    ),
    (
        "[functions.f.provisioned_concurrency]\nschedule = [{ at = 'noon', max = 4 }]",
        2,
        "functions.f.provisioned_concurrency.schedule[0].at",
        ["'noon' is no instant; expected a date and time such as 2026-03-01T12:00:00Z"],
        "LR-S005",
    ),
    (
        "[functions.f.provisioned_concurrency]\nschedule = [{ min = 4 }]",
        2,
        "functions.f.provisioned_concurrency.schedule[0].at",
        ["at is missing; expected a date and time"],
        "LR-S009",
    ),
    (
        "[functions.f.provisioned_concurrency]\nschedule = [{ at = 2026-03-01 }]",
        2,
        "functions.f.provisioned_concurrency.schedule[0]",
        ["an entry needs min, max or both"],
        "LR-S006",
    ),
    # asynchronous configuration, time-outs, memory by era
    (
        "[functions.f]\nmaximum_event_age_s = 59",
        2,
        "functions.f.maximum_event_age_s",
        ["59 is out of range; expected an integer from 60 to 21600"],
        "LR-S005",
    ),
    (
        "[defaults]\nmaximum_event_age_s = 21601",
        2,
        "defaults.maximum_event_age_s",
        ["21601 is out of range"],
        "LR-S005",
    ),
    (
        "[functions.f]\nmaximum_retry_attempts = 3",
        2,
        "functions.f.maximum_retry_attempts",
        ["3 is out of range; expected an integer from 0 to 2"],
        "LR-S005",
    ),
    (
        "[functions.f]\ntimeout_s = 901",
        2,
        "functions.f.timeout_s",
        ["901 is out of range; expected an integer from 1 to 900 (seconds, era 2025-08)"],
        "LR-S005",
    ),
    (
        "account.era = '2017-12'\n[functions.f]\ntimeout_s = 301",
        3,
        "functions.f.timeout_s",
        ["301 is out of range; expected an integer from 1 to 300 (seconds, era 2017-12)"],
        "LR-S005",
    ),
    (
        "[functions.f]\ntimeout_s = 0.5",
        2,
        "functions.f.timeout_s",
        ["0.5 is a decimal number; expected an integer from 1 to 900"],
        "LR-S004",
    ),
    (
        "[functions.f]\ntimeout_s = '30'",
        2,
        "functions.f.timeout_s",
        ["'30' is text", "did you mean 30?"],
        "LR-S004",
    ),
    (
        "account.era = '2020-12'\n[functions.f]\nephemeral_storage_mb = 1024",
        3,
        "functions.f.ephemeral_storage_mb",
        ["1024 is out of range; expected an integer from 512 only (MB, era 2020-12)"],
        "LR-S005",
    ),
    (
        "[functions.f]\nephemeral_storage_mb = 511",
        2,
        "functions.f.ephemeral_storage_mb",
        ["expected an integer from 512 to 10240"],
        "LR-S005",
    ),
    # init_ms = "typical"
    (
        "[functions.f]\ninit_ms = 'typical'",
        2,
        "functions.f.init_ms",
        ['init_ms = "typical" needs the key runtime', "Z55"],
        "LR-S006",
    ),
    (
        "[defaults]\ninit_ms = 'typical'",
        2,
        "defaults.init_ms",
        ["needs the key runtime"],
        "LR-S006",
    ),
    (
        "[defaults]\nruntime = 'cobol'",
        2,
        "defaults.runtime",
        ['expected "nodejs", "python", "java"', "such as python3.12"],
        "LR-S005",
    ),
    # clients
    (
        "[functions.f]\nclient_retry = 'botocore'",
        2,
        "functions.f.client_retry",
        ['expected "none", "off", "botocore_legacy"', "or a table"],
        "LR-S005",
    ),
    (
        "[functions.f.client_retry]\nmax_atempts = 3",
        2,
        "functions.f.client_retry.max_atempts",
        ["did you mean 'max_attempts'?"],
        "LR-S003",
    ),
    (
        "[functions.f.client_retry]\nmax_attempts = 0",
        2,
        "functions.f.client_retry.max_attempts",
        ["0 is out of range; expected an integer from 1 to 100"],
        "LR-S005",
    ),
    (
        "[functions.f.client_retry]\nfactor = 'unifrm'",
        2,
        "functions.f.client_retry.factor",
        ["did you mean 'uniform'?"],
        "LR-S005",
    ),
    # the account
    (
        "[account.scaling]\nmode = 'steps'",
        2,
        "account.scaling.mode",
        ['expected "continuous", "step" or "sliding"', "did you mean 'step'?"],
        "LR-S005",
    ),
    (
        "[account.scaling]\nrefill_per_s = '1/0'",
        2,
        "account.scaling.refill_per_s",
        ['or a fraction as "500/60"'],
        "LR-S005",
    ),
    (
        "account.scaling = 'none'",
        1,
        "account.scaling",
        ["'none' is not one of the choices; expected a table with capacity"],
        "LR-S005",
    ),
    (
        "account.requests_per_second = 0",
        1,
        "account.requests_per_second",
        ['0 is out of range; expected an integer from 1 to 2147483647, or "off"'],
        "LR-S005",
    ),
    (
        "account.async.jitter_half = 1.5",
        1,
        "account.async.jitter_half",
        ["1.5 is out of range; expected a number from 0 to 1"],
        "LR-S005",
    ),
    (
        "account.pricing.region = 'Frankfurt'",
        1,
        "account.pricing.region",
        ["expected the code of a Region such as us-east-1"],
        "LR-S005",
    ),
    # state, faults, replay
    (
        "[state]\ndiscipline = 'locks'",
        2,
        "state.discipline",
        ["did you mean 'lock'?"],
        "LR-S005",
    ),
    (
        "[[faults]]\nat = 2026-03-01\nfor_s = 5",
        1,
        "faults[0]",
        ["a fault is one of slow, init, error or throttle; found none"],
        "LR-S006",
    ),
    (
        "[[faults]]\nat = 2026-03-01\nfor_s = 5\nslow = 2\nerror = 'crash'",
        1,
        "faults[0]",
        ["found slow and error"],
        "LR-S006",
    ),
    (
        "[[faults]]\nat = 2026-03-01\nfor_s = 0\nslow = 2",
        3,
        "faults[0].for_s",
        ["0 is out of range; expected a number of seconds above 0"],
        "LR-S005",
    ),
    (
        "[[faults]]\nat = 2026-03-01\nfor_s = 5\nslow = 2\nfunction = 'f:live'",
        5,
        "faults[0].function",
        ["without its qualifier"],
        "LR-S006",
    ),
    ("[[faults]]\nfor_s = 5\nslow = 2", 1, "faults[0].at", ["at is missing"], "LR-S009"),
    ("[faults]\nfor_s = 5", 1, "faults", ["is a table; expected an array of tables"], "LR-S004"),
    (
        "[replay]\nuntil = 'tomorrow'",
        2,
        "replay.until",
        ["'tomorrow' is no instant", 'or "off"'],
        "LR-S005",
    ),
    ("[replay]\nuntil = true", 2, "replay.until", ["true is a boolean"], "LR-S004"),
    ("[replay]\nload = -0.1", 2, "replay.load", ["-0.1 is out of range"], "LR-S005"),
    ("[replay]\ntime_scale = 0", 2, "replay.time_scale", ["0 is out of range"], "LR-S005"),
    # an era that does not exist; interpolation is not supported
    ("account.era = '2024-13'", 1, "account.era", ["did you mean '2023-11'?"], "LR-S005"),
    (
        "account.concurrency = '${LIMIT}'",
        1,
        "account.concurrency",
        ["'${LIMIT}' is text; expected an integer"],
        "LR-S004",
    ),
]


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads(text, "s.toml")
    assert caught.value.exit_code == 2
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "path", "parts", "code"),
    BAD,
    ids=[f"{case[2]}-{i}" for i, case in enumerate(BAD)],
)
def test_what_aws_would_refuse(
    text: str, line: int, path: str, parts: list[str], code: str
) -> None:
    problems = problems_of(text)
    assert len(problems) == 1, [str(problem) for problem in problems]
    (problem,) = problems
    assert (problem.file, problem.line, problem.path) == ("s.toml", line, path)
    assert problem.code == code
    for part in parts:
        assert part in problem.message


def test_contradictions_come_with_all_else() -> None:
    text = """\
[functions.a]
reserved_concurrency = 500
[functions.b]
reserved_concurrency = 500
[functions.c]
memory_mb = 1
reserved_concurrency = 500
[functions.d]
reserved_concurrency = 5
provisioned_concurrency = 6
"""
    problems = problems_of(text)
    assert [(one.line, one.code) for one in problems] == [
        (4, "LR-S006"),
        (6, "LR-S005"),
        (10, "LR-S006"),
    ]
    # What is wrong by itself is left out of the sum.
    assert "1000 units" in problems[0].message


def test_what_fits_exactly_is_right() -> None:
    functions = {
        "a": {"reserved_concurrency": 500, "provisioned_concurrency": 500},
        "b": {"provisioned_concurrency": 400},
        "c": {"reserved_concurrency": 0},
    }
    Scenario(functions=functions)
    Scenario(account={"concurrency": 10}, functions={"a": {"reserved_concurrency": 0}})
    # Those of a glob count from the first row of each name on (Z20): nobody knows how many.
    Scenario(functions={"a*": {"reserved_concurrency": 500}, "b*": {"reserved_concurrency": 500}})
    Scenario(functions={"f": {"provisioned_concurrency": {"no-such-alias": 5}}})


def test_impossible_reservations_by_min_unreserved() -> None:
    account = {"concurrency": 10, "min_unreserved": 0}
    scenario = Scenario(account=account, functions={"f": {"reserved_concurrency": 10}})
    assert scenario.resolve().function("f").reserved == 10
