"""CloudWatch metrics of Lambda as counts: answers of ``get-metric-data``, metric streams in JSON.

AWS, Lambda Developer Guide, "Types of metrics": ``Invocations`` leaves out throttled requests, so
the demand is ``Invocations`` + ``Throttles``; stamps are begins of periods. Where a stream has the
dimensions ``FunctionName`` and ``FunctionName, Resource``, the first set alone is taken: the other
one counts the same again.

:func:`observed_metrics` gives all numbers as they are, for comparison with a replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError
from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.counts import Block, Functions, expand_counts, log_normal_law
from lambda_replay.readers.documents import INSTANT, instant_iso, instant_of, json_rows, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["CloudWatchMetrics", "observed_metrics"]

_SCHEMA: Final = pl.Schema({
    "timestamp": INSTANT,
    "function": pl.String(),
    "metric": pl.String(),
    "statistic": pl.String(),
    "value": pl.Float64(),
})  # fmt: skip
#: Statistics of metric streams by their key; of get-metric-data by the word in the label.
_STATISTICS: Final = {
    "sum": "Sum", "count": "SampleCount", "min": "Minimum", "max": "Maximum",
}  # fmt: skip
#: Metrics whose values are sums where a label names no statistic.
_SUMS: Final = ("Invocations", "Throttles", "Errors", "AsyncEventsReceived", "AsyncEventsDropped")
_LABEL: Final = (
    r"^(?:(.+?)[ :/])?([A-Z][A-Za-z]+?)"
    r"(?:[ :/]+(Sum|Average|Minimum|Maximum|SampleCount|p[0-9.]+))?$"
)
#: What counts the same invocations again.
_OTHER_DIMENSIONS: Final = r'"(?:Resource|ExecutedVersion|EventSourceMappingUUID)"'
_MINUTE_US: Final = 60_000_000
#: The longest period that is expanded; beyond it a step is a gap.
_LONGEST_US: Final = 3_600_000_000
#: Buckets that are expanded together.
_BLOCK: Final = 60
#: The widest spread of durations that is taken from a minimum and a maximum.
_MOST_SIGMA: Final = 3.0


class CloudWatchMetrics(Reader):
    """Invocations per period, with their mean durations."""

    name = "cloudwatch-metrics"
    title = "CloudWatch metrics"
    family = Family.COUNTS
    stamp = Stamp.BUCKET
    throttles = "included"

    def recognises(self, file: File) -> bool:
        """Whether it is an answer of get-metric-data, or objects of a metric stream."""
        keys = file.json_keys
        return "MetricDataResults" in keys or {"metric_name", "namespace", "timestamp"} <= keys

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Expand Invocations + Throttles; durations from Duration, else from the user."""
        metrics = observed_metrics(files, function=options.function)
        label = files[0].shown
        nameless = metrics.filter(pl.col("function").is_null())
        if nameless.height:
            found = nameless["metric"][0]
            message = f"nothing says which function the metric {found} is of"
            raise TraceError(
                message, source=label, column="Label", value=found, code="LR-T-FUNCTION",
                hint="give it with --function NAME, or label metrics 'NAME METRIC'",
            )  # fmt: skip
        counts = _demand(metrics)
        if counts.is_empty():
            shown = ", ".join(metrics["metric"].unique().sort().head(10).to_list()) or "none"
            message = f"{label} has no Invocations of AWS/Lambda; it has {shown}"
            raise TraceError(message, source=label, column="Invocations", code="LR-T-COLUMN")
        width = _width(counts)
        names = counts["function"].unique().sort()
        laws, means = _durations(metrics, names, options, label)
        if "Throttles" in metrics["metric"]:
            report.inferred["count"] = (
                "Invocations + Throttles: more than the demand where a client tried again"
            )
        else:
            report.inferred["count"] = "Invocations"
            report.throttles = "missing"
            report.note("there is no metric Throttles: demand was higher wherever it was not 0")
        report.inferred["duration_ms"] = (
            f"{options.duration_ms:g} ms for every request (--duration-ms)"
            if options.duration_ms is not None
            else "log-normal; mean of each period from Duration, spread from its extremes"
        )
        functions = Functions(names=names, laws=laws)
        return expand_counts(
            functions,
            lambda: _blocks(counts, means, names, width),
            report,
            options,
        )


def observed_metrics(files: Sequence[File], *, function: str | None = None) -> pl.DataFrame:
    """Give what CloudWatch measured, a row per function, metric, statistic and period.

    Parameters
    ----------
    files
        Answers of ``get-metric-data`` or metric streams, in any mixture.
    function
        That of labels which name none.

    Returns
    -------
    DataFrame
        ``timestamp`` (begin of the period, UTC), ``function``, ``metric``, ``statistic`` (``Sum``,
        ``Average``, ``SampleCount``, ``Minimum``, ``Maximum``, ``p99`` …), ``value``.
    """
    parts = [pl.DataFrame(schema=_SCHEMA)]
    for file in files:
        answer = "MetricDataResults" in file.json_keys
        parts.extend(_answered(file, function) if answer else _streamed(file))
    return pl.concat(parts).unique(maintain_order=True)


def _answered(file: File, function: str | None) -> Iterator[pl.DataFrame]:
    at = "MetricDataResults[]."
    columns = {"label": f"{at}Label", "times": f"{at}Timestamps", "values": f"{at}Values"}
    for text in json_rows([file], "MetricDataResults[]", columns):
        label = pl.col("label").str.extract_groups(_LABEL)
        rows = text.with_columns(
            function=label.struct.field("1").fill_null(pl.lit(function, pl.String)),
            metric=label.struct.field("2"),
            statistic=label.struct.field("3"),
            at=pl.col("times").str.json_decode(pl.List(pl.String)),
            value=pl.col("values").str.json_decode(pl.List(pl.Float64)),
        )
        default = pl.when(pl.col("metric").is_in(_SUMS)).then(pl.lit("Sum")).otherwise(
            pl.when(pl.col("metric").str.contains("Concurren")).then(pl.lit("Maximum"))
            .otherwise(pl.lit("Average"))
        )  # fmt: skip
        even = rows.filter(pl.col("at").list.len() == pl.col("value").list.len())
        yield (
            even.explode("at", "value")
            .select(
                instant_iso("at").alias("timestamp"),
                "function",
                "metric",
                pl.coalesce("statistic", default).alias("statistic"),
                "value",
            )
            .drop_nulls(["timestamp", "value"])
            .cast(_SCHEMA)
        )


def _streamed(file: File) -> Iterator[pl.DataFrame]:
    columns = {
        "namespace": "namespace", "metric": "metric_name", "at": "timestamp",
        "function": "dimensions.FunctionName", "dimensions": "dimensions",
        **{name: f"value.{name}" for name in _STATISTICS},
    }  # fmt: skip
    for text in json_rows([file], "", columns):
        rows = text.filter(
            (pl.col("namespace") == "AWS/Lambda")
            & pl.col("function").is_not_null()
            & ~pl.col("dimensions").str.contains(_OTHER_DIMENSIONS)
        )
        yield (
            rows.with_columns(number(name).alias(name) for name in _STATISTICS)
            .unpivot(
                list(_STATISTICS), index=["at", "function", "metric"], variable_name="statistic"
            )
            .select(
                instant_of("at", 1000).alias("timestamp"),
                "function",
                "metric",
                pl.col("statistic").replace_strict(_STATISTICS),
                "value",
            )
            .drop_nulls(["timestamp", "value"])
            .cast(_SCHEMA)
        )


def _demand(metrics: pl.DataFrame) -> pl.DataFrame:
    wanted = pl.col("metric").is_in(["Invocations", "Throttles"]) & (pl.col("statistic") == "Sum")
    sums = metrics.filter(wanted).group_by("timestamp", "function").agg(pl.col("value").sum())
    has_calls = metrics.filter(pl.col("metric") == "Invocations").height > 0
    return sums.sort("timestamp", "function") if has_calls else sums.clear()


def _width(counts: pl.DataFrame) -> int:
    """Take the shortest step between stamps for the period, if it is an hour or less."""
    stamps = counts["timestamp"].unique().sort().cast(pl.Int64)
    steps = stamps.diff().drop_nulls()
    shortest = steps.min()
    if isinstance(shortest, int) and 0 < shortest <= _LONGEST_US:
        return shortest
    return _MINUTE_US


def _durations(
    metrics: pl.DataFrame, names: pl.Series, options: ReadOptions, label: str
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Give each function's law, and mean durations by function and period."""
    functions = pl.DataFrame({"function": names})
    if options.duration_ms is not None:
        known = functions.with_columns(mean=pl.lit(float(options.duration_ms)))
        return known.select(*log_normal_law(pl.col("mean"), 0.0)), None
    wide = (
        metrics.filter(pl.col("metric") == "Duration")
        .with_columns(
            pl.when(pl.col("statistic") == word).then("value").alias(word)
            for word in ("Sum", "SampleCount", "Minimum", "Maximum", "Average")
        )
        .group_by("function", "timestamp")
        .agg(pl.col("Sum", "SampleCount", "Minimum", "Maximum", "Average").max())
        .with_columns(
            mean=pl.coalesce(
                pl.when(pl.col("SampleCount") > 0).then(pl.col("Sum") / pl.col("SampleCount")),
                "Average",
            )
        )
        .drop_nulls("mean")
    )
    missing = functions.join(wide, on="function", how="anti")["function"]
    if len(missing):
        message = (
            f"the metrics count requests of {missing[0]} and do not say how long they ran: there is"
            " no Duration"
        )
        raise TraceError(
            message, source=label, column="Duration", code="LR-T-DURATION",
            hint="--duration-ms 100, or export the metric Duration (Sum and SampleCount) too",
        )  # fmt: skip
    runs = pl.col("SampleCount").sum()
    low, high = pl.col("Minimum").min(), pl.col("Maximum").max()
    # n draws of a normal law lie within ±√(2 ln n) standard deviations, nearly.
    sigma = (high / low).log() / (2 * (2 * runs.log()).sqrt())
    fitted = wide.group_by("function").agg(
        mean=pl.col("mean").mean(),
        sigma=pl.when((low > 0) & (runs >= 2)).then(sigma).clip(0, _MOST_SIGMA),
    )
    known = functions.join(fitted, on="function", how="left", maintain_order="left")
    sigma_of = pl.col("sigma").fill_nan(None).fill_null(0.0)
    return known.select(*log_normal_law(pl.col("mean"), sigma_of)), wide.select(
        "function", "timestamp", "mean"
    )


def _blocks(
    counts: pl.DataFrame, means: pl.DataFrame | None, names: pl.Series, width: int
) -> Iterator[tuple[int, Block]]:
    """Give an hour of minutes at a time, functions in order of their names."""
    place = (pl.col("timestamp").cast(pl.Int64) // width).alias("bucket")
    counts = counts.with_columns(place)
    if means is not None:
        means = means.with_columns(place)
    index = pl.DataFrame({"function": names})
    for (block,), part in counts.group_by(pl.col("bucket") // _BLOCK, maintain_order=True):
        first = int(block) * _BLOCK
        columns = [str(bucket) for bucket in range(first, first + _BLOCK)]

        def wide(frame: pl.DataFrame, value: str, columns: list[str] = columns) -> pl.DataFrame:
            table = frame.pivot("bucket", index="function", values=value, aggregate_function="sum")
            table = index.join(table, on="function", how="left", maintain_order="left")
            lacking = [name for name in columns if name not in table.columns]
            return table.with_columns(
                pl.lit(None, pl.Float64).alias(name) for name in lacking
            ).select(columns)

        numbers = wide(part, "value")
        negative = int(
            numbers.select(pl.all().clip(upper_bound=0).abs().sum()).sum_horizontal().item() or 0
        )
        block_counts = numbers.select(pl.all().fill_null(0).clip(0).round().cast(pl.UInt32))
        block_means = None
        if means is not None:
            inside = means.filter(pl.col("bucket").is_between(first, first + _BLOCK - 1))
            block_means = wide(inside, "mean").select(pl.all().fill_null(float("nan")))
        yield negative, Block(first * width, width, block_counts, block_means)
