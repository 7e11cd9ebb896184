"""The examples worked by hand in ``tests/reference/test_reference.py``, in the product."""

from reference.test_reference import *  # noqa: F403
