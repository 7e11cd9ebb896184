"""IBM Cloud Code Engine 2025, converted to Parquet.

github.com/ubc-cirrus-lab/ibm-cloud-code-engine-traces: a row per application and week with lists of
its invocations. The published files are pickles, which run code when they are read, so they are
refused; docs/traces.md says how to convert them.
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

__all__ = ["IbmCodeEngine"]

_APP: Final = ("NamespaceHash", "AppHash")
_LISTS: Final = ("InvocationTimes", "AppExecTimes")


class IbmCodeEngine(Reader):
    """Lists of invocations per application."""

    name = "ibm-code-engine"
    title = "IBM Cloud Code Engine 2025"
    stamp = Stamp.START
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has the hashes and invocations or configurations."""
        names = file.columns
        return names.issuperset(_APP) and (
            names.issuperset(_LISTS) or any(name.startswith("AppContainer") for name in names)
        )

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take the lists apart."""
        del options
        weeks = [file for file in files if file.columns.issuperset(_LISTS)]
        configurations = [file for file in files if file not in weeks]
        if not weeks:
            message = (
                f"{escape(files[0].shown)} tells how applications are configured, and nothing of"
                " their invocations"
            )
            hint = "give the weeks too, converted to Parquet: docs/traces.md says how"
            raise TraceError(message, source=files[0].shown, code="LR-T-MISSING", hint=hint)
        name = pl.concat_str(_APP[0], pl.lit("/"), _APP[1])
        frame = pl.concat(
            [
                pl.scan_parquet(file.path, glob=False)
                .select(name.alias("function"), *_LISTS)
                .explode(_LISTS)
                .drop_nulls("InvocationTimes")
                for file in weeks
            ]
        )
        columns = [
            (pl.col("InvocationTimes") * 1e6)
            .round()
            .cast(pl.Int64)
            .cast(pl.Datetime("us", "UTC"))
            .alias("timestamp"),
            pl.col("function"),
            pl.col("AppExecTimes").cast(pl.Float64).alias("duration_ms"),
        ]
        frame = frame.select(columns)
        if configurations:
            memory = pl.concat(
                [
                    pl.scan_parquet(file.path, glob=False).select(
                        name.alias("function"),
                        (pl.col("AppContainerRequestMemory").list.median() * 1_024)
                        .round()
                        .cast(pl.UInt32)
                        .alias("memory_mb"),
                    )
                    for file in configurations
                ]
            ).unique("function")
            frame = frame.join(memory, on="function", how="left", maintain_order="left")
            report.inferred["memory_mb"] = "median of the memory requested over the days"
        report.inferred["date"] = "1970-01-01: the data set counts seconds from a midnight"
        report.note(
            "environments of Code Engine serve up to 100 requests at once, those of Lambda one"
        )
        return counted(frame, report)
