"""CloudWatch Logs of functions, in whatever they were exported: a row per run.

The compiled part reads them (``LogRuns``): REPORT lines and platform events, in text files, export
tasks, payloads of subscriptions, answers of the API, tables of Logs Insights. Here they are
recognised, and what was found on the way is put into words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError
from lambda_replay.readers.base import Family, Reader, Stamp, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["CloudWatchLogs", "merged_retries"]

#: Columns of every batch.
SCHEMA: Final[dict[str, Any]] = {
    "timestamp": pl.Datetime("us", "UTC"),
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "init_ms": pl.Float64(),
    "init_ahead_ms": pl.Float64(),
    "cold_start": pl.Boolean(),
    "error": pl.String(),
    "attempt": pl.UInt32(),
    "memory_mb": pl.Int64(),
    "max_memory_mb": pl.Int64(),
    "billed_ms": pl.Int64(),
    "request_id": pl.String(),
    "xray_trace_id": pl.String(),
    "log_stream": pl.String(),
    "account": pl.String(),
}

#: What the platform writes at the begin of a message.
_PLATFORM: Final = re.compile(
    r"(?:^|[\s\"'>:])(?:(?:START|END|REPORT) RequestId: ?[\w-]|INIT_START Runtime Version)"
    r"|\\?\"type\\?\"\s*:\s*\\?\"platform\.(?!invokeReport)",
    re.MULTILINE,
)
_STREAM_FOLDER: Final = re.compile(r"/\d{4}-\d\d-\d\d-[^/]*\[[^/\]]+\][0-9a-f]{32}/")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
#: Beginnings of gzip in base64.
_PACKED: Final = "H4sI"


class CloudWatchLogs(Reader):
    """REPORT lines, platform events, and what holds them."""

    name = "cloudwatch"
    title = "CloudWatch Logs"
    family = Family.ROWS
    stamp = Stamp.END
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether the beginning holds a message of the platform, or a container of messages."""
        if file.is_remote or file.is_parquet:
            return False
        text = file.text.lstrip()
        if text.startswith(("{", "[")):
            return _is_json_log(file, text)
        columns = file.columns
        if "@timestamp" in columns:
            return "@message" in columns or {"@requestId", "@duration"} <= columns
        if {"timestamp", "message"} <= columns and "function" not in columns:
            return True
        if _PLATFORM.search(text) is not None:
            return True
        # The first lines may all be the function's own.
        in_stream = _STREAM_FOLDER.search(file.path.replace("\\", "/")) is not None
        return in_stream and _ISO.match(text) is not None

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Read runs; retries of a request are runs of their own unless they are merged."""
        schema = dict(SCHEMA)
        report.inferred["timestamp"] = (
            "START's time, else REPORT's minus Duration, minus the init that was waited for"
        )
        frame = stream(schema, lambda: _batches(files, options, report), report)
        return merged_retries(frame) if options.merge_retries else frame


def _is_json_log(file: File, text: str) -> bool:
    keys = file.json_keys
    if "logEvents" in keys or "messageType" in keys or "awslogs" in keys:
        return '"event_type":"performance"' not in text.replace("\\", "").replace(" ", "")
    if "events" in keys and '"message"' in text:
        return "LambdaInsights" not in text
    if "results" in keys:
        return '"field"' in text
    if keys & {"Records", "records"}:
        return _PACKED in text
    if {"message", "timestamp"} <= keys and keys & {"logStreamName", "logStream", "eventId"}:
        return True
    return _PLATFORM.search(text) is not None


def _batches(
    files: Sequence[File], options: ReadOptions, report: IngestReport
) -> Iterator[pl.DataFrame]:
    runs = _core.LogRuns(
        [file.path for file in files],
        [file.shown for file in files],
        function=options.function,
        init_on_path=options.init_on_path != "never",
    )
    while (taken := runs.take()) is not None:
        found, bad = pl.DataFrame(taken[0]), pl.DataFrame(taken[1])
        report.count(read=found.height + bad.height)
        for reason, lines in bad["reason"].value_counts().rows():
            report.drop(reason, lines)
        if bad.height and report.set_aside is not None:
            report.set_aside(bad)
        if found.height:
            made = found.with_columns(pl.col("timestamp").cast(SCHEMA["timestamp"]))
            if options.init_on_path == "always":
                # What the user says of inits is what was observed of cold starts.
                waited = pl.when(pl.col("init_ms").is_not_null()).then(statement=True)
                made = made.with_columns(pl.coalesce("cold_start", waited).alias("cold_start"))
            yield made.cast(pl.Schema(SCHEMA))
    tally = runs.tally()
    if tally is not None:
        if tally["faults"] and not tally["runs"]:
            raise _nothing_left(files[0].shown, tally["faults"])
        report.count(read=tally["copies"])
        report.drop("copies of runs that are there already", tally["copies"])
        report.duplicates = tally["copies"]
        _put_into_words(tally, options, report)


def _nothing_left(shown: str, faults: dict[str, int]) -> TraceError:
    """Say why none of the lines that tell of runs became one."""
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in sorted(faults.items()))
    return TraceError(
        f"no line of {shown} that tells of a run can be used: {reasons}",
        source=shown,
        code="LR-T-VALUE",
        hint="export logs with their times: aws logs tail, filter-log-events, or an export task",
    )


#: Sentences about counts above 0.
_SENTENCES: Final = {
    "retries": "{:,} runs are retries of a request: each is a row with its `attempt`, and"
    " replays as load; --merge-retries makes a row per request of them",
    "time_outs": "{:,} runs ended by time-out: they are `crash`, and their durations are cut at the"
    " time-out of then",
    "unfinished": "{:,} requests have START and no REPORT: killed, still running or cut off; they"
    " are left out",
    "inits_ahead": "{:,} inits were ahead of demand or for provisioned concurrency: nobody waited"
    " for them (init_ahead_ms)",
    "inits_unused": "{:,} environments were initialised and serve no request in this log",
    "inits_failed": "{:,} inits failed or ran again within an invocation",
    "dropped": "Lambda itself dropped {:,} records: the log has holes",
    "many_at_once": "{:,} events are of environments that serve many requests at once, which this"
    " model does not have; they are left out",
}


def _put_into_words(tally: dict[str, Any], options: ReadOptions, report: IngestReport) -> None:
    """Say what a reader of the numbers must know."""
    report.note(
        "throttled, expired and dropped requests are not in logs: where the Throttles metric was"
        " not 0, demand was higher than this"
    )
    for name, sentence in _SENTENCES.items():
        if tally[name] and not (name == "retries" and options.merge_retries):
            report.note(sentence.format(tally[name]))
    if tally["inits_assumed"]:
        way = "not waited for" if options.init_on_path == "never" else "waited for"
        other = "always" if options.init_on_path == "never" else "never"
        report.note(
            f"nothing tells whether a request waited for {tally['inits_assumed']:,} of the inits"
            f" (no INIT_START beside them); they are taken as {way}, which shifts no arrival by"
            f" more than {tally['longest_assumed_us'] / 1000:,.0f} ms (--init-on-path {other})"
        )
    if tally["runs"] and not tally["started"]:
        report.note("there are no START lines: a run began Duration before its REPORT, to 1–2 ms")
    if tally["partial"]:
        report.note(
            "the table of Logs Insights may be cut: it ends at a limit of its rows, or its query"
            " was not complete"
        )
    if not tally["reports"] and not tally["faults"]:
        report.note(
            "there is no REPORT line and no platform.report event: is the system log level above"
            " INFO, or is this the function's own output alone?"
        )


def merged_retries(runs: pl.LazyFrame) -> pl.LazyFrame:
    """Make a row per request of rows per run.

    A request that ran again failed before: asynchronous invocations alone are retried under their
    request id. The last run gives the duration, the first one the arrival.
    """
    ordered = pl.col("attempt")
    first = {"timestamp", "init_ms", "init_ahead_ms", "cold_start"}
    names = [name for name in SCHEMA if name not in {"function", "request_id", "attempt", "error"}]
    last_error = pl.col("error").sort_by(ordered).last()
    any_error = pl.col("error").drop_nulls().sort_by(ordered.filter(pl.col("error").is_not_null()))
    repeated = pl.len() > 1
    return (
        runs.group_by("function", "request_id", maintain_order=True)
        .agg(
            *(
                getattr(pl.col(name).sort_by(ordered), "first" if name in first else "last")()
                for name in names
            ),
            pl.when(last_error.is_not_null() | ~repeated)
            .then(last_error)
            .otherwise(any_error.first().fill_null("handled"))
            .alias("error"),
            pl.when(repeated & last_error.is_null())
            .then(pl.len() - 1)
            .cast(pl.UInt32)
            .alias("error_runs"),
        )
        .with_columns(source=pl.lit("async"))
    )
