"""Records of streams and queues as arrivals: what their readers have in common.

A record reaches its event source; the replay forms the invocations. So ``source`` is the name of
the stream, table, queue or topic, and ``function`` the one that the scenario's event source names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.documents import INSTANT, arrival_duration, read_documents, reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["RecordReader"]

_SCHEMA: Final[dict[str, Any]] = {
    "timestamp": INSTANT,
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "source": pl.String(),
    "key": pl.String(),
    "shard": pl.String(),
    "payload_bytes": pl.Int64(),
    "request_id": pl.String(),
}


class RecordReader(Reader):
    """Records of one kind of source.

    Subclasses say where rows are and make ``timestamp``, ``source``, ``key``, ``shard``,
    ``payload_bytes`` and ``request_id`` of them.
    """

    family = Family.ARRIVALS
    stamp = Stamp.ARRIVAL
    throttles = "included"

    def rows(self, file: File) -> tuple[str, Mapping[str, str]]:
        """Give the path of the rows and the paths of their values, by names of our own."""
        raise NotImplementedError

    def columns(self) -> Mapping[str, pl.Expr]:
        """Express canonical columns by those values."""
        raise NotImplementedError

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Make an arrival of each record."""
        duration = arrival_duration(options, self.title)
        report.inferred["duration_ms"] = f"{duration:g} ms for every record (--duration-ms)"
        if options.function is None:
            report.inferred["function"] = "none: the scenario's event source names it"
        rows, paths = self.rows(files[0])
        made = self.columns()

        def prepare(text: pl.DataFrame) -> pl.DataFrame:
            frame = text.select(
                pl.lit(options.function, pl.String).alias("function"),
                pl.lit(duration).alias("duration_ms"),
                *(expression.alias(name) for name, expression in made.items()),
            )
            return frame.with_columns(
                reason({
                    "no time": pl.col("timestamp").is_null(),
                    "no event source": pl.col("source").is_null(),
                })
            )  # fmt: skip

        return read_documents(
            files, report, rows=rows, columns=paths, schema=_SCHEMA, prepare=prepare
        )


def base64_bytes(name: str) -> pl.Expr:
    """Count the bytes that a text of base64 stands for."""
    text = pl.col(name)
    padding = text.str.extract(r"(=*)$").str.len_bytes().cast(pl.Int64)
    return text.str.len_bytes().cast(pl.Int64) * 3 // 4 - padding
