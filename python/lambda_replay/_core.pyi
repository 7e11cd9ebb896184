from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, final

__all__ = [
    "ATTEMPT_OUTCOMES",
    "DEBUG_BUILD",
    "DROP_REASONS",
    "LIMITS",
    "OUTCOMES",
    "REASONS",
    "SOURCES",
    "SPILLOVER_COUNTED",
    "SPILLOVER_REASONS",
    "CountExpander",
    "CountGenerator",
    "CsvRecords",
    "JsonRows",
    "LogRuns",
    "Replay",
    "RowDigest",
    "Table",
    "__version__",
]

__version__: Final[str]
DEBUG_BUILD: Final[bool]
LIMITS: Final[list[str]]
REASONS: Final[list[str]]
OUTCOMES: Final[list[str]]
ATTEMPT_OUTCOMES: Final[list[str]]
SOURCES: Final[list[str]]
DROP_REASONS: Final[list[str]]
SPILLOVER_COUNTED: Final[list[str]]
SPILLOVER_REASONS: Final[list[str]]

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Table:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...

@final
class CountExpander:
    def __new__(cls, seed: int, functions: _ArrowStream) -> CountExpander: ...
    def expand(
        self,
        first: int,
        start: int,
        width: int,
        counts: _ArrowStream,
        means: _ArrowStream | None = None,
    ) -> Table: ...

@final
class CountGenerator:
    def __new__(
        cls, seed: int, functions: _ArrowStream, day: int, begin: float, weekend: float
    ) -> CountGenerator: ...
    def counts(self, first: int, buckets: int) -> Table: ...

@final
class CsvRecords:
    def __new__(cls, path: str) -> CsvRecords: ...
    def header(self) -> list[str]: ...
    def take(self, rows: int) -> Table | None: ...

@final
class RowDigest:
    def __new__(cls) -> RowDigest: ...
    def update(self, data: _ArrowStream) -> None: ...
    def hexdigest(self) -> str: ...

@final
class JsonRows:
    def __new__(
        cls,
        paths: Sequence[str],
        shown: Sequence[str],
        rows: str,
        columns: Sequence[str],
        *,
        batch: int = 16384,
    ) -> JsonRows: ...
    def take(self) -> Table | None: ...

@final
class LogRuns:
    def __new__(
        cls,
        paths: Sequence[str],
        shown: Sequence[str],
        *,
        function: str | None = None,
        init_on_path: bool = True,
        batch: int = 131072,
    ) -> LogRuns: ...
    def take(self) -> tuple[Table, Table] | None: ...
    def tally(self) -> dict[str, Any] | None: ...

@final
class Replay:
    def __new__(
        cls,
        account: Mapping[str, Any],
        *,
        outcomes: bool,
        attempts: bool,
        function_minutes: bool,
        blame: bool = False,
    ) -> Replay: ...
    def add_functions(self, entries: Sequence[Mapping[str, Any]]) -> None: ...
    def add_sources(self, entries: Sequence[Mapping[str, Any]]) -> None: ...
    def add_keys(self, data: _ArrowStream) -> None: ...
    def add_state_keys(self, data: _ArrowStream) -> None: ...
    def take_source_minutes(self, *, everything: bool) -> Table: ...
    def source_units(self) -> Table: ...
    def feed(
        self, data: _ArrowStream, register: Callable[[list[int]], Sequence[Mapping[str, Any]]]
    ) -> None: ...
    def finish(self) -> None: ...
    def take_outcomes(self) -> Table | None: ...
    def take_attempts(self) -> Table | None: ...
    def take_minutes(self, *, everything: bool) -> Table: ...
    def take_extras(self, *, everything: bool) -> Table: ...
    def bills(self) -> Table: ...
    def blame(self) -> Table: ...
    def provisioned_pools(self) -> list[dict[str, Any]]: ...
    def hottest_keys(self, count: int) -> Table: ...
    def shared_state(self) -> dict[str, int]: ...
    def function_totals(self) -> Table: ...
    def totals(self) -> Table: ...
    def _panic(self) -> None: ...
    def extent(self) -> dict[str, int | None]: ...
