"""Makes packages below ``tests`` importable, and drawn examples the same each time."""

import os
import sys
from pathlib import Path

from hypothesis import settings

TESTS = str(Path(__file__).resolve().parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

# So that a change is to blame for a failure and not luck. LAMBDA_REPLAY_EXAMPLES (`make soak`) asks
# for other examples.
settings.register_profile("repeatable", derandomize=True, database=None)
if "LAMBDA_REPLAY_EXAMPLES" not in os.environ:
    settings.load_profile("repeatable")
