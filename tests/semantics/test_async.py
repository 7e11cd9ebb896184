"""The examples worked by hand in ``tests/reference/test_async.py``, in the product."""

from reference.test_async import *  # noqa: F403
