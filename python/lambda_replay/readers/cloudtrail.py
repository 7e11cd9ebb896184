"""CloudTrail data events of Lambda: who called what when, refused calls included; no durations.

AWS, CloudTrail User Guide, "Logging data events": events of ``lambda.amazonaws.com`` named
``Invoke``, with whole seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.documents import (
    INSTANT,
    arn_tail,
    arrival_duration,
    instant_iso,
    read_documents,
    reason,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["CloudTrail"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "source": pl.String(),
    "throttled": pl.Boolean(),
    "request_id": pl.String(),
    "account": pl.String(),
    "region": pl.String(),
}
_PATHS: Final = {
    "event_source": "eventSource",
    "event_name": "eventName",
    "at": "eventTime",
    "function": "requestParameters.functionName",
    "type": "requestParameters.invocationType",
    "request_id": "requestID",
    "error": "errorCode",
    "account": "recipientAccountId",
    "region": "awsRegion",
}


class CloudTrail(Reader):
    """Calls of ``Invoke``."""

    name = "cloudtrail"
    title = "CloudTrail data events"
    family = Family.ARRIVALS
    stamp = Stamp.ARRIVAL
    throttles = "included"

    def recognises(self, file: File) -> bool:
        """Whether records name an event source of AWS."""
        text = file.text
        return "Records" in file.json_keys and '"eventName"' in text and '"eventTime"' in text

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Spread calls over their second, and give them the duration that the user says."""
        duration = arrival_duration(options, "CloudTrail events")
        report.inferred["timestamp"] = "eventTime, spread inside its second by the request id"
        report.inferred["duration_ms"] = f"{duration:g} ms for every request (--duration-ms)"
        report.note(
            "calls of function URLs, and polls of event sources, are in CloudTrail under names of"
            " their own or not at all"
        )

        def prepare(text: pl.DataFrame) -> pl.DataFrame:
            digits = pl.col("request_id").str.slice(-8).str.to_integer(base=16, strict=False)
            inside = (digits % 1_000_000).fill_null(0)
            second = instant_iso("at")
            function = arn_tail("function")
            is_invoke = pl.col("event_name").str.starts_with("Invoke")
            return text.select(
                (second.cast(pl.Int64) + inside).cast(INSTANT).alias("timestamp"),
                function.alias("function"),
                pl.lit(duration).alias("duration_ms"),
                pl.when(pl.col("type") == "Event")
                .then(pl.lit("async"))
                .otherwise(pl.lit("sync"))
                .alias("source"),
                (pl.col("error").fill_null("") == "TooManyRequestsException").alias("throttled"),
                "request_id",
                "account",
                "region",
                reason({
                    "another event than Invoke of Lambda": ~(
                        (pl.col("event_source") == "lambda.amazonaws.com") & is_invoke
                    ).fill_null(value=False),
                    "a dry run": pl.col("type") == "DryRun",
                    "refused before it was a request": pl.col("error").is_not_null()
                    & (pl.col("error") != "TooManyRequestsException"),
                    "no time": second.is_null(),
                    "no function": function.is_null(),
                }),
            )  # fmt: skip

        columns = {name: f"Records[].{path}" for name, path in _PATHS.items()}
        return read_documents(
            files, report, rows="Records[]", columns=columns, schema=_SCHEMA, prepare=prepare
        )
