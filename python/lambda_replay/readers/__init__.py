"""Formats of traces that people really have, one file each.

``READERS`` lists them in the order in which they are asked whether a file is theirs: the more
particular first. What none of them recognises is a trace in the canonical columns already
(:mod:`lambda_replay.ingest.formats`) or nothing that can be read.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Final

from lambda_replay.readers.base import Family, IngestReport, Reader, ReadOptions, Stamp, stream
from lambda_replay.readers.files import File

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NAMES",
    "Family",
    "File",
    "IngestReport",
    "ReadOptions",
    "Reader",
    "Stamp",
    "find_reader",
    "reader",
    "stream",
]

#: Where each format lives: name, module, class. The command line lists the names without importing
#: any of them.
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
}

#: Names that ``format=`` and ``--from`` take.
NAMES: Final = tuple(_HOMES)


@cache
def reader(name: str) -> Reader:
    """Give the reader of a format by its name."""
    module, kind = _HOMES[name]
    made: Reader = getattr(importlib.import_module(f"{__name__}.{module}"), kind)()
    return made


def find_reader(file: File, names: Iterable[str] = NAMES) -> Reader | None:
    """Find the reader that a file belongs to, by its content."""
    return next((one for name in names if (one := reader(name)).recognises(file)), None)
