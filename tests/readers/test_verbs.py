"""convert, inspect, generate, read_trace."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.ingest.written import content_digest, verify
from lambda_replay.synthetic import plan
from readers.common import DATA, run

BEGIN = 1_772_438_400_000_000


def messy() -> pl.DataFrame:
    """Rows in disorder, with ties and every kind of column."""
    return pl.DataFrame(
        {
            "timestamp": [BEGIN + at for at in (50, 10, 10, 30)],
            "function": ["b:live", "a", "b", "a"],
            "duration_ms": [1.0005, 20.0, 30.25, 0.0],
            "init_ms": [None, 100.0, None, 5.5],
            "memory_mb": [128, 256, 128, 256],
            "source": ["sync", "async", None, "sync"],
            "error": [None, "crash", None, "handled"],
            "error_runs": [None, 1, None, 2],
            "state_key": ["k", None, "k", "m"],
            "state_access": ["read", None, None, None],
            "payload_bytes": [1, 2, 3, 4],
            "colour": ["red"] * 4,
        }
    )


SCENARIO = lr.Scenario(account={"concurrency": 2})


def outcomes(trace: object) -> pl.DataFrame:
    found = lr.replay(trace, SCENARIO, outcomes=True).outcomes  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet", "ipc"])
def test_what_is_converted_replays_the_same(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = tmp_path / f"trace.{kind}", tmp_path / "out.parquet"
    getattr(messy(), f"write_{kind}")(path)
    answer = run(capsys, "convert", path, "-o", target)
    assert answer.code == 0, answer.err
    assert "4 read, 4 kept" in answer.out and "sorted: 1 rows" in answer.out
    written = pl.read_parquet(target)
    assert written["row_uid"].to_list() == [1, 2, 3, 0], "ties keep their order"
    assert written.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert "colour" not in written.columns
    # Rows have other positions, and are otherwise the same.
    plain = outcomes(path).sort("timestamp", "row").drop("row", "environment", "batch")
    assert outcomes(target).drop("row", "environment", "batch").equals(plain)


def test_conversions_are_the_same_bytes_and_vouch_for_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = DATA / "dirigent5_invocations.csv"
    others = [DATA / "dirigent5_durations.csv", DATA / "dirigent5_memory.csv"]
    for name in ("a", "b"):
        assert run(capsys, "convert", source, *others, "-o", tmp_path / f"{name}.parquet").code == 0
    one = (tmp_path / "a.parquet").read_bytes()
    assert one == (tmp_path / "b.parquet").read_bytes()
    verify(tmp_path / "a.parquet", "a")
    metadata = pl.read_parquet_metadata(tmp_path / "a.parquet")
    frame = pl.scan_parquet(tmp_path / "a.parquet")
    assert metadata["lambda_replay.digest"] == content_digest(frame)
    (report,) = json.loads(metadata["lambda_replay.ingest"])
    assert report["format"] == "azure2019" and report["timestamp_kind"] == "bucket"
    assert "Azure Functions Trace 2019" in metadata["lambda_replay.measured"]
    direct = lr.replay([source, *others]).summary
    again = lr.replay(tmp_path / "a.parquet").summary
    assert direct.to_dict()["cost_usd"] == again.to_dict()["cost_usd"]
    assert direct.cold_starts == again.cold_starts
    found = json.loads(run(capsys, "inspect", tmp_path / "a.parquet", "--format", "json").out)
    assert found["integrity"] == "checksum and digest hold" and found["throttles"] == "missing"


def test_pseudonyms_are_stable_and_change_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messy().write_parquet(tmp_path / "trace.parquet")
    (tmp_path / "key").write_text("secret\n")
    for name in ("a", "b"):
        answer = run(
            capsys, "convert", tmp_path / "trace.parquet", "-o", tmp_path / f"{name}.parquet",
            "--anonymize", "--key-file", tmp_path / "key",
        )  # fmt: skip
        assert answer.code == 0
    a, b = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
    assert a.equals(b)
    assert run(
        capsys, "convert", tmp_path / "trace.parquet", "-o", tmp_path / "c.parquet", "--anonymize"
    ).code == 0  # fmt: skip
    assert not pl.read_parquet(tmp_path / "c.parquet")["function"].equals(a["function"])
    raw = (tmp_path / "a.parquet").read_bytes()
    assert b"trace.parquet" not in raw, "paths tell names too"
    names = a["function"].cast(pl.String).to_list()
    assert names[2] == names[0] and names[3] == f"{names[1]}:live", "qualifiers stay"
    plain = lr.replay(messy(), SCENARIO).summary.to_dict()
    hidden = lr.replay(tmp_path / "a.parquet", SCENARIO).summary.to_dict()
    for name in ("records", "invocations", "throttles", "cold_starts", "lock_wait_s", "cost_usd"):
        assert plain[name] == hidden[name], name


def test_convert_refuses_bad_rows_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = tmp_path / "trace.csv", tmp_path / "out.parquet"
    path.write_text(f"timestamp,function,duration_ms\n{BEGIN},f,1\n{BEGIN},f,-2\n{BEGIN},,3\n")
    answer = run(capsys, "convert", path, "-o", target)
    assert answer.code == 3 and "row 1" in answer.err
    assert [one.name for one in tmp_path.iterdir()] == ["trace.csv"]
    answer = run(capsys, "convert", path, "-o", target, "--on-bad-row", "skip")
    assert answer.code == 0 and "3 read, 1 kept" in answer.out


def test_convert_maps_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = tmp_path / "x.csv", tmp_path / "out.parquet"
    path.write_text("ts,latency\n1772438400,0.25\n")
    answer = run(
        capsys, "convert", path, "-o", target, "--map", "timestamp_s=ts,duration_s=latency",
        "--function", "checkout",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    row = pl.read_parquet(target).row(0, named=True)
    assert (row["function"], row["duration_ms"]) == ("checkout", dt.timedelta(milliseconds=250))
    assert "inferred function: checkout (--function)" in answer.out
    assert run(capsys, "convert", path, "-o", target, "--map", "timestamp").code == 2


def test_inspect_says_what_is_there_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.csv"
    rows = [(0, "f", 100.0), (1_000_000, "g", 300.0), (600_000_000, "f", 200.0)]
    frame = pl.DataFrame(rows, schema=["timestamp", "function", "duration_ms"], orient="row")
    frame = frame.with_columns(pl.col("timestamp") + BEGIN, request_id=pl.Series(["a", "a", "b"]))
    frame.write_csv(path)
    found = json.loads(run(capsys, "inspect", path, "--format", "json").out)
    assert (found["rows"], found["functions"], found["span_s"]) == (3, 2, 600.0)
    assert found["duration_ms"]["mean"] == 200.0 and found["duration_ms"]["max"] == 300.0
    assert found["mean_concurrency"] == pytest.approx(0.6 / 600)
    assert found["gaps"] == {
        "longest_s": 598, "from": "2026-03-02T08:00:02.000000Z", "empty_minutes": 9,
    }  # fmt: skip
    assert (found["duplicates"], found["disorder"], found["throttles"]) == (1, 0, "unknown")
    assert "init_ms" in found["missing"] and "request_id" not in found["missing"]
    assert found["top"][0]["function"] == "f" and found["top"][0]["rows"] == 2
    screen = run(capsys, "inspect", path).out
    assert "no checksum" in screen and "Throttles metric" in screen
    assert all(len(line) <= 110 for line in screen.splitlines())


# ---------------------------------------------------------------------------- generate


def test_generated_rows_are_as_many_as_asked_and_repeatable() -> None:
    one = lr.generate(seed=3, invocations=20_000, days=0.25).collect()
    assert one.height == 20_000 and one["timestamp"].is_sorted()
    assert one.equals(lr.generate(seed=3, invocations=20_000, days=0.25).collect())
    assert not one.equals(lr.generate(seed=4, invocations=20_000, days=0.25).collect())
    span = one["timestamp"].max() - one["timestamp"].min()  # type: ignore[operator]
    assert span <= dt.timedelta(hours=6)
    assert one["duration_ms"].dt.total_microseconds().min() > 0  # type: ignore[operator]


def test_the_plan_has_the_published_shape() -> None:
    """17,577 applications with 910,042,048 calls: what was measured, from what is generated."""
    made = plan(invocations=910_042_048).functions
    calls = made["per_day"].sort(descending=True)
    assert made.height == pytest.approx(17_577, rel=0.25)
    assert calls.sum() == pytest.approx(910_042_048, rel=1e-6)
    for share, value in (
        (0.25, 15), (0.5, 288), (0.75, 1_415), (0.9, 8_573), (0.95, 35_948), (0.99, 493_984),
    ):  # fmt: skip
        assert calls.quantile(share) == pytest.approx(value, rel=0.05), share
    for top, expected in ((0.01, 0.866), (0.05, 0.972), (0.1, 0.988), (0.186, 0.995)):
        found = calls[: round(top * made.height)].sum() / calls.sum()
        assert found == pytest.approx(expected, abs=0.03), top
    assert (calls == 288).mean() == pytest.approx(0.055, abs=0.005)
    assert (calls == 1_440).mean() == pytest.approx(0.023, abs=0.005)
    shares = made.group_by("trigger").agg(
        (pl.len() / made.height).alias("functions"),
        (pl.col("per_day").sum() / calls.sum()).alias("calls"),
    )
    of = {row[0]: row[1:] for row in shares.iter_rows()}
    for trigger, functions, invocations in (
        ("http", 0.55, 0.359), ("queue", 0.152, 0.335), ("event", 0.022, 0.247),
        ("orchestration", 0.069, 0.023), ("timer", 0.156, 0.02), ("storage", 0.028, 0.007),
    ):  # fmt: skip
        assert of[trigger][0] == pytest.approx(functions, abs=0.01), trigger
        assert of[trigger][1] == pytest.approx(invocations, abs=0.01), trigger
    spread = made.group_by("trigger").agg(
        pl.col("dispersion").median().alias("median"),
        pl.col("dispersion").quantile(0.9).alias("p90"),
    )
    of = {row[0]: row[1:] for row in spread.iter_rows()}
    for trigger, median, high in (
        ("http", 1.0, 5.8), ("queue", 1.0, 14.4), ("event", 2.5, 11.4), ("orchestration", 1.7, 35),
    ):  # fmt: skip
        assert of[trigger] == pytest.approx((median, high), rel=0.25), trigger
    memory = made["memory_mb"]
    assert memory.is_in([128 * step for step in range(1, 81)]).all()
    assert (memory == 128).mean() == pytest.approx(0.4, abs=0.15)
    seconds = made["average_ms"] / 1_000
    assert seconds.median() == pytest.approx(0.68, rel=0.05)
    assert seconds.quantile(0.9) == pytest.approx(14.1, rel=0.1)


def test_generated_rows_have_the_published_dispersion() -> None:
    """Variance over mean of the counts per minute, by trigger (500 functions of Azure 2019)."""
    made = plan(invocations=400_000, functions=400)
    rows = lr.generate(invocations=400_000, functions=400).collect()
    minute = (pl.col("timestamp") - made.start).dt.total_minutes()
    counts = rows.group_by(pl.col("function").cast(pl.String), minute.alias("minute")).len()
    moments = counts.group_by("function").agg(
        pl.col("len").sum().alias("n"), (pl.col("len").cast(pl.Float64) ** 2).sum().alias("squares")
    )
    mean = pl.col("n") / made.minutes
    known = made.functions.rename({"name": "function"})
    fano = moments.join(known, on="function").with_columns(
        ((pl.col("squares") / made.minutes - mean**2) / mean).alias("fano")
    )
    bursting = fano.filter((pl.col("pattern") == 2) & pl.col("n").is_between(500, 10_000))
    ratio = bursting["fano"] / bursting["dispersion"]
    assert bursting.height > 15 and ratio.median() == pytest.approx(1.0, abs=0.1)
    assert (ratio - 1).abs().quantile(0.9) < 0.35  # type: ignore[operator]
    assert fano.filter(pl.col("pattern") == 0)["fano"].max() <= 1.0  # type: ignore[operator]


def test_generate_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "g.parquet"
    options = ("--invocations", 5_000, "--days", 0.1, "--profile", "web", "--seed", 9)
    answer = run(capsys, "generate", "-o", path, *options)
    assert answer.code == 0 and "5,000 rows" in answer.out
    expected = lr.generate(9, 5_000, days=0.1, profile="web").collect()
    written = pl.read_parquet(path)
    assert written.select("timestamp", "duration_ms").equals(
        expected.select("timestamp", "duration_ms")
    )
    assert written["function"].cast(pl.String).str.starts_with("http-").all()
    assert "synthetic" in run(capsys, "run", path).out
    assert run(capsys, "generate", "-o", tmp_path / "no" / "g.parquet").code == 4


@pytest.mark.parametrize(
    "options",
    [{"invocations": 0}, {"days": 0}, {"profile": "none"}, {"functions": -1}, {"seed": -1}],
)
def test_generate_refuses_nonsense(options: dict[str, object]) -> None:
    with pytest.raises(lr.TraceError) as caught:
        lr.generate(**options)  # type: ignore[arg-type]
    assert caught.value.code == "LR-T-OPTION"


def test_read_trace_refuses_unknown_formats_and_options() -> None:
    with pytest.raises(lr.TraceError, match="did you mean azure2021") as caught:
        raise_with_hint(DATA / "azure2021.csv", "azure2012")
    assert caught.value.code == "LR-T-OPTION"
    with pytest.raises(lr.TraceError, match="no such option"):
        lr.read_trace(DATA / "azure2021.csv", colour="red")


def raise_with_hint(path: Path, name: str) -> None:
    try:
        lr.read_trace(path, name)
    except lr.TraceError as error:
        raise lr.TraceError(f"{error} {error.hint}", code=error.code) from error


def test_compare_reads_and_sets_aside_as_run_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,latency\n1772438400,0.25\n1772438401,-1\n1772438402,0.5\n")
    arguments = (
        "compare", path, "--set", "tight:account.concurrency=1", "--map",
        "timestamp_s=ts,duration_s=latency", "--function", "f", "--quiet",
    )  # fmt: skip
    assert run(capsys, *arguments).code == 3
    aside = tmp_path / "aside.parquet"
    answer = run(capsys, *arguments, "--on-bad-row", "quarantine", "--bad-rows", aside)
    assert answer.code == 0, answer.err
    assert "1 row set aside" in answer.err
    assert pl.read_parquet(aside)["row"].to_list() == [1]
