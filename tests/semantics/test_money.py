"""The examples worked by hand in ``tests/reference/test_money.py``, in the product."""

from reference.test_money import *  # noqa: F403
