"""The examples worked by hand in ``tests/reference/test_changes.py``, in the product."""

from reference.test_changes import *  # noqa: F403
