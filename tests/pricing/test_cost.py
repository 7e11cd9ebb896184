"""Tiers, months, free tier, rounding, and what must hold for any sums."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay.exceptions import ScenarioError
from lambda_replay.pricing import (
    REGIONS,
    SAVINGS_PLANS,
    AllocationRow,
    ArchitecturePrices,
    Cost,
    FreeSplit,
    MeterRow,
    Prices,
    SavingsPlan,
    Tier,
    account_cost,
    chargeable_stream_bytes,
    function_costs,
    poller_cost,
    resolve_free_split,
    snapstart_cost,
    split_free_pot,
    streaming_cost,
)

US = Prices.for_region("us-east-1")
GB_S = 1024 * 1_000  # in MB·ms
POT = 400_000 * GB_S
JANUARY, FEBRUARY = (2026, 1), (2026, 2)
MINUTE_US = 60_000_000


def row(
    gb_s=0, *, function="f", month=JANUARY, arm=False, configured=False, kind="on_demand", **of
):
    of = {"invocations": 0, **of}
    return MeterRow(function, month, arm, configured, kind, mb_ms=gb_s * GB_S, **of)


def account(*rows, spans=(), free_tier=False, **options):
    return account_cost(rows, spans, free_tier=free_tier, prices=US, **options)


@pytest.mark.parametrize(
    ("arm", "gb_s", "usd"),
    [
        (False, 6_000_000_000, 6_000_000_000 * Fraction("0.0000166667")),
        (False, 6_000_000_001, 6_000_000_000 * Fraction("0.0000166667") + Fraction("0.000015")),
        (False, 15_000_000_000, Fraction("100000.2") + Fraction(135_000)),
        (False, 15_000_000_001, Fraction("235000.2") + Fraction("0.0000133334")),
        (True, 7_500_000_000, Fraction("100000.5")),
        (True, 7_500_000_001, Fraction("100000.5") + Fraction("0.0000120001")),
        (True, 18_750_000_000, Fraction("100000.5") + Fraction("135001.125")),
        (True, 18_750_000_001, Fraction("235001.625") + Fraction("0.0000106667")),
    ],
)
def test_a_tier_ends_with_its_last_gb_second(arm, gb_s, usd):
    assert account(row(gb_s, arm=arm)).duration == usd


def test_tiers_are_by_month_and_architecture_and_over_all_functions():
    full = 6_000_000_000
    together = account(row(full, function="f"), row(1, function="g"))
    assert together.duration == full * Fraction("0.0000166667") + Fraction("0.000015")
    apart = account(row(full), row(1, month=FEBRUARY))
    assert apart.duration == (full + 1) * Fraction("0.0000166667")
    other = account(row(full), row(1, arm=True))
    assert other.duration == full * Fraction("0.0000166667") + Fraction("0.0000133334")


def test_provisioned_duration_is_in_no_tier():
    served = row(20_000_000_000, kind="provisioned", configured=True)
    found = account(served, row(1))
    assert found.duration == 20_000_000_000 * Fraction("0.0000097222") + Fraction("0.0000166667")


def test_tiers_count_what_is_left_of_the_free_tier():
    gb_s = 6_000_400_000
    found = account(row(gb_s), free_tier=True)
    assert found.duration == 6_000_000_000 * Fraction("0.0000166667")


def test_every_calendar_month_has_its_own_free_tier():
    rows = [
        row(400_000, month=month, invocations=1_000_000) for month in (JANUARY, FEBRUARY, (2027, 1))
    ]
    assert account(*rows, free_tier=True).total == 0
    assert account(row(800_000, invocations=2_000_000), free_tier=True).total == (
        400_000 * Fraction("0.0000166667") + Fraction("0.2")
    )


def test_unused_free_tier_is_not_carried_over():
    found = account(row(1), row(400_001, month=FEBRUARY), free_tier=True)
    assert found.duration == Fraction("0.0000166667")


def test_functions_with_provisioned_concurrency_use_free_requests_only():
    spilled = row(10, configured=True, invocations=600_000)
    served = row(10, configured=True, kind="provisioned", invocations=500_000)
    found = account(spilled, served, free_tier=True)
    assert found.duration == 10 * (Fraction("0.0000166667") + Fraction("0.0000097222"))
    assert found.requests == 100_000 * Fraction("0.0000002")


def test_surcharges_for_payload_are_requests():
    found = account(row(invocations=999_999, extra_requests=2), free_tier=True)
    assert found.requests == Fraction("0.0000002")


def test_one_pot_is_shared_by_order_of_start():
    rows = [row(400_000), row(400_000, arm=True)]
    with pytest.raises(ValueError, match="order of start"):
        account(*rows, free_tier=True)
    early_x86 = account(*rows, free_tier=True, free_split={JANUARY: (POT, 0)})
    early_arm = account(*rows, free_tier=True, free_split={JANUARY: (0, POT)})
    assert early_x86.duration == 400_000 * Fraction("0.0000133334")
    assert early_arm.duration == 400_000 * Fraction("0.0000166667")
    # Without a free tier nobody asks for a split.
    assert account(*rows).adjustment == 0


def test_rows_alone_decide_where_the_order_does_not_matter():
    assert resolve_free_split([row(500_000)], US) == {JANUARY: FreeSplit(POT, 0)}
    fits = [row(200_000), row(200_000, arm=True)]
    assert resolve_free_split(fits, US) == {JANUARY: FreeSplit(POT // 2, POT // 2)}
    exempt = [row(500_000), row(500_000, arm=True, configured=True)]
    assert resolve_free_split(exempt, US) == {JANUARY: FreeSplit(POT, 0)}


@pytest.mark.parametrize("split", [(POT, 1), (POT - 1, 0), (-1, POT + 1), (POT + 1, -1), (0, POT)])
def test_a_split_that_the_rows_do_not_allow_is_refused(split):
    rows = [row(600_000), row(300_000, arm=True)]
    with pytest.raises(ValueError, match=r"free_split\[\(2026, 1\)\]"):
        account(*rows, free_tier=True, free_split={JANUARY: split})


def test_a_split_of_a_month_without_runs_is_refused():
    with pytest.raises(ValueError, match="free_split"):
        account(row(1), free_tier=True, free_split={FEBRUARY: (1, 0)})


def test_a_run_across_the_end_of_the_pot_is_split():
    runs = [(JANUARY, False, POT - 5), (JANUARY, True, 8), (JANUARY, False, 8), (FEBRUARY, True, 3)]
    assert split_free_pot(runs, US) == {JANUARY: FreeSplit(POT - 5, 5), FEBRUARY: FreeSplit(0, 3)}


@pytest.mark.parametrize(("minutes", "charged"), [(0, 0), (1, 5), (5, 5), (6, 10), (480, 480)])
def test_a_span_is_rounded_up_to_five_minutes(minutes, charged):
    end = 7 + minutes * MINUTE_US
    found = AllocationRow.of_span("f", arm=False, memory_mb=1024, steps=[(7, 2)], end_us=end)
    assert found.mb_us == 2 * 1024 * charged * MINUTE_US


def test_a_span_is_rounded_once_and_at_its_last_amount():
    steps = [(0, 10), (2 * MINUTE_US, 4)]
    found = AllocationRow.of_span("f", arm=True, memory_mb=128, steps=steps, end_us=3 * MINUTE_US)
    assert found.mb_us == 128 * (10 * 2 + 4 * 3) * MINUTE_US


@pytest.mark.parametrize(
    "steps", [[], [(0, 0)], [(0, 1), (5, 0)], [(5, 1), (4, 1)], [(MINUTE_US + 1, 1)]]
)
def test_spans_that_make_no_sense_are_refused(steps):
    with pytest.raises(ValueError, match=r"span|steps"):
        AllocationRow.of_span("f", arm=False, memory_mb=128, steps=steps, end_us=MINUTE_US)


def test_inits_of_provisioned_environments_are_provisioned_cost():
    found = account(row(kind="provisioned", configured=True, init_mb_ms=3 * GB_S))
    assert (found.duration, found.provisioned) == (0, 3 * Fraction("0.0000097222"))
    with pytest.raises(ValueError, match="init_mb_ms"):
        row(init_mb_ms=1)


def test_items_of_one_function():
    rows = [
        row(7, invocations=3, extra_requests=1, storage_mb_ms=2 * GB_S),
        row(5, kind="provisioned", configured=True, arm=True, invocations=1, init_mb_ms=GB_S),
    ]
    spans = [AllocationRow("f", True, 1024 * 1_000_000), AllocationRow("idle", False, 1024 * 10**6)]
    found = function_costs(rows, spans, US)
    assert found == {
        "f": Cost(
            requests=5 * Fraction("0.0000002"),
            duration=7 * Fraction("0.0000166667") + 5 * Fraction("0.0000077778"),
            provisioned=Fraction("0.0000077778") + Fraction("0.0000033334"),
            other=2 * Fraction("0.0000000309"),
        ),
        "idle": Cost(provisioned=Fraction("0.0000041667")),
    }


def test_floats_only_at_the_edge():
    found = account(row(1, invocations=1))
    assert found.usd() == {
        "requests": 2e-07,
        "duration": 1.66667e-05,
        "provisioned": 0.0,
        "other": 0.0,
        "adjustment": 0.0,
        "total": 1.68667e-05,
    }
    assert "adjustment" not in function_costs([row(1)], [], US)["f"].usd()


def test_a_savings_plan_takes_its_share_of_x86_compute_only():
    rows = [row(100, invocations=9), row(100, arm=True), row(100, kind="provisioned")]
    spans = [AllocationRow("f", False, 10**12)]
    plain = account(*rows, spans=spans)
    found = account(*rows, spans=spans, savings_plan=SAVINGS_PLANS["all_upfront"])
    arm = 100 * Fraction("0.0000133334")
    assert found.duration - arm == (plain.duration - arm) * Fraction("0.83")
    assert found.provisioned == plain.provisioned * Fraction("0.83")
    assert found.requests == plain.requests
    assert found.adjustment == found.total - plain.total
    with pytest.raises(ValueError, match="discount"):
        SavingsPlan(Fraction(2))


def test_an_unknown_region_names_the_known_ones():
    with pytest.raises(ScenarioError) as caught:
        Prices.for_region("eu-south-2")
    assert all(name in str(caught.value) for name in REGIONS)
    assert caught.value.problems[0].path == "account.pricing.region"
    assert caught.value.problems[0].suggestion == "eu-south-1"


def test_only_us_east_1_is_complete():
    assert [name for name, prices in REGIONS.items() if not prices.assumed] == ["us-east-1"]
    assert REGIONS["me-south-1"].x86.duration[0].usd_per_gb_s == Fraction("0.0000206667")
    assert REGIONS["af-south-1"].x86.duration[1].usd_per_gb_s == Fraction("0.00001989")


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (Tier(5, Fraction(1)),),
        (Tier(None, Fraction(1)), Tier(None, Fraction(1))),
        (Tier(5, Fraction(1)), Tier(5, Fraction(1)), Tier(None, Fraction(1))),
    ],
)
def test_tiers_that_do_not_cover_everything_once_are_refused(tiers):
    with pytest.raises(ValueError, match="tier"):
        ArchitecturePrices(tiers, Fraction(1), Fraction(1), Fraction(1))


@pytest.mark.parametrize("of", [{"invocations": -1}, {"month": (2026, 13)}, {"kind": "spillover"}])
def test_rows_that_make_no_sense_are_refused(of):
    with pytest.raises(ValueError, match=r"at least 0|month|kind"):
        row(**of)


def test_snapstart_caches_for_three_hours_at_least_and_is_free_for_java():
    three_hours = 3 * 3_600_000
    assert snapstart_cost(2048, 1, 0, US) == snapstart_cost(2048, three_hours, 0, US)
    longer = snapstart_cost(2048, three_hours + 1, 0, US) - snapstart_cost(2048, 1, 0, US)
    assert longer == Fraction(2, 1_000) * Fraction("0.0000015046")
    assert snapstart_cost(2048, three_hours, 9, US, java=True) == 0


def test_streaming_beyond_six_megabytes_and_a_hundred_gigabytes():
    assert chargeable_stream_bytes(6 * 1024**2, 5) == 0
    assert chargeable_stream_bytes(6 * 1024**2 + 1, 5) == 5
    assert streaming_cost(100 * 1024**3, US, free_tier=True) == 0
    assert streaming_cost(101 * 1024**3, US, free_tier=True) == Fraction("0.008")


def test_pollers_are_charged_by_the_second_and_a_minute_at_least():
    minute = Fraction(60, 3_600) * Fraction("0.185")
    assert poller_cost([0], US, source="kafka") == minute
    assert poller_cost([1, MINUTE_US], US, source="kafka") == 2 * minute
    assert poller_cost([MINUTE_US + 1], US, source="kafka") == minute * Fraction(61, 60)


SUMS = st.one_of(
    st.integers(0, 3 * POT), st.integers(0, 40_000_000_000 * GB_S), st.integers(0, 10_000)
)


@st.composite
def meter_rows(draw):
    kind = draw(st.sampled_from(["on_demand", "provisioned"]))
    return MeterRow(
        function=draw(st.sampled_from("fgh")),
        month=draw(st.sampled_from([(2025, 12), JANUARY, FEBRUARY])),
        arm=draw(st.booleans()),
        provisioned_configured=kind == "provisioned" or draw(st.booleans()),
        kind=kind,
        invocations=draw(st.integers(0, 3_000_000)),
        extra_requests=draw(st.integers(0, 10)),
        mb_ms=draw(SUMS),
        storage_mb_ms=draw(SUMS),
        init_mb_ms=draw(SUMS) if kind == "provisioned" else 0,
    )


ROWS = st.lists(meter_rows(), max_size=8)
SPANS = st.lists(
    st.builds(AllocationRow, st.sampled_from("fgi"), st.booleans(), st.integers(0, 10**18)),
    max_size=4,
)
PLANS = st.sampled_from([None, *SAVINGS_PLANS.values()])


def in_order(rows):
    """Hand the pot out as if every row were one run."""
    return split_free_pot([(r.month, r.arm, r.free_mb_ms) for r in rows], US)


@given(ROWS, SPANS, st.booleans(), PLANS)
def test_functions_and_adjustment_add_up_to_the_account(rows, spans, free, plan):
    found = account(
        *rows, spans=spans, free_tier=free, free_split=in_order(rows), savings_plan=plan
    )
    alone = function_costs(rows, spans, US)
    assert sum(cost.total for cost in alone.values()) + found.adjustment == found.total
    assert found.adjustment <= 0
    assert min(found.requests, found.duration, found.provisioned, found.other) >= 0


@given(ROWS, SPANS, st.booleans(), st.randoms(use_true_random=False))
def test_order_and_names_of_functions_change_nothing(rows, spans, free, random):
    split = in_order(rows)
    names = dict(zip("fghi", random.sample("fghi", 4), strict=True))
    rows_2 = [dataclasses.replace(r, function=names[r.function]) for r in rows]
    spans_2 = [dataclasses.replace(s, function=names[s.function]) for s in spans]
    random.shuffle(rows_2)
    random.shuffle(spans_2)
    before = account(*rows, spans=spans, free_tier=free, free_split=split)
    assert account(*rows_2, spans=spans_2, free_tier=free, free_split=split) == before
    alone, alone_2 = function_costs(rows, spans, US), function_costs(rows_2, spans_2, US)
    assert {names[name]: cost for name, cost in alone.items()} == alone_2


@given(
    st.lists(
        st.tuples(
            st.sampled_from([JANUARY, FEBRUARY]),
            st.booleans(),
            st.booleans(),
            st.integers(128, 10_240),
            st.integers(1, 10**12),
        ),
        max_size=6,
    ),
    st.integers(1, 4_096),
    st.booleans(),
    st.integers(0, 5),
)
def test_more_memory_never_costs_less(runs, more, free, index):
    def bill(bump):
        rows = []
        for i, (month, arm, configured, memory_mb, billed_ms) in enumerate(runs):
            memory = memory_mb + (bump if i == index else 0)
            rows.append(row(month=month, arm=arm, configured=configured, invocations=1))
            rows[-1] = dataclasses.replace(rows[-1], mb_ms=memory * billed_ms)
        return account(*rows, free_tier=free, free_split=in_order(rows))

    before, after = bill(0), bill(more)
    assert after.total >= before.total


@given(ROWS, st.booleans())
def test_rows_with_one_key_may_be_split_or_joined(rows, free):
    halves = []
    for r in rows:
        half = dataclasses.replace(r, mb_ms=r.mb_ms // 2, invocations=r.invocations // 2)
        rest = dataclasses.replace(
            r,
            mb_ms=r.mb_ms - half.mb_ms,
            invocations=r.invocations - half.invocations,
            extra_requests=0,
            storage_mb_ms=0,
            init_mb_ms=0,
        )
        halves += [half, rest]
    split = in_order(rows)
    before = account(*rows, free_tier=free, free_split=split)
    assert account(*halves, free_tier=free, free_split=split) == before


@given(ROWS)
def test_a_resolved_split_is_the_split_in_order_of_start(rows):
    split = in_order(rows)
    assert resolve_free_split(rows, US, split) == split
