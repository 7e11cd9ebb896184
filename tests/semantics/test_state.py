"""The examples worked by hand in ``tests/reference/test_state.py``, in the product."""

from reference.test_state import *  # noqa: F403
