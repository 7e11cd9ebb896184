"""Datadog spans ``aws.lambda``: one per run, in an array, in arrays of traces or one per line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.documents import INSTANT, arn_tail, read_documents, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Datadog"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "cold_start": pl.Boolean(),
    "error": pl.String(),
    "request_id": pl.String(),
}
_PATHS: Final = {
    "name": "name",
    "resource": "resource",
    "start": "start",
    "duration": "duration",
    "error": "error",
    "cold": "meta.cold_start",
    "arn": "meta.function_arn",
    "request_id": "meta.request_id",
}
_SPAN: Final = re.compile(r'"name"\s*:\s*"aws\.lambda"')


class Datadog(Reader):
    """Spans of runs."""

    name = "datadog"
    title = "Datadog spans (aws.lambda)"
    family = Family.ROWS
    stamp = Stamp.START
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether there is a span of Lambda's integration."""
        text = file.text.lstrip()
        return text.startswith(("{", "[")) and _SPAN.search(text) is not None

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take runs out of all spans; times are in ns."""
        del options
        report.inferred["timestamp"] = "start of the span: an init before it is not in the span"
        report.note("spans may be sampled: fewer of them than requests replay as less load")
        nested = "[]" if re.match(r"\s*\[\s*\[", files[0].text) else ""
        rows = "traces[][]" if "traces" in files[0].json_keys else nested
        columns = {name: f"{rows}.{path}" if rows else path for name, path in _PATHS.items()}
        return read_documents(
            files, report, rows=rows, columns=columns, schema=_SCHEMA, prepare=_prepare
        )


def _prepare(text: pl.DataFrame) -> pl.DataFrame:
    start, duration = (pl.col(name).cast(pl.Int64, strict=False) for name in ("start", "duration"))
    function = pl.coalesce(arn_tail("arn"), "resource")
    return text.select(
        (start // 1000).cast(INSTANT).alias("timestamp"),
        function.alias("function"),
        (duration / 1e6).alias("duration_ms"),
        pl.col("cold").replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        ).alias("cold_start"),
        pl.when(pl.col("error") == "1").then(pl.lit("handled")).alias("error"),
        "request_id",
        reason({
            "not a span of a run": pl.col("name").ne_missing("aws.lambda"),
            "no time": start.is_null(),
            "no duration": duration.is_null() | (duration < 0),
            "no function": function.is_null(),
        }),
    )  # fmt: skip
