"""Results from files: what belongs together, what is refused, and what is said in Markdown."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from markdown_it import MarkdownIt

import lambda_replay as lr
from lambda_replay import report


def _run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "lambda_replay", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(trace: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of three scenarios on one trace, a comparison, and a sweep."""
    place = tmp_path_factory.mktemp("results")
    trace.write_parquet(place / "trace.parquet")
    for name, limit in (("today", 2), ("wider", 30)):
        (place / f"{name}.toml").write_text(f"[account]\nconcurrency = {limit}\n")
    keep = ("-o", place / "today.json", "--metrics", place / "metrics.parquet", "-q")
    _run("run", place / "trace.parquet", "-s", place / "today.toml", *keep)
    keep = ("-o", place / "wider.json", "--report", place / "wider.html", "-q")
    _run("run", place / "trace.parquet", "-s", place / "wider.toml", *keep)
    sides = ("-s", place / "today.toml", "-s", place / "wider.toml", "--repeat", "2")
    _run("compare", place / "trace.parquet", *sides, "-o", place / "both.json")
    points = ("--set", "account.concurrency=2,3,30", "-o", place / "points")
    _run("sweep", place / "trace.parquet", *points)
    return place


def test_run_writes_a_page_and_leaves_no_metrics_behind(folder: Path) -> None:
    page = (folder / "wider.html").read_text(encoding="utf-8")
    assert "Concurrency" in page
    assert "What the numbers rest on" in page
    assert {one.name for one in folder.glob("*.parquet")} == {"trace.parquet", "metrics.parquet"}


def test_every_kind_of_result_has_a_page(folder: Path) -> None:
    places = ("today.json", "metrics.parquet", "both.json", "points")
    _run("report", *(folder / one for one in places), "-o", folder / "all.html")
    page = (folder / "all.html").read_text(encoding="utf-8")
    for text in ("Differences to today", "2 seeds", "Cost against loss", "Throttles by function"):
        assert text in page


def test_runs_of_one_trace_are_compared(folder: Path) -> None:
    material = report.load([folder / "today.json", folder / "wider.json"])
    assert [one.name for one in material.runs] == ["today", "wider"]
    (one,) = material.comparisons
    assert one.names == ("today", "wider")
    said = {row["measure"]: row["wider_verdict"] for row in one.table.to_dicts()}
    assert said["throttled"] == "better"


def test_metrics_of_another_run_are_refused(folder: Path) -> None:
    done = _run(
        *("report", folder / "wider.json", folder / "metrics.parquet", "-o", folder / "odd.html"),
        code=5,
    )
    assert "give the metrics that the same run wrote" in done.stderr
    assert not (folder / "odd.html").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("metrics.parquet",), "comes before the result"),
        (("today.json", "trace.parquet"), "holds no metrics"),
        (("today.toml",), "is no result of lambda-replay"),
    ],
)
def test_what_is_no_result_is_refused(folder: Path, given: tuple[str, ...], said: str) -> None:
    with pytest.raises(lr.IntegrityError, match=said):
        report.load([folder / one for one in given])


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(lr.OutputError, match="nowhere"):
        report.load([folder / "nowhere.json"])


def test_nothing_to_make_is_wrong_usage(folder: Path) -> None:
    assert "--markdown" in _run("report", folder / "today.json", code=2).stderr


_OF_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}


def test_markdown_of_a_comparison(folder: Path) -> None:
    text = _run("report", folder / "both.json", "--markdown").stdout
    assert text.startswith("### wider against today\n")
    assert "| `throttled` |" in text
    assert "better" in text
    assert "2 seeds" in text


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x> @everyone [a](b)",
        "`x` <b>bold</b> ``",
        "a|b & www.example.com #1 :tada: *x* _y_",
        "plain name-1",
    ],
)
def test_markdown_keeps_names_as_text(result: lr.ReplayResult, name: str) -> None:
    material = report.of_result(
        result, name=name, checks=[{"expression": name, "holds": True, "value": 1.0}]
    )
    text = report.markdown(material)
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    # As itself, once as a heading and once in a table, and nothing made of it.
    plain = html.escape(name, quote=False)
    assert shown.count(plain) == 2
    assert {tag for tag in re.findall(r"<([a-z0-9]+)", shown) if tag not in _OF_TABLES} <= {
        *("h3", "p", "code", "sub")
    }
    # What people read in the source is not hidden in entities.
    assert "&#" not in text
    assert "throttled" in text


def test_pictures_come_from_the_same_charts(folder: Path) -> None:
    place = folder / "pictures"
    _run("report", folder / "today.json", folder / "metrics.parquet", "--pictures", place)
    names = {one.name for one in place.iterdir()}
    assert {"concurrency.svg", "concurrency.png", "throttles.svg", "cost.png"} <= names
    assert (place / "concurrency.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert (place / "concurrency.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_missing_extra_is_named_before_any_work(folder: Path) -> None:
    hide = "import sys; sys.modules['altair'] = None; from lambda_replay.cli import main; main()"
    page = folder / "none.html"
    done = subprocess.run(
        [sys.executable, "-c", hide, "run", str(folder / "trace.parquet"), "--report", str(page)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4, done.stderr
    assert "lambda-replay[report]" in done.stderr
    assert done.stdout == ""
    assert not page.exists()


def test_a_run_without_a_page_imports_no_charts(folder: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "lambda_replay",
            "run",
            folder / "trace.parquet",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "polars" in imported
    assert imported.isdisjoint({"altair", "vl_convert", "lambda_replay.report"})


@pytest.mark.parametrize("name", ["concurrency", "throttles", "cold_starts", "waits", "cost"])
def test_notebooks_have_the_same_charts(result: lr.ReplayResult, name: str) -> None:
    chart = getattr(result.plot, name)(width=300)
    spec = chart.to_dict()
    assert spec["width"] == 300
    assert "$schema" in spec


def test_nothing_to_draw_is_said() -> None:
    empty = lr.replay(
        pl.DataFrame({"timestamp": [0], "function": ["f"], "duration_ms": [1.0]}), lr.Scenario()
    )
    with pytest.raises(ValueError, match="no throttles"):
        empty.plot.throttles()
    with pytest.raises(ValueError, match="function"):
        empty.plot.throttles(by="colour")
