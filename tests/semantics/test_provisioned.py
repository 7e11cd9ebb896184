"""The examples worked by hand in ``tests/reference/test_provisioned.py``, in the product."""

from reference.test_provisioned import *  # noqa: F403
