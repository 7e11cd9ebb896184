"""Settings found from what was observed, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.figures import count, span_ms
from lambda_replay.observed import ValidateError, Z, joined, pairs
from lambda_replay.several import Wanted, replay_several

if TYPE_CHECKING:
    from lambda_replay.ingest import TraceLike
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions
    from lambda_replay.scenario import Scenario

__all__ = ["FITS", "Fit", "fit_setting"]

#: What can be fitted.
FITS: Final = ("idle", "init", "lifetime", "client")
#: Candidates of idle expiry, in seconds.
_IDLE_S: Final = (60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 720, 900, 1200, 1800, 2700, 3600)
_LIFETIME_S: Final = (3600, 7200, 10800, 14400, 18000, 21600, 28800, 43200)
_CLIENTS: Final = ("none", "botocore_legacy", "botocore_standard_2020", "step_functions")


@dataclass(frozen=True)
class Fit:
    """A setting that fits what was observed best.

    Attributes
    ----------
    what, key
        What was fitted, and the key of the scenario.
    value
        The best of the candidates.
    low, high
        The ends of those that fit about as well; None for values that are no numbers.
    alike
        All candidates that fit about as well.
    tried
        A row per candidate: ``value``, ``difference`` (what was made small), ``predicted`` and
        ``observed``.
    changes
        What the setting of the scenario and the fitted one differ in.
    """

    what: str
    key: str
    value: object
    low: float | None
    high: float | None
    alike: tuple[object, ...]
    tried: pl.DataFrame
    changes: str


def fit_setting(
    what: str,
    trace: TraceLike,
    base: Scenario,
    rows: pl.DataFrame,
    both: pl.DataFrame,
    *,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> Fit:
    """Find a setting from the observations: the candidate under which fewest rows differ.

    Raises
    ------
    ValidateError
        Nothing was observed that it could be found from.
    """
    if what == "init":
        return _fit_init(base, rows, both)
    needs = "throttled" if what == "client" else "cold_start"
    if needs not in rows.columns or rows[needs].is_null().all():
        message = f"the trace has no {needs}, from which {what} could be fitted"
        raise ValidateError(message)
    keys: dict[str, tuple[str, list[tuple[object, dict[str, object]]]]] = {
        "idle": (
            "account.idle.seconds",
            [(s, {"account.idle": {"policy": "fixed", "seconds": s}}) for s in _IDLE_S],
        ),
        "lifetime": (
            "account.env.max_lifetime",
            [(s, {"account.env.max_lifetime": [s, s]}) for s in _LIFETIME_S],
        ),
        "client": (
            "defaults.client_retry",
            [(name, {"defaults.client_retry": name}) for name in _CLIENTS],
        ),
    }
    key, candidates = keys[what]
    scenarios = [base.with_many(values) for _, values in candidates]
    series = "throttled" if what == "client" else "cold_starts"
    found: dict[int, tuple[float, float, float, float]] = {}

    def done(place: int, result: Any) -> None:
        known = pairs(joined(rows, result.outcomes))[series]
        seen, said = known["observed"], known["predicted"]
        wrong = int((seen != said).sum())
        found[place] = (float(wrong), float(said.sum()), float(seen.sum()), float(known.height))

    replay_several(trace, scenarios, wanted=Wanted(outcomes=True), done=done, read=read, bad=bad)
    best = min(found, key=lambda place: (found[place][0], place))
    least, _, _, n = found[best]
    # Disagreements are counts of independent rows to first order: those within the noise of the
    # best candidate's are about as good.
    share = least / n if n else 0.0
    noise = Z * math.sqrt(max(n * share * (1 - share), 1.0))
    alike = [place for place in sorted(found) if found[place][0] <= least + noise]
    values = [candidates[place][0] for place in alike]
    numbers = [float(value) for value in values if isinstance(value, int)]
    tried = pl.DataFrame(
        [(str(candidates[at][0]), *found[at][:3]) for at in sorted(found)],
        schema={
            "value": pl.String(),
            **dict.fromkeys(("difference", "predicted", "observed"), pl.Float64()),
        },
        orient="row",
    )
    now = pairs(both)[series]
    differ = int((now["observed"] != now["predicted"]).sum())
    changes = (
        f"{count(int(least))} of {count(int(n))} rows differ from what was observed, instead of"
        f" {count(differ)}; {series} {count(int(found[best][1]))} instead of"
        f" {count(int(now['predicted'].sum()))}, observed {count(int(found[best][2]))}"
    )
    return Fit(
        what=what,
        key=key,
        value=candidates[best][0],
        low=min(numbers) if numbers else None,
        high=max(numbers) if numbers else None,
        alike=tuple(values),
        tried=tried,
        changes=changes,
    )


def _fit_init(base: Scenario, rows: pl.DataFrame, both: pl.DataFrame) -> Fit:
    """Fit defaults.init_ms: the median of the observed inits, with its rank interval."""
    seen = (
        rows.filter(pl.col("init_ms") > 0)["init_ms"].sort()
        if "init_ms" in rows.columns
        else pl.Series(dtype=pl.Float64)
    )
    n = len(seen)
    if n == 0:
        message = "the trace has no init_ms above 0, from which init could be fitted"
        raise ValidateError(message)
    half = Z * math.sqrt(n) / 2
    low = float(seen[max(0, math.floor(n / 2 - half))])
    high = float(seen[min(n - 1, math.ceil(n / 2 + half))])
    value = float(seen[n // 2])
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    tried = pl.DataFrame(
        [(f"p{round(100 * q)}", float(seen.quantile(q) or 0), 0.0, float(n)) for q in quantiles],
        schema={
            "value": pl.String(),
            **dict.fromkeys(("difference", "predicted", "observed"), pl.Float64()),
        },
        orient="row",
    )
    lacking = both.filter(
        pl.col("cold").fill_null(value=False) & pl.col("observed_init_ms").is_null()
    )
    now = base.resolve().defaults.init_us / 1_000
    changes = (
        f"{count(lacking.height)} of the replay's cold starts are of rows without an init; they"
        f" took {span_ms(now)} each"
    )
    return Fit("init", "defaults.init_ms", value, low, high, (value,), tried, changes)
