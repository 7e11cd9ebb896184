"""Which concurrency quota should I ask for?

Measures the demand with a limit that never binds, then proves the answer by replaying it and one
unit less.
"""

from __future__ import annotations

import sys

import lambda_replay as lr


def answer(trace: str) -> dict[str, int]:
    """Give the peak of the demand, and throttles at that limit and just below it."""
    free = lr.replay(trace, lr.Scenario(account={"concurrency": 100_000})).summary
    peak = free.max_concurrency
    both = lr.compare(
        trace,
        {
            "enough": lr.Scenario(account={"concurrency": peak}),
            "one less": lr.Scenario(account={"concurrency": peak - 1}),
        },
    )
    return {
        "p99": free.concurrency.p99,
        "peak": peak,
        "throttles at peak": both.result["enough"].summary.throttles,
        "throttles below": both.result["one less"].summary.throttles,
    }


if __name__ == "__main__":
    print(answer(sys.argv[1] if len(sys.argv) > 1 else "sample:azure2019"))
