"""Published data sets: what each is read as, row by row where the sample allows it."""

import datetime as dt
import gzip
import json
from pathlib import Path

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.ingest import open_trace
from lambda_replay.readers import NAMES, find_reader
from lambda_replay.readers.base import IngestReport, ReadOptions
from lambda_replay.readers.files import File
from readers.common import DATA

AZURE = [DATA / f"dirigent5_{kind}.csv" for kind in ("invocations", "durations", "memory")]


def read(*paths: Path, **options: object) -> tuple[pl.DataFrame, IngestReport]:
    source = open_trace(list(paths), ReadOptions(**options))  # type: ignore[arg-type]
    (frame,) = source.frames
    rows = frame.collect()
    (report,) = source.reports
    assert report.read == rows.height + sum(report.dropped.values())
    return rows, report


def ms(column: str = "duration_ms") -> pl.Expr:
    return pl.col(column).dt.total_microseconds() / 1e3


def refusal(*paths: Path, **options: object) -> lr.TraceError:
    with pytest.raises(lr.TraceError) as caught:
        open_trace(list(paths), ReadOptions(**options))  # type: ignore[arg-type]
    return caught.value


# ---------------------------------------------------------------------------- Azure 2019


def test_azure_counts_become_as_many_rows_in_their_minutes() -> None:
    rows, report = read(*AZURE)
    raw = pl.read_csv(AZURE[0])
    minutes = [name for name in raw.columns if name.isdigit()]
    long = raw.unpivot(minutes, index=["HashApp", "HashFunction"], variable_name="minute")
    expected = long.filter(pl.col("value") > 0).select(
        (pl.col("HashApp") + "/" + pl.col("HashFunction")).alias("function"),
        (pl.col("minute").cast(pl.Int64) - 1).alias("minute"),
        pl.col("value").cast(pl.UInt32).alias("len"),
    )
    midnight = dt.datetime(2019, 7, 15, tzinfo=dt.UTC)
    found = rows.group_by(
        pl.col("function").cast(pl.String),
        (pl.col("timestamp") - midnight).dt.total_minutes().alias("minute"),
    ).len()
    keys = ["function", "minute"]
    assert found.sort(keys).equals(expected.sort(keys))
    assert rows["timestamp"].is_sorted()
    assert (report.family, report.stamp, report.throttles) == ("counts", "bucket", "missing")
    assert set(report.inferred) == {"timestamp", "duration_ms", "memory_mb", "date"}


def test_azure_durations_keep_quantiles_and_average() -> None:
    """Many draws for each function: quantiles as reported, and the mean too."""
    columns = ["HashOwner", "HashApp", "HashFunction"]
    rows, _ = read(*AZURE)
    reported = pl.read_csv(AZURE[1])
    for row in reported.iter_rows(named=True):
        name = "/".join(row[column] for column in columns[1:])
        own = rows.filter(pl.col("function").cast(pl.String) == name).select(ms())
        low, high = max(row["Minimum"], 0.5), max(row["Maximum"], 0.5)
        assert own["duration_ms"].is_between(low * 0.999, high * 1.001).all(), name


def test_azure_mean_is_the_reported_average(tmp_path: Path) -> None:
    hashes = "o,a,f"
    (tmp_path / "i.csv").write_text(
        "HashOwner,HashApp,HashFunction,Trigger,1,2,3\n" + hashes + ",http,30000,20000,-4\n"
    )
    names = ",".join(f"percentile_Average_{p}" for p in (0, 1, 25, 50, 75, 99, 100))
    (tmp_path / "d.csv").write_text(
        f"HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,{names}\n"
        f"{hashes},180,9,2,9000,2,5,60,100,200,900,9000\n"
    )
    rows, report = read(tmp_path)
    assert rows.height == 50_000 and report.dropped == {"negative counts": 4}
    found = rows.select(ms())["duration_ms"]
    assert found.mean() == pytest.approx(180, rel=0.02)
    for share, value in ((0.25, 60), (0.5, 100), (0.75, 200), (0.99, 900)):
        assert found.quantile(share) == pytest.approx(value, rel=0.05)
    flat, _ = read(tmp_path, durations="average")
    assert flat.select(ms())["duration_ms"].unique().to_list() == [180.0]


def test_azure_joins_memory_in_steps() -> None:
    rows, _ = read(*AZURE)
    memory = pl.read_csv(AZURE[2])
    for row in memory.iter_rows(named=True):
        name = f"{row['HashApp']}/{row['HashFunction']}"
        own = rows.filter(pl.col("function").cast(pl.String) == name)["memory_mb"].unique()
        assert own.to_list() == [128 * max(1, -(-row["AverageAllocatedMb_pct100"] // 128))]


def test_azure_days_follow_each_other_whatever_the_order(tmp_path: Path) -> None:
    header = "HashOwner,HashApp,HashFunction,Trigger,1439,1440\n"
    stem = "invocations_per_function_md.anon"
    (tmp_path / f"{stem}.d02.csv").write_text(header + "o,a,f,http,0,3\n")
    (tmp_path / f"{stem}.d01.csv").write_text(header + "o,a,f,others,2,0\n")
    days = [tmp_path / f"{stem}.d02.csv", tmp_path / f"{stem}.d01.csv"]
    rows, _ = read(*days, duration_ms=7.0)
    assert rows["timestamp"].dt.day().to_list() == [15, 15, 16, 16, 16]
    assert rows["timestamp"].is_sorted() and rows["duration_ms"].n_unique() == 1


def test_a_function_keeps_its_rows_whatever_else_is_in_the_file(tmp_path: Path) -> None:
    """Draws depend on seed, function, bucket and index alone."""
    all_rows, _ = read(*AZURE)
    raw = pl.read_csv(AZURE[0])
    raw[2:3].write_csv(tmp_path / "one.csv")
    one, _ = read(tmp_path / "one.csv", AZURE[1])
    name = f"{raw['HashApp'][2]}/{raw['HashFunction'][2]}"
    same = all_rows.filter(pl.col("function").cast(pl.String) == name)
    assert one.select("timestamp", "duration_ms").equals(same.select("timestamp", "duration_ms"))
    other, _ = read(tmp_path / "one.csv", AZURE[1], seed=1)
    assert not other["timestamp"].equals(one["timestamp"])


@pytest.mark.parametrize("placement", ["uniform", "equidistant", "exponential"])
def test_placements_keep_the_counts(placement: str) -> None:
    rows, report = read(*AZURE, placement=placement)
    plain, _ = read(*AZURE)
    minute = pl.col("timestamp").dt.truncate("1m")
    by = rows.group_by(minute, pl.col("function").cast(pl.String)).len().sort(pl.all())
    assert by.equals(
        plain.group_by(minute, pl.col("function").cast(pl.String)).len().sort(pl.all())
    )
    assert placement in report.inferred["timestamp"]


def test_azure_without_durations_names_the_file_that_has_them() -> None:
    error = refusal(AZURE[0])
    assert error.code == "LR-T-DURATION"
    assert "dirigent5_durations.csv" in (error.hint or "")


def test_azure_refuses_two_excerpts_of_one_day() -> None:
    assert refusal(DATA / "invocations.csv", *AZURE).code == "LR-T-SEVERAL"


def test_invitro_folders_are_azure(tmp_path: Path) -> None:
    for kind in ("invocations", "durations", "memory"):
        (tmp_path / f"{kind}.csv").write_bytes((DATA / f"{kind}.csv").read_bytes())
    rows, _ = read(tmp_path)
    assert rows.height == 4_525
    assert lr.replay(str(tmp_path)).summary.records == 4_525


# ---------------------------------------------------------------------------- rows


def test_azure_2021_arrives_at_end_minus_duration() -> None:
    rows, report = read(DATA / "azure2021.csv")
    raw = pl.read_csv(DATA / "azure2021.csv")
    begin = dt.datetime(2021, 1, 31, tzinfo=dt.UTC)
    since = (rows["timestamp"] - begin).dt.total_microseconds() / 1e6
    assert (since - (raw["end_timestamp"] - raw["duration"])).abs().max() < 1e-6
    assert rows["function"].cast(pl.String).to_list() == (raw["app"] + "/" + raw["func"]).to_list()
    assert report.stamp == "end" and report.kept == raw.height


def test_azure_2021_clamps_what_began_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("app,func,end_timestamp,duration\na,f,1.5,2.0\na,f,9,0\n")
    rows, report = read(path)
    assert rows["timestamp"].dt.second().to_list() == [0, 9]
    assert rows.select(ms())["duration_ms"].to_list() == [2_000.0, 0.001]
    assert sum(report.repaired.values()) == 2


def test_blob_accesses_become_invocations_with_state(tmp_path: Path) -> None:
    import bz2

    path = tmp_path / "azurefunctions-accesses-2020.csv.bz2"
    text = (
        "Timestamp,AnonRegion,AnonUserId,AnonAppName,AnonFunctionInvocationId,AnonBlobName,BlobType,"
        "AnonBlobETag,BlobBytes,Read,Write\n"
        "1606089600000,r,u,app,i1,in,B,e,100.0,True,False\n"
        "1606089600250,r,u,app,i1,out,B,e,50.0,False,True\n"
        "1606089601000,r,u,app,i2,in,B,e,7.0,True,False\n"
    )
    path.write_bytes(bz2.compress(text.encode()))
    rows, report = read(path)
    rows = rows.sort("timestamp")
    assert rows["state_key"].to_list() == ["out", "in"]
    assert rows["state_access"].to_list() == ["write", "read"]
    assert rows["payload_bytes"].to_list() == [150, 7]
    assert rows.select(ms())["duration_ms"].to_list() == [250.0, 0.001]
    assert report.family == "arrivals"


def test_huawei_requests_arrive_before_what_they_cost() -> None:
    path = DATA / "huawei2025_requests.csv"
    rows, report = read(path)
    raw = pl.read_csv(path)
    first = rows.row(0, named=True)
    assert first["function"] == f"{raw['funcName'][0]}---{raw['userID'][0]}---pool22-300-128"
    at = raw["time_frontend"][0] - raw["totalCost_frontend"][0]
    assert first["timestamp"].timestamp() == pytest.approx(at, abs=1e-6)
    assert first["duration_ms"] == pytest.approx(raw["runtimeCost"][0] * 1_000)
    assert first["memory_mb"] == 128
    by_worker = sum("worker" in what for what in report.repaired)
    assert by_worker == 1, "the frontend's stamp is missing in some rows"


def test_huawei_cold_starts_are_joined(tmp_path: Path) -> None:
    raw = pl.read_csv(DATA / "huawei2025_requests.csv")
    cold = pl.read_csv(DATA / "huawei2025_cold_starts.csv")
    cold = cold.with_columns(requestID=raw["requestID"][:10])
    cold.write_csv(tmp_path / "cold.csv")
    rows, report = read(DATA / "huawei2025_requests.csv", tmp_path / "cold.csv")
    expected = (cold["deployCodeCost"] + cold["deployDependencyCost"]) * 1_000
    assert rows["init_ms"].to_list() == pytest.approx(expected.to_list())
    assert rows["cold_start"].all() and "init_ms" in report.inferred
    assert refusal(tmp_path / "cold.csv").code == "LR-T-MISSING"


def test_huawei_counts_need_a_duration_and_empty_is_none() -> None:
    path = DATA / "huawei2023_requests_minute.csv"
    assert refusal(path).code == "LR-T-DURATION"
    rows, _ = read(path, duration_ms=12.0)
    raw = pl.read_csv(path, infer_schema_length=None).select(pl.exclude("day", "time"))
    assert rows.height == int(sum(raw.cast(pl.Float64).sum().fill_null(0).row(0)))
    assert rows["timestamp"].is_sorted()


def test_huawei_delays_need_a_unit_and_stretch_each_bucket(tmp_path: Path) -> None:
    for kind, row in (("requests_minute", "400,\n"), ("function_delay_minute", "0.2,\n")):
        folder = tmp_path / kind
        folder.mkdir()
        second = row if kind.startswith("requests") else "0.8,\n"
        (folder / "day_000.csv").write_text(f"day,time,0,1\n0,0,{row}0,60,{second}")
    assert refusal(tmp_path).code == "LR-T-OPTION"
    rows, _ = read(tmp_path, delay_unit="s")
    minutes = rows.group_by(pl.col("timestamp").dt.minute()).agg(ms().mean()).sort("timestamp")
    assert minutes["duration_ms"].to_list() == pytest.approx([200.0, 800.0], rel=0.2)
    assert rows["function"].unique().cast(pl.String).to_list() == ["0"]


def test_ibm_lists_are_taken_apart(tmp_path: Path) -> None:
    week = {
        "NamespaceHash": ["n"], "AppHash": ["a"], "NumEvents": [2],
        "InvocationTimes": [[18_001.5, 18_000.25]], "AppExecTimes": [[30.0, 20.0]],
        "TotalExecTimes": [[40.0, 25.0]], "PodHash": [["p", "q"]],
    }  # fmt: skip
    pl.DataFrame(week).write_parquet(tmp_path / "week_1.parquet")
    configuration = {"NamespaceHash": ["n"], "AppHash": ["a"], "AppContainerRequestMemory": [[4.0]]}
    pl.DataFrame(configuration).write_parquet(tmp_path / "app_configs.parquet")
    rows, _ = read(tmp_path)
    assert rows["function"].unique().to_list() == ["n/a"]
    assert sorted(rows["timestamp"].dt.hour().to_list()) == [5, 5]
    assert sorted(rows["duration_ms"].to_list()) == [20.0, 30.0]
    assert rows["memory_mb"].to_list() == [4_096, 4_096]
    assert "configured" in str(refusal(tmp_path / "app_configs.parquet"))


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "week_1.pickle"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=4))
    error = refusal(path)
    assert "runs whatever code" in str(error) and "to_parquet" in (error.hint or "")


def test_opendc_stamps_are_ends_of_minutes() -> None:
    rows, _ = read(DATA / "opendc.csv.gz")
    with gzip.open(DATA / "opendc.csv.gz", "rt") as file:
        lines = [line.split(",") for line in file.readlines()[1:]]
    minutes = [int(line[0]) // 60_000 - 1 for line in lines for _ in range(int(line[1]))]
    found = rows["timestamp"].dt.epoch("s") // 60
    assert found.to_list() == minutes
    assert rows.select(ms())["duration_ms"].unique().to_list() == [300_262.0]
    assert rows["memory_mb"].unique().to_list() == [256]


def test_faasrail_columns_are_minutes_of_the_experiment() -> None:
    rows, _ = read(DATA / "faasrail.csv")
    raw = pl.read_csv(DATA / "faasrail.csv")
    labels = [name for name in raw.columns if name[0].isdigit()]
    by_minute = rows.group_by(pl.col("timestamp").dt.minute()).len().sort("timestamp")
    assert by_minute["len"].to_list() == [raw[label].sum() for label in labels]
    bench = json.loads(raw["mapped_wreq"][0])["bench"]
    first = rows.filter(pl.col("function").cast(pl.String) == f"{bench}-0")
    assert first.select(ms())["duration_ms"].unique().to_list() == [float(raw["avg"][0])]


# ---------------------------------------------------------------------------- choosing


def test_every_file_has_one_reader() -> None:
    """No reader takes another's file, whatever the order in which they are asked."""
    for path in sorted(DATA.iterdir()):
        if path.suffix == ".md":
            continue
        takers = [name for name in NAMES if find_reader(File(str(path), str(path)), [name])]
        assert len(takers) == 1, (path.name, takers)


def test_canonical_traces_are_nobody_elses(tmp_path: Path) -> None:
    frame = pl.DataFrame({"timestamp": [1], "function": ["f"], "duration_ms": [1.0]})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.ndjson")
    frame.write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.ndjson", "a.parquet"):
        path = str(tmp_path / name)
        assert find_reader(File(path, path)) is None


def test_mapping_gives_names_and_units(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,latency,fn\n1772438400123,0.5,f\n1772438401123,1.5,g\n")
    columns = {"timestamp_ms": "ts", "duration_s": "latency", "function": "fn"}
    frame = lr.read_trace(path, columns=columns).collect()
    assert frame["timestamp"].dt.epoch("ms").to_list() == [1772438400123, 1772438401123]
    assert frame.select(ms())["duration_ms"].to_list() == [500.0, 1_500.0]
    ends = {"end_ms": "ts", "duration_s": "latency"}
    frame = lr.read_trace(path, columns=ends, function="h").collect()
    assert frame["timestamp"].dt.epoch("ms").to_list() == [1772438399623, 1772438399623]
    assert frame["function"].cast(pl.String).unique().to_list() == ["h"]
    with pytest.raises(lr.TraceError, match="has no column tz"):
        lr.read_trace(path, columns={"timestamp": "tz"})
    with pytest.raises(lr.TraceError, match="no column timstamp"):
        lr.read_trace(path, columns={"timstamp": "ts"})


def test_formats_of_several_kinds_make_one_trace(tmp_path: Path) -> None:
    plain = pl.DataFrame(
        {"timestamp": [dt.datetime(2021, 2, 1)], "function": ["f"], "duration_ms": [1.0]}
    )
    plain.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_bytes((DATA / "azure2021.csv").read_bytes())
    (tmp_path / "notes.txt").write_text("nothing of interest\n")
    result = lr.replay(str(tmp_path))
    assert result.summary.records == 30
    ingest = result.summary.trace["ingest"]
    assert [one["format"] for one in ingest] == ["canonical", "azure2021"]
    assert [one["rows_kept"] for one in ingest] == [1, 29]
    assert any("notes.txt" in note for note in result.trace.notes)
