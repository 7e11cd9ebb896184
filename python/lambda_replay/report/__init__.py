"""Results as one offline page, as Markdown, and as pictures.

Owns what a report shows and how it looks. Leaves out how results come to be, and the command line.
"""

from __future__ import annotations

from lambda_replay.report.extra import check_extra
from lambda_replay.report.markdown import markdown
from lambda_replay.report.material import Material, load, of_comparison, of_result, of_sweep
from lambda_replay.report.page import page, write_report
from lambda_replay.report.pictures import write_pictures

__all__ = [
    "Material",
    "check_extra",
    "load",
    "markdown",
    "of_comparison",
    "of_result",
    "of_sweep",
    "page",
    "write_pictures",
    "write_report",
]
