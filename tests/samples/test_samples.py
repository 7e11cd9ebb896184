"""Finding the samples by name."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lambda_replay import samples
from lambda_replay.exceptions import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_every_sample_has_its_notes_and_paths() -> None:
    assert "azure2019" in samples.names()
    for name in samples.names():
        assert samples.trace_path(name).is_file()
        assert samples.trace_path(name).with_suffix(".md").is_file()
        scenario = samples.scenario_path(name)
        assert scenario is None or scenario.is_file()


def test_description_is_one_line_of_plain_text() -> None:
    text = samples.describe("azure2019")
    assert text.startswith("Eight hours of 100 real functions")
    assert "339,657" in text
    assert "\n" not in text


@pytest.mark.parametrize("find", [samples.trace_path, samples.scenario_path, samples.describe])
@pytest.mark.parametrize("name", ["azure2091", "Azure2019"])
def test_unknown_name_lists_the_known_and_the_nearest(
    find: Callable[[str], object], name: str
) -> None:
    with pytest.raises(TraceError, match="samples: azure2019") as caught:
        find(name)
    assert name in str(caught.value)
    assert "sample:azure2019" in (caught.value.hint or "")
    assert caught.value.value == name


@pytest.mark.parametrize("name", ["", "..", "../samples/azure2019", "azure2019.parquet"])
def test_only_names_are_names(name: str) -> None:
    with pytest.raises(TraceError):
        samples.trace_path(name)


def test_importing_samples_does_not_import_polars() -> None:
    script = (
        "import sys, lambda_replay.exceptions; before = 'polars' in sys.modules;"
        "import lambda_replay.samples; assert ('polars' in sys.modules) == before"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
