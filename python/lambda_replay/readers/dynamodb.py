"""Records of DynamoDB streams, as a function gets them; their times have whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.readers.documents import instant_of, number
from lambda_replay.readers.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.readers.files import File

__all__ = ["DynamoDB"]


class DynamoDB(RecordReader):
    """One row per record; its key is the item's, as JSON."""

    name = "dynamodb"
    title = "DynamoDB stream records"

    def recognises(self, file: File) -> bool:
        """Whether records come from DynamoDB."""
        return "Records" in file.json_keys and '"aws:dynamodb"' in file.text

    def rows(self, file: File) -> tuple[str, Mapping[str, str]]:
        """Name the values."""
        del file
        at = "Records[]."
        return "Records[]", {
            "at": f"{at}dynamodb.ApproximateCreationDateTime",
            "key": f"{at}dynamodb.Keys",
            "bytes": f"{at}dynamodb.SizeBytes",
            "id": f"{at}eventID",
            "arn": f"{at}eventSourceARN",
        }

    def columns(self) -> Mapping[str, pl.Expr]:
        """Leave the shard out, which the event does not tell: the item's key gives it."""
        return {
            "timestamp": instant_of("at", 1_000_000),
            "source": pl.col("arn").str.extract(r":table/([^/]+)"),
            "key": pl.col("key"),
            "shard": pl.lit(None, pl.String),
            "payload_bytes": number("bytes").cast(pl.Int64),
            "request_id": pl.col("id"),
        }
