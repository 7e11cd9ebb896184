"""Azure Functions blob accesses 2020: which invocation read and wrote which blob.

Microsoft, AzureFunctionsBlobDataset2020.md of github.com/Azure/AzurePublicDataset. The only public
trace of shared state: a row per access becomes a row per invocation with its ``state_key``.
"""

from __future__ import annotations

import bz2
import shutil
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.output import TemporaryFolder
from lambda_replay.readers.base import Family, Reader, Stamp, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["AzureBlobs"]

_NEEDED: Final = ("Timestamp", "AnonAppName", "AnonFunctionInvocationId", "AnonBlobName", "Write")
#: Folders of unpacked files, which live as long as the process.
_FOLDERS: Final[list[TemporaryFolder]] = []


class AzureBlobs(Reader):
    """One row per invocation, out of one per access."""

    name = "azure2020-blobs"
    title = "Azure Functions blob accesses 2020"
    family = Family.ARRIVALS
    stamp = Stamp.START
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has the columns of accesses."""
        return file.columns.issuperset(_NEEDED)

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Put the accesses of each invocation together."""
        accesses = pl.concat([_scan(file) for file in files])
        at = pl.col("Timestamp").cast(pl.Float64).cast(pl.Int64)
        # "True" and "False", capitalised.
        writes = pl.col("Write").str.to_lowercase() == "true"
        written = pl.col("blob").filter("writes")
        span = (pl.col("last") - pl.col("first")) * 1_000
        fixed = options.duration_ms
        duration = pl.lit(None, pl.Int64) if fixed is None else pl.lit(round(fixed * 1_000))
        sizes = "BlobBytes" in files[0].columns
        size = pl.col("BlobBytes").cast(pl.Float64, strict=False) if sizes else pl.lit(0.0)
        frame = (
            accesses.select(
                pl.col("AnonFunctionInvocationId").alias("request_id"),
                pl.col("AnonAppName").alias("function"),
                pl.col("AnonBlobName").alias("blob"),
                at.alias("at"),
                writes.alias("writes"),
                size.alias("size"),
            )
            .group_by("request_id", "function")
            .agg(
                pl.len().alias("_accesses"),
                pl.col("at").min().alias("first"),
                pl.col("at").max().alias("last"),
                pl.col("writes").any(),
                pl.coalesce(written.first(), pl.col("blob").first()).alias("state_key"),
                pl.col("size").fill_null(0).sum().cast(pl.Int64).alias("payload_bytes"),
            )
            .select(
                (pl.col("first") * 1_000).cast(pl.Datetime("us", "UTC")).alias("timestamp"),
                "function",
                pl.coalesce(duration, span.clip(1)).cast(pl.Duration("us")).alias("duration_ms"),
                "state_key",
                pl.when("writes")
                .then(pl.lit("write"))
                .otherwise(pl.lit("read"))
                .alias("state_access"),
                "payload_bytes",
                "request_id",
                "_accesses",
            )
        )
        report.inferred.update(
            timestamp="first access of the invocation",
            duration_ms="last access minus first, which is less than the run took"
            if fixed is None
            else f"{fixed:g} ms (--duration-ms)",
            function="AnonAppName: the data set names no functions",
            state_key="the blob written, or the first one read",
        )
        report.note("a row per access makes a row per invocation")
        return counted(frame, report)


def _scan(file: File) -> pl.LazyFrame:
    path = file.path
    if file.packed == "bzip2":
        folder = TemporaryFolder()
        _FOLDERS.append(folder)
        path = str(folder.path / "accesses.csv")
        with bz2.open(file.path) as packed, open(path, "wb") as plain:  # noqa: PTH123
            shutil.copyfileobj(packed, plain, 1 << 20)
    if file.is_parquet:
        return pl.scan_parquet(path, glob=False).cast(
            {"Write": pl.String(), "Timestamp": pl.String()}
        )
    return pl.scan_csv(path, glob=False, infer_schema=False)
