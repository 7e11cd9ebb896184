"""Every default, quota and range of a scenario, once, with its source.

The models, the messages and the resolved scenario read them here; the dated ones are in eras.py.
Rule ids: F… functions.md, Z… settled.md, S… state.md, Q… the open questions of functions.md §9, all
in the semantics documents.
"""

from __future__ import annotations

from typing import Final

from lambda_replay.scenario.eras import DEFAULT_ERA, ERAS, Era, IdlePolicy
from lambda_replay.scenario.setting import Range, Setting

__all__ = ["DEFAULT_ERA", "ERAS", "Era", "IdlePolicy", "Range", "Setting"]

#: What the core counts in is 32 bits wide.
_MOST: Final = 2**31 - 1

# ---------------------------------------------------------------------------- the file itself

MAX_FILE_BYTES: Final = Setting(
    8 * 1024 * 1024,
    rule="-",
    source="bound of our own; 2,000 functions take about 110 KiB",
    documented=False,
)
MAX_DEPTH: Final = Setting(
    32, rule="-", source="bound of our own; the deepest key of the contract has 6", documented=False
)
MAX_KEYS: Final = Setting(
    1_000_000, rule="-", source="bound of our own, keys and array elements", documented=False
)
#: Bound of any number of seconds, so that sums of microseconds stay far from overflow.
MAX_SECONDS: Final = Setting(
    1_000_000_000, rule="-", source="bound of our own, 31 years", documented=False
)
#: Time is counted in microseconds (Z3); a shorter period would be none at all.
MIN_SECONDS: Final = Setting(0.000001, rule="Z3", source="resolution of time", documented=False)
COUNT_RANGE: Final = Setting(
    Range(0, _MOST), rule="-", source="bound of our own for any count", documented=False
)
FACTOR_MAX: Final = Setting(
    1_000_000, rule="-", source="bound of our own for any factor", documented=False
)

# ---------------------------------------------------------------------------- [account]

#: Units of concurrency per account and Region.
CONCURRENCY: Final = Setting(
    1_000,
    rule="F1.1",
    source="AWS Lambda quotas: 1,000 concurrent executions per account and Region",
    documented=True,
)
CONCURRENCY_RANGE: Final = Setting(
    Range(1, _MOST),
    rule="F1.1",
    source="AWS raises the quota to tens of thousands; the upper end leaves room for 'no limit'",
    documented=False,
)
#: Units that reserved and provisioned concurrency must leave; never more than there are.
MIN_UNRESERVED: Final = Setting(
    100,
    rule="Q38",
    source="AWS: 100 must stay unreserved; 10 seen where the limit is 10",
    documented=False,
)
#: A window of requests admits so many times the units it belongs to.
REQUESTS_PER_UNIT: Final = Setting(
    10, rule="F1.4", source="AWS Lambda quotas: 10 x concurrency per second", documented=True
)
RPS_MODES: Final = ("fixed_window", "token_bucket")
RPS_MODE: Final = Setting(
    "fixed_window", rule="Q4", source="reproduces AWS's example of 10,000", documented=False
)
RPS_WINDOW_S: Final = Setting(
    1, rule="Q4", source="AWS states the limit per second", documented=False
)
SCALING_SCOPES: Final = ("function", "region")
SCALING_MODES: Final = ("continuous", "step", "sliding")
SCALING_MODE: Final = Setting(
    "continuous",
    rule="Q1",
    source="AWS: refilled 'continuously over time'; the only reading of all its sentences",
    documented=False,
)
SCALING_STEP_S: Final = Setting(
    10, rule="F2.3", source="AWS states the rate for 10 s", documented=True
)

#: Lifetime of an environment, drawn between the two.
MAX_LIFETIME_S: Final = Setting(
    (14_400, 28_800),
    rule="Q10",
    source="AWS: 'every few hours'; ATC'18 measured a median of 6.2 h",
    documented=False,
)
#: Period of ``halving`` where the era has another policy.
HALVING_PERIOD_S: Final = Setting(
    380, rule="Z4", source=ERAS["2020-12"].idle.source, documented=False
)
REUSE_POLICIES: Final = ("mru", "lru", "fifo", "random")
REUSE_POLICY: Final = Setting(
    "mru", rule="Q8", source="functions.md §3.2: stopping idle ones needs it", documented=False
)
ERROR_RESETS: Final = ("suppressed_init", "destroy")
ERROR_RESET: Final = Setting(
    "suppressed_init", rule="F3.5", source="AWS: init is re-run in the next invoke", documented=True
)
PROACTIVE_FRACTION: Final = Setting(
    0,
    rule="Q11",
    source="AWS: 'do not take a dependency'; 50 to 85 % published in 2023",
    documented=False,
)
JITTER_HALF: Final = Setting(
    0.125, rule="Q21", source="19 first waits between 53.45 and 67.43 s", documented=False
)
EXPIRIES: Final = ("predictive", "deadline")
EXPIRY: Final = Setting(
    "predictive", rule="Q22", source="9 of 9 events dropped ahead of their age", documented=False
)
DISPATCH_S: Final = Setting(
    0, rule="Q18", source="measured 33 ms; 0 is the simplest", documented=False
)
ABORTED_INIT_BILLED: Final = Setting(
    False, rule="Q12", source="REPORT lines of 2025-11: aborted, not billed", documented=False
)
INIT_TIMEOUT_S: Final = Setting(
    10, rule="F3.1", source="AWS: the init phase is limited to 10 s", documented=True
)
REGION: Final = Setting("us-east-1", rule="F7", source="prices of us-east-1", documented=False)
FREE_TIER: Final = Setting(
    False, rule="F7", source="interface.md §2: other workloads use it up", documented=False
)

# ---------------------------------------------------------------------------- functions

MEMORY_MB: Final = Setting(
    128, rule="F3.1", source="AWS Lambda: default MemorySize", documented=True
)
ARCHITECTURES: Final = Setting(
    ("x86_64", "arm64"), rule="F7", source="AWS Lambda: Architectures", documented=True
)
ARCHITECTURE: Final = Setting(
    "x86_64", rule="F7", source="AWS Lambda: default of Architectures", documented=True
)
EPHEMERAL_STORAGE_MB: Final = Setting(
    512, rule="F3.1", source="AWS Lambda: default EphemeralStorage", documented=True
)
INIT_MS: Final = Setting(
    0, rule="Q28", source="Z55: default where the trace has none either", documented=False
)
INIT_MS_MAX: Final = Setting(
    86_400_000, rule="-", source="bound of our own, one day", documented=False
)
#: Medians of about 650 cold starts each, in ms (functions.md §3.2).
TYPICAL_INIT_MS: Final = Setting(
    {
        "nodejs": 264,
        "python": 215,
        "java": 372,
        "go": 307,
        "ruby": 277,
        "dotnet": 517,
        "image": 795,
    },
    rule="Z55",
    source="Shilkov 2021-01, client-side medians; dotnet at 2 GB, image: a Docker image",
    documented=False,
)
#: A run takes some time, whatever its memory.
DURATION_FACTOR_MIN: Final = Setting(0.001, rule="-", source="bound of our own", documented=False)
TIMEOUT_S: Final = Setting(
    "off",
    rule="F3.1",
    source="interface.md §2: AWS's default of 3 s would cut durations that were really observed",
    documented=False,
)
EVENT_AGE_S: Final = Setting(
    21_600, rule="F5.2", source="AWS: default MaximumEventAgeInSeconds", documented=True
)
EVENT_AGE_RANGE: Final = Setting(
    Range(60, 21_600), rule="F5.2", source="AWS API: MaximumEventAgeInSeconds", documented=True
)
RETRY_ATTEMPTS: Final = Setting(
    2, rule="F5.2", source="AWS: default MaximumRetryAttempts", documented=True
)
RETRY_ATTEMPTS_RANGE: Final = Setting(
    Range(0, 2), rule="F5.2", source="AWS API: MaximumRetryAttempts", documented=True
)
#: First waits after a function error, in seconds, before jitter.
RETRY_WAITS_S: Final = Setting(
    (60, 120), rule="F5.3", source="AWS: one minute, then two", documented=True
)
TARGET_RANGE: Final = Setting(
    (0.1, 0.9), rule="F3.9", source="AWS: target of utilisation", documented=True
)
CLIENT_MODES: Final = ("standard", "adaptive")
CLIENT_MODE: Final = Setting(
    "standard", rule="F4.2", source="botocore, default since 1.44", documented=False
)
CLIENT_ATTEMPTS_RANGE: Final = Setting(
    Range(1, 100), rule="Z28", source="bound of our own", documented=False
)
CLIENT_ATTEMPTS: Final = Setting(3, rule="Z28", source="botocore, standard mode", documented=False)
CLIENT_BASE_S: Final = Setting(1, rule="Z28", source="botocore, standard mode", documented=False)
CLIENT_CAP_S: Final = Setting(20, rule="Z28", source="botocore, standard mode", documented=False)
CLIENT_FACTOR: Final = Setting(
    "uniform", rule="Z28", source="botocore, standard mode", documented=False
)

# ---------------------------------------------------------------------------- [state]

DISCIPLINES: Final = ("lock", "optimistic", "append")
DISCIPLINE: Final = Setting("lock", rule="S", source="state.md: a model", documented=False)
STATE_SCOPES: Final = ("account", "function")
STATE_SCOPE: Final = Setting("account", rule="S", source="state.md: a model", documented=False)
STATE_MAX_RETRIES: Final = Setting(3, rule="S", source="state.md: a model", documented=False)
STATE_BACKOFF_MS: Final = Setting(0, rule="S", source="state.md: a model", documented=False)
STATE_TOP: Final = Setting(100, rule="S", source="state.md: what is reported", documented=False)

# ---------------------------------------------------------------------------- [replay]

SEED: Final = Setting(0, rule="-", source="interface.md §2", documented=False)
SEED_RANGE: Final = Setting(
    Range(0, 2**64 - 1), rule="-", source="key of the counter-based generator", documented=False
)
TIME_SCALE: Final = Setting(1.0, rule="Z37", source="as the trace has it", documented=False)
TIME_SCALE_RANGE: Final = Setting(
    (0.000001, 1_000_000), rule="Z37", source="bound of our own", documented=False
)
LOAD: Final = Setting(1.0, rule="Z38", source="as the trace has it", documented=False)
LOAD_MAX: Final = Setting(1_000, rule="Z38", source="bound of our own", documented=False)

# ---------------------------------------------------------------------------- choices without a key


def _choice(rule: str, value: str, source: str) -> tuple[str, Setting[str]]:
    return rule, Setting(value, rule=rule, source=source, documented=False)


#: What AWS leaves open (functions.md §9) and no key decides, by rule.
CHOICES: Final[dict[str, Setting[str]]] = dict(
    (
        _choice("Q2", "no token", "a token is for a new environment"),
        _choice("Q3", "ConcurrentInvocationLimitExceeded", "only two reasons have a known cause"),
        _choice("Q6", "rate, provisioned, concurrency, scaling", "no matter with one limit"),
        _choice("Q7", "requests of their own", "Lambda sees separate requests"),
        _choice("Q13", "held", "measured: the caller waited 13.2 s for 10 s of init and 3 s"),
        _choice("Q14", "90 s + N/100 s", "'a minute or two', 6,000 a minute"),
        _choice("Q15", "old until new", "conservative; fewer at once where idle"),
        _choice("Q16", "up as needed, down by 10 %", "3 points are all that is documented"),
        _choice("Q17", "unreserved", "avoids counting twice in what is claimed"),
        _choice(
            "Q19", "end of the run", "measured: an 80 s run was retried 138.2 s after its start"
        ),
        _choice("Q20", "anew after a run", "natural"),
        _choice("Q23", "none", "unquantified"),
        _choice("Q24", "order of time", "deterministic"),
        _choice("Q25", "ends first", "gives the caller the benefit; makes Little's law exact"),
        _choice("Q26", "0", "no data"),
        _choice("Q27", "runs finish", "inferred"),
        _choice("Q31", "expired", "as Q25: a timer comes before a start"),
        _choice("Q32", "admitted requests", "a refusal must leave no trace"),
        _choice("Q35", "READY at the start", "configuration that was there before"),
        _choice("Q37", "not coupled", "rps 0 is not above 0"),
    )
)
