"""Records of Kinesis data streams: events of functions, and answers of ``get-records``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.readers.documents import instant_iso, instant_of
from lambda_replay.readers.records import RecordReader, base64_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.readers.files import File

__all__ = ["Kinesis"]


class Kinesis(RecordReader):
    """One row per record."""

    name = "kinesis"
    title = "Kinesis records"

    def recognises(self, file: File) -> bool:
        """Whether records come from Kinesis."""
        if "Records" not in file.json_keys:
            return False
        text = file.text
        is_answer = '"ApproximateArrivalTimestamp"' in text and '"PartitionKey"' in text
        return '"aws:kinesis"' in text or is_answer

    def rows(self, file: File) -> tuple[str, Mapping[str, str]]:
        """Name the values of both forms."""
        del file
        at = "Records[]."
        return "Records[]", {
            "at": f"{at}kinesis.approximateArrivalTimestamp",
            "answered_at": f"{at}ApproximateArrivalTimestamp",
            "key": f"{at}kinesis.partitionKey",
            "answered_key": f"{at}PartitionKey",
            "data": f"{at}kinesis.data",
            "answered_data": f"{at}Data",
            "id": f"{at}eventID",
            "number": f"{at}SequenceNumber",
            "arn": f"{at}eventSourceARN",
        }

    def columns(self) -> Mapping[str, pl.Expr]:
        """Take seconds with a fraction; ``get-records`` writes instants as text too."""
        at = pl.coalesce(
            instant_of("at", 1_000_000), instant_of("answered_at", 1_000_000),
            instant_iso("answered_at"),
        )  # fmt: skip
        stream = pl.col("arn").str.extract(r":stream/([^/]+)")
        return {
            "timestamp": at,
            # An answer of get-records does not name its stream.
            "source": pl.when(pl.col("answered_at").is_not_null())
            .then(pl.lit("kinesis"))
            .otherwise(stream),
            "key": pl.coalesce("key", "answered_key"),
            "shard": pl.col("id").str.extract(r"^(shardId-\d+):"),
            "payload_bytes": pl.coalesce(base64_bytes("data"), base64_bytes("answered_data")),
            "request_id": pl.coalesce("id", "number"),
        }
