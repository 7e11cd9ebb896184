"""OpenTelemetry spans of functions, OTLP/JSON: one request of an exporter per line or file.

OpenTelemetry semantic conventions for FaaS. A span is the handler as its runtime sees it: its start
is that of the handler, and it tells that a start was cold, not how long the init took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.documents import (
    INSTANT,
    arn_tail,
    number,
    read_documents,
    reason,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["OpenTelemetry"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "cold_start": pl.Boolean(),
    "error": pl.String(),
    "memory_mb": pl.Int64(),
    "request_id": pl.String(),
    "log_stream": pl.String(),
    "account": pl.String(),
    "region": pl.String(),
}
_ROWS: Final = "resourceSpans[].scopeSpans[].spans[]"
_RESOURCE: Final = "resourceSpans[].resource.attributes@"
#: Name by name of the convention; the older names follow.
_PATHS: Final = {
    "name": f"{_ROWS}.name",
    "kind": f"{_ROWS}.kind",
    "start": f"{_ROWS}.startTimeUnixNano",
    "end": f"{_ROWS}.endTimeUnixNano",
    "status": f"{_ROWS}.status.code",
    "trigger": f"{_ROWS}.attributes@faas|trigger",
    "request_id": f"{_ROWS}.attributes@faas|invocation_id",
    "request_id_old": f"{_ROWS}.attributes@faas|execution",
    "cold": f"{_ROWS}.attributes@faas|coldstart",
    "invoked": f"{_ROWS}.attributes@faas|invoked_name",
    "arn": f"{_ROWS}.attributes@aws|lambda|invoked_arn",
    "function": f"{_RESOURCE}faas|name",
    "instance": f"{_RESOURCE}faas|instance",
    "memory": f"{_RESOURCE}faas|max_memory",
    "account": f"{_RESOURCE}cloud|account|id",
    "region": f"{_RESOURCE}cloud|region",
}


class OpenTelemetry(Reader):
    """Spans of handlers."""

    name = "opentelemetry"
    title = "OpenTelemetry spans (OTLP/JSON)"
    family = Family.ROWS
    stamp = Stamp.START
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it is a request of an OTLP exporter for traces."""
        return "resourceSpans" in file.json_keys

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take handlers out of all spans."""
        report.inferred["timestamp"] = "start of the handler: an init before it is not in the span"
        report.note("spans may be sampled: fewer of them than requests replay as less load")

        def prepare(text: pl.DataFrame) -> pl.DataFrame:
            start, end = (pl.col(name).cast(pl.Int64, strict=False) for name in ("start", "end"))
            function = pl.coalesce("function", arn_tail("arn"), pl.lit(options.function, pl.String))
            is_handler = pl.coalesce(
                "request_id", "request_id_old", "trigger", "cold"
            ).is_not_null()
            is_client = pl.col("invoked").is_not_null() | pl.col("kind").is_in(
                ["3", "SPAN_KIND_CLIENT"]
            )
            failed = pl.col("status").is_in(["2", "STATUS_CODE_ERROR"]).fill_null(value=False)
            return text.select(
                (start // 1000).cast(INSTANT).alias("timestamp"),
                function.alias("function"),
                ((end - start) / 1e6).alias("duration_ms"),
                pl.col("cold").replace_strict(
                    {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
                ).alias("cold_start"),
                pl.when(failed).then(pl.lit("handled")).alias("error"),
                (number("memory") / (1 << 20)).round().cast(pl.Int64).alias("memory_mb"),
                pl.coalesce("request_id", "request_id_old").alias("request_id"),
                pl.col("instance").alias("log_stream"),
                "account",
                "region",
                reason({
                    "not a span of a handler": is_client.fill_null(value=False) | ~is_handler,
                    "no time": start.is_null() | end.is_null(),
                    "ends before it starts": end < start,
                    "no function": function.is_null(),
                }),
            )  # fmt: skip

        return read_documents(
            files, report, rows=_ROWS, columns=_PATHS, schema=_SCHEMA, prepare=prepare
        )
