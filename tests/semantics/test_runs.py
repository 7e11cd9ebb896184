"""The examples worked by hand in ``tests/reference/test_runs.py``, in the product."""

from reference.test_runs import *  # noqa: F403
