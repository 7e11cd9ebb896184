"""Output files that appear complete or not at all, and what lies on the disk meanwhile.

A file is written under a temporary name in its own folder, brought to disk and renamed; whatever
goes wrong before leaves the former file, if any, as it was.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lambda_replay.exceptions import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

__all__ = [
    "ROW_GROUP_ROWS",
    "TemporaryFolder",
    "atomic_path",
    "check_writable",
    "discard_all",
    "sink_batches",
    "writing",
]

#: Rows of the row groups of all Parquet that we write.
ROW_GROUP_ROWS: Final = 131_072

#: How often a folder is removed again that somebody still writes into.
_PATIENCE = 20

#: Temporary files and folders that exist now, for whoever has to leave at once.
_TEMPORARIES: set[Path] = set()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` if the block succeeds.

    Parameters
    ----------
    path
        The file to be. Its folder must exist.

    Yields
    ------
    Path
        Where to write: an empty file beside ``path``.

    Raises
    ------
    OutputError
        The file cannot be created, brought to disk or renamed.
    """
    temporary = _create_beside(path)
    try:
        yield temporary
        with _reported(path):
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        _TEMPORARIES.discard(temporary)


def check_writable(path: Path) -> None:
    """Check that :func:`atomic_path` could write ``path``, before work is spent on it.

    Raises
    ------
    OutputError
        It could not; the message says why.
    """
    temporary = _create_beside(path)
    temporary.unlink(missing_ok=True)
    _TEMPORARIES.discard(temporary)


class TemporaryFolder:
    """A folder for what is put aside; it goes when closed, forgotten, or with the process.

    Attributes
    ----------
    path
        Where it is.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="lambda-replay-"))
        _TEMPORARIES.add(self.path)
        self._finalizer = weakref.finalize(self, _remove, self.path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._finalizer()


def discard_all() -> None:
    """Remove every temporary file and folder now: the process is about to leave."""
    for temporary in list(_TEMPORARIES):
        _remove(temporary)


# A worker that was interrupted may not have come to its own cleaning up.
atexit.register(discard_all)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        if temporary.is_dir():
            # Writers of Polars may still be at work after a query that broke off.
            for _ in range(_PATIENCE):
                shutil.rmtree(temporary, ignore_errors=True)
                if not temporary.exists():
                    break
                time.sleep(0.01)
        else:
            temporary.unlink(missing_ok=True)
    _TEMPORARIES.discard(temporary)


def _create_beside(path: Path) -> Path:
    """Create an empty temporary file in the folder of ``path``."""
    with _reported(path):
        is_folder, is_other = path.is_dir(), path.exists() and not path.is_file()
    if is_folder:
        message = f"cannot write {path}: it is a folder"
        raise OutputError(message, hint="name a file in it")
    if is_other:
        message = f"cannot write {path}: it is no regular file"
        raise OutputError(message, hint="it would be replaced; name a file instead")
    ending = f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    # The name itself may be as long as the system allows.
    stem = os.fsdecode(os.fsencode(path.name)[: 250 - len(ending)])
    temporary = path.parent / f".{stem}{ending}"
    with _reported(path):
        _TEMPORARIES.add(temporary)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            os.close(os.open(temporary, flags, 0o666))
        except BaseException:
            _TEMPORARIES.discard(temporary)
            raise
    return temporary


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what Polars and the system say while writing ``path`` as :class:`OutputError`.

    Raises
    ------
    OutputError
        Something could not be written.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message) from error
    except Exception as error:
        # Polars need not be imported here: this module serves the command line's start, too.
        if not type(error).__module__.startswith("polars."):
            raise
        message = f"cannot write {path}: {str(error).splitlines()[0]}"
        raise OutputError(message, hint="is the disk full?") from error


def sink_batches(
    batches: Iterator[pl.DataFrame],
    schema: pl.Schema,
    temporary: Path,
    path: Path,
    metadata: Callable[[object], dict[str, str]] | None = None,
) -> None:
    """Write frames to Parquet as they come, encoding on Polars's threads.

    Parameters
    ----------
    batches
        The frames; what it raises comes out as it is.
    schema
        Of each.
    temporary, path
        The file to write, and the one that it will become: errors speak of that.
    metadata
        Gives what the file says of itself, once all is written.

    Raises
    ------
    OutputError
        Something could not be written.
    """
    from polars.io.plugins import register_io_source  # noqa: PLC0415 - loads Polars

    failures: list[BaseException] = []

    def source(*unused: object) -> Iterator[pl.DataFrame]:
        del unused  # which columns and rows are wanted: everything goes into the file
        try:
            yield from batches
        except BaseException as error:
            # Polars would wrap it into an error of its own.
            failures.append(error)
            raise

    try:
        with writing(path):
            register_io_source(source, schema=schema).sink_parquet(
                temporary,
                compression="zstd",
                row_group_size=ROW_GROUP_ROWS,
                metadata=metadata,
            )
    except BaseException:
        if failures:
            raise failures[0] from None
        raise


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Say what the system's errors mean for the file."""
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOENT: f"the folder {path.parent} does not exist",
            errno.EACCES: "no permission to write there",
            errno.EROFS: "the file system is read-only",
            errno.ENOSPC: "no space is left on the device",
            errno.ENAMETOOLONG: "the name is too long",
            errno.ENOTDIR: f"{path.parent} is not a folder",
        }.get(error.errno or 0)
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message, hint=hint) from error
