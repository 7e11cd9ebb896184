"""Charts of a result for notebooks: ``result.plot.concurrency()`` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambda_replay.results import ReplayResult

__all__ = ["ResultPlot"]


class ResultPlot:
    """Altair charts of one result, those that the report shows.

    They can be changed, layered and saved as any chart of Altair: ``chart.save("peaks.svg")``. Each
    needs the extra: ``pip install 'lambda-replay[report]'``.

    Raises
    ------
    ResourceError
        On a call: Altair is not installed.
    ValueError
        On a call: the result has nothing that the chart shows.
    """

    def __init__(self, result: ReplayResult) -> None:
        self._result = result

    def _draw(self, name: str, width: int, missing: str) -> Any:
        from lambda_replay.report import charts  # noqa: PLC0415 - imports Altair
        from lambda_replay.report.material import of_result  # noqa: PLC0415

        run = of_result(self._result).runs[0]
        chart = getattr(charts, name)(run)
        if chart is None:
            message = f"nothing to draw: the result has {missing}"
            raise ValueError(message)
        return chart.properties(width=width)

    def concurrency(self, *, width: int = 640) -> Any:
        """Draw peaks of concurrency against the account's limit."""
        return self._draw("concurrency", width, "no rows")

    def throttles(self, *, by: str = "function", width: int = 640) -> Any:
        """Draw throttles over time by ``"function"``, or in all by the ``"limit"`` that bound."""
        if by not in {"function", "limit"}:
            message = f'by is "function" or "limit", not {by!r}'
            raise ValueError(message)
        name = "throttles" if by == "function" else "throttles_by_limit"
        return self._draw(name, width, "no throttles, or no metrics by function")

    def cold_starts(self, *, width: int = 640) -> Any:
        """Draw cold starts, and spillover, over time."""
        return self._draw("cold_starts", width, "no rows")

    def waits(self, *, width: int = 640) -> Any:
        """Draw percentiles of waits, runs and ages on a logarithmic scale."""
        return self._draw("waits", width, "no waits and no runs")

    def cost(self, *, width: int = 640) -> Any:
        """Draw what the cost is made of, and what costs most."""
        return self._draw("cost", width, "no cost, or no prices of its Region")
