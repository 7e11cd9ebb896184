"""Blocks of the first screen: each is there where it applies, and says what happened."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from rich.cells import cell_len

if TYPE_CHECKING:
    from conftest import Answer, Cli

START = dt.datetime(2026, 3, 1, 12)
BLOCKS = ("errors", "async events", "pending", "shared state", "provisioned")


def block(answer: Answer, label: str) -> str:
    """The text beside a label, in one line; empty where there is no such block."""
    found: list[str] = []
    for line in answer.lines:
        if line.startswith(label.ljust(14)) or (found and line.startswith(" " * 14)):
            found.append(line[14:])
        elif found:
            break
    return " ".join(found)


def blocks(answer: Answer) -> set[str]:
    return {label for label in BLOCKS if block(answer, label)}


def trace(count: int, every_ms: int = 100, **columns: Any) -> pl.DataFrame:
    """A request every so often; a column is a value or a list to take in turn."""
    frame = {
        "timestamp": [START + dt.timedelta(milliseconds=every_ms * at) for at in range(count)],
        "function": "f",
        "duration_ms": 50.0,
        **columns,
    }
    return pl.DataFrame(
        {
            name: value
            if name == "timestamp"
            else [
                value[at % len(value)] if isinstance(value, list) else value for at in range(count)
            ]
            for name, value in frame.items()
        }
    )


def run(cli: Cli, frame: pl.DataFrame, *sets: str) -> Answer:
    frame.write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet", *(word for one in sets for word in ("--set", one)))
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.lines) <= 40
    assert max(map(cell_len, answer.lines)) <= 100
    return answer


def test_a_plain_trace_has_none_of_them(cli: Cli) -> None:
    answer = run(cli, trace(20))
    assert blocks(answer) == set()
    head = next(line for line in answer.lines if line.startswith("function"))
    assert head.split()[-3:] == ["p99/max", "billed", "cost"]


def test_asynchronous_events_tell_age_and_what_dropped_them(cli: Cli) -> None:
    frame = trace(
        120,
        function=["slow", "off", "sync"],
        source=["async", "async", "sync"],
        duration_ms=30_000.0,
    )
    answer = run(
        cli,
        frame,
        "functions.slow.reserved_concurrency=1",
        "functions.slow.maximum_event_age_s=60",
        "functions.off.reserved_concurrency=0",
        "functions.off.on_failure=dlq",
    )
    assert blocks(answer) == {"async events"}
    text = block(answer, "async events")
    assert text.startswith("80 received, ")
    assert "for age, 40 at reserved concurrency 0" in text
    assert "age when run p50" in text
    assert text.endswith("delivered: 40 to dlq")
    throttled = block(answer, "throttled")
    assert throttled.startswith("none of 120 requests for good; ")
    assert "refusals with retries: all by reserved concurrency (slow)" in throttled
    table = answer.lines[next(at for at, line in enumerate(answer.lines) if "dropped  " in line) :]
    assert table[1].split()[:5] == ["off", "40", "0", "40", "100%"]
    assert answer.lines[-1].endswith("--set functions.slow.reserved_concurrency=2")


def test_asynchronous_events_that_all_succeed_lose_nothing(cli: Cli) -> None:
    answer = run(cli, trace(20, source="async"))
    assert block(answer, "async events").startswith("20 received, none lost age when run p50 0 ms")


def test_errors_of_runs_and_of_requests(cli: Cli) -> None:
    frame = trace(
        20, source=["async", "sync"], error=["handled", None], error_runs=[1, None], every_ms=1_000
    )
    assert block(run(cli, frame), "errors") == "none of 20 requests for good; 10 of 30 runs failed"
    frame = trace(20, source="sync", error=["crash", None])
    assert block(run(cli, frame), "errors") == "10 of 20 requests ended in error (50%)"


def test_reserved_zero_is_named_with_its_function(cli: Cli) -> None:
    answer = run(cli, trace(20, function=["f", "g"]), "functions.g.reserved_concurrency=0")
    assert "10 of 20 requests (50%), all by reserved concurrency of 0 (g)" in answer.out
    assert answer.lines[-1].startswith("next, a row per request: ")


def test_several_limits_are_told_apart(cli: Cli) -> None:
    frame = trace(40, function=["f", "g"], duration_ms=60_000.0)
    answer = run(
        cli,
        frame,
        *("account.concurrency=10", "account.min_unreserved=1"),
        "functions.g.reserved_concurrency=3",
    )
    assert block(answer, "throttled").startswith(
        "30 of 40 requests (75%): 17 by reserved concurrency (g),"
        " 13 by the account's concurrency limit of 10"
    )
    rows = {line.split()[0]: line for line in answer.lines if line[:2] in {"f ", "g "}}
    assert "account" in rows["f"]
    assert "reserved" in rows["g"]


def test_provisioned_concurrency_tells_use_and_spillover(cli: Cli) -> None:
    frame = trace(40, every_ms=10, function=["f", "f", "g", "f"], duration_ms=35.0, init_ms=100.0)
    answer = run(cli, frame, "functions.f.provisioned_concurrency=1")
    assert blocks(answer) == {"provisioned"}
    text = block(answer, "provisioned")
    assert " of 30 invocations (" in text
    assert " spilled over; utilisation " in text
    assert "of which at most " in block(answer, "throttled")
    assert "were claimed" in block(answer, "throttled")
    assert ", provisioned $" in block(answer, "cost")
    assert "prov. use" in answer.out
    assert answer.lines[-1].endswith("--set functions.f.provisioned_concurrency=2")
    unused = run(cli, trace(5, function="g"), "functions.f.provisioned_concurrency=1")
    assert block(unused, "provisioned") == "no invocation used it"


def test_shared_state_tells_waiting_its_price_and_the_hottest_record(cli: Cli) -> None:
    frame = trace(60, every_ms=10, duration_ms=100.0, state_key=["hot", "hot", "cold"])
    answer = run(cli, frame, "account.concurrency=10")
    assert blocks(answer) == {"shared state"}
    text = block(answer, "shared state")
    assert " billed for it; waiting, they held " in text
    assert " throttles for want of those hottest record hot: " in text
    assert "lock wait" in answer.out
    assert answer.lines[-1] == (
        "next, if nothing had to wait for shared state:"
        " lambda-replay run t.parquet --set account.concurrency=10 --set state.discipline=append"
    ) or answer.lines[-1].endswith("the same command with --set state.discipline=append")
    optimistic = block(run(cli, frame, "state.discipline=optimistic"), "shared state")
    assert " started over, " in optimistic
    assert " run in vain, " in optimistic
    append = run(cli, frame, "state.discipline=append")
    assert block(append, "shared state") in {
        "",
        "60 runs touched shared records, and none had to wait",
    }
    assert "lock wait" not in append.out


def test_what_is_undecided_at_the_end_is_told(cli: Cli) -> None:
    answer = run(cli, trace(20, every_ms=1_000), 'replay.until="2026-03-01T12:00:10Z"')
    assert block(answer, "pending").startswith("10 of 20 requests (50%): undecided when ")


def test_cost_says_what_it_rests_on(cli: Cli) -> None:
    frame = trace(20)
    assumption = "128 MB of memory for the cost where neither trace nor scenario gives any"
    answer = run(cli, frame)
    assert block(answer, "cost").endswith("; no free tier")
    assert assumption in answer.out
    for same in (
        run(cli, frame.with_columns(memory_mb=512)),
        run(cli, frame, "defaults.memory_mb=128"),
        run(cli, frame, "functions.f.memory_mb=128"),
    ):
        assert assumption not in same.out
    elsewhere = run(cli, frame, "account.pricing.region=xx-nowhere-1")
    assert block(elsewhere, "cost").startswith("prices of xx-nowhere-1 are not known; ")
    assert assumption not in elsewhere.out
    free = run(cli, frame, "account.pricing.free_tier=true")
    assert block(free, "cost").startswith("$0 in us-east-1: ")
    assert block(free, "cost").endswith("; after the free tier")


def test_changed_limits_are_told_as_a_range(cli: Cli) -> None:
    trace(20).write_parquet(cli.folder / "t.parquet")
    (cli.folder / "s.toml").write_text(
        '[[changes]]\nat = "2026-03-01T12:00:01Z"\nset = { "account.concurrency" = 500 }\n'
    )
    answer = cli("run", "t.parquet", "-s", "s.toml")
    assert "none of 20 requests under limits of 500 to 1,000" in answer.out
    assert "max 1 of 500 to 1,000" in answer.out


EVERYTHING = """
[account]
concurrency = 30
min_unreserved = 5
[defaults]
on_failure = "a destination with quite a long name, to be shortened"
[functions."[[]bold red]*"]
provisioned_concurrency = 1
[functions.f]
reserved_concurrency = 3
provisioned_concurrency = 2
maximum_event_age_s = 60
[functions.g]
reserved_concurrency = 0
[functions.h]
provisioned_concurrency = 3
[replay]
until = "2026-03-01T12:01:00Z"
"""


@pytest.mark.parametrize("checks", [0, 12])
def test_everything_at_once_fits(cli: Cli, checks: int) -> None:
    names = ["f", "g", "h", "\x1b[31mred\x1b[0m", "[bold red]x[/]", "名前" * 30, "a" * 1_000]
    frame = trace(
        3_000,
        every_ms=40,
        function=names,
        source=["async", "sync", "async"],
        error=[None, "handled", None, None, "crash"],
        duration_ms=[900.0, 30.0, 4_000.0],
        state_key=["k" * 400, "\x1b[2J", None],
        **{f"column {at} {'x' * 50}": 1 for at in range(9)},
    )
    frame.write_parquet(cli.folder / "t.parquet")
    (cli.folder / "s.toml").write_text(EVERYTHING)
    expressions = [f"--fail-if=throttled >= {at}" for at in range(checks)]
    answer = cli("run", "t.parquet", "-s", "s.toml", *expressions)
    assert answer.code == (99 if checks else 0), answer.err
    assert blocks(answer) == {*BLOCKS}
    assert len(answer.lines) <= 40
    assert max(map(cell_len, answer.lines)) <= 100
    assert answer.out.replace("\n", "").isprintable()
    assert answer.lines[-1].startswith("next")


def test_json_and_csv_have_the_nested_numbers(cli: Cli) -> None:
    frame = trace(
        60, every_ms=10, function=["f", "g"], duration_ms=100.0, state_key="k", source="async"
    )
    frame.write_parquet(cli.folder / "t.parquet")
    sets = ("--set", "functions.g.reserved_concurrency=0", "--set", "functions.g.on_failure=dlq")
    document = json.loads(cli("run", "t.parquet", *sets, "--format", "json").out)
    assert document["deliveries"] == {"dlq": 30}
    assert document["state"]["runs"] == 30
    assert document["cost_usd"]["total"] > 0
    (key,) = document["keys"]
    assert (key["state_key"], key["runs"]) == ("k", 30)
    assert {"async", "state"} <= {*document["notes"]["facts"]}
    table = pl.read_csv(io.StringIO(cli("run", "t.parquet", *sets, "--format", "csv").out))
    assert table["deliveries"].to_list() == [0, 30]
    assert {"async_age_ms_p99", "cost_usd", "utilisation", "loss_rate"} <= {*table.columns}
    assert "throttles_by_limit_scaling_rate" in table.columns


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("cost_usd.total > 0.00001", 99),
        ("state.wait_s > 1", 99),
        ("async_age_ms.p99 > 60s", 0),
        ("throttles_by_limit.scaling_rate > 0", 0),
        ("deliveries.dlq == 30", 99),
        ("function=g: loss_rate == 100%", 99),
        ("function=f: lock_wait_s > 1s", 99),
        ("function=f: cost_usd.total > 0", 99),
        ("function=f: utilisation >= 0", 3),
    ],
)
def test_conditions_on_what_is_new(cli: Cli, expression: str, code: int) -> None:
    frame = trace(
        60, every_ms=10, function=["f", "g"], duration_ms=100.0, state_key="k", source="async"
    )
    frame.write_parquet(cli.folder / "t.parquet")
    sets = ("--set", "functions.g.reserved_concurrency=0", "--set", "functions.g.on_failure=dlq")
    answer = cli("run", "t.parquet", *sets, "--fail-if", expression)
    assert answer.code == code, answer.out + answer.err
