"""Metrics, functions table and summary with everything in them, worked by hand."""

from typing import Any

from reference import Result
from reference.worked import change, event, play, row

MINUTE = 60_000_000


def minute(result: Result, number: int, function: str | None = "f") -> dict[str, Any]:
    """Return the metrics of one minute."""
    (line,) = (
        line
        for line in result.metrics
        if line["function"] == function and line["timestamp"] == number * MINUTE
    )
    return line


def test_z44_runs_count_at_their_start_drops_and_ages_at_their_own_instant() -> None:
    # Fails at 0..50 s and 110..160 s, dropped there: 160 + 120 s is more than 200 s.
    f = {"maximum_event_age_s": 200}
    result = play(event(0, 50, error="handled"), f=f)
    numbers = [line["timestamp"] // MINUTE for line in result.metrics if line["function"] == "f"]
    assert numbers == [0, 1, 2]
    first, second, third = (minute(result, number) for number in range(3))
    assert (first["Invocations"], first["Errors"], first["AsyncEventsReceived"]) == (1, 1, 1)
    assert (second["Invocations"], second["AsyncEventAge_max"]) == (1, 110_000)
    assert (second["AsyncEventsReceived"], second["AsyncEventsDropped"]) == (None, None)
    assert (third["Invocations"], third["AsyncEventsDropped"]) == (None, 1)
    assert third["ConcurrentExecutions"] == 1


def test_f6_every_attempt_puts_a_sample_into_errors_and_throttles() -> None:
    result = play(row(0, 9), row(1), row(2), f={"reserved_concurrency": 1})
    line = minute(result, 0)
    assert (line["Throttles"], line["Throttles_samples"]) == (2, 3)
    assert (line["Errors"], line["Errors_samples"]) == (0, 3)
    assert line["Invocations"] == 1


def test_f6_an_overrun_extension_is_an_error_of_its_minute() -> None:
    line = minute(play(row(0, 5, extension_ms=3_000), f={"timeout_s": 4}), 0)
    assert (line["Errors"], line["Duration_max"]) == (1, 4_000)


def test_f6_duration_has_the_suppressed_init_and_the_wait_for_a_key() -> None:
    rows = [row(0, 1, error="crash"), row(2, 1, init_ms=500), row(4, 5, state_key="k")]
    rows.append(row(5, 1, state_key="k"))
    result = play(*rows)
    # 1, 1.5, 5 and 4 + 1 s.
    line = minute(result, 0)
    assert (line["Duration_sum"], line["Duration_max"]) == (12_500, 5_000)
    assert line["lock_wait_ms_sum"] == 4_000
    assert result.summary["lock_wait_s"] == 4


def test_f6_claimed_is_unreserved_and_all_that_is_set_apart() -> None:
    functions = {
        "r": {"reserved_concurrency": 3, "provisioned_concurrency": 1},
        "p": {"provisioned_concurrency": 2},
    }
    rows = [row(0, 5, "r"), row(0, 5, "p"), row(0, 5, "p"), row(0, 5, "p"), row(0, 5, "f")]
    result = play(*rows, sections={"functions": functions})
    line = minute(result, 0, None)
    # On unreserved units: the spilled run of p, and f's.
    assert line["UnreservedConcurrentExecutions"] == 2
    assert line["ClaimedAccountConcurrency"] == 2 + 3 + 2
    assert line["ConcurrentExecutions"] == 5
    assert line["ProvisionedConcurrentExecutions"] == 3
    assert minute(result, 0, "f")["UnreservedConcurrentExecutions"] is None


def test_z45_a_change_inside_a_minute_shows_in_claimed() -> None:
    changes = {"changes": [change(2, functions__f__reserved_concurrency=7)]}
    result = play(row(0, 1), row(3, 1), sections=changes)
    assert minute(result, 0, None)["ClaimedAccountConcurrency"] == 7
    # A run that ends with the change's instant was not there together with it.
    changes = {"changes": [change(1, functions__f__reserved_concurrency=7)]}
    result = play(row(0, 1, "g"), row(3, 1), sections=changes)
    assert minute(result, 0, None)["ClaimedAccountConcurrency"] == 7


def test_z45_a_change_with_the_last_release_shows_in_claimed() -> None:
    changes = {"changes": [change(4, functions__f__provisioned_concurrency=2)]}
    result = play(row(1, 3), sections=changes)
    assert minute(result, 0, None)["ClaimedAccountConcurrency"] == 2


def test_f6_utilisation_is_sampled_at_invocations() -> None:
    rows = [row(0, 5), row(70, 5), row(71, 5), row(72, 5)]
    result = play(*rows, f={"provisioned_concurrency": 2})
    assert minute(result, 0)["ProvisionedConcurrencyUtilization"] == 0.5
    assert minute(result, 1)["ProvisionedConcurrencyUtilization"] == 1
    assert minute(result, 1)["ProvisionedConcurrencySpilloverInvocations"] == 1
    (line,) = result.functions
    # 15 s of 2 x 77 s.
    assert line["utilisation"] == 15 / 154


def test_z46_async_age_is_over_attempts() -> None:
    result = play(row(0, 2, "g"), event(0, 1), concurrency=1)
    # Refused at 0 and 1 s, run at 3 s.
    assert result.summary["async_age_ms"]["mean"] == 4_000 / 3
    assert result.summary["async_age_ms"]["p50"] == 1_000
    assert result.summary["wait_ms"]["max"] == 3_000


def test_z48_throttles_by_limit_count_attempts() -> None:
    rows = [row(0, 3), row(1), event(1), row(1, 1, "g")]
    result = play(*rows, f={"reserved_concurrency": 1}, concurrency=1)
    assert result.summary["throttles_by_limit"] == {
        "reserved_concurrency": 3, "account_concurrency": 1,
    }  # fmt: skip
    assert result.summary["never_ran"] == 2
    assert result.summary["throttled"] == 2


def test_z24_environments_counts_provisioned_ones_created_does_not() -> None:
    result = play(row(0, 5), row(0, 5), f={"provisioned_concurrency": 1})
    assert minute(result, 0)["environments"] == 2
    assert result.summary["environments_created"] == 1
