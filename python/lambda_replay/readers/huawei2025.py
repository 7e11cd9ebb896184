"""Huawei cloud functions 2025: single requests, with cold starts joined where they are given.

github.com/sir-lab/data-release (Joosen et al., EuroSys 2025), CC BY 4.0. Stamps are those of the
logs of workers and frontends, written when the request is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError, escape
from lambda_replay.readers.base import Reader, Stamp, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Huawei2025"]

_REQUEST: Final = ("time_worker", "requestID", "funcName", "podID", "totalCost_worker")
_COLD: Final = ("requestID", "totalCost_cold_start", "deployCodeCost", "deployDependencyCost")
_OTHERS: Final = (("funcID", "num_requests"), ("funcID", "triggerType-invocationType"))
_POOL: Final = r"^(pool\d+-\d+-\d+)"
_LAMBDA_LONGEST_S: Final = 900


class Huawei2025(Reader):
    """Request tables of day 30."""

    name = "huawei2025"
    title = "Huawei cloud functions 2025, requests"
    stamp = Stamp.END
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it is one of the tables."""
        return any(file.columns.issuperset(names) for names in (_REQUEST, _COLD, *_OTHERS))

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take what a request cost from its end."""
        del options
        requests = [file for file in files if file.columns.issuperset(_REQUEST)]
        colds = [file for file in files if file.columns.issuperset(_COLD)]
        if not requests:
            what = "cold starts" if colds else "functions"
            message = f"{escape(files[0].shown)} tells of {what}, and of no requests"
            hint = "give the request tables too (time_worker, time_frontend, requestID, …)"
            raise TraceError(message, source=files[0].shown, code="LR-T-MISSING", hint=hint)
        unused = [file.shown for file in files if file not in requests and file not in colds]
        if unused:
            report.note(f"nothing of {', '.join(map(escape, unused[:3]))} is needed for a replay")
        frame = pl.concat([_scan(file) for file in requests], how="diagonal")
        pool = pl.col("podID").str.extract(_POOL)
        user = pl.col("userID") if "userID" in requests[0].columns else pl.lit("?")
        by_frontend = pl.col("time_frontend") - pl.col("totalCost_frontend")
        arrival = pl.coalesce(by_frontend, pl.col("time_worker") - pl.col("totalCost_worker"))
        memory = pool.str.extract(r"-(\d+)$").cast(pl.UInt32)
        runtime = pl.col("runtimeCost") * 1_000
        size = pl.col("requestBodySize").cast(pl.Int64)
        columns = [
            (arrival * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
            .alias("timestamp"),
            pl.concat_str(
                [pl.col("funcName"), user, pool.fill_null("?")], separator="---"
            ).alias("function"),
            runtime.alias("duration_ms"),
            memory.alias("memory_mb"),
            size.fill_null(0).alias("payload_bytes"),
            pl.col("requestID").alias("request_id"),
            by_frontend.is_null().alias("_worker"),
            (runtime > _LAMBDA_LONGEST_S * 1_000).alias("_long"),
        ]  # fmt: skip
        frame = frame.select(columns)
        report.inferred.update(
            timestamp="time_frontend minus totalCost_frontend, else the worker's",
            duration_ms="runtimeCost",
            memory_mb="from the name of the pool",
            date="1970-01-01: the data set counts seconds from its first day",
        )
        if colds:
            frame = frame.join(_cold_starts(colds), "request_id", "left", maintain_order="left")
            frame = frame.with_columns(pl.col("init_ms").is_not_null().alias("cold_start"))
            report.inferred["init_ms"] = "deployCodeCost plus deployDependencyCost"
        report.note("environments of this platform may serve several requests at once")
        repair = {
            "arrival by the worker's stamp, which has no frontend's": pl.col("_worker"),
            f"duration above Lambda's {_LAMBDA_LONGEST_S} s kept": pl.col("_long"),
        }
        return counted(frame, report, repair=repair)


def _scan(file: File) -> pl.LazyFrame:
    text = ("requestID", "podID", "clusterName", "funcName", "userID", "region")
    types = {name: pl.String() if name in text else pl.Float64() for name in file.header}
    if file.is_parquet:
        frame = pl.scan_parquet(file.path, glob=False).cast(types)  # type: ignore[arg-type]
    else:
        frame = pl.scan_csv(file.path, glob=False, schema=pl.Schema(types))
    absent = ("time_frontend", "totalCost_frontend", "runtimeCost", "requestBodySize")
    if "totalCost_cold_start" in types:
        return frame
    return frame.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in absent if name not in types
    )


def _cold_starts(files: Sequence[File]) -> pl.LazyFrame:
    """Give the first cold start of each request; a request may cause several."""
    costs = (pl.col("deployCodeCost") + pl.col("deployDependencyCost")) * 1_000
    return (
        pl.concat([_scan(file) for file in files], how="diagonal")
        .select(pl.col("requestID").alias("request_id"), costs.alias("init_ms"))
        .unique("request_id", keep="first", maintain_order=True)
    )
