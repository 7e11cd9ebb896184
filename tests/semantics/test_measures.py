"""The examples worked by hand in ``tests/reference/test_measures.py``, in the product."""

from reference.test_measures import *  # noqa: F403
