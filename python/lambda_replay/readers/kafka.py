"""Records of Kafka topics, Amazon MSK's or one's own, as a function gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.readers.documents import instant_of
from lambda_replay.readers.records import RecordReader, base64_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.readers.files import File

__all__ = ["Kafka"]


class Kafka(RecordReader):
    """One row per record."""

    name = "kafka"
    title = "Kafka records"

    def recognises(self, file: File) -> bool:
        """Whether there are records by topic and partition."""
        text = file.text
        return "records" in file.json_keys and '"topic"' in text and '"offset"' in text

    def rows(self, file: File) -> tuple[str, Mapping[str, str]]:
        """Name the values."""
        del file
        names = ("topic", "partition", "offset", "timestamp", "key", "value")
        return "records[]", {name: f"records[].{name}" for name in names}

    def columns(self) -> Mapping[str, pl.Expr]:
        """Take a partition for a shard; the key stays base64."""
        place = pl.concat_str("topic", "partition", "offset", separator="-")
        return {
            "timestamp": instant_of("timestamp", 1000),
            "source": pl.col("topic"),
            "key": pl.col("key"),
            "shard": pl.col("partition"),
            "payload_bytes": base64_bytes("value"),
            "request_id": place,
        }
