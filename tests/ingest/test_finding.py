"""Where a trace is looked for: paths, globs, folders, samples, standard input."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import lambda_replay as lr
from ingest.common import (
    BEGIN,
    CSV,
    HEADER,
    LINES,
    NDJSON,
    S,
    frame,
    good,
    is_good,
    outcomes,
    place,
    refused,
    write,
)
from lambda_replay.ingest import open_trace

# ---- missing -------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_folder_and_its_nearest_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "traces.parquet", b"")
    write(tmp_path / "other.txt", b"")
    monkeypatch.chdir(tmp_path)
    error = refused("tracse.parquet", "LR-T-MISSING", says=["tracse.parquet", str(tmp_path)])
    assert place(error) == ("tracse.parquet", None, None, None)
    assert error.hint == "did you mean traces.parquet?"
    far = refused(str(tmp_path / "something-else.csv"), "LR-T-MISSING")
    assert far.hint is None


def test_a_missing_folder_is_a_missing_file() -> None:
    error = refused("/no/such/folder/trace.csv", "LR-T-MISSING", says=["/no/such/folder"])
    assert error.hint is None


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x" * 300 + "*", "~/trace.csv", "trace.csv/x"])
def test_a_path_that_no_file_can_have_is_a_missing_file(name: str, tmp_path: Path) -> None:
    write(tmp_path / "trace.csv", CSV)
    refused(str(tmp_path / name), "LR-T-MISSING")


def test_a_glob_that_matches_nothing_is_named(tmp_path: Path) -> None:
    pattern = str(tmp_path / "*.parquet")
    error = refused(pattern, "LR-T-MISSING", says=[pattern, "no file matches"])
    assert error.source == pattern


def test_a_glob_that_matches_only_folders_matches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    refused(str(tmp_path / "*.parquet"), "LR-T-MISSING")


def test_a_folder_without_traces_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "readme.txt", "no trace")
    write(tmp_path / ".hidden.csv", CSV)
    write(tmp_path / ".git" / "trace.csv", CSV)
    error = refused(tmp_path, "LR-T-MISSING", says=[str(tmp_path), ".parquet", ".ndjson"])
    assert error.source == str(tmp_path)


def test_one_missing_file_of_several_is_named(tmp_path: Path) -> None:
    here, gone = write(tmp_path / "a.csv", CSV), tmp_path / "b.csv"
    error = refused([here, gone], "LR-T-MISSING", says=[str(gone)])
    assert error.source == str(gone)


def test_a_pipe_a_socket_or_a_device_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        error = refused(path, "LR-T-KIND", says=["no regular file"])
        assert error.source == str(path)
        assert error.hint == "use - to read standard input"


def test_a_dangling_link_is_a_missing_file(tmp_path: Path) -> None:
    link = tmp_path / "trace.csv"
    link.symlink_to(tmp_path / "gone.csv")
    refused(link, "LR-T-MISSING")


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(write(tmp_path / "trace.csv", CSV))
    assert is_good(link)


# ---- order of several ----------------------------------------------------------------------


def numbered(folder: Path, names: list[str]) -> list[Path]:
    """Write a file of one row for each name; all at one instant, so that order shows."""
    return [write(folder / name, f"{HEADER}{BEGIN},{Path(name).stem},1\n") for name in names]


def functions(trace: object) -> list[str]:
    return outcomes(trace)["function"].to_list()


def test_several_files_follow_each_other_as_given(tmp_path: Path) -> None:
    b, a, c = numbered(tmp_path, ["b.csv", "a.csv", "c.csv"])
    assert functions([b, a, c]) == ["b", "a", "c"]
    assert functions([c, str(a), b]) == ["c", "a", "b"]
    # The same file twice is twice the traffic, as it was asked for.
    assert functions([a, a]) == ["a", "a"]


def test_files_of_a_glob_and_of_a_folder_are_in_bytewise_order(tmp_path: Path) -> None:
    names = ["ä.csv", "a10.csv", "a2.csv", "B.csv", "a-1.csv", "Z/inner.csv"]
    numbered(tmp_path, names)
    # Bytes, not letters: capitals first, digits by character, ä last.
    assert functions(str(tmp_path / "*.csv")) == ["B", "a-1", "a10", "a2", "ä"]
    assert functions(tmp_path) == ["B", "inner", "a-1", "a10", "a2", "ä"]
    assert functions(str(tmp_path / "**" / "*.csv")) == ["B", "inner", "a-1", "a10", "a2", "ä"]


def test_globs_and_files_mix_in_the_order_given(tmp_path: Path) -> None:
    numbered(tmp_path, ["x1.csv", "x2.csv", "a.csv"])
    given = [str(tmp_path / "x*.csv"), tmp_path / "a.csv", str(tmp_path / "x?.csv")]
    assert functions(given) == ["x1", "x2", "a", "x1", "x2"]


def test_rows_are_numbered_on_through_the_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", CSV)
    second = write(tmp_path / "b.csv", HEADER + f"{BEGIN + 5 * S},h,1\n{BEGIN + 1},h,1\n")
    found = outcomes([first, second])
    assert found["row"].to_list() == [0, 1, 2, 3, 4]
    assert found["function"].to_list() == ["f", "g", "f", "h", "h"]


def test_a_bad_row_is_named_by_its_number_in_all_files_and_by_its_file(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", CSV)
    second = write(tmp_path / "b.csv", HEADER + LINES[0] + f"{BEGIN},f,-5\n")
    third = write(tmp_path / "c.csv", CSV)
    error = refused([first, second, third], "LR-T-VALUE")
    assert place(error) == (str(second), 4, "duration_ms", -5.0)


def test_a_folder_has_every_known_kind_of_file_and_no_others(tmp_path: Path) -> None:
    kinds = ".parquet .pq .csv .ndjson .jsonl .arrow .ipc .feather".split()
    for number, kind in enumerate(kinds):
        path = tmp_path / f"{number}{kind}"
        one = frame([BEGIN], function=[kind])
        match kind:
            case ".parquet" | ".pq":
                one.write_parquet(path)
            case ".csv":
                one.write_csv(path)
            case ".ndjson" | ".jsonl":
                one.write_ndjson(path)
            case _:
                one.write_ipc(path)
    write(tmp_path / "_SUCCESS", b"")
    write(tmp_path / "notes.md", "# Notes")
    assert functions(tmp_path) == kinds


def test_a_folder_of_part_files_is_read_whatever_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "trace.parquet"
    for number, part in enumerate(good().iter_slices(1)):
        target = folder / f"day={number}" / "part-0.snappy.parquet"
        target.parent.mkdir(parents=True)
        part.write_parquet(target)
    assert is_good(folder)


# ---- odd names -----------------------------------------------------------------------------

BRACKETS = ["2026[$LATEST]abc", "a*b", "what?", "[a-z]", "%20 space", "{x,y}", "läng", "#1"]


@pytest.mark.parametrize("name", BRACKETS)
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson", ".arrow"])
def test_a_name_that_looks_like_a_pattern_may_be_a_file(
    name: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}{suffix}"
    match suffix:
        case ".parquet":
            good().write_parquet(path)
        case ".csv":
            write(path, CSV)
        case ".ndjson":
            write(path, NDJSON)
        case _:
            good().write_ipc(path)
    assert is_good(path)
    assert is_good(str(path))
    assert is_good(tmp_path)


def test_a_file_comes_before_the_pattern_that_its_name_is(tmp_path: Path) -> None:
    write(tmp_path / "[ab].csv", f"{HEADER}{BEGIN},brackets,1\n")
    write(tmp_path / "a.csv", f"{HEADER}{BEGIN},a,1\n")
    assert functions(str(tmp_path / "[ab].csv")) == ["brackets"]
    (tmp_path / "[ab].csv").unlink()
    assert functions(str(tmp_path / "[ab].csv")) == ["a"]


def test_a_suffix_that_is_wrong_does_not_matter(tmp_path: Path) -> None:
    parquet, ipc = tmp_path / "trace.csv", tmp_path / "trace.ndjson"
    good().write_parquet(parquet)
    good().write_ipc(ipc)
    for path in (
        parquet,
        ipc,
        write(tmp_path / "csv.parquet", CSV),
        write(tmp_path / "ndjson.csv", NDJSON),
        write(tmp_path / "no suffix", CSV),
        write(tmp_path / "no suffix either", NDJSON),
    ):
        assert is_good(path)


def test_a_file_that_becomes_another_between_two_replays_is_read_as_it_is_now(
    tmp_path: Path,
) -> None:
    path = tmp_path / "trace"
    write(path, CSV)
    assert is_good(path)
    good().write_parquet(path)
    assert is_good(path)
    write(path, NDJSON)
    assert is_good(path)
    write(path, b"")
    refused(path, "LR-T-EMPTY")


# ---- samples -------------------------------------------------------------------------------


def test_samples_are_named_as_they_were_asked_for() -> None:
    report = lr.replay("sample:azure2019").trace
    assert report.names == ("sample:azure2019",)
    assert report.rows > 100_000
    assert report.measured
    assert report.assumed


def test_an_unknown_sample_names_those_there_are() -> None:
    error = refused("sample:azure2020", says=["azure2020", "azure2019"])
    assert error.source == "sample:azure2020"
    assert error.hint == "did you mean sample:azure2019?"
    assert refused("sample:").hint == "try sample:azure2019"


def test_a_sample_may_stand_among_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    alone = lr.replay("sample:azure2019", lr.Scenario()).summary.records
    both = lr.replay([path, "sample:azure2019"], lr.Scenario())
    assert both.summary.records == alone + 3
    assert both.trace.names == (str(path), "sample:azure2019")


# ---- standard input ------------------------------------------------------------------------


def given_as_input(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(content), closed=False)
    monkeypatch.setattr("sys.stdin", stdin)


@pytest.mark.parametrize("kind", ["CSV", "NDJSON", "Parquet", "IPC"])
def test_standard_input_is_read_whatever_comes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = io.BytesIO()
    if kind == "Parquet":
        good().write_parquet(file)
    elif kind == "IPC":
        good().write_ipc(file)
    text = {"CSV": CSV.encode(), "NDJSON": NDJSON.encode()}
    given_as_input(text.get(kind, file.getvalue()), monkeypatch)
    result = lr.replay("-", outcomes=True)
    assert result.outcomes is not None
    assert result.outcomes.equals(outcomes(good()), null_equal=True)
    assert result.trace.names == ("standard input",)
    assert list(tmp_path.iterdir()) == []


def test_bad_standard_input_is_named_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    given_as_input(b"", monkeypatch)
    assert refused("-", "LR-T-EMPTY").source == "standard input"
    given_as_input(CSV.replace(",200", ",-200").encode(), monkeypatch)
    assert place(refused("-", "LR-T-VALUE")) == ("standard input", 1, "duration_ms", -200.0)
    monkeypatch.setattr("sys.stdin", None)
    refused("-", "LR-T-MISSING", says=["closed"])
    assert list(tmp_path.iterdir()) == []


# ---- the source itself ---------------------------------------------------------------------


def test_a_source_can_be_scanned_again_and_again(tmp_path: Path) -> None:
    source = open_trace(write(tmp_path / "trace.csv", CSV))
    assert [source.frames[0].select(pl.len()).collect().item() for _ in range(2)] == [3, 3]
    source.close()
    source.close()
