"""Output files appear whole or not at all (``lambda_replay.output``)."""

import contextlib
import errno
import os
from pathlib import Path

import pytest

import lambda_replay as lr
from lambda_replay.output import atomic_path, check_writable, discard_all


class OddError(Exception):
    """Something that goes wrong while a file is being written."""


def break_off(path: Path, error: type[BaseException]) -> None:
    """Write half of a file."""
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_appears_when_the_block_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".result.json.tmp-")
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OddError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_failure_leaves_the_former_file_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(error):
        break_off(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(OddError), atomic_path(tmp_path / "result.json"):
        raise OddError
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_written_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with atomic_path(Path("result.json")) as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "result.json").read_text() == "whole"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() in {"first", "second"}
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_has_the_rights_that_any_new_file_has(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "result.json"
    plain.write_text("")
    with atomic_path(path):
        pass
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("no such folder/result.json", "does not exist"),
        ("a file/result.json", "is not a folder"),
        ("x" * 300, "too long"),
        ("folder", "name a file in it"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    path: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "folder").mkdir()
    target = tmp_path / path
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(lr.OutputError) as entered, atomic_path(target):
        pytest.fail("the block must not begin")
    with pytest.raises(lr.OutputError) as checked:
        check_writable(target)
    for error in (entered.value, checked.value):
        assert error.code == "LR-O000"
        assert error.exit_code == 4
        assert "cannot write" in str(error)
        assert str(target) in str(error)
        assert error.hint is not None
        assert hint in error.hint
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "permission"),
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "no space"),
        (errno.EIO, None),
    ],
)
def test_what_the_system_refuses_is_an_output_error(
    number: int, hint: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests as root has all permissions.
    def refuse(*args: object) -> int:
        raise OSError(number, os.strerror(number), str(args[0]))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(lr.OutputError) as caught, atomic_path(tmp_path / "result.json"):
        pytest.fail("the block must not begin")
    monkeypatch.undo()
    assert os.strerror(number) in str(caught.value)
    assert (hint or "") in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_at_the_end_leaves_the_former_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(call, fail)
    with pytest.raises(lr.OutputError, match="No space left"), atomic_path(path) as temporary:
        temporary.write_text("new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_through_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere", tmp_path / "result.json"
    target.write_text("untouched")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        temporary.write_text("whole")
    assert link.read_text() == "whole"
    assert target.read_text() in {"untouched", "whole"}


def test_check_writable_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_leaves_at_once_discards_what_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(pytest.raises(lr.OutputError))
            stack.enter_context(atomic_path(path)).write_text("half")
        discard_all()
        assert list(tmp_path.iterdir()) == [path]
    discard_all()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_finished_are_not_discarded(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    discard_all()
    assert path.read_text() == "whole"
