"""Cost, worked by hand from the price list."""

from fractions import Fraction
from typing import Any

import pytest

from reference.marks import Marks
from reference.money import tiered
from reference.worked import S, change, column, event, play, row

X86, ARM = 0.0000166667, 0.0000133334


def cost(*rows: dict[str, Any], **scenario: Any) -> dict[str, float]:
    """Return the cost of the account."""
    return play(*rows, **scenario).summary["cost_usd"]


def test_f7_requests_and_gb_seconds() -> None:
    # 1,024 MB for 2.5 s, and a refused request.
    found = cost(row(0, 2.5), row(1, 1), f={"memory_mb": 1_024, "reserved_concurrency": 1})
    assert found["requests"] == pytest.approx(0.2e-6)
    assert found["duration"] == pytest.approx(2.5 * X86)
    assert found["total"] == pytest.approx(0.2e-6 + 2.5 * X86)


def test_f7_arm_has_a_price_of_its_own() -> None:
    f = {"memory_mb": 512, "architecture": "arm64"}
    assert cost(row(0, 4), f=f)["duration"] == pytest.approx(2 * ARM)


def test_z43_memory_is_the_functions_else_the_traces_else_the_defaults() -> None:
    rows = [row(0, 1, memory_mb=256)]
    assert cost(*rows)["duration"] == pytest.approx(X86 / 4)
    assert cost(*rows, f={"memory_mb": 512})["duration"] == pytest.approx(X86 / 2)
    defaults = {"defaults": {"memory_mb": 2_048}}
    assert cost(*rows, sections=defaults)["duration"] == pytest.approx(X86 / 4)
    assert cost(row(0), sections=defaults)["duration"] == pytest.approx(2 * X86)
    assert cost(row(0))["duration"] == pytest.approx(X86 / 8)


def test_f7_errors_and_timeouts_are_billed() -> None:
    f = {"memory_mb": 1_024, "timeout_s": 2}
    assert cost(row(0, 5), f=f)["duration"] == pytest.approx(2 * X86)


def test_z29_payload_fee_of_events_each_run() -> None:
    # 64 KiB and one byte above 256 KiB: two requests more, in each of two runs.
    big = {"payload_bytes": 262_144 + 65_537}
    found = cost(event(0, 0, error="crash", error_runs=1, **big), row(0, 0, "g", **big))
    assert found["requests"] == pytest.approx((3 + 3 + 1) * 0.2e-6)
    exactly = cost(event(0, 0, payload_bytes=262_144 + 65_536))
    assert exactly["requests"] == pytest.approx(2 * 0.2e-6)


def test_f7_ephemeral_storage_above_512_mb() -> None:
    found = cost(row(0, 10), f={"ephemeral_storage_mb": 1_536})
    assert found["other"] == pytest.approx(10 * 0.0000000309)


def test_z41_provisioned_is_one_span_rounded_up_once() -> None:
    # From 0 to the last release at 400 s: 600 s; two environments of 1 GB, no init.
    f = {"memory_mb": 1_024, "provisioned_concurrency": 2}
    found = cost(row(0, 400), f=f)
    assert found["provisioned"] == pytest.approx(2 * 600 * 0.0000041667)
    assert found["duration"] == pytest.approx(400 * 0.0000097222)


def test_z41_the_rest_is_at_the_last_amount() -> None:
    # 2 until 100 s, then 1: 200 + 200 more up to the end at 300 s.
    f = {"memory_mb": 1_024, "provisioned_concurrency": 2}
    changes = {"changes": [change(100, functions__f__provisioned_concurrency=1)]}
    found = cost(row(0, 150), f=f, sections=changes)
    assert found["provisioned"] == pytest.approx((2 * 100 + 200) * 0.0000041667)


def test_z41_a_removal_ends_the_span() -> None:
    f = {"memory_mb": 1_024, "provisioned_concurrency": 1}
    changes = {"changes": [change(100, functions__f__provisioned_concurrency=0)]}
    found = cost(row(0, 900, "g"), f=f, sections=changes)
    assert found["provisioned"] == pytest.approx(300 * 0.0000041667)


def test_z24_inits_of_provisioned_environments_are_billed_once_each() -> None:
    f = {"memory_mb": 1_024, "provisioned_concurrency": 3, "init_ms": 1_500}
    found = cost(row(0, 300), f=f)
    allocation = 3 * 300 * 0.0000041667
    assert found["provisioned"] == pytest.approx(allocation + 3 * 1.5 * 0.0000097222)


def test_z42_the_free_tier_is_shared_and_requests_always_count() -> None:
    # 10,240 MB for 50,000 s are 500,000 GB-s: 100,000 are paid. The next has nothing left.
    f = {"memory_mb": 10_240}
    rows = [row(0, 50_000), row(50_000, 10, "f")]
    found = cost(*rows, f=f, pricing={"free_tier": True})
    assert found["requests"] == 0
    assert found["duration"] == pytest.approx((100_000 + 100) * X86)
    assert found["adjustment"] == pytest.approx(-400_000 * X86 - 2 * 0.2e-6)
    assert cost(*rows, f=f)["adjustment"] == 0


def test_z42_no_free_gb_seconds_with_provisioned_concurrency() -> None:
    f = {"memory_mb": 1_024, "provisioned_concurrency": 1}
    rows = [row(0, 100), row(0, 100)]
    found = cost(*rows, f=f, pricing={"free_tier": True})
    assert found["duration"] == pytest.approx(100 * 0.0000097222 + 100 * X86)
    assert found["requests"] == 0


def test_z42_the_month_is_that_of_the_start() -> None:
    # Two months, each with free GB-seconds of its own.
    rows = [row(0, 45_000), row(31 * 86_400, 45_000)]
    found = cost(*rows, f={"memory_mb": 10_240}, pricing={"free_tier": True})
    assert found["duration"] == pytest.approx(2 * 50_000 * X86)


def test_f7_tiers_split_a_run() -> None:
    billion = 10**9
    price = tiered(Fraction(5 * billion), Fraction(11 * billion), "x86_64", Marks())
    expected = billion * (Fraction("0.0000166667") + 9 * Fraction("0.000015"))
    assert price == expected + billion * Fraction("0.0000133334")
    assert tiered(Fraction(0), Fraction(6 * billion), "x86_64", Marks()) == (
        6 * billion * Fraction("0.0000166667")
    )


def test_z42_functions_are_before_tiers_and_free_tier() -> None:
    result = play(row(0, 2), row(0, 1, "g"), f={"memory_mb": 1_024}, pricing={"free_tier": True})
    totals = [line["cost_usd"]["total"] for line in result.functions]
    assert totals == pytest.approx([2 * X86 + 0.2e-6, X86 / 8 + 0.2e-6])
    assert result.summary["cost_usd"]["total"] == 0
    assert column(result, "billed_ms") == [2_000, 1_000]


def test_z39_a_run_cut_off_by_until_costs_nothing() -> None:
    assert cost(row(0, 9), sections={"replay": {"until": 5 * S}})["total"] == 0
