"""Lambda Insights: performance events in the log group ``/aws/lambda-insights``, one per run.

Embedded metric format; the event is stamped when the run ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.documents import INSTANT, instant_of, number, read_documents, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["LambdaInsights"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "init_ms": pl.Float64(),
    "cold_start": pl.Boolean(),
    "memory_mb": pl.Int64(),
    "max_memory_mb": pl.Int64(),
    "request_id": pl.String(),
}
_FIELDS: Final = (
    "event_type", "function_name", "request_id", "duration", "init_duration", "cold_start",
    "total_memory", "used_memory_max",
)  # fmt: skip
#: Where events are, by the key of the container.
_ROWS: Final = {"logEvents": "logEvents[].message!", "events": "events[].message!"}


class LambdaInsights(Reader):
    """Performance events."""

    name = "lambda-insights"
    title = "Lambda Insights"
    family = Family.ROWS
    stamp = Stamp.END
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether the first event is one of performance."""
        text = file.text.lstrip()
        if not text.startswith(("{", "[")):
            return False
        plain = text.replace("\\", "").replace(" ", "")
        return '"_aws"' in plain and '"event_type":"performance"' in plain

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take duration and init from the end."""
        del options
        report.inferred["timestamp"] = "_aws.Timestamp minus duration and init_duration"
        report.note("an init is taken as waited for: Lambda Insights does not tell others apart")
        rows = next((_ROWS[key] for key in _ROWS if key in files[0].json_keys), "")
        prefix = f"{rows}." if rows else ""
        columns = {name: f"{prefix}{name}" for name in _FIELDS}
        columns["at"] = f"{prefix}_aws.Timestamp"
        return read_documents(
            files, report, rows=rows, columns=columns, schema=_SCHEMA, prepare=_prepare
        )


def _prepare(text: pl.DataFrame) -> pl.DataFrame:
    duration, init = number("duration"), number("init_duration")
    spent = ((duration + init.fill_null(0)) * 1000).round().cast(pl.Int64)
    cold = pl.col("cold_start").is_in(["1", "true", "1.0"]) | init.is_not_null()
    return text.select(
        (instant_of("at", 1000).cast(pl.Int64) - spent).cast(INSTANT).alias("timestamp"),
        pl.col("function_name").alias("function"),
        duration.alias("duration_ms"),
        init.alias("init_ms"),
        cold.fill_null(value=False).alias("cold_start"),
        number("total_memory").cast(pl.Int64, strict=False).alias("memory_mb"),
        number("used_memory_max").cast(pl.Int64, strict=False).alias("max_memory_mb"),
        "request_id",
        reason({
            "not an event of performance": pl.col("event_type").ne_missing("performance"),
            "no time": instant_of("at", 1000).is_null(),
            "no function": pl.col("function_name").is_null(),
            "no duration": duration.is_null() | (duration < 0),
        }),
    )  # fmt: skip
