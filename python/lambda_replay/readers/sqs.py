"""Messages of SQS queues: events as a function gets them, and answers of ``receive-message``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.readers.documents import instant_of, number
from lambda_replay.readers.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.readers.files import File

__all__ = ["Sqs"]


class Sqs(RecordReader):
    """One row per message; the message group is its key."""

    name = "sqs"
    title = "SQS messages"

    def recognises(self, file: File) -> bool:
        """Whether records come from SQS."""
        keys = file.json_keys
        is_event = "Records" in keys and '"aws:sqs"' in file.text
        return is_event or ("Messages" in keys and '"ReceiptHandle"' in file.text)

    def rows(self, file: File) -> tuple[str, Mapping[str, str]]:
        """Name the values; answers of the API begin names with capitals."""
        if "Messages" in file.json_keys:
            at, names = "Messages[].", ("Attributes", "Body#", "MessageId", "EventSourceARN")
        else:
            at, names = "Records[].", ("attributes", "body#", "messageId", "eventSourceARN")
        attributes, body, identity, arn = names
        return at.removesuffix("."), {
            "at": f"{at}{attributes}.SentTimestamp",
            "group": f"{at}{attributes}.MessageGroupId",
            "bytes": f"{at}{body}",
            "id": f"{at}{identity}",
            "arn": f"{at}{arn}",
        }

    def columns(self) -> Mapping[str, pl.Expr]:
        """Take the time at which it was sent, not that at which it was received."""
        return {
            "timestamp": instant_of("at", 1000),
            # An answer of receive-message does not name its queue.
            "source": pl.col("arn").str.extract(r":([^:]+)$").fill_null("sqs"),
            "key": pl.col("group"),
            "shard": pl.lit(None, pl.String),
            "payload_bytes": number("bytes").cast(pl.Int64),
            "request_id": pl.col("id"),
        }
