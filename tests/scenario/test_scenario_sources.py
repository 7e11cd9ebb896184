"""Event sources in a scenario: limits by type, defaults by type and era, epochs, what is unwise."""

from __future__ import annotations

from typing import Any

import pytest

from lambda_replay.exceptions import ScenarioError
from lambda_replay.scenario import Scenario
from lambda_replay.scenario.limits import ERAS
from lambda_replay.scenario.source_checks import KINDS_OF
from lambda_replay.scenario.source_limits import KINDS
from lambda_replay.scenario.sources import SourceSection

AT = "2026-03-01T12:00:00Z"


def source(kind: str, **keys: Any) -> Scenario:
    return Scenario(event_sources={"s": {"type": kind, "function": "f", **keys}})


def config(kind: str, **keys: Any) -> dict[str, Any]:
    ((number, found),) = source(kind, **keys).resolve().source_epochs("s")
    assert number == 0
    return found


def problems(text: str) -> list[tuple[int | None, str, str, str]]:
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads(text, "s.toml")
    return [(one.line, one.path, one.code, one.message) for one in caught.value.problems]


# ---- what is wrong ---------------------------------------------------------------------------

HEAD = '[event_sources.s]\ntype = "{}"\nfunction = "f"\n'
BAD: list[tuple[str, str, int, str, str, str]] = [
    # type, lines, line of the problem, its key, code, words of its message
    ("kinesis", "batch_size = 10001", 4, "batch_size", "LR-S005", "from 1 to 10000"),
    ("kinesis", "batch_size = 0", 4, "batch_size", "LR-S005", "from 1 to 10000"),
    ("sqs_fifo", "batch_size = 11", 4, "batch_size", "LR-S005", "from 1 to 10 (type sqs_fifo"),
    ("sqs", "batch_size = 11", 4, "batch_size", "LR-S006", "needs maximum_batching_window_s"),
    ("sqs_fifo", "maximum_batching_window_s = 1", 4, "maximum_batching_window_s", "LR-S006",
     "type sqs_fifo has no maximum_batching_window_s"),
    ("kinesis", "maximum_batching_window_s = 301", 4, "maximum_batching_window_s", "LR-S005",
     "from 0 to 300"),
    ("kinesis", "maximum_batching_window_s = 1.5", 4, "maximum_batching_window_s", "LR-S005",
     "whole seconds"),
    ("kafka", "maximum_batching_window_s = 1.5", 4, "maximum_batching_window_s", "LR-S005",
     "or 0.5, the default"),
    ("kinesis", "parallelization_factor = 11", 4, "parallelization_factor", "LR-S005", "1 to 10"),
    ("kafka", "parallelization_factor = 2", 4, "parallelization_factor", "LR-S006",
     "it is for kinesis and dynamodb"),
    ("kinesis", "parallelization_factor = 2\ntumbling_window_s = 60", 4, "parallelization_factor",
     "LR-S006", "exclude each other"),
    ("kinesis", "tumbling_window_s = 901", 4, "tumbling_window_s", "LR-S005", "from 0 to 900"),
    ("kinesis", "maximum_retry_attempts = 10001", 4, "maximum_retry_attempts", "LR-S005",
     "from -1 to 10000"),
    ("kinesis", "maximum_record_age_s = 59", 4, "maximum_record_age_s", "LR-S005", "60 to 604800"),
    ("kinesis", "maximum_concurrency = 2", 4, "maximum_concurrency", "LR-S006", "sqs and sqs_fifo"),
    ("sqs", "maximum_concurrency = 1", 4, "maximum_concurrency", "LR-S005", "from 2 to 1000"),
    ("sqs", "maximum_concurrency = 2\nprovisioned_pollers = { min = 2 }", 4, "maximum_concurrency",
     "LR-S006", "exclude each other"),
    ("sqs", "provisioned_pollers = { min = 1 }", 4, "provisioned_pollers.min", "LR-S005",
     "from 2 to 200"),
    ("sqs", "provisioned_pollers = { max = 10001 }", 4, "provisioned_pollers.max", "LR-S005",
     "from 2 to 10000"),
    ("kafka", "provisioned_pollers = { max = 2001 }", 4, "provisioned_pollers.max", "LR-S005",
     "from 1 to 2000"),
    ("kafka", "provisioned_pollers = { min = 3, max = 2 }", 4, "provisioned_pollers.min", "LR-S006",
     "min 3 is above max 2"),
    ("kafka", "maximum_retry_attempts = 3", 4, "maximum_retry_attempts", "LR-S006",
     "needs provisioned_pollers"),
    ("kafka", "report_batch_item_failures = true", 4, "report_batch_item_failures", "LR-S006",
     "needs provisioned_pollers"),
    ("sqs", "max_receive_count = 3", 4, "max_receive_count", "LR-S006", "needs dead_letter_queue"),
    ("sqs", "shards = 2", 4, "shards", "LR-S006", "kinesis, dynamodb and kafka"),
    ("sqs", "retention_s = 59", 4, "retention_s", "LR-S005", "from 60 to 1209600"),
    ("sqs", "visibility_timeout_s = 43201", 4, "visibility_timeout_s", "LR-S005", "to 43200"),
    ("sqs", "visibility_timeout_s = 10\n[functions.f]\ntimeout_s = 11", 4, "visibility_timeout_s",
     "LR-S006", "timeout_s 11 of f is above visibility_timeout_s 10"),
    ("dynamodb", "enhanced_fan_out = true", 4, "enhanced_fan_out", "LR-S006", "it is for kinesis"),
    ("dynamodb", 'starting_position = "AT_TIMESTAMP"', 4, "starting_position", "LR-S006",
     "DynamoDB has TRIM_HORIZON and LATEST"),
    ("kinesis", 'starting_position = "AT_TIMESTAMP"', 4, "starting_position", "LR-S006",
     "needs starting_position_timestamp"),
    ("kinesis", f"starting_position_timestamp = {AT}", 4, "starting_position_timestamp", "LR-S006",
     "is for starting_position"),
    ("sqs", "backof = 1", 4, "backof", "LR-S003", "did you mean 'backoff'"),
    ("sqs", "prov_growth = 0.001", 4, "prov_growth", "LR-S005", "whole per minute"),
    ("kinesis", "dup_prob = 0.1", 4, "dup_prob", "LR-S007", "delivered twice"),
    ("kinesis", "poll_phase_s = 0.5", 4, "poll_phase_s", "LR-S005", '0 or "random"'),
    ("kinesis", f'reshard = [{{ at = "{AT}", split = 1 }}]', 4, "reshard[0].split", "LR-S006",
     "there is no shard 1; open at"),
    ("kinesis", f'shards = 3\nreshard = [{{ at = "{AT}", merge = [0, 2] }}]', 5, "reshard[0].merge",
     "LR-S006", "are not neighbours"),
    ("kinesis", f'reshard = [{{ at = "{AT}" }}]', 4, "reshard[0]", "LR-S006", "split or merge"),
    ("kinesis", f'reshard = [{{ at = "{AT}", split = 0 }}, {{ at = "{AT}", split = 0 }}]', 4,
     "reshard[1].split", "LR-S006", "shard 0 is closed since"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "lines", "line", "key", "code", "words"), BAD, ids=[f"{b[0]}-{b[3]}" for b in BAD]
)
def test_what_a_type_cannot_have_is_refused_where_it_stands(
    kind: str, lines: str, line: int, key: str, code: str, words: str
) -> None:
    ((at, path, found, message),) = problems(HEAD.format(kind) + lines)
    assert (at, path, found) == (line, f"event_sources.s.{key}", code)
    assert words in message


def test_every_key_of_another_type_is_refused() -> None:
    values: dict[str, Any] = {
        **dict.fromkeys(KINDS_OF, 2),
        **dict.fromkeys(("retry_s", "jitter", "gap_s"), 0.5),
        "reshard": [{"at": AT, "split": 0}],
        "starting_position": "LATEST",
        "starting_position_timestamp": AT,
        "on_failure": "x",
        "dead_letter_queue": "x",
        "enhanced_fan_out": True,
        "bisect_batch_on_function_error": True,
        "poll_phase_s": "random",
        "lane_block": "shard",
        "window_anchor": "first_record",
        "age_check": "next_attempt",
        "iterator_age_at": "end",
        "ramp": "step60",
        "scale_in_s": [1, 2],
        "throttle_retry": "none",
        "backoff": "ratio",
        "receive": "random",
        "poller_step": {"up": 3},
        "provisioned_pollers": {"min": 2},
        "maximum_record_age_s": 60,
    }
    for key, kinds in KINDS_OF.items():
        for kind in set(KINDS) - set(kinds):
            with pytest.raises(ScenarioError) as caught:
                source(kind, **{key: values[key]})
            assert f"type {kind} has no {key}" in str(caught.value), (kind, key)


def test_type_and_function_are_required_and_names_are_names() -> None:
    assert [one[1:3] for one in problems("[event_sources.s]")] == [
        ("event_sources.s.function", "LR-S009"),
        ("event_sources.s.type", "LR-S009"),
    ] or {one[1] for one in problems("[event_sources.s]")} == {
        "event_sources.s.function",
        "event_sources.s.type",
    }
    ((_, path, _, message),) = problems('[event_sources.async]\ntype = "sqs"\nfunction = "f"')
    assert path == "event_sources.async" and "no name for a source" in message
    ((_, _, _, message),) = problems('[event_sources.s]\ntype = "sqs"\nfunction = "f-*"')
    assert "no glob" in message


def test_all_misfits_of_all_sources_come_at_once() -> None:
    text = HEAD.format("sqs_fifo") + "batch_size = 20\nshards = 2\nmax_receive_count = 1\n"
    text += '[event_sources.t]\ntype = "kinesis"\nfunction = "f"\nmaximum_concurrency = 2\n'
    assert [(line, path) for line, path, _, _ in problems(text)] == [
        (4, "event_sources.s.batch_size"),
        (5, "event_sources.s.shards"),
        (6, "event_sources.s.max_receive_count"),
        (10, "event_sources.t.maximum_concurrency"),
    ]


# ---- what is in force ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size", "window_us", "retention_us"),
    [
        ("kinesis", 100, 0, 86_400_000_000),
        ("dynamodb", 100, 0, 86_400_000_000),
        ("sqs", 10, 0, 345_600_000_000),
        ("sqs_fifo", 10, 0, 345_600_000_000),
        ("kafka", 100, 500_000, 604_800_000_000),
    ],
)
def test_defaults_by_type(kind: str, size: int, window_us: int, retention_us: int) -> None:
    found = config(kind)
    assert (found["batch_size"], found["window_us"]) == (size, window_us)
    assert found["retention_us"] == retention_us
    assert found["enabled"] and not found["report"] and found["batch_duration"] == "sum"
    kinds = [name for name in ("stream", "kafka", "queue") if found[name] is not None]
    queue = kind.startswith("sqs")
    assert kinds == ["queue" if queue else "kafka" if kind == "kafka" else "stream"]


def test_every_undocumented_parameter_reaches_the_core() -> None:
    stream = config(
        "kinesis", poll_phase_s="random", prop_delay_s=0.5, gap_s=0.1, retry_s=1, retry_cap_s=8,
        throttle_retry_s=2, throttle_retry_cap_s=9, jitter=0.25, child_delay_s=3,
        lane_block="shard", lookahead=7, window_anchor="first_record", age_check="next_attempt",
        idle_final_s=30, start_delay_s=4, stop_delay_s=5, iterator_age_at="end",
    )  # fmt: skip
    of_stream = stream["stream"]
    assert of_stream["random_phase"] and of_stream["block_shard"]
    assert of_stream["window_from_first"] and of_stream["age_at_end"]
    assert (of_stream["prop_delay_us"], of_stream["child_delay_us"]) == (500_000, 3_000_000)
    assert (of_stream["lookahead"], of_stream["idle_final_us"]) == (7, 30_000_000)
    assert (stream["start_delay_us"], stream["stop_delay_us"]) == (4_000_000, 5_000_000)
    assert of_stream["retries"] == {
        "max_retries": None,
        "max_age_us": None,
        "age_at_deadline": False,
        "bisect": False,
        "on_failure": False,
        "retry": (1_000_000, 8_000_000),
        "throttle": (2_000_000, 9_000_000),
        "jitter": 0.25,
        "gap_us": 100_000,
    }
    queue = config(
        "sqs", ramp="step60", scale_in_s=[10, 20], throttle_retry="none", backoff="off",
        receive="random", poll_latency_s=0, invoke_latency_s=1, low_traffic_wait_s=20,
        prov_growth="600/60",
    )["queue"]  # fmt: skip
    assert queue["ramp_steps"] and queue["receive_random"] and not queue["backoff"]
    assert (queue["scale_in_us"], queue["scale_in_deep_us"]) == (10_000_000, 20_000_000)
    assert queue["throttle_retry_us"] is None and queue["low_traffic_wait_us"] == 20_000_000
    assert (queue["poll_latency_us"], queue["invoke_latency_us"]) == (0, 1_000_000)
    assert queue["provisioned_per_minute"] == 600
    kafka = config("kafka", poller_step={"up": 3, "evaluation_s": 30})["kafka"]
    assert (kafka["step_up"], kafka["step_down"]) == (3, 1)
    assert (kafka["evaluation_us"], kafka["effect_us"]) == (30_000_000, 180_000_000)


def test_what_follows_from_other_keys() -> None:
    assert config("kinesis", enhanced_fan_out=True)["stream"]["poll_us"] is None
    assert config("kinesis", enhanced_fan_out=True)["stream"]["prop_delay_us"] == 70_000
    assert config("dynamodb")["stream"]["poll_us"] == 250_000
    wide = config("kinesis", batch_size=10_000, parallelization_factor=2)["stream"]
    assert wide["lookahead"] == 200_000
    retry = config("kinesis", retry_s=3)["stream"]["retries"]
    assert retry["throttle"] == (3_000_000, 60_000_000)
    provisioned = {"provisioned_pollers": {"min": 1}}
    assert config("kafka", **provisioned)["kafka"]["retries"]["max_retries"] is None
    limited = config("kafka", on_failure="x", **provisioned)["kafka"]
    assert limited["retries"]["max_retries"] == 10 and limited["provisioned"] == (1, 200)
    assert config("sqs", dead_letter_queue="dlq")["queue"]["max_receive_count"] == 10
    assert config("sqs", scale_in_s="off")["queue"]["scale_in_us"] > 10**14


def test_minus_one_and_off_are_no_limit() -> None:
    for off in (-1, "off"):
        found = config("kinesis", maximum_retry_attempts=off, maximum_record_age_s=off)
        retries = found["stream"]["retries"]
        assert (retries["max_retries"], retries["max_age_us"]) == (None, None)


@pytest.mark.parametrize("era", ERAS)
def test_eras_are_presets(era: str) -> None:
    scenario = Scenario(
        account={"era": era},
        event_sources={
            "s": {"type": "kinesis", "function": "f"},
            "q": {"type": "sqs", "function": "f"},
        },
    ).resolve()
    retries = scenario.source_epochs("s")[0][1]["stream"]["retries"]
    queue = scenario.source_epochs("q")[0][1]["queue"]
    limited = era in {"2019-12", "2020-12"}
    assert retries["max_retries"] == (10_000 if limited else None)
    assert retries["max_age_us"] == (604_800_000_000 if limited else None)
    fast = era >= "2023-11"
    assert queue["ramp_per_minute"] == (300 if fast else 60)
    assert queue["most_batches"] == (1_250 if fast else 1_000)


def test_sources_are_numbered_by_their_names_bytewise() -> None:
    names = ["b", "a", "ä", "Z", "a.b"]
    scenario = Scenario(
        event_sources={name: {"type": "sqs", "function": "f"} for name in names}
    ).resolve()
    assert scenario.source_names() == ("Z", "a", "a.b", "b", "ä")


def test_reshards_are_followed_in_order_of_time() -> None:
    later, sooner = "2026-03-01T13:00:00Z", "2026-03-01T12:00:00Z"
    reshard = [{"at": later, "merge": [1, 3]}, {"at": sooner, "split": 0}]
    found = source("kinesis", shards=2, reshard=reshard).resolve()
    # 0 becomes 2 and 3; 3 is beside 1.
    wire = found.source_epochs("s")[0][1]["stream"]["reshards"]
    assert [what for _, what in wire] == [("split", 0, None), ("merge", 1, 3)]
    assert found.epochs[0].sources["s"].shards == 5


# ---- changes ---------------------------------------------------------------------------------


def test_changes_make_epochs_of_their_own() -> None:
    scenario = Scenario(
        event_sources={"s": {"type": "sqs", "function": "f"}},
        changes=[
            {"at": AT, "set": {"event_sources.s.enabled": False}},
            {"at": "2026-03-01T13:00:00Z", "set": {"functions.f.timeout_s": 5}},
            {"at": "2026-03-01T14:00:00Z", "set": {"event_sources.s.enabled": True}},
            {"at": "2026-03-01T15:00:00Z", "set": {"functions.g.memory_mb": 256}},
        ],
    ).resolve()
    epochs = scenario.source_epochs("s")
    assert [number for number, _ in epochs] == [0, 1, 2, 3]
    assert [found["enabled"] for _, found in epochs] == [True, False, False, True]
    assert [found["queue"]["function_timeout_us"] for _, found in epochs] == [
        None, None, 5_000_000, 5_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("event_sources.s.batch_size", 11, "from 2026-03-01T12:00:00Z on"),
        ("event_sources.s.shards", 2, "cannot change"),
        ("event_sources.s.type", "kafka", "cannot change"),
        ("event_sources.t.enabled", True, "there is no event source 't'"),
        ("event_sources.s.enable", True, "did you mean 'enabled'"),
        ("event_sources.s.enabled", 1, "expected true or false"),
        ("event_sources.s", {"enabled": True}, "names a section"),
        ("functions.f.timeout_s", 31, "timeout_s 31 of f is above visibility_timeout_s 30"),
    ],
)
def test_changes_that_cannot_be_are_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(
            event_sources={"s": {"type": "sqs", "function": "f"}},
            changes=[{"at": AT, "set": {key: value}}],
        )
    (problem,) = caught.value.problems
    assert problem.path == f'changes[0].set."{key}"'
    assert words in problem.message


# ---- for people ------------------------------------------------------------------------------


def test_origins_name_every_key_of_the_type_and_no_other() -> None:
    text = HEAD.format("kinesis") + "batch_size = 5\n"
    origins = {
        one.key.removeprefix("event_sources.s."): one
        for one in Scenario.loads(text, "s.toml").resolve().origins()
        if one.key.startswith("event_sources.")
    }
    assert origins["batch_size"][1:] == (5, "s.toml:4")
    assert origins["gap_s"][1:] == (0.02, "default")
    assert origins["maximum_retry_attempts"][1:] == ("off", "default")
    keys = {name for name in SourceSection.model_fields if "kinesis" in KINDS_OF.get(name, KINDS)}
    # Reshards are listed where there are some.
    assert {name.partition(".")[0] for name in origins} == keys - {"reshard"}


@pytest.mark.parametrize(
    ("kind", "keys", "key", "words"),
    [
        ("kinesis", {}, "maximum_retry_attempts", "blocks its shard for 1 days"),
        ("kinesis", {"retention_s": 60, "maximum_retry_attempts": 1}, "retention_s", "86400"),
        ("sqs", {"visibility_timeout_s": 60}, "visibility_timeout_s", "6 times"),
        ("sqs", {"dead_letter_queue": "d", "max_receive_count": 2}, "max_receive_count", "advises"),
        ("sqs", {"enabled": False}, "enabled", "never read"),
        ("sqs", {"maximum_concurrency": 20}, "maximum_concurrency", "burn receives"),
    ],
)
def test_what_is_unwise_is_found(kind: str, keys: dict[str, Any], key: str, words: str) -> None:
    scenario = Scenario(
        functions={"f": {"timeout_s": 20, "reserved_concurrency": 10, "init_ms": 0}},
        event_sources={"s": {"type": kind, "function": "f", **keys}},
    )
    found = {one.path: one.message for one in scenario.findings()}
    assert words in found[f"event_sources.s.{key}"]


def test_digests_tell_sources_apart() -> None:
    one, same = source("sqs"), source("sqs", batch_size=10)
    assert one.digest() == same.digest() != source("sqs", batch_size=9).digest()
    assert Scenario(event_sources={}).digest() == Scenario().digest()


def test_choices_are_named_where_they_touched_a_run() -> None:
    resolved = source("sqs").resolve()
    keys = {one.key for one in resolved.undocumented_touching({"sources", "sources_queue"})}
    assert "event_sources.s.ramp" in keys and "event_sources.s.backoff" not in keys
    keys = {one.key for one in resolved.undocumented_touching({"source_errors"})}
    assert "event_sources.s.backoff" in keys
    assert not any("event_sources" in one.key for one in Scenario().resolve().undocumented())
