"""Examples run as they stand, and their answers agree with the replay."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TRACE = "sample:azure2019"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def first_hour(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A part of the shipped sample, so that all examples take seconds."""
    from lambda_replay.samples import __file__ as home

    path = tmp_path_factory.mktemp("trace") / "hour.parquet"
    whole = pl.read_parquet(Path(home).parent / "azure2019.parquet").sort("timestamp")
    whole.head(whole.height // 6).write_parquet(path)
    return str(path)


def test_reserved_concurrency(first_hour: str) -> None:
    table = _load("reserved_concurrency").answer(first_hour)
    assert table["reserved"].to_list() == [1, 2, 4, 8]
    assert table["throttles"][0] > 0
    assert all(row["max_concurrency"] <= row["reserved"] for row in table.to_dicts())


def test_provisioned_concurrency(first_hour: str) -> None:
    table = _load("provisioned_concurrency").answer(first_hour)
    assert table["spillover_invocations"][0] == 0
    assert table["usd_per_cold_start_avoided"][0] is None
    assert table["cold_starts"].to_list() == sorted(table["cold_starts"], reverse=True)


def test_binding_limits(first_hour: str) -> None:
    limits, holders = _load("binding_limits").answer(first_hour)
    assert limits["account_concurrency"] > 0
    assert 0 < holders["held_mean"].sum() <= 10 + 1e-9
    assert holders["holder"][0] == "queue-1fa065"


def test_account_quota(first_hour: str) -> None:
    found = _load("account_quota").answer(first_hour)
    assert found["throttles at peak"] == 0
    assert found["throttles below"] > 0
    assert found["p99"] <= found["peak"]


def test_noisy_neighbour(first_hour: str) -> None:
    comparison, moved = _load("noisy_neighbour").answer(first_hour)
    assert comparison.names == ("today", "capped")
    capped = comparison.result["capped"].functions
    noisy = capped.filter(pl.col("function") == "queue-1fa065")
    assert noisy["max_concurrency"].item() <= 15
    assert moved["functions"].sum() == comparison.functions.height


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_say_what_they_answer(path: Path) -> None:
    module = _load(path.stem)
    assert module.__doc__ is not None
    assert "?" in module.__doc__.splitlines()[0]
    assert TRACE in path.read_text(encoding="utf-8")
