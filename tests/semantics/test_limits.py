"""The examples worked by hand in ``tests/reference/test_limits.py``, in the product."""

from reference.test_limits import *  # noqa: F403
