"""AWS' own examples, to the cent.

https://aws.amazon.com/lambda/pricing/ (S25), in a public repository's copy of the page of 2026,
and its older stored versions where a test says so. AWS rounds each line to
cents and adds the rounded lines, and so does ``bill``.
"""

import dataclasses
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from lambda_replay.pricing import (
    AllocationRow,
    Cost,
    MeterRow,
    Prices,
    Tier,
    account_cost,
    chargeable_stream_bytes,
    poller_cost,
    snapstart_cost,
    streaming_cost,
    tenant_isolation_cost,
)

US = Prices.for_region("us-east-1")
MONTH = (2026, 1)
HOUR_US = 3_600_000_000


def cents(usd: Fraction) -> Decimal:
    """Round one line as AWS does."""
    exact = Decimal(usd.numerator) / Decimal(usd.denominator)
    return exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def bill(*lines: Fraction) -> Decimal:
    """Add rounded lines."""
    return sum((cents(line) for line in lines), Decimal(0))


def runs(count, memory_mb, ms, *, kind="on_demand", arm=False, storage_mb=512, configured=None):
    configured = kind == "provisioned" if configured is None else configured
    return MeterRow(
        function="f",
        month=MONTH,
        arm=arm,
        provisioned_configured=configured,
        kind=kind,
        invocations=count,
        mb_ms=count * memory_mb * ms,
        storage_mb_ms=count * (storage_mb - 512) * ms,
    )


def cost(*rows, spans=(), free=True, prices=US) -> Cost:
    return account_cost(rows, spans, free_tier=free, prices=prices)


def test_mobile_backend():
    found = cost(runs(3_000_000, 1536, 120))
    assert (cents(found.duration), cents(found.requests)) == (Decimal("2.33"), Decimal("0.40"))
    assert bill(found.duration, found.requests) == cents(found.total) == Decimal("2.73")


def test_enriching_streaming_telemetry():
    # Computed without the free tier.
    found = cost(runs(10_000 * 24 * 31, 1024, 2_000), free=False)
    assert (cents(found.requests), cents(found.duration)) == (Decimal("1.49"), Decimal("248.00"))
    assert bill(found.requests, found.duration) == cents(found.total) == Decimal("249.49")


def test_machine_learning_on_customer_support_with_ephemeral_storage():
    found = cost(runs(6_000_000, 4096, 280, storage_mb=2048))
    assert cents(found.duration) == Decimal("105.33")
    assert cents(found.requests) == Decimal("1.00")
    assert cents(found.other) == Decimal("0.08")
    # Unrounded the total is 105.333544 + 1 + 0.077868 = 106.411412: the same cent.
    lines = (found.duration, found.requests, found.other)
    assert bill(*lines) == cents(found.total) == Decimal("106.41")


def test_provisioned_mobile_application_launch():
    # Free requests count for all three million, free GB-seconds only while nothing is provisioned.
    span = AllocationRow.of_span(
        "f", arm=False, memory_mb=1536, steps=[(0, 100)], end_us=8 * HOUR_US
    )
    busy = runs(500_000, 1536, 100, kind="provisioned")
    rest = runs(2_500_000, 1536, 120)
    found = cost(busy, rest, spans=[span])
    assert cents(found.provisioned) == Decimal("18.00")
    assert cents(found.requests) == Decimal("0.40")
    served = Fraction(75_000) * US.x86.provisioned_duration
    assert (cents(served), cents(found.duration - served)) == (Decimal("0.73"), Decimal("0.83"))
    lines = (found.provisioned, found.requests, served, found.duration - served)
    assert bill(*lines) == cents(found.total) == Decimal("19.96")


def test_provisioned_cyber_monday():
    # AWS takes no free requests off here, unlike in the example before: off, as a whole.
    span = AllocationRow.of_span(
        "f", arm=False, memory_mb=4096, steps=[(0, 7)], end_us=24 * HOUR_US
    )
    row = runs(2_000_000, 4096, 280, kind="provisioned")
    found = cost(row, spans=[span], free=False)
    assert cents(found.provisioned) == Decimal("10.08")
    assert cents(found.duration) == Decimal("21.78")
    assert cents(found.requests) == Decimal("0.40")
    lines = (found.provisioned, found.duration, found.requests)
    assert bill(*lines) == cents(found.total) == Decimal("32.26")
    # With the free tier our bill is a free million lower (Z42, and the example before).
    assert cents(cost(row, spans=[span]).total) == Decimal("32.06")


def test_snapstart():
    found = cost(runs(7_440_000, 1024, 2_000), free=False)
    month_ms = 31 * 24 * 3_600_000
    cache = snapstart_cost(1024, month_ms, 0, US)
    restore = snapstart_cost(1024, month_ms, 74_400, US) - cache
    assert (cents(cache), cents(restore)) == (Decimal("4.03"), Decimal("10.40"))
    assert bill(found.requests, found.duration, cache, restore) == Decimal("263.92")


def test_response_streaming():
    # The free 100 GB are used up already; 1 GB = 1024 MB.
    found = cost(runs(3_000_000, 1536, 500))
    sent = chargeable_stream_bytes(100 * 1024, 2_000_000)
    sent += chargeable_stream_bytes(7 * 1024**2, 1_000_000)
    streamed = streaming_cost(sent, US, free_tier=False)
    assert cents(streamed) == Decimal("7.81")
    assert bill(found.duration, found.requests, streamed) == Decimal("39.04")


def test_kafka_pollers():
    # AWS: $993.3 + $12 + $148 = $1,153.3. Compute is shown to ten cents, and the 60M requests are
    # twice the 1M a day of the text, without the free million.
    found = cost(runs(30_000_000, 1024, 2_000))
    pollers = poller_cost([800 * HOUR_US], US, source="kafka")
    assert (cents(found.duration), cents(pollers)) == (Decimal("993.34"), Decimal("148.00"))
    twice = cents(cost(runs(60_000_000, 1024, 1_000), free=False).requests)
    assert twice == Decimal("12.00")
    total = cents(found.duration) + twice + cents(pollers)
    assert total.quantize(Decimal("0.1")) == Decimal("1153.3")


def test_sqs_pollers():
    found = cost(runs(30_000_000, 1024, 1_000), free=False)
    pollers = poller_cost([HOUR_US] * 8_000, US, source="sqs")
    assert bill(found.duration, found.requests, pollers) == Decimal("580.00")


def test_several_kafka_mappings():
    found = cost(runs(300_000_000, 1024, 200), free=False)
    pollers = poller_cost([720 * HOUR_US], US, source="kafka")
    assert bill(found.duration, found.requests, pollers) == Decimal("1193.20")


def test_tenant_isolation():
    # AWS: $2 + $333.34 + $33.4 = $368.74. Two lines of it are not what its own prices give:
    # 20M × $0.0000166667 = $333.334, shown a cent higher, and environments are multiplied by
    # $0.000167, rounded from the $0.000166667 of the price list, which gives $33.33.
    found = cost(runs(10_000_000, 1024, 2_000), free=False)
    assert found.duration == Fraction("333.334")
    assert bill(found.requests, found.duration) == Decimal("335.34") - Decimal("0.01")
    assert cents(tenant_isolation_cost(1024, 200_000, US, arm=False)) == Decimal("33.33")
    shown = dataclasses.replace(US.x86, tenant_environment=Fraction("0.000167"))
    shown_prices = dataclasses.replace(US, x86=shown)
    tenants = tenant_isolation_cost(1024, 200_000, shown_prices, arm=False)
    assert cents(tenants) == Decimal("33.40")
    total = bill(found.requests, found.duration, tenants)
    assert total == Decimal("368.74") - Decimal("0.01")


def test_durable_functions_compute_and_requests_on_arm():
    found = cost(
        runs(1_000_000, 1024, 30_000, arm=True),
        runs(1_000_000, 1024, 2_000, arm=True),
    )
    assert (cents(found.duration), cents(found.requests)) == (Decimal("421.34"), Decimal("0.20"))


def old_price() -> Prices:
    """Price that the page named before 2020-12: $0.00001667 a GB-second."""
    old = dataclasses.replace(US.x86, duration=(Tier(None, Fraction("0.00001667")),))
    return dataclasses.replace(US, x86=old)


def test_example_1_of_the_page_before_2020_12():
    row = runs(3_000_000, 512, 1_000)
    found = cost(row, prices=old_price())
    assert (cents(found.duration), cents(found.requests)) == (Decimal("18.34"), Decimal("0.40"))
    assert bill(found.duration, found.requests) == Decimal("18.74")
    # One table serves all eras (Z43): at today's price it is a cent less.
    assert cents(cost(row).total) == Decimal("18.73")


def test_example_2_of_the_page_before_2020_12():
    # The stored page breaks off within this example; its sums are as quoted in public READMEs.
    found = cost(runs(30_000_000, 128, 200), prices=old_price())
    assert (cents(found.duration), cents(found.requests)) == (Decimal("5.83"), Decimal("5.80"))
    assert bill(found.duration, found.requests) == Decimal("11.63")
