"""Access logs of API Gateway in JSON, a line per request.

The user chooses the fields; AWS, API Gateway Developer Guide, "Variables for access logging" names
those that are used here: ``requestTimeEpoch``, ``requestId``, ``status``, ``integrationRequestId``,
``integrationStatus``, ``integrationLatency``, ``resourcePath`` (``routeKey``), ``httpMethod``.
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

__all__ = ["ApiGateway"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "throttled": pl.Boolean(),
    "request_id": pl.String(),
}
_FIELDS: Final = (
    "requestTimeEpoch", "requestId", "status", "integrationRequestId", "integrationStatus",
    "integrationLatency", "resourcePath", "routeKey", "httpMethod",
)  # fmt: skip


class ApiGateway(Reader):
    """One row per request that reached Lambda."""

    name = "api-gateway"
    title = "API Gateway access log"
    family = Family.ARRIVALS
    stamp = Stamp.ARRIVAL
    throttles = "included"

    def recognises(self, file: File) -> bool:
        """Whether lines have the time of the request and something of the gateway's."""
        keys = file.json_keys
        return "requestTimeEpoch" in keys and bool(
            keys & {"requestId", "extendedRequestId", "resourcePath", "routeKey", "status"}
        )

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Keep what the gateway handed on."""
        if options.function is None:
            report.inferred["function"] = (
                "method and resource path: a function per route (--function NAME: one function)"
            )
        if options.duration_ms is None:
            report.inferred["duration_ms"] = (
                "integrationLatency, which holds Lambda's own time and inits too"
            )
        else:
            report.inferred["duration_ms"] = f"{options.duration_ms:g} ms for every request"

        def prepare(text: pl.DataFrame) -> pl.DataFrame:
            text = text.with_columns(
                pl.when(pl.col(name) != "-").then(pl.col(name)).alias(name) for name in _FIELDS
            )
            route = pl.coalesce(
                "routeKey", pl.concat_str("httpMethod", pl.lit(" "), "resourcePath"), "resourcePath"
            )
            function = route if options.function is None else pl.lit(options.function)
            latency = number("integrationLatency")
            duration = latency if options.duration_ms is None else pl.lit(options.duration_ms)
            reached = pl.coalesce(
                "integrationStatus", "integrationRequestId", "integrationLatency"
            ).is_not_null()
            return text.select(
                instant_of("requestTimeEpoch", 1000).alias("timestamp"),
                function.alias("function"),
                duration.alias("duration_ms"),
                (pl.col("integrationStatus") == "429").fill_null(value=False).alias("throttled"),
                pl.coalesce("integrationRequestId", "requestId").alias("request_id"),
                reason({
                    "no time": instant_of("requestTimeEpoch", 1000).is_null(),
                    "answered by the gateway itself": ~reached,
                    "no route (--function NAME)": function.is_null(),
                    "no integrationLatency (--duration-ms)": duration.is_null(),
                }),
            )  # fmt: skip

        columns = {name: name for name in _FIELDS}
        return read_documents(
            files, report, rows="", columns=columns, schema=_SCHEMA, prepare=prepare
        )
