"""The page stands alone, runs nothing but its own, and shows the numbers of the result."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay import report
from lambda_replay.report import charts
from lambda_replay.report.material import RunMaterial

if TYPE_CHECKING:
    from conftest import Look

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


class _Elements(HTMLParser):
    """Elements of a page with their attributes, and the text in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.inline.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"}:
            tag, attrs, before = self.inline[-1]
            if (tag, attrs) == self.found[-1]:
                self.inline[-1] = (tag, attrs, before + data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self.found.append((f"/{tag}", {}))


@pytest.fixture(scope="module")
def written(result: lr.ReplayResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    report.write_report(path, report.of_result(result, name="today"))
    return path


def test_nothing_of_the_page_is_elsewhere(written: Path) -> None:
    elements = _Elements(written.read_text(encoding="utf-8"))
    for tag, attributes in elements.found:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}, tag
        for name in ("src", "srcset", "data", "style", "onclick", "onerror", "onload"):
            assert name not in attributes, (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_allows_its_own_parts_and_no_more(written: Path) -> None:
    elements = _Elements(written.read_text(encoding="utf-8"))
    policy = next(
        attributes["content"]
        for tag, attributes in elements.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert rules["base-uri"] == rules["form-action"] == ["'none'"]
    digests = {
        kind: [
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for tag, attributes, text in elements.inline
            if tag == kind and attributes.get("type") != "application/json"
        ]
        for kind in ("script", "style")
    }
    assert rules["script-src"] == digests["script"]
    assert rules["style-src"] == digests["style"]


def test_names_are_data(written: Path, result: lr.ReplayResult) -> None:
    assert EVIL in result.functions["function"].to_list()
    page = written.read_text(encoding="utf-8")
    assert EVIL not in page
    assert "<img" not in page.replace(page[page.index("<script>") :], "")
    data = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    specs = json.loads(data[1])
    names = {row.get("function") for spec in specs.values() for row in _values(spec)}
    assert EVIL in names


def _values(spec: dict) -> list[dict]:
    return [row for rows in spec.get("datasets", {}).values() for row in rows] + [
        row
        for part in [spec, *spec.get("layer", [])]
        for row in part.get("data", {}).get("values", [])
    ]


def test_a_browser_draws_every_chart_and_complains_of_nothing(written: Path, look: Look) -> None:
    seen = look(written)
    page = written.read_text(encoding="utf-8")
    assert seen.charts == str(page.count('<div class="chart"'))
    assert int(seen.charts) >= 9
    assert len(re.findall(r'<svg [^>]*class="marks"', seen.dom)) == int(seen.charts)
    assert seen.console == []
    assert "<title>owned" not in seen.dom
    # The name itself, as text of a table and of a legend.
    assert seen.text.count("<img src=x onerror=alert(1)>") >= 2


def test_tables_sort_in_a_browser(written: Path, look: Look, tmp_path: Path) -> None:
    page = written.read_text(encoding="utf-8")
    # The policy forbids a script of the test: it is put into the page's own, with its digest.
    own = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    clicks = own + (
        "\nfor (const head of document.querySelectorAll('th button'))"
        " if (head.textContent === 'invocations') { head.click(); head.click(); }"
    )

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    changed = tmp_path / "clicked.html"
    changed.write_text(
        page.replace(own, clicks).replace(digest(own), digest(clicks)), encoding="utf-8"
    )
    dom = look(changed).dom
    head = re.search(
        r'<th scope="col" aria-sort="ascending"><button type="button">invocations', dom
    )
    assert head is not None
    body = dom[head.end() :].split("</tbody>")[0]
    rows = re.findall(r"<tr><td[^>]*>.*?</td><td[^>]*>.*?</td><td data-v=\"(\d+)\">", body)
    numbers = [int(number) for number in rows]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)


def test_the_page_says_what_became_of_the_trace(written: Path, result: lr.ReplayResult) -> None:
    page = written.read_text(encoding="utf-8")
    summary = result.summary
    assert summary.throttled > 0
    assert f"{summary.throttled:,} throttled" in page
    for title in (
        *("Concurrency", "Throttles by function", "Throttles by cause", "Cold starts"),
        *("Waits and runs", "Asynchronous events", "Waits for shared records", "Cost"),
        *("Who held the capacity", "Shared records", "Functions"),
    ):
        assert f">{title}</h" in page
    # There are no event sources in this trace.
    assert "Iterator age" not in page
    assert "Backlog" not in page


def test_the_limit_is_drawn_with_its_changes(result: lr.ReplayResult) -> None:
    run = report.of_result(result).runs[0]
    spec = charts.concurrency(run).to_dict()
    limits = [part for part in spec["layer"] if part["mark"].get("strokeDash")]
    assert len(limits) == 1
    values = spec["datasets"][limits[0]["data"]["name"]]
    assert [row["value"] for row in values] == [3, 2, 2]
    change = dt.datetime(2026, 3, 1, 12, 20, tzinfo=dt.UTC)
    assert values[1]["timestamp"] == change.timestamp() * 1_000


def test_stacks_add_up_to_the_throttles(result: lr.ReplayResult) -> None:
    run = report.of_result(result).runs[0]
    values = _values(charts.throttles(run).to_dict())
    assert sum(row["value"] for row in values) == result.summary.throttles
    assert all(abs(row["top"] - row["bottom"] - row["value"]) < 1e-9 for row in values)


def test_iterator_age_is_drawn_by_source(result: lr.ReplayResult) -> None:
    run = report.of_result(result).runs[0]
    at = result.region["timestamp"][0]
    minutes = pl.DataFrame(
        {
            "timestamp": [at, at + dt.timedelta(minutes=1)] * 2,
            "source": ["orders", "orders", "clicks", "clicks"],
            "IteratorAge_max": [1_500.0, 3_000.0, 10.0, None],
        }
    )
    drawn = charts.iterator_age(
        RunMaterial(run.name, run.summary, metrics=run.metrics, source_metrics=minutes)
    )
    values = _values(drawn.to_dict())
    assert {(row["source"], row["value"]) for row in values} == {
        ("orders", 1.5),
        ("orders", 3.0),
        ("clicks", 0.01),
    }


def test_a_thousand_functions_fit_in_5_mb(tmp_path: Path) -> None:
    names = [f"service-{at:04}-{'handler' * 4}" for at in range(1_000)]
    many = 1_000 * 20
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC).replace(tzinfo=None)
    trace = pl.DataFrame(
        {
            "timestamp": [start + dt.timedelta(seconds=3 * at) for at in range(many)],
            "function": [names[at * 7 % 1_000] for at in range(many)],
            "duration_ms": [float(40_000 + at % 7_919) for at in range(many)],
        }
    )
    result = lr.replay(trace, lr.Scenario(account={"concurrency": 10}), blame=True)
    path = tmp_path / "large.html"
    started = time.monotonic()
    report.write_report(path, report.of_result(result))
    # Loose: machines differ.
    assert time.monotonic() - started < 30
    assert path.stat().st_size < 5_000_000
    assert path.read_text(encoding="utf-8").count("service-") >= 1_000


def test_an_empty_trace_has_a_page(tmp_path: Path) -> None:
    empty = pl.DataFrame(
        schema={"timestamp": pl.Datetime("us"), "function": pl.String, "duration_ms": pl.Float64}
    )
    path = tmp_path / "empty.html"
    report.write_report(path, report.of_result(lr.replay(empty, lr.Scenario())))
    assert "The trace has no rows" in path.read_text(encoding="utf-8")
