"""Access logs of Application Load Balancers: requests with the time at which they came.

AWS, Elastic Load Balancing User Guide, "Access logs for your Application Load Balancer": fields are
separated by blanks; the last ones came with time, and more may.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp, counted
from lambda_replay.readers.documents import INSTANT, instant_iso, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["LoadBalancer"]

#: Places of the fields that are used.
_PLACES: Final = {
    "processing_s": 6, "elb_status": 8, "bytes": 10, "group": 16, "at": 21, "error": 24,
}  # fmt: skip
_LINE: Final = re.compile(r"(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT[\d:.]+Z \S+/\S+/\S+ ")


class LoadBalancer(Reader):
    """One row per request."""

    name = "alb"
    title = "Application Load Balancer access log"
    family = Family.ARRIVALS
    stamp = Stamp.ARRIVAL
    throttles = "included"

    def recognises(self, file: File) -> bool:
        """Whether the first line begins with a type, a time and a load balancer."""
        return bool(file.lines) and _LINE.match(file.lines[0]) is not None

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take ``request_creation_time`` for the arrival."""
        report.inferred["timestamp"] = "request_creation_time"
        text = pl.concat([_scan(file) for file in files])
        group = pl.col("group").str.extract(r"targetgroup/([^/]+)/")
        if options.function is not None:
            function = pl.lit(options.function)
        else:
            function = group
            report.inferred["function"] = "name of the target group (--function NAME: one function)"
        measured: pl.Expr = pl.when(number("processing_s") >= 0).then(number("processing_s") * 1000)
        if options.duration_ms is None:
            duration = measured
            report.inferred["duration_ms"] = (
                "target_processing_time, which holds Lambda's own time and inits too"
            )
        else:
            duration = pl.lit(options.duration_ms)
            report.inferred["duration_ms"] = f"{options.duration_ms:g} ms for every request"
        throttled = pl.col("error").fill_null("").str.contains("Throttl")
        frame = text.select(
            instant_iso("at").alias("timestamp"),
            function.alias("function"),
            duration.alias("duration_ms"),
            number("bytes").cast(pl.Int64).alias("payload_bytes"),
            throttled.alias("throttled"),
            measured.is_null().alias("_no_target"),
        )
        no_duration = pl.col("duration_ms").is_null()
        return counted(
            frame.with_columns(pl.col("timestamp").cast(INSTANT)),
            report,
            drop={
                "no time": pl.col("timestamp").is_null(),
                "no target group (--function NAME)": pl.col("function").is_null(),
                "never reached a target": pl.col("_no_target") & ~pl.col("throttled"),
                "throttled, so without a duration (--duration-ms)": no_duration,
            },
        )


def _scan(file: File) -> pl.LazyFrame:
    fields = pl.scan_csv(
        file.path, separator=" ", has_header=False, infer_schema=False, glob=False,
        truncate_ragged_lines=True,
    )  # fmt: skip
    names = fields.collect_schema().names()
    columns = []
    for name, place in _PLACES.items():
        found = pl.col(names[place]) if place < len(names) else pl.lit(None, pl.String)
        columns.append(pl.when(found != "-").then(found).alias(name))
    return fields.select(columns)
