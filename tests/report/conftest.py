"""A run, a page of it, and a browser to look at it with."""

from __future__ import annotations

import datetime as dt
import html
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

import lambda_replay as lr

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC).replace(tzinfo=None)
#: A name that would do something wherever it were taken for markup.
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def trace() -> pl.DataFrame:
    """Half an hour of sync and async requests, some of which wait for a record."""
    rows = []
    for at in range(900):
        name = ("checkout", "img", EVIL)[at % 3]
        rows.append(
            {
                "timestamp": START + dt.timedelta(seconds=2 * at),
                "function": name,
                "duration_ms": 2_000.0 + 1_000 * (at % 7),
                "source": "async" if name == "img" else "sync",
                "state_key": "order" if name == "checkout" else None,
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture(scope="session")
def scenario() -> lr.Scenario:
    return lr.Scenario(
        account={"concurrency": 3},
        defaults={"init_ms": 200},
        changes=[{"at": "2026-03-01T12:20:00Z", "set": {"account.concurrency": 2}}],
    )


@pytest.fixture(scope="session")
def result(trace: pl.DataFrame, scenario: lr.Scenario) -> lr.ReplayResult:
    return lr.replay(trace, scenario, blame=True)


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page."""

    dom: str
    console: list[str]

    @property
    def text(self) -> str:
        return html.unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", self.dom, flags=re.DOTALL))

    @property
    def charts(self) -> str | None:
        found = re.search(r'<html[^>]*data-charts="(\w+)"', self.dom)
        return found[1] if found else None


Look = Callable[[Path], Seen]


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium")
    return found


@pytest.fixture
def look(chromium: str, tmp_path: Path) -> Look:
    """Open a page in a browser that reaches nothing, and give what it has become."""

    def seen(page: Path) -> Seen:
        done = subprocess.run(
            [
                *(
                    chromium,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                ),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1280,2000"),
                *("--virtual-time-budget=10000", "--enable-logging=stderr", "--dump-dom"),
                *(f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        console = re.findall(r"CONSOLE.*?\] (.*)", done.stderr)
        return Seen(done.stdout, console)

    return seen
