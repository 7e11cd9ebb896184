"""X-Ray: answers of ``batch-get-traces``, or single traces, with their segments.

AWS, X-Ray Developer Guide, "Segment documents". An invocation has two segments: Lambda's own
(``AWS::Lambda``), which begins when the request arrives, and the function's
(``AWS::Lambda::Function``), with ``Initialization`` before its start. They are joined in memory:
``batch-get-traces`` gives five traces at a time, and X-Ray samples.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp, stream
from lambda_replay.readers.documents import INSTANT, LEFT_OUT, instant_of, json_rows, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["XRay"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "init_ms": pl.Float64(),
    "init_ahead_ms": pl.Float64(),
    "cold_start": pl.Boolean(),
    "source": pl.String(),
    "error": pl.String(),
    "error_runs": pl.UInt32(),
    "request_id": pl.String(),
    "xray_trace_id": pl.String(),
}
_PATHS: Final = {
    "id": "id", "trace": "trace_id", "parent": "parent_id", "name": "name", "origin": "origin",
    "start": "start_time", "end": "end_time", "fault": "fault", "error": "error",
    "throttle": "throttle", "request_id": "aws.request_id", "arn": "aws.function_arn",
    "init_start": "subsegments@Initialization.start_time",
    "init_end": "subsegments@Initialization.end_time",
    "subsegments": "subsegments",
}  # fmt: skip
#: µs by which an init may begin before the request and still be on its path.
_TOLERANCE_US: Final = 250_000
_SUBSEGMENTS: Final = pl.List(pl.Struct({"id": pl.String(), "name": pl.String()}))


class XRay(Reader):
    """One row per invocation that X-Ray sampled."""

    name = "xray"
    title = "X-Ray traces"
    family = Family.ROWS
    stamp = Stamp.ARRIVAL
    throttles = "unknown"

    def recognises(self, file: File) -> bool:
        """Whether there are segments with documents."""
        return bool(file.json_keys & {"Traces", "Segments"}) and '"Document"' in file.text

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Join the segments of each invocation."""
        del options
        report.inferred["timestamp"] = "start of Lambda's own segment"
        report.note(
            "X-Ray samples requests: counts of traces are no load, unless every request was sampled"
        )

        def batches() -> Iterator[pl.DataFrame]:
            segments = pl.concat([*_segments(files)]) if files else pl.DataFrame()
            batch = _joined(segments)
            report.count(read=batch.height)
            for why, count in batch[LEFT_OUT].drop_nulls().value_counts().rows():
                report.drop(why, count)
            kept = batch.filter(pl.col(LEFT_OUT).is_null())
            yield kept.select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())

        return stream(_SCHEMA, batches, report)


def _segments(files: Sequence[File]) -> Iterator[pl.DataFrame]:
    for file in files:
        rows = "Segments[].Document!"
        if "Traces" in file.json_keys:
            rows = f"Traces[].{rows}"
        elif re.match(r"\s*\[", file.text):
            # An array of traces is one of documents.
            rows = "Segments[].Document!"
        columns = {name: f"{rows}.{path}" for name, path in _PATHS.items()}
        yield from json_rows([file], rows, columns)
    yield pl.DataFrame(schema=dict.fromkeys(_PATHS, pl.String))


def _joined(segments: pl.DataFrame) -> pl.DataFrame:
    """Make a row per segment of Lambda's own."""
    times = [
        instant_of(name, 1_000_000).cast(pl.Int64).alias(f"{name}_us")
        for name in ("start", "end", "init_start", "init_end")
    ]
    inner = pl.col("subsegments").str.json_decode(_SUBSEGMENTS)
    segments = segments.unique("id", keep="first", maintain_order=True).with_columns(
        *times, inner=inner
    )
    services = segments.filter(pl.col("origin") == "AWS::Lambda").with_columns(
        attempts=pl.col("inner")
        .list.eval(pl.element().struct.field("name").str.starts_with("Attempt #"))
        .list.sum()
        .fill_null(0),
        dwelled=pl.col("inner")
        .list.eval(pl.element().struct.field("name") == "Dwell Time")
        .list.any()
        .fill_null(value=False),
        parents=pl.concat_list(
            pl.concat_list("id"),
            pl.col("inner")
            .list.eval(pl.element().struct.field("id"))
            .fill_null(pl.lit([], pl.List(pl.String))),
        ),
    )
    functions = (
        segments.filter(pl.col("origin") == "AWS::Lambda::Function")
        .sort("start_us")
        .select(
            "parent", "trace", "name", "start_us", "end_us", "init_start_us", "init_end_us",
            "fault", "error", "arn",
        )
    )  # fmt: skip
    # Retries of one request have a segment each: the last one counts.
    last = functions.unique("parent", keep="last", maintain_order=True)
    links = services.select("id", "parents").explode("parents")
    by_parent = (
        links.join(last, left_on="parents", right_on="parent", how="inner")
        .sort("start_us")
        .unique("id", keep="last", maintain_order=True)
    )
    # A segment in between may be missing: within a trace, the name does where it is the only one.
    single = ["trace", "name"]
    lonely = functions.filter(pl.len().over(single) == 1)
    left = services.join(by_parent, on="id", how="anti").filter(pl.len().over(single) == 1)
    by_name = left.select("id", *single).join(lonely.drop("parent"), on=single, how="inner")
    runs = pl.concat([by_parent.drop("parents"), by_name.select(by_parent.drop("parents").columns)])
    joined = services.join(runs.drop("trace", "name"), on="id", how="left", suffix="_run")
    took = pl.col("init_end_us_run") - pl.col("init_start_us_run")
    on_path = pl.col("init_start_us_run") >= pl.col("start_us") - _TOLERANCE_US
    failed = (pl.col("fault_run") == "true") | (pl.col("error_run") == "true")
    is_async = pl.col("dwelled") | (pl.col("attempts") > 0)
    has_run = pl.col("start_us_run").is_not_null()
    return joined.select(
        pl.col("start_us").cast(INSTANT).alias("timestamp"),
        pl.coalesce(pl.col("arn_run").str.extract(r":function:([^:]+)"), "name").alias("function"),
        ((pl.col("end_us_run") - pl.col("start_us_run")) / 1000).alias("duration_ms"),
        pl.when(on_path).then(took / 1000).alias("init_ms"),
        pl.when(~on_path).then(took / 1000).alias("init_ahead_ms"),
        # Functions of some runtimes were cold without saying so.
        pl.when(took.is_not_null()).then(on_path).alias("cold_start"),
        pl.when(is_async).then(pl.lit("async")).otherwise(pl.lit("sync")).alias("source"),
        pl.when(failed.fill_null(value=False) | (pl.col("attempts") > 1))
        .then(pl.lit("handled"))
        .alias("error"),
        pl.when((pl.col("attempts") > 1) & ~failed.fill_null(value=False))
        .then(pl.col("attempts") - 1)
        .alias("error_runs"),
        "request_id",
        pl.col("trace").alias("xray_trace_id"),
        reason({
            "throttled: it never ran": ~has_run & (pl.col("throttle") == "true"),
            "no segment of the function: not finished, or lost": ~has_run,
            "still in progress": pl.col("end_us_run").is_null(),
            "no time": pl.col("start_us").is_null(),
            "ends before it starts": pl.col("end_us_run") < pl.col("start_us_run"),
        }),
    )  # fmt: skip
