"""The examples worked by hand in ``tests/reference/test_clients.py``, in the product."""

from reference.test_clients import *  # noqa: F403
