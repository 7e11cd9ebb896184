"""Traces without a replay: read, convert, write."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest import open_trace
from lambda_replay.ingest.account import Account, account_of
from lambda_replay.ingest.bad_rows import BadRows, set_aside
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import find_unreadable
from lambda_replay.ingest.written import Written, canonical, provenance, write_trace
from lambda_replay.readers.base import ReadOptions
from lambda_replay.worker import call

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from lambda_replay.ingest import TraceLike

__all__ = ["Conversion", "convert", "read_trace"]

#: Columns whose values are names of the user's.
_NAMED: Final = ("function", "request_id", "key", "shard", "state_key", "account")


def read_trace(
    paths: TraceLike,
    format: str | None = None,  # noqa: A002 - the contract's name
    *,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> pl.LazyFrame:
    """Read traces of any known format as a lazy frame of canonical columns.

    Parameters
    ----------
    paths
        As for :func:`lambda_replay.replay`.
    format
        Name of the format (``docs/traces.md`` lists them); None: it is recognised by the content.
    columns
        Canonical column by the file's own name for it: ``{"timestamp": "ts"}``.
    **options
        Further fields of :class:`~lambda_replay.readers.base.ReadOptions`: ``function``,
        ``duration_ms``, ``placement``, ``merge_retries``, ``seed``, …

    Returns
    -------
    LazyFrame
        ``timestamp`` (Datetime µs, UTC), ``function`` (Categorical), ``duration_ms`` (Duration µs)
        and whatever else the source tells, a row per invocation, in the source's order. Counts are
        expanded while it is read.

    Raises
    ------
    TraceError
        Nothing is there, or something is missing.
    """
    try:
        read = ReadOptions(format=format, columns=dict(columns or {}), **options)
    except TypeError as error:
        message = f"read_trace has no such option: {error}"
        raise TraceError(message, code="LR-T-OPTION") from error
    source = open_trace(paths, read)
    with reading(source.label):
        return canonical(source)


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    rows
        Rows written.
    digest
        Of their content, BLAKE2b-256.
    ingest
        What was read, a report per format.
    account
        The same in words.
    bad
        Rows set aside.
    """

    rows: int
    digest: str
    ingest: tuple[dict[str, Any], ...]
    account: Account
    bad: BadRows


def convert(
    trace: TraceLike,
    output: Path,
    *,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
    anonymize: str | os.PathLike[str] | None = None,
) -> Conversion:
    """Write a trace of any known format as canonical Parquet, sorted.

    Parameters
    ----------
    trace
        As for :func:`lambda_replay.replay`.
    output
        The file to be.
    read
        How the trace is read.
    bad
        What becomes of bad rows.
    anonymize
        Secret with which names are replaced: equal names by equal pseudonyms, under every file
        that is converted with the same secret.

    Returns
    -------
    Conversion

    Raises
    ------
    TraceError
        The trace cannot be read, or a row of it cannot be replayed.
    OutputError
        The file cannot be written.
    """
    options, policy = read or ReadOptions(), bad or BadRows()
    if anonymize is not None and not str(anonymize):
        message = f"a secret must not be empty; found {show(anonymize)}"
        raise TraceError(message, code="LR-T-OPTION")

    def work(cancel: threading.Event) -> Conversion:
        source = open_trace(trace, options)
        told: list[Account] = []
        try:
            if policy.policy != "error":
                source = set_aside(source, policy, options)

            def metadata(written: Written) -> dict[str, str]:
                told.append(account_of(source, written.rows, policy.count, written.disorder))
                measured = source.measured + told[-1].measured
                assumed = source.assumed + told[-1].assumed
                if anonymize is not None:
                    assumed = (*assumed, "names: pseudonyms (--anonymize)")
                    # Paths tell names too.
                    for report in source.reports:
                        report.files = ()
                return provenance(source, measured, assumed)

            blame = find_unreadable
            with reading(source.label, lambda: blame(source.files)):
                frame = canonical(source)
                hide = None if anonymize is None else _Pseudonyms(str(anonymize)).of
                try:
                    written = write_trace(frame, output, metadata, cancel, hide)
                except TraceError as error:
                    if error.row is not None and error.source is None:
                        error.source = source.file_of(error.row)
                    raise
            policy.write()
        finally:
            source.close()
        reports = tuple(report.to_dict() for report in source.reports)
        return Conversion(written.rows, written.digest, reports, told[-1], policy)

    return call(work)


class _Pseudonyms:
    """Names by a keyed hash: stable under one secret, and not to be found without it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._known: dict[tuple[str, str], str] = {}

    def of(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Replace the names of a batch."""
        columns = []
        for name in _NAMED:
            if name in batch.columns:
                text = batch[name].cast(pl.String)
                values = text.drop_nulls().unique()
                new = {value: self._name(name, value) for value in values}
                columns.append(text.replace_strict(new, return_dtype=pl.String).alias(name))
        return batch.with_columns(columns)

    def _name(self, column: str, value: str) -> str:
        """Replace one name; the qualifier of a function stays, since Lambda treats it apart."""
        if column == "request_id":
            # As many as rows: not worth remembering.
            return self._hash(column, value)[:32]
        known = self._known.get((column, value))
        if known is None:
            bare, colon, qualifier = (
                value.partition(":") if column == "function" else (value, "", "")
            )
            known = f"{column[0]}-{self._hash(column, bare)[:12]}{colon}{qualifier}"
            self._known[column, value] = known
        return known

    def _hash(self, column: str, value: str) -> str:
        return hmac.new(self._secret, f"{column}\0{value}".encode(), hashlib.sha256).hexdigest()
