"""Formats of traces that people really have, one file each.

``NAMES`` lists them in the order in which they are asked whether a file is theirs: the more
particular first. What none of them recognises is a trace in the canonical columns already
(:mod:`lambda_replay.ingest.canonical`) or nothing that can be read.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lambda_replay.readers.base import (
        Family,
        IngestReport,
        Reader,
        ReadOptions,
        Stamp,
        counted,
        stream,
    )
    from lambda_replay.readers.files import File

__all__ = [
    "CANONICAL_NAME",
    "NAMES",
    "PLACEMENTS",
    "Family",
    "File",
    "IngestReport",
    "ReadOptions",
    "Reader",
    "Stamp",
    "counted",
    "find_reader",
    "reader",
    "stream",
]

#: Where each format lives: name, module, class.
_HOMES: Final = {
    # Data sets.
    "azure2019": ("azure2019", "Azure2019"),
    "azure2021": ("azure2021", "Azure2021"),
    "azure2020-blobs": ("azure_blobs", "AzureBlobs"),
    "huawei2025": ("huawei2025", "Huawei2025"),
    "huawei2023": ("huawei2023", "Huawei2023"),
    "ibm-code-engine": ("ibm", "IbmCodeEngine"),
    "opendc": ("opendc", "OpenDC"),
    "faasrail": ("faasrail", "FaaSRail"),
    # Logs and records of AWS and of others.
    "lambda-insights": ("lambda_insights", "LambdaInsights"),
    "cloudwatch-metrics": ("cloudwatch_metrics", "CloudWatchMetrics"),
    "xray": ("xray", "XRay"),
    "cloudtrail": ("cloudtrail", "CloudTrail"),
    "opentelemetry": ("opentelemetry", "OpenTelemetry"),
    "datadog": ("datadog", "Datadog"),
    "alb": ("alb", "LoadBalancer"),
    "api-gateway": ("api_gateway", "ApiGateway"),
    "cloudwatch": ("cloudwatch", "CloudWatchLogs"),
    "kinesis": ("kinesis", "Kinesis"),
    "dynamodb": ("dynamodb", "DynamoDB"),
    "sqs": ("sqs", "Sqs"),
    "kafka": ("kafka", "Kafka"),
}

#: Names that ``format=`` and ``--from`` take, besides :data:`CANONICAL_NAME`.
NAMES: Final = tuple(_HOMES)
CANONICAL_NAME: Final = "canonical"

#: Where invocations lie in their bucket, in the order of the core's numbers.
PLACEMENTS: Final = ("uniform", "equidistant", "exponential")

# The command line lists formats without Polars, so what needs it is imported when asked for.
_BASE: Final = ("Family", "IngestReport", "ReadOptions", "Reader", "Stamp", "counted", "stream")


def __getattr__(name: str) -> Any:
    if name in _BASE:
        return getattr(importlib.import_module(f"{__name__}.base"), name)
    if name == "File":
        return importlib.import_module(f"{__name__}.files").File
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


@cache
def reader(name: str) -> Reader:
    """Give the reader of a format by its name."""
    module, kind = _HOMES[name]
    made: Reader = getattr(importlib.import_module(f"{__name__}.{module}"), kind)()
    return made


def find_reader(file: File, names: Iterable[str] = NAMES) -> Reader | None:
    """Find the reader that a file belongs to, by its content."""
    return next((one for name in names if (one := reader(name)).recognises(file)), None)
